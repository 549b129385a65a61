"""What a stress test measures, beside the bare `evalscope perf` command; 5 runs each, interleaved.

One local server streams tokens at a fixed pace to both. Bound: Scopebot's medians of TTFT, TPOT and RPS lie between
the bare runs' lowest and highest figure, widened by 5 %.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common import ROUNDS, Recorder, finish, incoming, warm_bot

from jobs.models import PerfLevel

SERVER = Path(__file__).parents[1] / "tests" / "support" / "streaming.py"
PACE = {"first": 0.08, "each": 0.012, "tokens": 24}
LOAD = (1, 4)
EACH = (12, 48)
WIDENED = 0.05


class Figures(NamedTuple):
    """One level's: milliseconds, milliseconds, requests a second."""

    ttft: float
    tpot: float
    rps: float


async def measure() -> int:
    """Measure and print."""
    ours: list[list[Figures]] = []
    bare: list[list[Figures]] = []
    with _server() as url:
        config = f'[models.prod]\nmodel = "tiny"\napi_url = "{url}"\n'
        async with warm_bot(config) as bot:
            recorder = Recorder()
            for number in range(ROUNDS + 1):  # the first round warms both
                levels, command = await _asked_in_chat(bot, recorder, number)
                theirs = await asyncio.to_thread(_command, command)
                if number:
                    ours.append(levels)
                    bare.append(theirs)
                await asyncio.sleep(2)  # the run's HTML report is being written behind the figures
    results = []
    for place, load in enumerate(LOAD):
        for name in Figures._fields:
            mine = [getattr(levels[place], name) for levels in ours]
            theirs = [getattr(levels[place], name) for levels in bare]
            results.append(_within(f"concurrency {load} {name}", mine, theirs))
    return finish(results)


def _within(name: str, ours: list[float], bare: list[float]) -> bool:
    median = statistics.median(ours)
    low, high = min(bare) * (1 - WIDENED), max(bare) * (1 + WIDENED)
    good = low <= median <= high
    print(
        f"{name:24} median {median:9.3f}   evalscope perf {min(bare):9.3f} … {max(bare):9.3f}"
        f"   bound {low:.3f} … {high:.3f}: {'ok' if good else 'MISSED'}"
    )
    return good


async def _asked_in_chat(bot: object, recorder: Recorder, number: int) -> tuple[list[Figures], str]:
    """Return the figures of a test asked for in a sentence, and the line that is said to reproduce it."""
    each = ",".join(map(str, EACH))
    text = f"/perf prod parallel={','.join(map(str, LOAD))} number={each} max_tokens={PACE['tokens']} sleep_interval=1"
    posted = await bot.receive(recorder, incoming(text, number))  # type: ignore[attr-defined]
    group = posted[0].reply.group
    assert group is not None, posted
    while not recorder.posts.empty():
        recorder.posts.get_nowait()
    while True:
        (run,) = await asyncio.to_thread(bot.services.store.group_runs, group)  # type: ignore[attr-defined]
        if run.result is not None:
            break
        await asyncio.sleep(0.2)
    assert run.result.reproduce is not None, run.failure
    assert all(level.failed == 0 for level in run.result.perf)
    return [_figures(level) for level in run.result.perf], run.result.reproduce.command


def _figures(level: PerfLevel) -> Figures:
    assert level.ttft_ms.avg is not None
    assert level.tpot_ms.avg is not None
    return Figures(level.ttft_ms.avg, level.tpot_ms.avg, level.rps)


def _command(line: str) -> list[Figures]:
    """Run the line as it stands, in a folder of its own."""
    words = shlex.split(line)
    words[0] = str(Path(sys.executable).with_name("evalscope"))
    with tempfile.TemporaryDirectory() as folder:
        command = [*words, "--outputs-dir", folder, "--no-timestamp", "--name", "bare"]
        subprocess.run(command, check=True, capture_output=True)
        found = []
        for load, number in zip(LOAD, EACH, strict=True):
            path = Path(folder, "bare", f"parallel_{load}_number_{number}", "benchmark_summary.json")
            summary = json.loads(path.read_text(encoding="utf-8"))
            found.append(Figures(summary["Avg TTFT (ms)"], summary["Avg TPOT (ms)"], summary["Req Throughput (req/s)"]))
        return found


@contextlib.contextmanager
def _server() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(SERVER), json.dumps(PACE)], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
