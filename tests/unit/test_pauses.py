"""A large import does not hold up what else goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import pytest

from bot.pauses import import_beside


async def test_the_loop_goes_on_while_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "very_large.py").write_text("import gc, time\ncollects = gc.isenabled()\ntime.sleep(0.3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    module = await import_beside("very_large")
    ticking.cancel()
    assert ticks > 15
    assert not module.collects, "looking through what it brings would stop all else"
    assert gc.isenabled()
    del sys.modules["very_large"]


async def test_an_import_that_fails_is_told_and_changes_nothing() -> None:
    with pytest.raises(ModuleNotFoundError):
        await import_beside("no_such_module_of_ours")
    assert gc.isenabled()
