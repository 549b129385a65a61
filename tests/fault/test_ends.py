"""Every way a run can end before its time: cancelled, its process, its worker or its bot killed."""

import asyncio
import contextlib
import itertools
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
import structlog
from support.endpoint import MODEL, Answer, Call, Endpoint, completion

from bot.app import Bot, open_bot
from bot.logs import set_up_logging
from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from bot.settings import BotSettings
from handlers.incoming import Incoming, Place
from handlers.message import Message
from jobs.embedded import living_server
from jobs.lease import lease_key
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="module")]

ANSWER_TAKES = 0.25


class Recorder(Platform):
    edit_every = 0.1
    numbers = itertools.count(1)

    def __init__(self) -> None:
        self.name = f"recorder{next(self.numbers)}"
        self.posts: list[Message] = []
        self.keys: dict[str, str] = {}

    @property
    def place(self) -> Place:
        return Place(platform=self.name, channel="c", thread="t")

    async def run(self, receive: Receive) -> None: ...

    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        self.posts.append(message)
        self.keys[key] = f"m{len(self.posts)}"
        return self.keys[key]

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        return self.keys.get(key)

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None: ...

    async def close(self) -> None: ...


def slow(call: Call) -> Answer:
    time.sleep(ANSWER_TAKES)
    return Answer(body=completion(call, "ANSWER: A"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(slow) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint) -> AsyncIterator[Bot]:
    folder = tmp_path_factory.mktemp("ends")
    (folder / "scopebot.toml").write_text(
        f'[models.slow]\nmodel = "{MODEL}"\napi_url = "{endpoint.url}"\neval_batch_size = 2\n', encoding="utf-8"
    )
    settings = BotSettings(data_dir=folder, port=0, redis_url=None, database_url=None, artifacts_url=None)
    set_up_logging("info")  # as the bot does: tracebacks with every local variable would hold up its loop for seconds
    async with open_bot(settings, workers=2) as bot:
        await until(lambda: len(workers(bot)) == 2)
        yield bot
    structlog.reset_defaults()


def workers(bot: Bot) -> list[dict[str, str]]:
    from jobs.fleet import living_workers

    return living_workers(bot.services._queue)


async def until(holds, within: float = 60.0) -> float:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Wait until something holds; return how long it took."""
    begun = time.monotonic()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() - begun < within, "it never held"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def begin(bot: Bot, recorder: Recorder, number: int, text: str = "/eval slow sample_mcq") -> Run:
    """Start an evaluation; return it once some samples are done."""
    incoming = Incoming(id=f"e{number}", place=recorder.place, user="u", text=text, owns_machine=True)
    (posted,) = await bot.receive(recorder, incoming)
    assert posted.reply.group is not None, posted.reply.message
    (run,) = bot.services.store.group_runs(posted.reply.group)
    await until(lambda: done(bot, run) >= 4)
    return bot.services.store.run(run.id)


def done(bot: Bot, run: Run) -> int:
    from jobs.events import read_progress

    progress = read_progress(bot.services._queue, run.id)
    return 0 if progress is None else progress.done


async def end(bot: Bot, run: Run, within: float = 90) -> Run:
    await until(lambda: bot.services.store.run(run.id).state in ENDED, within)
    return bot.services.store.run(run.id)


def horses(bot: Bot) -> list[psutil.Process]:
    """Return the processes that evaluate now: children of the workers."""
    found = []
    for facts in workers(bot):
        for child in psutil.Process(int(facts["pid"])).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # gone, or about to be
                if "--checks" not in child.cmdline():
                    found.append(child)
    return found


def lives(process: psutil.Process) -> bool:
    """Tell whether a process is more than what is left of one that nobody waited for."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def say(bot: Bot, recorder: Recorder, text: str, number: str) -> Message:
    incoming = Incoming(id=number, place=recorder.place, user="u", text=text, owns_machine=True)
    (posted,) = await bot.receive(recorder, incoming)
    return posted.reply.message


async def test_cancel_ends_the_processes_within_2_seconds_and_posts_the_partial_score(bot: Bot) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 1)
    evaluating = horses(bot)
    assert evaluating
    begun = time.monotonic()
    assert "Cancelling" in (await say(bot, recorder, f"cancel {run.name}", "c1")).text
    await until(lambda: not any(process.is_running() for process in evaluating), within=5)
    assert time.monotonic() - begun < 2
    ended = await end(bot, run, within=5)
    assert ended.state is RunState.CANCELLED
    assert ended.result is not None
    assert ended.result.benchmarks[0].succeeded >= 4
    await until(lambda: any("score so far" in post.text for post in recorder.posts), within=5)
    assert bot.services._queue.get(lease_key(run.id)) is None


