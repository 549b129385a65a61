"""What came in is handled once, in order, and by somebody, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import redis as redis_errors
from redis.asyncio import Redis as AsyncRedis
from support.peers import FakePeers, inbox_of

from bot.background import cancel, keep_going
from bot.inbox import GROUP, SEEN_FOR, Inbox
from bot.intake import BUGS, DEATHS, Intake
from handlers.incoming import Incoming, Place

Handle = Callable[[Incoming], Awaitable[None]]


def said(number: int, thread: str = "t") -> Incoming:
    place = Place(platform="p", channel="c", thread=thread)
    return Incoming(id=f"i{number}", place=place, user="u", text=f"text {number}")


async def nothing(_: Incoming) -> None: ...


@asynccontextmanager
async def handling(
    inbox: Inbox,
    handle: Handle,
    give_up: Handle = nothing,
    *,
    set_aside: Handle = nothing,
    postponed: Handle = nothing,
) -> AsyncIterator[Intake]:
    intake = Intake(inbox, handle, give_up=give_up, set_aside=set_aside, postponed=postponed)
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

    one, two = inbox_of(client, FakePeers("one"), "p"), inbox_of(client, FakePeers("two"), "p")
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

    one, two = inbox_of(client, FakePeers("one"), "p"), inbox_of(client, FakePeers("two"), "p")
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

    inbox = inbox_of(client, FakePeers("one"), "p")
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

    inbox = inbox_of(client, FakePeers("one"), "p")
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

    dying = inbox_of(client, FakePeers("dying", grave), "p")
    async with handling(dying, hang):
        for number in range(5):
            await dying.accept(said(number))
        await asyncio.sleep(0.3)
    other = inbox_of(client, FakePeers("other", grave), "p")
    async with handling(other, handle):
        await asyncio.sleep(0.5)
        assert not handled, "it lives"
        grave.add("dying")
        await until(lambda: len(handled) == 5, within=2)
        await until_empty(client, other)
    assert handled == [f"i{number}" for number in range(5)]
    assert [info["name"] for info in await client.xinfo_consumers(other.stream, GROUP)] == [b"other"]


async def test_an_entry_that_was_lost_on_its_way_to_us_is_fetched_again(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("one"), "p")
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

    inbox = inbox_of(client, FakePeers("one"), "p")
    async with handling(inbox, handle, tell):
        await inbox.accept(said(1))
        await inbox.accept(said(2))
        await until_empty(client, inbox)
    assert tries == ["i1"] * BUGS + ["i2"]
    assert told == ["i1"]


async def test_a_message_of_which_not_even_the_failure_can_be_told_is_not_tried_for_ever(client: AsyncRedis) -> None:
    async def fail(_: Incoming) -> None:
        raise KeyError("a bug")

    inbox = inbox_of(client, FakePeers("one"), "p")
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

    inbox = inbox_of(client, FakePeers("one"), "p")
    async with handling(inbox, handle, tell):
        await inbox.accept(said(1))
        await until_empty(client, inbox)
    assert tries == 6


class Bots:
    """Processes that die, one after another, over the messages that a test says."""

    def __init__(self, client: AsyncRedis, deadly: set[str], heal_after: int = 99) -> None:
        self.client, self.deadly, self.heal_after = client, deadly, heal_after
        self.grave: set[str] = set()
        self.deaths = 0
        self.handled: list[str] = []
        self.told: list[str] = []

    async def live(self, until_done: Callable[[], object] | None = None) -> None:
        """Start a process and let it work until it dies, or has done what it should."""
        died = asyncio.Event()
        name = f"bot{self.deaths}"

        async def handle(incoming: Incoming) -> None:
            await asyncio.sleep(0.02)  # others are handled beside it
            if incoming.id in self.deadly and self.deaths < self.heal_after:
                died.set()
                await asyncio.Event().wait()
            self.handled.append(incoming.id)

        async def tell(incoming: Incoming) -> None:
            self.told.append(incoming.id)

        inbox = inbox_of(self.client, FakePeers(name, self.grave), "p")
        survived = inbox.survived

        async def survived_unless_dead(*args: Any) -> None:
            if not died.is_set():
                await survived(*args)

        inbox.survived = survived_unless_dead  # type: ignore[method-assign]
        async with handling(inbox, handle, set_aside=tell):
            if until_done is not None:
                await until(until_done)
                await until_empty(self.client, inbox)
                return
            async with asyncio.timeout(10):
                await died.wait()
        self.grave.add(name)
        self.deaths += 1


async def test_a_message_that_killed_three_processes_is_set_aside_and_told_and_the_others_are_handled(
    client: AsyncRedis,
) -> None:
    inbox = inbox_of(client, FakePeers("platform"), "p")
    for number in range(8):
        await inbox.accept(said(number, thread=f"t{number}"))
    bots = Bots(client, {"i3"})
    for _ in range(DEATHS):
        await bots.live()
    await bots.live(until_done=lambda: bots.told)
    assert bots.told == ["i3"]
    assert sorted(set(bots.handled)) == [f"i{number}" for number in range(8) if number != 3]
    assert not [key async for key in client.scan_iter("scopebot:inbox:p:begun")]


async def test_a_message_in_whose_place_another_one_kills_is_handled_after_that_one(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("platform"), "p")
    for number in range(3):
        await inbox.accept(said(number))
    bots = Bots(client, {"i0"})
    for _ in range(DEATHS):
        await bots.live()
    await bots.live(until_done=lambda: len(bots.handled) == 2)
    assert (bots.told, bots.handled) == (["i0"], ["i1", "i2"])


async def test_a_message_that_killed_two_processes_by_chance_is_handled_by_the_third(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("platform"), "p")
    await inbox.accept(said(1))
    bots = Bots(client, {"i1"}, heal_after=DEATHS - 1)
    for _ in range(DEATHS - 1):
        await bots.live()
    await bots.live(until_done=lambda: bots.handled)
    assert (bots.told, bots.handled) == ([], ["i1"])


async def test_processes_that_are_told_to_stop_while_they_handle_a_message_do_not_count(client: AsyncRedis) -> None:
    told: list[str] = []
    handled: list[str] = []

    async def hang(_: Incoming) -> None:
        await asyncio.Event().wait()

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    async def tell(incoming: Incoming) -> None:
        told.append(incoming.id)

    grave: set[str] = set()
    await inbox_of(client, FakePeers("platform"), "p").accept(said(1))
    for number in range(DEATHS + 1):
        inbox = inbox_of(client, FakePeers(f"bot{number}", grave), "p")
        async with handling(inbox, hang, set_aside=tell):
            await asyncio.sleep(0.3)
        grave.add(f"bot{number}")
    async with handling(inbox_of(client, FakePeers("last", grave), "p"), handle, set_aside=tell):
        await until(lambda: handled)
    assert not told


async def test_a_message_that_kills_even_when_it_is_told_of_is_let_go(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("one"), "p")
    await inbox.accept(said(1))
    await inbox.open()
    (entry,) = await inbox.read(1)
    await inbox.begin(entry, 2 * DEATHS - 1)

    async def fail(_: Incoming) -> None:
        raise AssertionError("tried again")

    other = inbox_of(client, FakePeers("other", {"one"}), "p")
    async with handling(other, fail, fail, set_aside=fail):
        await until_empty(client, other)


async def test_the_keys_that_know_copies_lapse(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("one"), "p")
    await inbox.accept(said(1))
    assert 0 < await client.ttl("scopebot:seen:p:i1") <= SEEN_FOR


async def test_an_entry_that_is_no_message_is_dropped(client: AsyncRedis) -> None:
    handled: list[str] = []

    async def handle(incoming: Incoming) -> None:
        handled.append(incoming.id)

    inbox = inbox_of(client, FakePeers("one"), "p")
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

    inbox = inbox_of(client, FakePeers("one"), "p")
    async with handling(inbox, handle):
        await inbox.accept(said(1))
        await until(lambda: handled)
        await client.flushdb()
        await inbox.accept(said(2))
        await until(lambda: handled == ["i1", "i2"])


async def test_a_session_has_a_stream_of_its_own_and_leaves_nothing_behind(client: AsyncRedis) -> None:
    one, two = (inbox_of(client, FakePeers(name), "console", name) for name in ("one", "two"))
    await one.accept(said(1))
    assert await client.xlen(one.stream) == 1
    assert await client.ttl(one.stream) > 0, "a killed console's is gone some day"
    assert not await client.exists(two.stream)
    await one.close()
    assert not await client.exists(one.stream)


async def test_what_comes_within_a_moment_is_kept_in_the_order_it_came_in(client: AsyncRedis) -> None:
    inbox = inbox_of(client, FakePeers("one"), "p")
    await inbox.open()
    await asyncio.gather(*(inbox.accept(said(number)) for number in range(300)))
    assert [entry.incoming.id for entry in await inbox.read(300)] == [f"i{number}" for number in range(300)]
