"""`/benchmarks` by tag, words and name through the whole bot, beside `evalscope benchmark-info --list`.

Bound: 50 ms each, median of 5.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import ROUNDS, Recorder, check, finish, incoming, report, warm_bot

QUERIES = (
    "/benchmarks",
    "/benchmarks Coding",
    "/benchmarks medical questions",
    "/benchmarks gsm8k",
    "有哪些数学基准？",
)
BOUND_MS = 50.0


async def measure() -> int:
    """Measure and print."""
    results = []
    bare = [await asyncio.to_thread(_command) for _ in range(2)]
    slowest: list[float] = []
    async with warm_bot() as bot:
        recorder = Recorder()
        for query in QUERIES:
            times = []
            for number in range(ROUNDS):
                begun = time.perf_counter()
                await bot.receive(recorder, incoming(query, number))
                times.append(time.perf_counter() - begun)
            results.append(check(query, statistics.median(times) * 1000, "ms", BOUND_MS))
            slowest.append(max(times))
    report("the slowest of all", [max(slowest)], bare, bound=None, bare_name="benchmark-info --list")
    return finish(results)


def _command() -> float:
    begun = time.perf_counter()
    evalscope = str(Path(sys.executable).with_name("evalscope"))
    subprocess.run([evalscope, "benchmark-info", "--list"], check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
