"""What is over is removed after its time; what somebody may need is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Engine, update
from support.board import heard, place, reply

from bot.inbox import SEEN_FOR
from bot.outbox import SENT, Outbox, PostRow
from bot.upkeep import FIRST_AFTER, POSTS_KEPT_FOR, Upkeep
from handlers.message import Message
from handlers.presses import Presses, PressRow
from jobs.artifacts import Artifacts
from jobs.config import Retention, Settings
from jobs.db import transaction
from jobs.events import EVENTS, Event, announce
from jobs.lease import lease_key
from jobs.ledger import Ledger
from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Run
from jobs.store import RunRow, Store
from jobs.upkeep import tend
from jobs.workspace import Workspace

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=91)


class Office:
    """A store, its artifacts and what looks after both."""

    def __init__(self, engine: Engine, redis: Redis, folder: Path, add_run: Callable[..., Run]) -> None:
        self.store, self.outbox, self.ledger = Store(engine), Outbox(engine), Ledger(engine)
        self.artifacts = Artifacts(f"file://{folder}")
        self.redis, self.engine, self._add = redis, engine, add_run

    def upkeep(self, **retention: float) -> Upkeep:
        return Upkeep(
            retention=Retention(**retention), store=self.store, outbox=self.outbox, ledger=self.ledger,
            artifacts=self.artifacts, redis=self.redis,
        )  # fmt: skip

    def run(self, state: RunState, ended: datetime | None = OLD, spec: EvalSpec | None = None) -> Run:
        run = self._add(self.store, spec)
        self.artifacts.write(run.id, "logs/eval_log.log", b"log")
        with transaction(self.engine) as session:
            session.execute(
                update(RunRow)
                .where(RunRow.id == run.id)
                .values(state=str(state), ended_at=ended, report_ready=state is RunState.SUCCEEDED)
            )
        return self.store.run(run.id)

    def post(self, source: str, sent: datetime | None, group: int | None = None) -> None:
        self.outbox.record(heard(source, place()), [reply(group=group)])
        if sent is not None:
            with transaction(self.engine) as session:
                session.execute(update(PostRow).where(PostRow.source == source).values(state=SENT, sent_at=sent))


@pytest.fixture
def office(engine: Engine, redis_client: Redis, tmp_path: Path, add_run: Callable[..., Run]) -> Office:
    return Office(engine, redis_client, tmp_path / "artifacts", add_run)


# the bot


def test_files_of_a_run_go_after_their_time_and_its_result_stays(office: Office) -> None:
    old, young = office.run(RunState.SUCCEEDED), office.run(RunState.SUCCEEDED, NOW - timedelta(days=89))
    office.upkeep().tidy(NOW)
    assert office.artifacts.run_ids() == {young.id}
    gone = office.store.run(old.id)
    assert gone.files_gone_at is not None
    assert not gone.report_ready
    assert (gone.state, gone.result) == (old.state, old.result)
    assert office.store.run(young.id) == young


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.QUEUED, RunState.RUNNING])
def test_files_of_a_run_that_has_not_ended_stay_and_those_it_goes_on_from(
    office: Office, state: RunState, mock_spec: Callable[..., EvalSpec]
) -> None:
    source = office.run(RunState.FAILED)
    going_on = office.run(state, None, mock_spec(resumes=source.id))
    office.upkeep().tidy(NOW)
    assert office.artifacts.run_ids() == {source.id, going_on.id}
    office.store.ask_to_cancel(going_on.id)
    if state is RunState.WAITING:
        office.upkeep().tidy(NOW)
        assert office.artifacts.run_ids() == {going_on.id}


def test_zero_days_keep_files_for_ever_and_a_strangers_files_are_left_alone(office: Office) -> None:
    run = office.run(RunState.FAILED)
    office.artifacts.write(900, "x", b"another installation's")
    office.artifacts.share_bytes("plotly.min.js", b"for all")
    office.upkeep(days=0).tidy(NOW)
    assert office.artifacts.run_ids() == {run.id, 900}
    office.upkeep(days=1).tidy(NOW)
    assert office.artifacts.run_ids() == {900}
    assert office.artifacts.shared("plotly.min.js") == b"for all"


def test_files_that_could_not_be_removed_are_removed_the_next_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.run(RunState.FAILED)
    with monkeypatch.context() as patch:
        patch.setattr(Artifacts, "remove", lambda *_: (_ for _ in ()).throw(OSError("away")))
        with pytest.raises(OSError, match="away"):
            office.upkeep().tidy(NOW)
    office.upkeep().tidy(NOW)
    assert office.artifacts.run_ids() == set()


def test_posts_that_were_made_long_ago_go_and_those_that_were_not_made_never(office: Office) -> None:
    long_ago = NOW - POSTS_KEPT_FOR - timedelta(hours=1)
    office.post("made", long_ago)
    office.post("lately", NOW - POSTS_KEPT_FOR + timedelta(hours=1))
    office.post("unsent", None)
    office.outbox.record(heard("nothing", place()), [])
    with transaction(office.engine) as session:
        session.execute(update(PostRow).where(PostRow.source.in_(["unsent", "nothing"])).values(created_at=long_ago))
    office.upkeep().tidy(NOW)
    assert {name for name in ("made", "lately", "unsent", "nothing") if office.outbox.answered(name)} == {
        "lately", "unsent",
    }  # fmt: skip


def test_posts_of_a_group_stay_until_all_is_said_of_it(office: Office) -> None:
    run = office.run(RunState.SUCCEEDED)
    office.outbox.record_result(office.store.group(run.group_id), place(), Message(text="done"), final=True)
    with transaction(office.engine) as session:
        session.execute(update(PostRow).values(state=SENT, sent_at=OLD))
    office.upkeep().tidy(NOW)
    assert office.outbox.of_groups([run.group_id])
    office.store.settle(run.group_id)
    office.upkeep().tidy(NOW)
    assert not office.outbox.of_groups([run.group_id])


def test_an_answer_is_remembered_for_longer_than_a_copy_of_its_message_is_known() -> None:
    assert timedelta(seconds=SEEN_FOR) * 2 < POSTS_KEPT_FOR
    assert FIRST_AFTER >= 60, "a bot that was away first handles what it left"


def test_old_transitions_go_once_they_are_applied_and_never_before(office: Office) -> None:
    run = office.run(RunState.RUNNING, None)
    for _ in range(3):
        announce(office.redis, Event(run_id=run.id, attempt=7, what="report"))
    ids = [key.decode() for key, _ in office.redis.xrange(EVENTS)]
    later = NOW + timedelta(days=30)
    office.upkeep().tidy(later)
    assert office.redis.xlen(EVENTS) == 3, "the database knows none of them"
    office.ledger.apply([(ids[0], None), (ids[1], None)])
    office.upkeep().tidy(NOW)
    assert office.redis.xlen(EVENTS) == 3, "they are young"
    office.upkeep().tidy(later)
    assert [key.decode() for key, _ in office.redis.xrange(EVENTS)] == ids[1:]


# the worker


@pytest.fixture
def make_workspace(workspace: Workspace, make_settings: Callable[..., Settings]) -> Callable[..., Workspace]:
    def make(toml: str = "") -> Workspace:
        (workspace.settings.folder / "scopebot.toml").write_text(toml)
        workspace.settings.__dict__.pop("config", None)
        return workspace

    return make


def leave(workspace: Workspace, run_id: int, *, days: float, unshipped: int = 0) -> Path:
    """Leave a run's folder as an attempt does that ended some days ago."""
    folder = workspace.settings.folder / "work" / f"r{run_id}"
    (folder / "predictions").mkdir(parents=True)
    (folder / "predictions/a.jsonl").write_text("{}\n")
    if unshipped:
        (folder / "attempt").write_text(str(unshipped))
        (folder / "unshipped").write_text(str(unshipped))
    then = time.time() - days * 24 * 3600
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))
    return folder


