"""Charts as pictures, drawn in a process beside the bot that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from bot.helper import Helper, HelperFailed
from bot.pictures import draw
from handlers.message import Chart, Series

ROOT = Path(__file__).parents[2]
BARS = Chart(
    title="Scores", kind="bar", categories=("gsm8k", "$x_{", "mmlu"), y_label="accuracy, %",
    series=(Series(name="_qwen-plus", values=(90.1, 62.5, None)), Series(name="b", values=(50, 40.5, 12))),
)  # fmt: skip
LINES = Chart(
    title="吞吐随负载的变化", kind="line", categories=("一", "二"), x_label="并发", y_label="请求/秒",
    series=(Series(name="模型", values=(1.5, float("inf"))), Series(name="b", values=(1, 2))),
)  # fmt: skip
EMPTY = Chart(title="", kind="bar", categories=(), series=())


@contextlib.asynccontextmanager
async def helping(**limits: float) -> AsyncIterator[Helper]:
    helper = Helper(**limits)
    try:
        yield helper
    finally:
        await helper.close()
        await asyncio.sleep(0.1)  # its pool's thread takes note


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("chart", [BARS, LINES, EMPTY], ids=["bars", "lines in Chinese", "nothing"])
async def test_a_chart_becomes_a_picture_of_a_known_size_and_no_text_breaks_it(chart: Chart) -> None:
    async with helping() as helper:
        picture = await helper.call(draw, chart)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (900, 500)
    assert len(picture) < 60_000


def test_what_no_font_here_can_draw_is_left_out_rather_than_drawn_as_boxes() -> None:
    code = (
        "from bot.pictures import Fonts; fonts = Fonts(); "
        "assert fonts.known('gsm8k – 62 %') == 'gsm8k – 62 %'; assert fonts.known('\\U000f0000', '1') == '1'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


async def test_the_bot_itself_never_imports_what_draws() -> None:
    code = """
import asyncio, sys
from bot.helper import Helper
from bot.pictures import draw
from handlers.message import Chart

async def main():
    helper = Helper()
    picture = await helper.call(draw, Chart(title="x", kind="bar", categories=(), series=()))
    await helper.close()
    print(len(picture) > 1000, any(name in sys.modules for name in ("matplotlib", "numpy")))

if __name__ == "__main__":
    asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]


async def test_one_process_does_all_calls_and_none_is_there_before_the_first() -> None:
    async with helping() as helper:
        assert helper.pid is None
        pids = await asyncio.gather(*(helper.call(os.getpid) for _ in range(3)))
        assert set(pids) == {helper.pid}
        assert helper.pid != os.getpid()


async def test_a_failure_in_the_helper_is_the_callers_and_harms_no_other_call() -> None:
    async with helping() as helper:
        with pytest.raises(ValueError, match="invalid literal"):
            await helper.call(int, "x")
        assert await helper.call(int, "7") == 7


async def test_a_killed_helper_costs_one_call_and_the_next_has_a_new_one() -> None:
    async with helping() as helper:
        first = await helper.call(os.getpid)
        lost = asyncio.create_task(helper.call(time.sleep, 30))
        waiting = asyncio.create_task(helper.call(os.getpid))
        await asyncio.sleep(0.2)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(HelperFailed, match="sleep"):
            await lost
        assert await waiting != first


async def test_a_helper_that_died_while_idle_costs_no_call() -> None:
    async with helping() as helper:
        first = await helper.call(os.getpid)
        os.kill(first, signal.SIGKILL)
        await until(lambda: not psutil.pid_exists(first))
        await asyncio.sleep(0.2)
        assert await helper.call(os.getpid) != first


async def test_a_call_that_hangs_is_given_up_and_its_process_ended() -> None:
    async with helping(call_seconds=3) as helper:
        first = await helper.call(os.getpid)
        with pytest.raises(HelperFailed, match="TimeoutError"):
            await helper.call(time.sleep, 60)
        await until(lambda: not psutil.pid_exists(first))
        assert await helper.call(os.getpid) != first


async def test_an_idle_helper_ends_and_comes_back_when_it_is_needed() -> None:
    async with helping(idle_seconds=0.3) as helper:
        first = await helper.call(os.getpid)
        await until(lambda: not psutil.pid_exists(first))
        assert helper.pid is None
        assert await helper.call(os.getpid) != first


async def test_the_helper_dies_with_the_bot_however_that_ends() -> None:
    code = """
import asyncio, os, time
from bot.helper import Helper

async def main():
    helper = Helper()
    print(await helper.call(os.getpid), flush=True)
    await helper.call(time.sleep, 60)

if __name__ == "__main__":
    asyncio.run(main())
"""
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert bot.stdout is not None
    helper = int(await bot.stdout.readline())
    assert psutil.pid_exists(helper)
    bot.kill()
    await bot.wait()
    await until(lambda: not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE)
