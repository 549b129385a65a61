"""Processes that run beside the bot: each is started again when it ends, until the bot does."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable

import structlog

from bot.background import cancel, keep_going

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.25
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds until it is started again: longer each time, for one that ends again and again."""
LEAVES_WITHIN = 60.0
"""Seconds it has to finish what it is writing when the bot ends."""


class Beside:
    """One such process; made inside a running loop."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._name = name
        self._start = start
        self._process = start()
        self._watching = asyncio.create_task(keep_going(self._watch))

    async def end(self) -> None:
        """End it; it may finish what it is writing."""
        await cancel([self._watching])
        await asyncio.to_thread(_end, self._process)

    async def _watch(self) -> None:
        wait = FIRST_WAIT
        while True:
            begun = time.monotonic()
            while self._process.poll() is None:  # noqa: ASYNC110 - nothing tells of a process's end
                await asyncio.sleep(LOOK_EVERY)
            wait = FIRST_WAIT if time.monotonic() - begun > LONGEST_WAIT else wait
            log.warning("a process beside the bot ended", name=self._name, code=self._process.returncode, again_in=wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            self._process = self._start()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(LEAVES_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
