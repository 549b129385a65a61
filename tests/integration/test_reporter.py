"""Status messages are kept true and results are posted, from the database alone, whoever reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from support.board import heard
from support.peers import FakePeers
from support.services import FakeServices

import bot.edits
import bot.reporter
from bot.edits import Edits
from bot.outbox import Outbox
from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from bot.reporter import PlatformReporter, Reporter
from bot.sender import Sender
from bot.wakeups import Wakeups
from handlers.incoming import Place
from handlers.message import Link, Message
from handlers.message import Progress as ProgressPart
from handlers.reply import Reply
from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Failure, Progress
from jobs.store import Store

PLACE = Place(platform="p", channel="c", thread="t")


class Wall(Platform):
    name = "p"

    def __init__(self, *, edit_every: float = 0.0) -> None:
        self.edit_every = edit_every
        self.posts: dict[str, Message] = {}
        self.edits: list[tuple[str, Message, bool]] = []
        self.failures = 0

    async def run(self, receive: Receive) -> None: ...

    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        assert key not in self.posts
        self.posts[key] = message
        return key

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        return key if key in self.posts else None

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        self.edits.append((message_id, message, final))

    async def close(self) -> None: ...


class FakeLease:
    held = True


class AttachedPlatform:
    """A reporter and a sender, as one bot process has them."""

    def __init__(self, engine: Engine, platform: Platform) -> None:
        self.store = Store(engine)
        self.services = FakeServices(self.store)
        self.outbox = Outbox(engine)
        self.wakeups = Wakeups()
        self.lease = FakeLease()
        self.reporter = Reporter(self.services, self.outbox, self.wakeups)  # type: ignore[arg-type]
        self._reports = PlatformReporter(self.reporter, platform, self.lease)  # type: ignore[arg-type]
        self._sender = Sender(self.outbox, platform, FakePeers("me", {"me before"}), self.wakeups)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._reports.run()), asyncio.create_task(self._sender.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._sender.close()

    def ask(self, *specs: EvalSpec, source: str = "i1") -> tuple[int, list[int]]:
        """Have somebody ask for a group of runs; its status message is recorded."""
        group, runs = self.store.add_group(
            source=source, platform="p", channel="c", thread="t", user="u", language="en", text="x", specs=specs
        )
        self.outbox.record(heard(source, PLACE), [Reply(Message(text="status"), group=group.id)])
        return group.id, [run.id for run in runs]

    def fail(self, run: int) -> None:
        self.store.move(run, RunState.FAILED, failure=Failure(code="run_crashed", params={"reason": "x"}))
        self.reporter.wake()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.edits, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(bot.reporter, "TICK", 0.05)


async def until(true: Callable[[], object], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


def settled(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM groups WHERE settled_at IS NOT NULL")).scalar_one())


async def test_a_group_is_reported_to_its_end_and_then_not_looked_at_any_more(engine: Engine, mock_spec: Any) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    group, runs = attached.ask(mock_spec(), mock_spec())
    async with attached.open():
        attached.fail(runs[0])
        await until(lambda: any("1 of 2 runs ended" in edit.model_dump_json() for _, edit, _ in wall.edits))
        await asyncio.sleep(0.2)
        assert list(wall.posts) == ["i1/0"], "its result has to wait for the other run"
        attached.fail(runs[1])
        async with asyncio.timeout(10):
            await attached.reporter.settled([group])
        assert list(wall.posts) == ["i1/0", f"result:g{group}"]
        await until(lambda: settled(engine) == 1)
        await asyncio.sleep(0.3)
    assert [final for _, _, final in wall.edits].count(True) == 1
    assert wall.edits[-1][2]
    assert attached.store.unsettled("p") == []


async def test_a_restarted_reporter_goes_on_in_the_same_message_and_repeats_nothing(
    engine: Engine, mock_spec: Any
) -> None:
    wall = Wall()
    first = AttachedPlatform(engine, wall)
    _, runs = first.ask(mock_spec(), mock_spec())
    async with first.open():
        first.fail(runs[0])
        await until(lambda: wall.edits)
    wall.edits.clear()
    again = AttachedPlatform(engine, wall)
    async with again.open():
        again.fail(runs[1])
        await until(lambda: settled(engine) == 1)
    assert list(wall.posts) == ["i1/0", "result:g1"]
    assert wall.posts["result:g1"].text == "r1, r2: 2 failed."
    assert {message_id for message_id, _, _ in wall.edits} == {"i1/0"}


async def test_a_group_has_one_result_however_many_record_it(engine: Engine, mock_spec: Any) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    _, runs = attached.ask(mock_spec(), mock_spec())
    attached.fail(runs[0])
    attached.store.ask_to_cancel(runs[1])
    messages = [Message(text="first"), Message(text="second")]
    group = attached.store.group(1)
    recorded = [attached.outbox.record_result(group, PLACE, message, final=True) for message in messages]
    assert recorded == [True, False]
    async with attached.open():
        await until(lambda: settled(engine) == 1)
    assert list(wall.posts) == ["i1/0", "result:g1"]


async def test_the_report_of_each_run_of_a_group_is_added_to_its_result_in_one_edit(
    engine: Engine, mock_spec: Any
) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    _, runs = attached.ask(mock_spec(), mock_spec(), mock_spec())
    async with attached.open():
        for run in runs[:2]:
            attached.store.move(run, RunState.QUEUED, attempt=1)
            attached.store.move(run, RunState.RUNNING)
            attached.store.move(run, RunState.SUCCEEDED)
        attached.fail(runs[2])
        await until(lambda: "result:g1" in wall.posts)
        for run in runs[:2]:
            await asyncio.sleep(0.2)
            assert not any(message_id == "result:g1" for message_id, _, _ in wall.edits)
            with engine.begin() as connection:
                connection.execute(text("UPDATE runs SET report_ready = true WHERE id = :id"), {"id": run})
            attached.reporter.wake()
        await until(lambda: settled(engine) == 1)
    ((_, message, final),) = [edit for edit in wall.edits if edit[0] == "result:g1"]
    assert final
    assert [part.label for part in message.parts if isinstance(part, Link)].count("Report r2") == 1


async def test_who_asked_is_mentioned_where_it_took_over_a_minute(engine: Engine, mock_spec: Any) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    _, soon = attached.ask(mock_spec(), mock_spec(), source="soon")
    _, late = attached.ask(mock_spec(), mock_spec(), source="late")
    with engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(seconds=61)
        connection.execute(text("UPDATE groups SET created_at = :at WHERE id = 2"), {"at": long_ago.isoformat(" ")})
    async with attached.open():
        for run in (*soon, *late):
            attached.fail(run)
        await until(lambda: settled(engine) == 2)
    assert {key: post.mention for key, post in wall.posts.items() if key.startswith("result:")} == {
        "result:g1": "",
        "result:g2": "u",
    }


async def test_the_final_edit_is_tried_until_it_is_made_and_keeps_no_result_waiting(
    engine: Engine, mock_spec: Any
) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    _, runs = attached.ask(mock_spec())
    async with attached.open():
        await until(lambda: wall.posts)
        wall.failures = 4
        attached.fail(runs[0])
        await until(lambda: "result:g1" in wall.posts)
        assert not any(final for _, _, final in wall.edits)
        await until(lambda: settled(engine) == 1)
    assert wall.failures == 0
    assert wall.edits[-1][2]


async def test_nothing_is_edited_or_recorded_without_the_lease(engine: Engine, mock_spec: Any) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    attached.lease.held = False
    _, runs = attached.ask(mock_spec())
    async with attached.open():
        attached.fail(runs[0])
        await asyncio.sleep(0.5)
        assert list(wall.posts) == ["i1/0"]
        assert not wall.edits
        attached.lease.held = True
        await until(lambda: settled(engine) == 1)


async def test_progress_is_shown_no_oftener_than_the_platform_allows_and_the_newest(
    engine: Engine, mock_spec: Any
) -> None:
    wall = Wall(edit_every=0.4)
    attached = AttachedPlatform(engine, wall)
    _, (run,) = attached.ask(mock_spec())
    attached.store.move(run, RunState.QUEUED, attempt=1)
    attached.store.move(run, RunState.RUNNING)
    begun = time.monotonic()
    async with attached.open():
        for done in range(100):
            attached.services.progresses[run] = Progress(
                attempt=1, phase="evaluating", done=done, total=100, updated_at=datetime.now(UTC)
            )
            await asyncio.sleep(0.01)
        await until(lambda: _bar(wall.edits[-1][1]) == 99)
    assert 2 <= len(wall.edits) <= 2 + (time.monotonic() - begun) / wall.edit_every


def _bar(message: Message) -> int:
    return next(part.done for part in message.parts if isinstance(part, ProgressPart))


async def test_a_group_that_never_got_a_status_message_gets_its_results(engine: Engine, mock_spec: Any) -> None:
    wall = Wall()
    attached = AttachedPlatform(engine, wall)
    attached.store.add_group(
        source="x", platform="p", channel="c", thread="t", user="u", language="en", text="x", specs=[mock_spec()]
    )
    async with attached.open():
        attached.fail(1)
        await asyncio.sleep(0.3)
        assert not wall.posts, "its status message may be on its way"
        with engine.begin() as connection:
            long_ago = datetime.now(UTC) - timedelta(minutes=5)
            connection.execute(text("UPDATE groups SET created_at = :at"), {"at": long_ago.isoformat(" ")})
        await until(lambda: settled(engine) == 1)
    assert list(wall.posts) == ["result:g1"]


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=300), st.integers(1, 60))
def test_no_minute_has_more_edits_than_the_budget_and_progress_never_takes_all_of_it(
    asked: list[tuple[float, bool]], per_minute: int
) -> None:
    now = 100.0
    made: list[tuple[float, bool]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bot.edits.time, "monotonic", lambda: now)
        edits = Edits(every=0.0, per_minute=per_minute)
        for post, (passed, final) in enumerate(asked):
            now += passed
            if edits.may(post, final=final):
                made.append((now, final))
    for at, _ in made:
        minute = [final for when, final in made if at <= when < at + 60]
        assert len(minute) <= per_minute
        assert minute.count(False) <= 0.6 * per_minute + bot.edits.BURST + 1


def test_a_final_edit_finds_room_where_progress_has_used_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(bot.edits.time, "monotonic", lambda: now)
    edits = Edits(every=0.0, per_minute=50)
    for _ in range(600):
        now += 0.1
        edits.may(1, final=False)
    assert not edits.may(1, final=False)
    assert [edits.may(post, final=True) for post in range(2, 12)] == [True] * 10


def test_each_workspace_has_a_budget_of_its_own_and_is_paused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(bot.edits.time, "monotonic", lambda: now)
    edits = Edits(every=0.0, per_minute=2)
    assert [edits.may(post, "T1", final=True) for post in (1, 2, 3)] == [True, True, False]
    assert edits.may(4, "T2", final=True)
    edits.pause("T2", 30)
    assert not edits.may(5, "T2", final=True)
    now += 30
    assert edits.may(5, "T2", final=True)


def test_a_failed_edit_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(bot.edits.time, "monotonic", lambda: now)
    monkeypatch.setattr(bot.edits, "FIRST_WAIT", 1.0)
    edits = Edits(every=0.0, per_minute=6000)
    assert [edits.failed(1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert not edits.due(1, final=True)
    assert edits.due(2, final=True)
    now += 60
    assert edits.due(1, final=True)
    edits.done(1)
    assert edits.failed(1) == 1