def test_a_workers_copy_goes_a_day_after_all_of_it_was_shipped(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace()
    old, young = leave(workspace, 1, days=1.1), leave(workspace, 2, days=0.9)
    other = workspace.settings.folder / "work" / "nltk_data"
    other.mkdir()
    tend(workspace)
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_what_an_attempt_could_not_ship_is_shipped_and_goes_a_day_later(
    make_workspace: Callable[..., Workspace],
) -> None:
    workspace = make_workspace()
    folder = leave(workspace, 1, days=3, unshipped=2)
    tend(workspace)
    assert workspace.artifacts.read(1, "predictions/a.jsonl") == b"{}\n"
    assert workspace.artifacts.read(1, "attempt") == b"2"
    assert not workspace.artifacts.exists(1, "unshipped")
    assert folder.exists()
    os.utime(folder, (0, 0))
    tend(workspace)
    assert not folder.exists()


def test_what_lies_on_a_worker_never_replaces_what_a_newer_attempt_left(
    make_workspace: Callable[..., Workspace],
) -> None:
    workspace = make_workspace()
    folder = leave(workspace, 1, days=0.1, unshipped=1)
    workspace.artifacts.write(1, "attempt", b"2")
    workspace.artifacts.write(1, "predictions/a.jsonl", b"{}\n{}\n")
    tend(workspace)
    assert workspace.artifacts.read(1, "predictions/a.jsonl") == b"{}\n{}\n"
    assert folder.exists()
    assert not (folder / "unshipped").exists()


def test_a_run_that_somebody_evaluates_is_left_alone(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace()
    folder = leave(workspace, 1, days=99, unshipped=1)
    workspace.redis.set(lease_key(1), "1")
    tend(workspace)
    assert (folder / "unshipped").exists()
    assert not workspace.artifacts.exists(1, "attempt")


def test_what_cannot_be_shipped_stays_until_the_store_would_have_let_go_of_it(
    make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace("[retention]\ndays = 10\n")
    monkeypatch.setattr(Artifacts, "write", lambda *_: (_ for _ in ()).throw(OSError("full")))
    young, old = leave(workspace, 1, days=9, unshipped=1), leave(workspace, 2, days=11, unshipped=1)
    tend(workspace)
    assert (young.exists(), old.exists()) == (True, False)


def test_presses_of_buttons_that_are_too_old_to_be_pressed_are_forgotten(office: Office) -> None:
    presses = Presses(office.engine)
    old, new = (heard(name).model_copy(update={"button": "do:rerun:r1", "post": name}) for name in ("old", "new"))
    assert presses.claim(old)
    with transaction(office.engine) as session:
        session.execute(update(PressRow).values(pressed_at=NOW - timedelta(days=61)))
    assert presses.claim(new)
    office.upkeep().tidy(NOW)
    assert presses.taken_by(old) is None
    assert presses.taken_by(new) == "new"
