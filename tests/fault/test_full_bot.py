"""Full disks under the bot, its database and its Redis: nothing is lost, nothing is done twice, people are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, ResponseError
from support.disks import SmallDisk, small_disk
from support.endpoint import Answer, Call, Endpoint, completion
from support.recorder import Recorder
from support.workers import end_worker, start_worker

from handlers.incoming import Incoming, Place
from jobs.config import Settings
from jobs.db import open_engine
from jobs.embedded import EmbeddedServer
from jobs.lifecycle import RunState
from jobs.space import is_full
from jobs.store import Store

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "16m") as disk:
        yield disk


class Bot:
    """A bot's process; it logs to where the disk gets full, as one does whose output goes to a file."""

    def __init__(self, data: Path, log: Path, url: str, recorder: Recorder) -> None:
        self.data, self.log, self.recorder = data, log, recorder
        data.mkdir(exist_ok=True)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "DATABASE"))}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.recorder_bot", recorder.url, "rec"],
                stdout=subprocess.PIPE, stderr=output, text=True, cwd=ROOT,
                env=own | {
                    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SCOPEBOT_PORT": "0", "SCOPEBOT_DATA_DIR": str(data),
                    "SCOPEBOT_ARTIFACTS_URL": f"file://{log.parent / 'artifacts'}", "REDIS_URL": url,
                },
            )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready", log.read_text()[-3000:]

    def end(self, how: str = "terminate") -> None:
        getattr(self.process, how)()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def until(self, true: Callable[[dict[str, Any]], object], within: float = 30) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while not true(state := self.recorder.state()):
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            if time.monotonic() > deadline:
                pytest.fail(f"{[post['key'] for post in state['posts']]}\n{self.log.read_text()[-5000:]}")
            time.sleep(0.1)
        return state


def said(number: int, text: str) -> dict[str, Any]:
    place = Place(platform="rec", channel="c", thread=f"t{number}")
    return Incoming(id=f"rec:{number}", place=place, user="u", text=text, owns_machine=True).model_dump()


def keys(state: dict[str, Any]) -> list[str]:
    return [post["key"] for post in state["posts"]]


def runs(data: Path) -> int:
    engine = open_engine(f"sqlite:///{data / 'scopebot.db'}")
    try:
        return len(Store(engine).runs())
    finally:
        engine.dispose()


@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
def test_a_message_on_a_full_disk_is_told_to_wait_and_is_handled_once_when_there_is_room(
    tmp_path: Path, disk: SmallDisk, recorder: Recorder, *, killed: bool
) -> None:
    data, log = disk.folder / "data", disk.folder / "bot.log"
    with EmbeddedServer(tmp_path / "redis") as server:
        bot = Bot(data, log, server.url, recorder)
        try:
            recorder.say(said(1, "help"))
            bot.until(lambda state: "rec:1/0" in keys(state))
            disk.fill()
            recorder.say(said(2, "/eval mock sample_mcq limit=2"), copies=3)
            recorder.say(said(3, "/评测 mock sample_mcq limit=2"))
            state = bot.until(lambda state: {"rec:2/postponed", "rec:3/postponed"} <= set(keys(state)))
            told = {post["key"]: post["message"]["text"] for post in state["posts"]}
            assert "my disk is full" in told["rec:2/postponed"]
            assert "磁盘已满" in told["rec:3/postponed"]
            assert state["waiting"] == 0, "it is kept, so it is acknowledged"
            time.sleep(3)
            assert not {"rec:2/0", "rec:3/0"} & set(keys(recorder.state()))
            if killed:
                bot.end("kill")
            disk.free()
            if killed:
                bot = Bot(data, log, server.url, recorder)
            state = bot.until(lambda state: {"rec:2/0", "rec:3/0"} <= set(keys(state)))
            time.sleep(1)
            assert Counter(keys(recorder.state())) == Counter(
                ["rec:1/0", "rec:2/postponed", "rec:3/postponed", "rec:2/0", "rec:3/0"]
            )
            assert runs(data) == 2
        finally:
            bot.end()


def full_by_now(redis: Redis, disk: SmallDisk) -> None:
    """Fill the disk until Redis takes nothing."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        disk.fill()
        try:
            redis.set("x", "x" * 10_000)
        except ResponseError as error:
            if is_full(error):
                return
            raise
        time.sleep(0.1)
    pytest.fail("Redis still takes what it is given")


def test_a_run_survives_a_redis_that_takes_nothing_and_what_is_said_meanwhile_is_answered(
    tmp_path: Path, disk: SmallDisk, recorder: Recorder
) -> None:
    def slow(call: Call) -> Answer:
        time.sleep(0.5)
        return Answer(body=completion(call, "ANSWER: A"))

    with Endpoint(slow) as endpoint, EmbeddedServer(disk.folder) as server, Redis.from_url(server.url) as redis:
        data = tmp_path / "data"
        data.mkdir()
        (data / "scopebot.toml").write_text(f'[models.slow]\nmodel = "tiny"\napi_url = "{endpoint.url}"\n')
        bot = Bot(data, tmp_path / "bot.log", server.url, recorder)
        own = Settings(
            redis_url=server.url, data_dir=data, artifacts_url=f"file://{tmp_path / 'artifacts'}", database_url=None
        )
        worker = start_worker(own, redis, SCOPEBOT_ARTIFACTS_URL=own.effective_artifacts_url)
        try:
            recorder.say(said(1, "/eval slow sample_mcq limit=20 eval_batch_size=1"))
            bot.until(lambda _: len(endpoint.completions) > 3)
            full_by_now(redis, disk)
            before = len(endpoint.completions)
            recorder.say(said(2, "help"))
            time.sleep(14)  # RQ says that the job lives every ten seconds, our lease lapses after fifteen
            assert len(endpoint.completions) > before + 5, "the run goes on"
            state = recorder.state()
            assert "rec:2/0" not in keys(state)
            assert state["waiting"] == 1, "what could not be kept was not acknowledged"
            disk.free()
            state = bot.until(lambda state: {"rec:2/0", "result:g1"} <= set(keys(state)), within=90)
            engine = open_engine(own.effective_database_url)
            run = Store(engine).run(1)
            engine.dispose()
            assert run.state is RunState.SUCCEEDED
            assert run.attempt == 1, "it was not lost"
            assert len(endpoint.completions) == 40 + 1 or len(endpoint.completions) == 40
            assert state["wrong"] == []
            assert worker.poll() is None
        finally:
            bot.end()
            end_worker(worker)


def test_the_console_says_that_redis_takes_nothing(tmp_path: Path, disk: SmallDisk) -> None:
    with EmbeddedServer(disk.folder) as server, Redis.from_url(server.url) as redis:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "DATABASE"))}
        environment = clean | {"REDIS_URL": server.url, "SCOPEBOT_DATA_DIR": str(tmp_path / "d"), "SCOPEBOT_PORT": "0"}
        full_by_now(redis, disk)
        told = subprocess.run(
            [sys.executable, "-m", "bot.cli", "chat", "help"], cwd=ROOT, env=environment, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        disk.free()
    assert told.returncode == 1
    assert "its disk is full" in told.stderr
    assert "Traceback" not in told.stderr
