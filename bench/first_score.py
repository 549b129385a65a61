"""Message in → final score posted, beside the `evalscope eval` command that does the same; median of 5, interleaved.

Ten mock samples of a local data set. Bound: 0.2 of the command's time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROUNDS, Recorder, finish, incoming, report, warm_bot

from jobs.sample import SAMPLE_DATASETS

SENTENCE = "/eval mock faq limit=10"
BOUND = 0.2


async def measure() -> int:
    """Measure and print."""
    folder = SAMPLE_DATASETS["sample_mcq"].folder
    config = f'[datasets.faq]\nbenchmark = "general_mcq"\nlocal_path = "{folder}"\nsubset_list = ["en"]\n'
    ours: list[float] = []
    bare: list[float] = []
    async with warm_bot(config) as bot:
        recorder = Recorder()
        for number in range(ROUNDS + 1):  # the first round warms both
            mine = await _message_to_score(bot, recorder, number)
            theirs = await asyncio.to_thread(_command, folder)
            if number:
                ours.append(mine)
                bare.append(theirs)
            await asyncio.sleep(1.5)  # the run's HTML report is being written behind the scores
    return finish([report("message → score", ours, bare, bound=BOUND, bare_name="evalscope eval")])


async def _message_to_score(bot: object, recorder: Recorder, number: int) -> float:
    begun = time.perf_counter()
    posted = await bot.receive(recorder, incoming(SENTENCE, number))  # type: ignore[attr-defined]
    assert posted[0].reply.group is not None, posted
    while True:
        message = await asyncio.wait_for(recorder.posts.get(), 60)
        if "accuracy" in message.model_dump_json():
            return time.perf_counter() - begun


def _command(folder: Path) -> float:
    args = {"general_mcq": {"local_path": str(folder), "subset_list": ["en"]}}
    command = [
        str(Path(sys.executable).with_name("evalscope")), "eval", "--model", "mock_llm", "--eval-type", "mock_llm",
        "--datasets", "general_mcq", "--dataset-args", json.dumps(args), "--limit", "10",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        begun = time.perf_counter()
        subprocess.run([*command, "--work-dir", work], check=True, capture_output=True)
        return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