async def test_a_cancelled_run_is_resumed_without_paying_for_a_sample_twice(bot: Bot, endpoint: Endpoint) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 2)
    await say(bot, recorder, f"cancel {run.name}", "c2")
    await end(bot, run, within=5)
    before = len(endpoint.completions)
    kept = done(bot, run)
    await say(bot, recorder, f"resume {run.name}", "c3")
    (latest,) = bot.services.store.runs(limit=1)
    ended = await end(bot, latest)
    assert ended.state is RunState.SUCCEEDED, ended.failure
    assert ended.result is not None
    assert ended.result.benchmarks[0].succeeded == 52
    assert len(endpoint.completions) - before <= 52 - kept + 4  # the check's one token, and what was on its way


async def test_a_killed_work_horse_is_followed_by_an_attempt_that_keeps_every_finished_sample(
    bot: Bot, endpoint: Endpoint
) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 3)
    before, kept = len(endpoint.completions), done(bot, run)
    for process in horses(bot):
        process.kill()
    ended = await end(bot, run)
    assert ended.state is RunState.SUCCEEDED, ended.failure
    assert ended.attempt == 2
    assert len(endpoint.completions) - before <= 52 - kept + 4
    results = [post for post in recorder.posts if "sample_mcq" in post.text and "evaluating" not in post.text]
    await until(lambda: len(results) <= 1)


async def test_two_kills_in_a_row_resume_cleanly(bot: Bot) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 4)
    for _ in range(2):
        now = done(bot, run)
        for process in horses(bot):
            process.kill()
        await until(lambda now=now: done(bot, run) >= now + 4)
    ended = await end(bot, run)
    assert (ended.state, ended.attempt) == (RunState.SUCCEEDED, 3)
    folder = bot.settings.folder / "work" / f"r{run.id}"
    with sqlite3.connect(folder / "samples.db") as samples:
        assert samples.execute("SELECT count(*) FROM samples").fetchone() == (52,)
    samples.close()


async def test_a_killed_workers_run_goes_on_within_45_seconds_on_another(bot: Bot) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 5)
    pid = next(int(facts["pid"]) for facts in workers(bot) if facts["name"] == run.worker)
    children = psutil.Process(pid).children(recursive=True)
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    for child in children:
        child.kill()
    await until(lambda: bot.services.store.run(run.id).attempt == 2, within=45)
    await until(lambda: bot.services.store.run(run.id).state is RunState.RUNNING, within=45)
    assert time.monotonic() - begun < 45
    ended = await end(bot, run)
    assert ended.state is RunState.SUCCEEDED
    assert ended.worker != run.worker


async def test_a_run_whose_worker_alone_was_killed_goes_on_and_can_be_cancelled(bot: Bot) -> None:
    recorder = Recorder()
    await until(lambda: len(workers(bot)) == 2)
    run = await begin(bot, recorder, 7)
    pid = next(int(facts["pid"]) for facts in workers(bot) if facts["name"] == run.worker)
    evaluating = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    now = done(bot, run)
    await until(lambda: done(bot, run) >= now + 4, within=5)
    await say(bot, recorder, f"cancel {run.name}", "c7")
    ended = await end(bot, run, within=8)
    assert (ended.state, ended.attempt) == (RunState.CANCELLED, 1)
    assert ended.result is not None
    await until(lambda: not any(lives(process) for process in evaluating), within=5)


async def test_a_killed_local_worker_is_followed_by_another_one(bot: Bot) -> None:
    await until(lambda: len(workers(bot)) == 2)
    before = {facts["name"] for facts in workers(bot)}
    os.kill(int(workers(bot)[0]["pid"]), signal.SIGKILL)
    await until(lambda: len({facts["name"] for facts in workers(bot)} - before) == 1)
    await until(lambda: len(workers(bot)) == 2)


async def test_a_killed_embedded_server_is_back_at_once_and_the_run_goes_on_in_its_process(bot: Bot) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 8)
    state = living_server(bot.settings.folder)
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)
    await until(lambda: living_server(bot.settings.folder) is not None, within=5)
    ended = await end(bot, run)
    assert (ended.state, ended.attempt) == (RunState.SUCCEEDED, 1)
    await until(lambda: any("score" in post.text.lower() or "%" in post.text for post in recorder.posts), within=10)


async def test_a_run_that_kills_its_process_again_and_again_is_given_up_and_says_so(bot: Bot, tmp_path: Path) -> None:
    recorder = Recorder()
    run = await begin(bot, recorder, 6)
    kills = 0
    while bot.services.store.run(run.id).state not in ENDED:
        for process in horses(bot):  # before it can finish a sample
            process.kill()
            kills += 1
        await asyncio.sleep(0.02)
        assert kills < 500
    ended = bot.services.store.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "run_killed"
    await until(lambda: any("was killed" in post.text for post in recorder.posts), within=10)
