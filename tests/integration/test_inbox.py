"""What came in is handled once, in order, and by somebody, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import redis as redis_errors
from redis.asyncio import Redis as AsyncRedis
from support.peers import FakePeers

from bot.background import cancel, keep_going
from bot.inbox import GROUP, Inbox
from bot.intake import BUGS, Intake
from handlers.incoming import Incoming, Place

Handle = Callable[[Incoming], Awaitable[None]]


def said(number: int, thread: str = "t") -> Incoming:
    place = Place(platform="p", channel="c", thread=thread)
    return Incoming(id=f"i{number}", place=place, user="u", text=f"text {number}")


async def nothing(_: Incoming) -> None: ...


@asynccontextmanager
async def handling(inbox: Inbox, handle: Handle, give_up: Handle = nothing) -> AsyncIterator[Intake]:
    intake = Intake(inbox, handle, give_up)
    tasks = [asyncio.create_task(keep_going(task)) for task in (intake.read, intake.look_for_leftovers)]
    try:
        yield intake
    finally:
        await cancel(tasks)
        await intake.close()


async def until(true: Callable[[], object], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


async def until_empty(client: AsyncRedis, inbox: Inbox) -> None:
    async with asyncio.timeout(10):
        while await client.xlen(inbox.stream):
            await asyncio.sleep(0.01)


async def test_eleven_copies_in_two_processes_at_once_are_handled_once(client: AsyncRedis) -> None:
    handled: list[str] = []

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    one, two = Inbox(client, FakePeers("one"), "p"), Inbox(client, FakePeers("two"), "p")
    async with handling(one, handle), handling(two, handle):
        kept = await asyncio.gather(*((one, two)[n % 2].accept(said(1)) for n in range(11)))
        await until(lambda: handled)
        await until_empty(client, one)
        assert not await one.accept(said(1))
        await asyncio.sleep(0.2)
    assert sorted(kept) == [False] * 10 + [True]
    assert handled == ["i1"]


async def test_messages_of_one_place_are_handled_in_order_also_by_two_processes(client: AsyncRedis) -> None:
    handled: list[str] = []
    running: set[str] = set()

    async def handle(incoming: Incoming) -> None:
        assert incoming.place.thread not in running
        running.add(incoming.place.thread)
        await asyncio.sleep(0.005)
        running.discard(incoming.place.thread)
        handled.append(incoming.id)

    one, two = Inbox(client, FakePeers("one"), "p"), Inbox(client, FakePeers("two"), "p")
    async with handling(one, handle), handling(two, handle):
        for number in range(40):
            await (one, two)[number % 2].accept(said(number, thread=f"t{number % 3}"))
        await until(lambda: len(handled) == 40, within=30)
    for thread in range(3):
        numbers = [int(name[1:]) for name in handled if int(name[1:]) % 3 == thread]
        assert numbers == sorted(numbers)


async def test_a_slow_place_does_not_keep_another_waiting(client: AsyncRedis) -> None:
    handled: list[str] = []
    go = asyncio.Event()

    async def handle(incoming: Incoming) -> None:
        if incoming.place.thread == "slow":
            await go.wait()
        handled.append(incoming.id)

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, handle):
        await inbox.accept(said(1, "slow"))
        await inbox.accept(said(2, "slow"))
        await inbox.accept(said(3, "quick"))
        await until(lambda: handled == ["i3"])
        go.set()
        await until(lambda: handled == ["i3", "i1", "i2"])


async def test_a_message_leaves_the_stream_only_when_its_effect_is_committed(client: AsyncRedis) -> None:
    go = asyncio.Event()

    async def handle(_: Incoming) -> None:
        await go.wait()

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, handle):
        await inbox.accept(said(1))
        await asyncio.sleep(0.2)
        assert await client.xlen(inbox.stream) == 1
        go.set()
        await until_empty(client, inbox)
    assert not [key async for key in client.scan_iter("scopebot:inbox:p:turns:*")]


async def test_what_a_dead_process_had_in_hand_is_handled_at_once_and_in_order(client: AsyncRedis) -> None:
    grave: set[str] = set()
    handled: list[str] = []

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    async def hang(_: Incoming) -> None:
        await asyncio.Event().wait()

    dying = Inbox(client, FakePeers("dying", grave), "p")
    async with handling(dying, hang):
        for number in range(5):
            await dying.accept(said(number))
        await asyncio.sleep(0.3)
    other = Inbox(client, FakePeers("other", grave), "p")
    async with handling(other, handle):
        await asyncio.sleep(0.5)
        assert not handled, "it lives"
        grave.add("dying")
        await until(lambda: len(handled) == 5, within=2)
        await until_empty(client, other)
    assert handled == [f"i{number}" for number in range(5)]
    assert [info["name"] for info in await client.xinfo_consumers(other.stream, GROUP)] == [b"other"]


async def test_an_entry_that_was_lost_on_its_way_to_us_is_fetched_again(client: AsyncRedis) -> None:
    inbox = Inbox(client, FakePeers("one"), "p")
    await inbox.open()
    await inbox.accept(said(1))
    await inbox.read(10)
    assert await inbox.leftovers(known=0) == []
    await asyncio.sleep(2.1)
    assert await inbox.leftovers(known=1) == []
    assert [entry.incoming for entry in await inbox.leftovers(known=0)] == [said(1)]


async def test_a_message_that_fails_three_times_is_told_and_let_go_and_the_next_is_handled(client: AsyncRedis) -> None:
    tries: list[str] = []
    told: list[str] = []

    async def handle(incoming: Incoming) -> None:
        tries.append(incoming.id)
        if incoming.id == "i1":
            raise KeyError("a bug")

    async def tell(incoming: Incoming) -> None:
        told.append(incoming.id)

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, handle, tell):
        await inbox.accept(said(1))
        await inbox.accept(said(2))
        await until_empty(client, inbox)
    assert tries == ["i1"] * BUGS + ["i2"]
    assert told == ["i1"]


async def test_a_message_of_which_not_even_the_failure_can_be_told_is_not_tried_for_ever(client: AsyncRedis) -> None:
    async def fail(_: Incoming) -> None:
        raise KeyError("a bug")

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, fail, fail):
        await inbox.accept(said(1))
        await until_empty(client, inbox)


async def test_an_outage_is_no_bug_the_message_is_handled_when_it_is_over(client: AsyncRedis) -> None:
    tries = 0

    async def handle(_: Incoming) -> None:
        nonlocal tries
        tries += 1
        if tries < 6:
            raise redis_errors.ConnectionError("away")

    async def tell(_: Incoming) -> None:
        raise AssertionError("told as a bug")

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, handle, tell):
        await inbox.accept(said(1))
        await until_empty(client, inbox)
    assert tries == 6


async def test_an_entry_that_is_no_message_is_dropped(client: AsyncRedis) -> None:
    handled: list[str] = []

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    inbox = Inbox(client, FakePeers("one"), "p")
    await client.xadd(inbox.stream, {"incoming": '{"from": "another version"}'})
    await client.xadd(inbox.stream, {"what": "ever"})
    async with handling(inbox, handle):
        await inbox.accept(said(1))
        await until_empty(client, inbox)
    assert handled == ["i1"]


async def test_redis_losing_its_memory_stops_nothing(client: AsyncRedis) -> None:
    handled: list[str] = []

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    inbox = Inbox(client, FakePeers("one"), "p")
    async with handling(inbox, handle):
        await inbox.accept(said(1))
        await until(lambda: handled)
        await client.flushdb()
        await inbox.accept(said(2))
        await until(lambda: handled == ["i1", "i2"])


async def test_a_session_has_a_stream_of_its_own_and_leaves_nothing_behind(client: AsyncRedis) -> None:
    one, two = (Inbox(client, FakePeers(name), "console", name) for name in ("one", "two"))
    await one.accept(said(1))
    assert await client.xlen(one.stream) == 1
    assert await client.ttl(one.stream) > 0, "a killed console's is gone some day"
    assert not await client.exists(two.stream)
    await one.close()
    assert not await client.exists(one.stream)
