"""What must be posted is posted exactly once, in order, whatever dies and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine
from support.board import Board, heard, place, reply
from support.peers import FakePeers

import bot.sender
from bot.outbox import Outbox
from bot.sender import Sender
from bot.wakeups import Wakeups


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
    assert outbox.record(heard("i1"), [reply("a", refused=True), reply("b", waits=True)])
    assert not outbox.record(heard("i1"), [reply("c")])
    assert outbox.answered("i1")
    posts = outbox.answers("i1")
    assert [(post.key, post.reply) for post in posts] == [
        ("i1/0", reply("a", refused=True)),
        ("i1/1", reply("b", waits=True)),
    ]
    assert {(post.state, post.role) for post in posts} == {("pending", "reply")}


def test_a_message_that_is_answered_by_nothing_is_known_as_handled(outbox: Outbox) -> None:
    assert outbox.record(heard("i1"), [])
    assert outbox.answered("i1")
    assert outbox.due("p", None) == {}
    assert [post.sent for post in outbox.answers("i1")] == [True]


def test_a_post_is_taken_by_one_process_and_the_next_of_its_place_waits(outbox: Outbox) -> None:
    outbox.record(heard("i1"), [reply()])
    outbox.record(heard("i2"), [reply()])
    outbox.record(heard("i3", place("other")), [reply()])
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
    outbox.record(heard("i1"), [reply()])
    outbox.take(place(), "dead", set())
    taken = outbox.take(place(), "one", {"dead"})
    assert taken is not None
    assert taken[1]
    assert not outbox.still_ours(taken[0].id, "dead")
    assert outbox.still_ours(taken[0].id, "one")


async def test_posts_of_a_place_are_made_in_order_and_two_processes_make_each_once(outbox: Outbox) -> None:
    board = Board([])
    for number in range(12):
        outbox.record(heard(f"i{number}", place(f"t{number % 3}")), [reply(), reply()])
    senders = [Sender(outbox, board, FakePeers(name), Wakeups()) for name in ("one", "two")]
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
    outbox.record(heard("i1"), [reply(), reply()])
    await post_all(Sender(outbox, board, FakePeers("one"), Wakeups()))
    assert board.keys == ["i1/0", "i1/1"]
    assert [post.message_id for post in outbox.answers("i1")] == ["id of i1/0", "id of i1/1"]


async def test_a_place_where_posting_fails_does_not_keep_another_waiting(outbox: Outbox) -> None:
    board = Board([])

    async def fail(key: str) -> None:
        if key.startswith("bad"):
            raise ConnectionError

    board.before = fail
    outbox.record(heard("bad", place("bad")), [reply()])
    outbox.record(heard("good", place("good")), [reply()])
    sender = Sender(outbox, board, FakePeers("one"), Wakeups())
    async with posting(sender), asyncio.timeout(5):
        while not board.keys:
            await asyncio.sleep(0.01)
    assert board.keys == ["good/0"]
    assert outbox.due("p", None) == {place("bad"): {"one"}}


async def test_a_process_that_may_be_taken_for_dead_posts_nothing_and_lets_another_do_it(outbox: Outbox) -> None:
    board, peers = Board([]), FakePeers("frozen")
    peers.is_sure = False
    outbox.record(heard("i1"), [reply()])
    frozen = Sender(outbox, board, peers, Wakeups())
    async with posting(frozen):
        await asyncio.sleep(0.2)
        assert not board.keys
        await post_all(Sender(outbox, board, FakePeers("other", {"frozen"}), Wakeups()))
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
    outbox.record(heard("i1"), [reply(), reply()])
    async with posting(Sender(outbox, board, FakePeers("one"), Wakeups())):
        await begun.wait()
    assert [post.state for post in outbox.answers("i1")] == ["sent", "pending"]
