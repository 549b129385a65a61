"""Bot processes are killed at random moments: nothing is lost, nothing is posted twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from support.peers import FakePeers, inbox_of
from support.recorder import Recorder
from support.workers import Office, end_worker, start_worker

from bot.outbox import Outbox
from handlers.incoming import Incoming, Place
from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer
from jobs.lifecycle import ENDED
from jobs.models import Run

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]


class Bots:
    """The bot processes of one test."""

    def __init__(self, office: Any, recorder: Recorder) -> None:
        self.office, self.recorder = office, recorder
        self.platform = f"rec{secrets.token_hex(3)}"
        self.log = office.settings.folder / f"{self.platform}.log"
        self.processes: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "DATABASE"))}
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.recorder_bot", self.recorder.url, self.platform],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env=own | {
                    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SCOPEBOT_PORT": "0",
                    "SCOPEBOT_DATA_DIR": str(self.office.settings.folder),
                    "REDIS_URL": str(self.office.settings.redis_url),
                },
            )  # fmt: skip
        self.processes.append(process)
        return process

    def wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", self.log.read_text()[-3000:]

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None or (process.stdout is not None and not process.stdout.closed):
                self.kill(process)

    def message(self, number: int, text: str, thread: str) -> dict[str, Any]:
        place = Place(platform=self.platform, channel="c", thread=thread)
        name = f"{self.platform}:{number}"
        return Incoming(id=name, place=place, user="u", text=text, owns_machine=True).model_dump()

    def until(self, true: Callable[[dict[str, Any]], object], within: float) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while not true(state := self.recorder.state()):
            if time.monotonic() > deadline:
                posts = [(post["key"], post["message"]["text"]) for post in state["posts"]]
                pytest.fail(
                    f"not within {within} s; waiting {state['waiting']}, {posts}\n{self.log.read_text()[-6000:]}"
                )
            time.sleep(0.1)
        return state


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, add_run: Callable[..., Run]) -> Iterator[Any]:
    """A worker, and what the bots share, apart from what the other tests use."""

    folder = tmp_path_factory.mktemp("kills")
    with EmbeddedServer(folder) as server, Redis.from_url(server.url) as redis:
        own = Settings(
            redis_url=server.url, data_dir=folder, database_url=None, artifacts_url=None, config_path=None,
            secret_key=None, job_key=None,
        )  # fmt: skip
        process = start_worker(own, redis)
        engine = open_engine(own.effective_database_url)
        try:
            migrate(engine)
            yield Office(own, redis, engine, Artifacts(own.effective_artifacts_url), process, add_run)
        finally:
            engine.dispose()
            end_worker(process)


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    with Recorder(**getattr(request, "param", {})) as recorder:
        yield recorder


@pytest.fixture
def bots(office: Any, recorder: Recorder) -> Iterator[Bots]:
    bots = Bots(office, recorder)
    yield bots
    bots.end()


def results(state: dict[str, Any]) -> list[str]:
    return [post["key"] for post in state["posts"] if post["key"].startswith("result:")]


def open_status(state: dict[str, Any]) -> list[str]:
    """Status messages without their final edit."""
    final = {edit["id"] for edit in state["edits"] if edit["final"]}
    return [post["key"] for post in state["posts"] if post["live"] and post["id"] not in final]


def check(bots: Bots, state: dict[str, Any], evals: int, others: int) -> None:
    """Everything was answered once; every group has one status message, its final edit and one result."""
    assert state["wrong"] == []
    assert state["waiting"] == 0, "acknowledged"
    keys = Counter(post["key"] for post in state["posts"])
    assert set(keys.values()) == {1}
    answers = [post for post in state["posts"] if not post["key"].startswith("result:")]
    assert len({post["key"].partition("/")[0] for post in answers}) == len(answers) == evals + others
    status = [post for post in answers if post["live"]]
    assert len(status) == evals
    assert len(results(state)) == evals
    assert open_status(state) == []
    for post in status:
        edits = [edit for edit in state["edits"] if edit["id"] == post["id"]]
        assert edits[-1]["final"]
    for post in state["posts"]:
        if post["key"].startswith("result:"):
            first = next(other for other in status if other["place"] == post["place"])
            assert state["posts"].index(first) < state["posts"].index(post)
    deadline = time.monotonic() + 10  # what was posted is marked just after it
    while Outbox(bots.office.engine).due(bots.platform, None) or bots.office.redis.xlen(
        f"scopebot:inbox:{bots.platform}"
    ):
        assert time.monotonic() < deadline, "something is left over"
        time.sleep(0.05)


@pytest.mark.parametrize("recorder", [{"fails": 0.08, "seed": 1}], indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_bots_lose_nothing_and_post_nothing_twice(bots: Bots, recorder: Recorder, seed: int) -> None:
    rng = random.Random(seed)
    evals, others, kills = 8, 8, 8
    texts = ["/eval mock sample_mcq limit=2"] * evals + ["/help", "train my model"] * (others // 2)
    rng.shuffle(texts)
    said = iter(list(enumerate(texts)))
    process = bots.start()
    for kill in range(kills):
        for number, text in [pair for _ in range(2) if (pair := next(said, None))]:
            recorder.say(bots.message(number, text, f"t{number}"), copies=rng.choice([1, 1, 11]))
        if kill % 2:
            what = rng.choice(["send", "send", "edit", "ack", "find"])
            recorder.trap(process.pid, what, rng.choice(["before", "after"]), rng.randint(1, 2))
            with contextlib.suppress(subprocess.TimeoutExpired):  # what was waited for may not come
                process.wait(6)
        else:
            time.sleep(rng.uniform(0.5, 6))
        bots.kill(process)
        time.sleep(rng.choice([0, 0.5]))
        process = bots.start()
    for number, text in said:
        recorder.say(bots.message(number, text, f"t{number}"))
    state = bots.until(
        lambda state: len(state["posts"]) >= 2 * evals + others and not open_status(state) and not state["waiting"], 90
    )
    time.sleep(2)  # what would be posted twice
    state = recorder.state()
    check(bots, state, evals, others)


def test_a_restarted_bot_has_posted_everything_due_within_five_seconds(bots: Bots, recorder: Recorder) -> None:
    process = bots.start()
    bots.wait_until_ready(process)
    recorder.say(bots.message(1, "/eval mock sample_mcq limit=2", "t1"))
    (post,) = bots.until(lambda state: state["posts"], 20)["posts"]
    (answer,) = Outbox(bots.office.engine).answers(post["key"].partition("/")[0])
    run = bots.office.store.group_runs(answer.reply.group)[0]
    deadline = time.monotonic() + 20
    while bots.office.store.run(run.id).attempt == 0:
        assert time.monotonic() < deadline, "it was not sent to a worker"
        time.sleep(0.01)
    time.sleep(0.1)
    bots.kill(process)
    bots.office.wait_for_job(f"{run.name}-a1")
    assert bots.office.store.run(run.id).state not in ENDED, "nobody has read it"
    asyncio.run(_accept(bots, [bots.message(n, "/help", f"t{n}") for n in range(2, 6)]))
    process = bots.start()
    bots.wait_until_ready(process)
    begun = time.monotonic()
    state = bots.until(lambda state: len(state["posts"]) == 6 and not open_status(state), 30)
    assert time.monotonic() - begun < 5
    check(bots, state, 1, 4)


async def _accept(bots: Bots, messages: list[dict[str, Any]]) -> None:
    """Have a process accept messages and die with half of them in hand."""
    client = AsyncRedis.from_url(bots.office.settings.redis_url)
    inbox = inbox_of(client, FakePeers("somebody.1.2.dead"), bots.platform)
    for message in messages:
        await inbox.accept(Incoming.model_validate(message))
    await inbox.open()
    await inbox.read(2)
    await client.aclose()


def test_of_two_bots_one_reports_and_the_other_goes_on_when_it_is_killed(bots: Bots, recorder: Recorder) -> None:
    first, second = bots.start(), bots.start()
    bots.wait_until_ready(first)
    bots.wait_until_ready(second)
    for number in range(4):
        recorder.say(bots.message(number, "/eval mock sample_mcq limit=2", f"t{number}"), copies=3)
    bots.until(lambda state: len(state["posts"]) >= 4, 20)
    bots.kill(first)
    for number in range(4, 6):
        recorder.say(bots.message(number, "/help", f"t{number}"))
    state = bots.until(lambda state: len(state["posts"]) >= 10 and not open_status(state) and not state["waiting"], 60)
    check(bots, state, 4, 2)
