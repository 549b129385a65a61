"""Python's own pauses, kept short: what comes in is to be acknowledged in a few milliseconds, whatever goes on."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from types import ModuleType

SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread keeps the others waiting. Python's own 5 ms add up where threads read the database, since
each step of an acknowledgement waits for them anew."""
THRESHOLDS = (3_000, 20, 100)
"""Objects made until the youngest are looked through for garbage, and how often that is until older ones are. With
Python's own (700, 10, 10) a busy bot looks through everything each second, which stops it for more than 100 ms."""
SETTLED_AFTER = 10.0
"""Seconds after which what was imported and opened at the start is taken to stay."""


def keep_pauses_short() -> None:
    """Have this process pause for less; to be called in its event loop, at the start."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*THRESHOLDS)
    leave_what_stays()
    asyncio.get_running_loop().call_later(SETTLED_AFTER, leave_what_stays)


def leave_what_stays() -> None:
    """Have the collector pass over what there is now: modules, classes and the like, which are no garbage."""
    gc.collect()
    gc.freeze()


_importing = asyncio.Lock()


async def import_beside(name: str) -> ModuleType:
    """Import a module while everything else goes on, however large it is.

    What it brings is not looked through for garbage: of Feishu's SDK, that alone would stop the process for 180 ms,
    several times.
    """
    async with _importing:
        gc.disable()
        try:
            return await asyncio.to_thread(importlib.import_module, name)
        finally:
            gc.freeze()
            gc.enable()
