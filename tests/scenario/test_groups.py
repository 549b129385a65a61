"""Several models on several benchmarks in one request: one status message and one result, whatever happens to them.

The bot is a process of its own beside a real worker, the platform another one that forgets nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.endpoint import Answer, Call, Endpoint, answers, fails
from support.recorder import Recorder
from support.workers import Office, end_worker, start_worker

from handlers.incoming import Incoming, Place
from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run
from jobs.store import Store

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


class Gate:
    """Answers at once until it is shut, then when it is opened again."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.shut, self.open = self._open.clear, self._open.set

    def __call__(self, call: Call) -> Answer:
        if not self._open.wait(60):
            raise TimeoutError
        return answers("ANSWER: A")(call)


class Team:
    """A worker, the bot, the chat, and the models that are evaluated: first and second work, broken does not."""

    def __init__(self, office: Office, recorder: Recorder, second: Gate) -> None:
        self.office, self.recorder, self.second = office, recorder, second
        self.platform = f"rec{secrets.token_hex(3)}"
        self._bot: subprocess.Popen[str] | None = None

    @property
    def store(self) -> Store:
        return self.office.store

    def start_bot(self) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "DATABASE"))}
        with (self.office.settings.folder / "bot.log").open("a") as log:
            self._bot = subprocess.Popen(
                [sys.executable, "-m", "support.recorder_bot", self.recorder.url, self.platform],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env=own | {
                    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SCOPEBOT_PORT": "0",
                    "SCOPEBOT_DATA_DIR": str(self.office.settings.folder),
                    "REDIS_URL": str(self.office.settings.redis_url),
                },
            )  # fmt: skip
        assert self._bot.stdout is not None
        assert self._bot.stdout.readline().strip() == "ready"

    def kill_bot(self) -> None:
        assert self._bot is not None
        assert self._bot.stdout is not None
        self._bot.kill()
        self._bot.wait()
        self._bot.stdout.close()

    def say(self, text: str, thread: str) -> None:
        place = Place(platform=self.platform, channel="c", thread=thread)
        number = secrets.token_hex(4)
        self.recorder.say(Incoming(id=number, place=place, user="u", text=text, owns_machine=True).model_dump())

    def posts(self, thread: str) -> list[dict[str, Any]]:
        return [post for post in self.recorder.state()["posts"] if post["place"]["thread"] == thread]

    def results(self, thread: str) -> list[dict[str, Any]]:
        return [post for post in self.posts(thread) if post["key"].startswith("result:")]

    def final_edits(self, post: dict[str, Any]) -> list[dict[str, Any]]:
        return [edit for edit in self.recorder.state()["edits"] if edit["id"] == post["id"] and edit["final"]]

    def runs(self, thread: str) -> list[Run]:
        newest = self.store.newest_run(self.platform, "c", thread)
        return [] if newest is None else self.store.group_runs(self.store.run(newest).group_id)


@pytest.fixture(scope="module")
def second() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, add_run: Callable[..., Run], second: Gate) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("groups")
    with (
        Endpoint(answers("ANSWER: B")) as one, Endpoint(second) as two, Endpoint(fails(500)) as broken,
        EmbeddedServer(folder) as server, Redis.from_url(server.url) as redis, Recorder() as recorder,
    ):  # fmt: skip
        models = {"first": one, "second": two, "broken": broken}
        (folder / "scopebot.toml").write_text(
            "".join(f'[models.{name}]\nmodel = "tiny"\napi_url = "{known.url}"\n' for name, known in models.items()),
            encoding="utf-8",
        )
        own = Settings(
            redis_url=server.url, data_dir=folder, database_url=None, artifacts_url=None, config_path=None,
            secret_key=None, job_key=None,
        )  # fmt: skip
        process = start_worker(own, redis)
        engine = open_engine(own.effective_database_url)
        migrate(engine)
        team = Team(
            Office(own, redis, engine, Artifacts(own.effective_artifacts_url), process, add_run), recorder, second
        )
        try:
            team.start_bot()
            yield team
        finally:
            second.open()
            team.kill_bot()
            engine.dispose()
            end_worker(process)


