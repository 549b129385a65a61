"""Handles what is in an inbox: in order in one place, side by side in different ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from redis import RedisError

from bot.inbox import Entry, Inbox
from handlers.incoming import Incoming, Place
from jobs.outages import is_outage
from jobs.space import is_full

log = structlog.get_logger(__name__)

IN_HAND = 64
SIDE_BY_SIDE = 4
BUGS = 3
"""How often an entry may fail before it is told as a bug and dropped."""
DEATHS = 3
"""How many processes an entry may kill before it is told so and set aside."""
LOOK_EVERY = 1.0
TURN_EVERY = 0.05
"""Seconds between two looks at whether another process is done with what was said in a place before."""
LONGEST_WAIT = 10.0

Handle = Callable[[Incoming], Awaitable[None]]
"""Handles a message and commits its effect; handling it again changes nothing."""


class Intake:
    """The messages this process has in hand."""

    def __init__(self, inbox: Inbox, handle: Handle, *, give_up: Handle, set_aside: Handle, postponed: Handle) -> None:
        self._inbox = inbox
        self._postponed = postponed
        self._told_so: set[str] = set()
        self._handle = handle
        self._give_up = give_up
        self._set_aside = set_aside
        self._in_hand: set[str] = set()
        self._lanes: dict[Place, deque[Entry]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling = asyncio.Semaphore(SIDE_BY_SIDE)
        self._suspects = asyncio.Lock()
        """Of the entries that were handled when a process died, one is to blame: they are tried one at a time."""
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Take new entries in hand as there is room for them, until cancelled."""
        await self._inbox.open()
        while True:
            while len(self._in_hand) >= IN_HAND:
                self._room.clear()
                await self._room.wait()
            for entry in await self._inbox.read(IN_HAND - len(self._in_hand)):
                self._take(entry)

    async def look_for_leftovers(self) -> None:
        """Take in hand what dead processes left, until cancelled."""
        await self._inbox.open()
        while True:
            for entry in await self._inbox.leftovers(len(self._in_hand)):
                self._take(entry)
            await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """Stop handling; what is not done is handled by another process, or the next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, entry: Entry) -> None:
        if entry.id in self._in_hand:
            return
        self._in_hand.add(entry.id)
        place = entry.incoming.place
        lane = self._lanes.get(place)
        if lane is not None:
            lane.append(entry)
            return
        self._lanes[place] = deque([entry])
        task = asyncio.create_task(self._serve(place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, place: Place) -> None:
        """Handle the entries of one place, one after another."""
        lane = self._lanes[place]
        while lane:
            entry = lane[0]
            await self._see_to(entry)
            lane.popleft()
            self._in_hand.discard(entry.id)
            self._told_so.discard(entry.id)
            self._room.set()
        del self._lanes[place]

    async def _see_to(self, entry: Entry) -> None:
        """Handle an entry until its effect is committed: again after an outage, `BUGS` times after a bug."""
        bugs, wait = 0, 0.1
        deaths: int | None = None
        while True:
            try:
                await self._wait_for_turn(entry)
                deaths = await self._inbox.deaths(entry) if deaths is None else deaths
                if deaths >= 2 * DEATHS:  # not even the answer could be given
                    await self._drop(entry)
                    return
                await self._try(entry, self._handle if bugs < BUGS else self._give_up, deaths)
                await self._inbox.done(entry)
            except Exception as error:
                if is_outage(error):
                    log.warning("cannot handle a message now", incoming=entry.incoming.id, reason=repr(error))
                    await self._postpone(entry, error)
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, LONGEST_WAIT)
                    continue
                bugs += 1
                log.exception("handling a message failed", incoming=entry.incoming.id, times=bugs)
                if bugs > BUGS:
                    await self._drop(entry)
                    return
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                return

    async def _try(self, entry: Entry, handle: Handle, deaths: int) -> None:
        """Handle an entry, or set it aside where it killed the processes that handled it."""
        if deaths >= DEATHS:
            log.error("a message killed each process that handled it", incoming=entry.incoming.id, times=deaths)
            handle = self._set_aside
        async with self._suspects if deaths else contextlib.nullcontext(), self._handling:
            await self._inbox.begin(entry, deaths)
            try:
                await handle(entry.incoming)
            finally:
                with contextlib.suppress(RedisError):
                    await self._inbox.survived(entry, deaths)

    async def _postpone(self, entry: Entry, error: Exception) -> None:
        """Have it told, once, that a message waits for room on a disk."""
        if is_full(error) and entry.id not in self._told_so:
            self._told_so.add(entry.id)
            try:
                await self._postponed(entry.incoming)
            except Exception:
                log.exception("a delay could not be told", incoming=entry.incoming.id)

    async def _wait_for_turn(self, entry: Entry) -> None:
        """Wait while another process handles what was said in the place before."""
        while not await self._inbox.is_next(entry):  # noqa: ASYNC110 - it is another process that changes it
            await asyncio.sleep(TURN_EVERY)

    async def _drop(self, entry: Entry) -> None:
        """Let an entry go of which not even the failure could be told."""
        log.error("a message is dropped", incoming=entry.incoming.id)
        try:
            await self._inbox.done(entry)
        except RedisError as error:
            log.warning("cannot drop a message now", incoming=entry.incoming.id, reason=repr(error))
