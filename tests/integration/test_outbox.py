"""What must be posted is posted exactly once, in order, whatever dies and whenever."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Engine

import bot.sender
from bot.bells import Bells
from bot.outbox import Outbox, Post
from bot.platforms.base import Platform, Receive
from bot.sender import Sender
from handlers.incoming import Place
from handlers.message import Message
from handlers.reply import Reply
from jobs.db import migrate, open_engine
from support.peers import FakePeers


class Killed(BaseException):
    """The process dies here."""


class Board(Platform):
    """A platform that keeps what is posted under its key. `before` and `after` stand at the post's two sides."""

    name = "p"
    edit_every = 0.0

    def __init__(self, wall: list[tuple[Place, str]]) -> None:
        self.wall = wall
        self.before: Callable[[str], Awaitable[None]] = self._nothing
        self.after: Callable[[str], Awaitable[None]] = self._nothing

    async def _nothing(self, key: str) -> None: ...

    async def run(self, receive: Receive) -> None: ...

    async def send(self, place: Place, message: Message, *, key: str, live: bool = False) -> str:
        await self.before(key)
        self.wall.append((place, key))
        await self.after(key)
        return f"id of {key}"

    async def find(self, place: Place, key: str) -> str | None:
        return f"id of {key}" if (place, key) in self.wall else None

    async def edit(self, place: Place, message_id: str, message: Message, *, final: bool = False) -> None: ...

    async def close(self) -> None: ...

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.wall]


def place(thread: str = "t") -> Place:
    return Place(platform="p", channel="c", thread=thread)


def reply(text: str = "x", **facts: Any) -> Reply:
    return Reply(Message(text=text), **facts)


@pytest.fixture
def outbox(engine: Engine) -> Outbox:
    return Outbox(engine)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.sender, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(bot.sender, "LEAVES_WITHIN", 0.5)


async def post_all(sender: Sender) -> None:
    await sender.look()
    await sender.idle()


