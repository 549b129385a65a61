"""Posts what the outbox holds: in order in one place, side by side in different ones, again after a failure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from bot.alive import Peers
from bot.outbox import Outbox, Post
from bot.platforms.base import Denied, PlaceClosed, Platform, PlatformError, RateLimited
from bot.wakeups import Wakeups, woken
from handlers.incoming import Place
from jobs.outages import OUTAGES

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at what other processes left; what this one records is posted at once."""
SEND_WITHIN = 60.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
DENIED_WAIT = 20.0
"""Seconds between two tries where the platform does not let us in: a person is mending it."""
DENIED_FOR = timedelta(days=1)
"""How long nobody may mend it before what is due is dropped."""
REFUSALS = 10
"""How often a post may be refused for reasons that nobody here knows, before it is dropped: others wait behind it."""
LEAVES_WITHIN = 5.0


class Sender:
    """One platform's posts, as one process makes them."""

    def __init__(self, outbox: Outbox, platform: Platform, peers: Peers, wakeups: Wakeups) -> None:
        self._outbox = outbox
        self._platform = platform
        self._peers = peers
        self._wakeups = wakeups
        self._dead: set[str] = set()
        self._lanes: dict[Place, asyncio.Task[None]] = {}
        self._again: set[Place] = set()
        self._leaving = asyncio.Event()
        self.broken: Exception | None = None
        """Why nothing can be posted any more: the screen of a platform that is bound to this process is gone."""

    async def run(self) -> None:
        """Post what is due, when it is, until cancelled."""
        with self._wakeups.due.listening() as due:
            while True:
                await self.look()
                await woken(due, LOOK_EVERY)

    async def look(self) -> None:
        """Begin to post in each place where something is due and nobody is at it."""
        session = self._platform.session or None
        due = await asyncio.to_thread(self._outbox.due, self._platform.name, session)
        for owner in set().union(*due.values()) - self._dead:
            if await self._peers.dead(owner):
                self._dead.add(owner)
        for place in due:
            if place in self._lanes:
                self._again.add(place)  # the lane may have looked just before
            elif not self._leaving.is_set():
                self._lanes[place] = asyncio.create_task(self._serve(place))

    async def idle(self) -> None:
        """Wait until nothing is being posted."""
        while self._lanes:
            await asyncio.wait(self._lanes.values())

    async def close(self) -> None:
        """Finish the posts that are on their way, and leave the rest to others."""
        self._leaving.set()
        lanes = set(self._lanes.values())
        if lanes:
            _, late = await asyncio.wait(lanes, timeout=LEAVES_WITHIN)
            for lane in late:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _serve(self, place: Place) -> None:
        """Post what is due in one place, one after another."""
        try:
            while not self._leaving.is_set():
                self._again.discard(place)
                taken = await asyncio.to_thread(self._outbox.take, place, self._peers.id, self._dead)
                if taken is not None:
                    await self._deliver(*taken)
                elif place not in self._again:
                    return
        except OUTAGES as error:
            log.warning("cannot post now", place=place, reason=repr(error))
        except Exception:
            log.exception("posting failed", place=place)
        finally:
            del self._lanes[place]

    async def _deliver(self, post: Post, doubtful: bool) -> None:  # noqa: FBT001 - as `take` gives it
        """Post one thing until it is there and marked so; `doubtful` where it may be there already."""
        message_id: str | None = None
        wait, refusals = FIRST_WAIT, 0
        while True:
            try:
                if message_id is None:
                    message_id = await self._put(post, doubtful=doubtful)
                if message_id is not None:
                    await asyncio.to_thread(self._outbox.sent, post.id, message_id)
                    self._wakeups.said.wake()
                    return
            except PlaceClosed as error:
                log.warning("a post is dropped", key=post.key, reason=str(error))
                await asyncio.to_thread(self._outbox.dropped, post.id)
                self._wakeups.said.wake()
                return
            except Exception as error:
                doubtful = doubtful or not isinstance(error, PlatformError)
                refusals += isinstance(error, PlatformError) and not isinstance(error, RateLimited | Denied)
                kept_out = isinstance(error, Denied) and datetime.now(UTC) - post.created_at > DENIED_FOR
                if refusals >= REFUSALS or kept_out:
                    log.exception("a post is refused again and again; it is dropped", key=post.key)
                    await asyncio.to_thread(self._outbox.dropped, post.id)
                    self._wakeups.said.wake()
                    return
                wait = _wait_after(error, wait)
                log.warning("posting failed; trying again", key=post.key, wait=wait, reason=repr(error))
                if self._platform.session and message_id is None:
                    self.broken = error
                    self._wakeups.said.wake()
            if await _left(self._leaving, wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)
            if message_id is None and not await asyncio.to_thread(self._outbox.still_ours, post.id, self._peers.id):
                return

    async def _put(self, post: Post, *, doubtful: bool) -> str | None:
        """Put a post on the platform unless it is there; None where this process may be taken for dead."""
        place = await asyncio.to_thread(self._outbox.opened, post.place)
        await self._platform.turn(place, post.audience, urgent=post.role in {"result", "question"})
        async with asyncio.timeout(SEND_WITHIN):
            if doubtful:
                found = await self._platform.find(place, post.key, post.created_at)
                if found is not None:
                    return found
            if not self._peers.sure():
                return None
            return await self._platform.send(
                place, post.message, key=post.key, live=post.role == "status", audience=post.audience
            )


def _wait_after(error: Exception, otherwise: float) -> float:
    """Return the seconds until the next try."""
    if isinstance(error, RateLimited):
        return error.retry_after
    return DENIED_WAIT if isinstance(error, Denied) else otherwise


async def _left(leaving: asyncio.Event, wait: float) -> bool:
    """Wait; True at once when the process leaves."""
    try:
        async with asyncio.timeout(wait):
            await leaving.wait()
    except TimeoutError:
        return False
    return True