def until(true: Callable[[], Any], within: float = 60) -> Any:
    deadline = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


def check(team: Team, thread: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Wait for the result of what was asked for; there are two posts, the status message with its final edit first.

    Return the rows of the result's table, each with its columns, and its message.
    """
    (result,) = until(lambda: team.results(thread))
    status = team.posts(thread)[0]
    until(lambda: team.final_edits(status))
    time.sleep(1)  # what would be posted twice
    assert [post["key"] for post in team.posts(thread)] == [status["key"], result["key"]]
    assert status["live"]
    assert len(team.final_edits(status)) == 1
    assert team.recorder.state()["wrong"] == []
    table = next(part for part in result["message"]["parts"] if part["type"] == "table")
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]], result["message"]


def test_two_models_on_two_benchmarks_have_one_status_and_one_result_that_compares_them(team: Team) -> None:
    team.say("evaluate first and second on sample_mcq and sample_qa", "both")
    rows, message = check(team, "both")
    assert [row["Model"] for row in rows] == ["first", "second"]
    for row in rows:
        cells = [cell for name, cell in row.items() if name.startswith("sample_")]
        assert len(cells) == 2
        assert all("%" in cell for cell in cells)
    assert "2 done" in message["text"]
    (table,) = [
        part
        for edit in team.final_edits(team.posts("both")[0])
        for part in edit["message"]["parts"]
        if part["type"] == "table"
    ]
    assert [row[table["columns"].index("State")] for row in table["rows"]] == ["done", "done"]


def test_when_one_fails_the_result_tells_why_and_how_to_go_on_beside_the_others_score(team: Team) -> None:
    team.say("evaluate first and broken on sample_mcq and sample_qa", "broken")
    rows, message = check(team, "broken")
    failed = team.runs("broken")[1]
    assert [(row["Model"], list(row.values())[-1] == "failed") for row in rows] == [("first", False), ("broken", True)]
    said = json.dumps(message)
    assert "fails itself (500)" in said
    assert f"`resume {failed.name}`" in said


def test_when_one_is_cancelled_the_result_waits_for_the_other_and_has_both(team: Team) -> None:
    team.second.shut()
    team.say("evaluate second and first on sample_mcq and sample_qa", "cancel")
    until(lambda: any(run.state is RunState.RUNNING for run in team.runs("cancel")))
    team.say(f"cancel {team.runs('cancel')[0].name}", "elsewhere")
    until(lambda: team.runs("cancel")[0].state in ENDED)
    assert not team.results("cancel")
    rows, message = check(team, "cancel")
    team.second.open()
    assert [run.state for run in team.runs("cancel")] == [RunState.CANCELLED, RunState.SUCCEEDED]
    assert "1 cancelled, 1 done" in message["text"]
    assert [row["Model"] for row in rows] == ["second", "first"]


@pytest.mark.fault
def test_a_bot_that_is_killed_between_two_ends_goes_on_to_one_result(team: Team) -> None:
    team.second.shut()
    team.say("evaluate first and second on sample_mcq and sample_qa", "killed")
    until(lambda: [run.state for run in team.runs("killed")] == [RunState.SUCCEEDED, RunState.RUNNING])
    team.kill_bot()
    assert not team.results("killed")
    team.second.open()
    job = f"{team.runs('killed')[1].name}-a1"
    until(lambda: team.office.job_ended(job))
    team.start_bot()
    rows, message = check(team, "killed")
    assert [row["Model"] for row in rows] == ["first", "second"]
    assert "2 done" in message["text"]


def test_a_run_resumed_after_the_result_posts_its_own_and_leaves_the_first_as_it_is(team: Team) -> None:
    before = team.results("broken")
    team.say("resume", "broken")
    (_, again) = until(lambda: len(found := team.results("broken")) == 2 and found)
    assert team.results("broken")[:1] == before
    assert "fails itself" in again["message"]["text"]
