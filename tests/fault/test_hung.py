"""A run that hangs: its process lives, says so, and nothing gets on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from bot.app import open_bot
from bot.settings import BotSettings
from handlers.incoming import Incoming
from jobs.lifecycle import ENDED, RunState
from tests.support.endpoint import Endpoint, after, answers, hangs
from tests.support.listening import Recorder

pytestmark = pytest.mark.fault

LIMIT = 6.0


async def test_a_hung_run_fails_says_how_to_go_on_and_leaves_no_process(tmp_path: Path) -> None:
    recorder = Recorder()
    with Endpoint(after(5, hangs, answers("ANSWER: A"))) as endpoint:
        (tmp_path / "scopebot.toml").write_text(
            f"""
            [defaults]
            run_stalls_after_minutes = {LIMIT / 60}
            [models.hangs]
            model = "tiny"
            api_url = "{endpoint.url}"
            """,
            encoding="utf-8",
        )
        settings = BotSettings(data_dir=tmp_path, port=0, redis_url=None, database_url=None, artifacts_url=None)
        async with open_bot(settings, workers=1) as bot:
            said = Incoming(id="h1", place=recorder.place, user="u", text="/eval hangs sample_mcq", owns_machine=True)
            (posted,) = await bot.receive(recorder, said)
            group = posted.reply.group
            assert group is not None
            await asyncio.wait_for(bot.reporter.settled([group]), 60)
            (run,) = bot.services.store.group_runs(group)
            assert (run.state, run.failure and run.failure.code) == (RunState.FAILED, "run_hung")
            assert any("resume r1" in message.text for message in recorder.posts.values())
            deadline = time.monotonic() + 5
            while any(p.cwd().endswith("/work/r1") for p in _children()):
                assert time.monotonic() < deadline, "the hung process lives on"
                await asyncio.sleep(0.1)
            endpoint.behaviour = answers("ANSWER: A")
            paid = {call.question for call in endpoint.completions[:4]}
            before = len(endpoint.completions)
            await bot.receive(recorder, said.model_copy(update={"id": "h2", "text": "resume r1"}))
            while bot.services.store.run(2).state not in ENDED:
                await asyncio.sleep(0.1)
            assert bot.services.store.run(2).state is RunState.SUCCEEDED
            again = [call.question for call in endpoint.completions[before:]]
            assert len(again) == len(set(again))
            assert sum(question in paid for question in again) <= 1


def _children() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            process.cwd()
        except psutil.Error:
            continue
        found.append(process)
    return found