@asynccontextmanager
async def posting(sender: Sender) -> AsyncIterator[None]:
    task = asyncio.create_task(sender.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()


def test_the_answers_to_a_message_are_recorded_once_and_together(outbox: Outbox) -> None:
    assert not outbox.answered("i1")
    assert outbox.record("i1", place(), [reply("a", refused=True), reply("b", waits=True)])
    assert not outbox.record("i1", place(), [reply("c")])
    assert outbox.answered("i1")
    posts = outbox.answers("i1")
    assert [(post.key, post.reply) for post in posts] == [
        ("i1/0", reply("a", refused=True)),
        ("i1/1", reply("b", waits=True)),
    ]
    assert {(post.state, post.role) for post in posts} == {("pending", "reply")}


def test_a_message_that_is_answered_by_nothing_is_known_as_handled(outbox: Outbox) -> None:
    assert outbox.record("i1", place(), [])
    assert outbox.answered("i1")
    assert outbox.due("p", None) == {}
    assert [post.sent for post in outbox.answers("i1")] == [True]


def test_a_post_is_taken_by_one_process_and_the_next_of_its_place_waits(outbox: Outbox) -> None:
    outbox.record("i1", place(), [reply()])
    outbox.record("i2", place(), [reply()])
    outbox.record("i3", place("other"), [reply()])
    taken = outbox.take(place(), "one", set())
    assert taken is not None
    assert (taken[0].key, taken[1]) == ("i1/0", False)
    assert outbox.take(place(), "two", set()) is None
    assert outbox.due("p", None) == {place(): {"one"}, place("other"): set()}
    assert outbox.due("p", "other") == {place("other"): set()}
    outbox.sent(taken[0].id, "m1")
    following = outbox.take(place(), "two", set())
    assert following is not None
    assert following[0].key == "i2/0"


def test_what_a_dead_process_was_sending_is_taken_over_as_doubtful(outbox: Outbox) -> None:
    outbox.record("i1", place(), [reply()])
    outbox.take(place(), "dead", set())
    taken = outbox.take(place(), "one", {"dead"})
    assert taken is not None
    assert taken[1]
    assert not outbox.still_ours(taken[0].id, "dead")
    assert outbox.still_ours(taken[0].id, "one")


async def test_posts_of_a_place_are_made_in_order_and_two_processes_make_each_once(outbox: Outbox) -> None:
    board = Board([])
    for number in range(12):
        outbox.record(f"i{number}", place(f"t{number % 3}"), [reply(), reply()])
    senders = [Sender(outbox, board, FakePeers(name), Bells()) for name in ("one", "two")]
    async with posting(senders[0]), posting(senders[1]):
        async with asyncio.timeout(20):
            while outbox.due("p", None):
                await asyncio.sleep(0.02)
    for thread in range(3):
        expected = [f"i{number}/{n}" for number in range(thread, 12, 3) for n in range(2)]
        assert [key for where, key in board.wall if where == place(f"t{thread}")] == expected


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_post_that_failed_is_tried_again_and_made_once(outbox: Outbox, side: str) -> None:
    board = Board([])
    failures = iter([True, True, True])

    async def fail(_: str) -> None:
        if next(failures, False):
            raise TimeoutError

    setattr(board, side, fail)
    outbox.record("i1", place(), [reply(), reply()])
    await post_all(Sender(outbox, board, FakePeers("one"), Bells()))
    assert board.keys == ["i1/0", "i1/1"]
    assert [post.message_id for post in outbox.answers("i1")] == ["id of i1/0", "id of i1/1"]


async def test_a_place_where_posting_fails_does_not_keep_another_waiting(outbox: Outbox) -> None:
    board = Board([])

    async def fail(key: str) -> None:
        if key.startswith("bad"):
            raise ConnectionError

    board.before = fail
    outbox.record("bad", place("bad"), [reply()])
    outbox.record("good", place("good"), [reply()])
    sender = Sender(outbox, board, FakePeers("one"), Bells())
    async with posting(sender), asyncio.timeout(5):
        while not board.keys:
            await asyncio.sleep(0.01)
    assert board.keys == ["good/0"]
    assert outbox.due("p", None) == {place("bad"): {"one"}}


async def test_a_process_that_may_be_taken_for_dead_posts_nothing_and_lets_another_do_it(outbox: Outbox) -> None:
    board, peers = Board([]), FakePeers("frozen")
    peers.is_sure = False
    outbox.record("i1", place(), [reply()])
    frozen = Sender(outbox, board, peers, Bells())
    async with posting(frozen):
        await asyncio.sleep(0.2)
        assert not board.keys
        await post_all(Sender(outbox, board, FakePeers("other", {"frozen"}), Bells()))
        peers.is_sure = True
        await asyncio.sleep(0.2)
    assert board.keys == ["i1/0"]


async def test_a_process_that_leaves_finishes_the_post_on_its_way(outbox: Outbox) -> None:
    board = Board([])
    begun = asyncio.Event()

    async def slow(_: str) -> None:
        begun.set()
        await asyncio.sleep(0.2)

    board.before = slow
    outbox.record("i1", place(), [reply(), reply()])
    async with posting(Sender(outbox, board, FakePeers("one"), Bells())):
        await begun.wait()
    assert [post.state for post in outbox.answers("i1")] == ["sent", "pending"]


class CrashingOutbox(Outbox):
    """An outbox whose process dies on one side of a step."""

    crash: str = ""

    def take(self, *args: Any) -> tuple[Post, bool] | None:
        self._at("before take")
        taken = super().take(*args)
        self._at("after take")
        return taken

    def sent(self, *args: Any) -> None:
        self._at("before sent")
        super().sent(*args)
        self._at("after sent")

    def _at(self, point: str) -> None:
        if self.crash == point:
            raise Killed


POINTS = ["", "before take", "after take", "before post", "after post", "before sent", "after sent"]


class Posting(RuleBasedStateMachine):
    """Processes come, post and die at any point; the platform fails on either side of a post."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_engine(f"sqlite:///{Path(self.folder.name) / 'x.db'}")
        migrate(self.engine)
        self.wall: list[tuple[Place, str]] = []
        self.grave: set[str] = set()
        self.recorded: list[tuple[Place, str]] = []
        self.processes = 0

    @rule(thread=st.sampled_from("ab"), count=st.integers(0, 3), copies=st.integers(1, 2))
    def record(self, thread: str, count: int, copies: int) -> None:
        source = f"i{len(self.recorded)}.{thread}.{count}"
        for _ in range(copies):
            Outbox(self.engine).record(source, place(thread), [reply()] * count)
        self.recorded += [(place(thread), f"{source}/{n}") for n in range(count)]

    @rule(crash=st.sampled_from(POINTS), fails=st.sampled_from(["", "before", "after"]), skip=st.integers(0, 2))
    def run_a_process(self, crash: str, fails: str, skip: int) -> None:
        """One process posts what it can; at the `skip`th time it reaches the point it dies."""
        self.processes += 1
        name = f"process {self.processes}"
        asyncio.run(self._run(name, crash, fails, skip))
        self.grave.add(name)

    async def _run(self, name: str, crash: str, fails: str, skip: int) -> None:
        outbox, board = CrashingOutbox(self.engine), Board(self.wall)
        died = asyncio.Event()
        fail = iter([True])

        def at(point: str) -> None:
            nonlocal skip
            if died.is_set():  # what is left of a dead process does nothing
                raise Killed
            if point == crash:
                skip -= 1
                if skip < 0:
                    died.set()
                    raise Killed

        outbox._at = at  # type: ignore[method-assign]

        async def before(_: str) -> None:
            at("before post")
            if fails == "before" and next(fail, False):
                raise ConnectionError

        async def after(_: str) -> None:
            at("after post")
            if fails == "after" and next(fail, False):
                raise TimeoutError

        board.before, board.after = before, after
        sender = Sender(outbox, board, FakePeers(name, self.grave), Bells())
        await sender.look()
        lanes = list(sender._lanes.values())
        await asyncio.gather(*lanes, return_exceptions=True)

    @invariant()
    def nothing_is_posted_twice_or_out_of_order(self) -> None:
        assert len(set(self.wall)) == len(self.wall)
        for thread in "ab":
            posted = [key for where, key in self.wall if where == place(thread)]
            due = [key for where, key in self.recorded if where == place(thread)]
            assert posted == due[: len(posted)]

    def teardown(self) -> None:
        asyncio.run(self._run("the last", "", "", 0))
        assert sorted(self.wall, key=str) == sorted(self.recorded, key=str), "each is posted exactly once"
        assert Outbox(self.engine).due("p", None) == {}
        self.engine.dispose()
        self.folder.cleanup()


Posting.TestCase.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
TestEachKeyIsPostedExactlyOnceWhateverDiesWherever = Posting.TestCase
