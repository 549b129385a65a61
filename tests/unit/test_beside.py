"""A process beside the bot is started again when it ends, less and less often, and ends with the bot."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from bot import beside
from bot.beside import Beside


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)


class Starts:
    """Starts a process and keeps what was started."""

    def __init__(self, code: str) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.times: list[float] = []
        self._code = code

    def __call__(self) -> subprocess.Popen[bytes]:
        self.times.append(time.monotonic())
        self.processes.append(subprocess.Popen([sys.executable, "-c", self._code]))
        return self.processes[-1]


async def test_a_process_that_is_killed_is_started_again_and_ends_with_the_bot() -> None:
    starts = Starts("import time; time.sleep(60)")
    process = Beside("worker-0", starts)
    os.kill(starts.processes[0].pid, signal.SIGKILL)
    await until(lambda: len(starts.processes) == 2)
    await process.end()
    assert starts.processes[1].returncode == -signal.SIGTERM
    await asyncio.sleep(1)
    assert len(starts.processes) == 2


async def test_a_process_that_ends_again_and_again_is_started_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beside, "FIRST_WAIT", 0.1)
    monkeypatch.setattr(beside, "LOOK_EVERY", 0.01)
    starts = Starts("raise SystemExit(1)")
    process = Beside("worker-0", starts)
    await until(lambda: len(starts.times) == 4)
    await process.end()
    first, second, third = (after - before for before, after in zip(starts.times, starts.times[1:], strict=False))
    assert (first >= 0.1, second >= 0.2, third >= 0.4) == (True, True, True)
