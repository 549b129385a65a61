"""How often something may be done on a platform, counted over any stretch of time, as platforms do."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_CHANNELS = 10_000


class Rate(NamedTuple):
    """At most so many in so many seconds."""

    most: int
    seconds: float


class Window:
    """What was done of late, of which there is to be at most so much in so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._done: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Return the seconds until one more may be done; 0 or less where it may be now."""
        while self._done and now - self._done[0] >= self._seconds:
            self._done.popleft()
        return 0.0 if len(self._done) < self._most else self._done[0] + self._seconds - now

    def count(self, now: float) -> None:
        """Count one that is done now."""
        self._done.append(now)

    def free(self) -> bool:
        """Tell whether one may be done now, and count it if so."""
        now = time.monotonic()
        if self.wait(now) > 0:
            return False
        self.count(now)
        return True


@dataclass(frozen=True)
class _Waiting:
    """A post that waits for its turn."""

    rank: tuple[bool, int]
    channel: str
    turn: asyncio.Future[None]


class Posts:
    """The turns of posts: a channel takes some, and all of them together take some.

    A turn is given when both have room, and not before: who waits for one of them holds up nobody else.
    """

    def __init__(self, *, channel: Rate, together: Sequence[Rate]) -> None:
        self._rate = channel
        self._together = [Window(*rate) for rate in together]
        self._channels: dict[str, Window] = {}
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    async def turn(self, channel: str, *, urgent: bool = False) -> None:
        """Wait until one more post may be made in a channel: urgent ones first, then in the order asked for."""
        waiting = _Waiting((not urgent, next(self._numbers)), channel, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting.sort(key=lambda one: one.rank)
        self._let_in()
        await waiting.turn

    def pause(self, seconds: float) -> None:
        """Give no turn for a while: the platform said so."""
        self._not_before = time.monotonic() + seconds

    def _let_in(self) -> None:
        """Give their turn to all for whom there is room, and come back when there is more."""
        now = time.monotonic()
        soonest = max(self._not_before - now, self._wait(now))
        waits = [soonest] if soonest > 0 else []
        for waiting in list(self._waiting):
            if waiting.turn.done():  # cancelled
                self._waiting.remove(waiting)
                continue
            if soonest > 0:
                break
            channel = self._channel(waiting.channel)
            wait = channel.wait(now)
            if wait > 0:
                waits.append(wait)
                continue
            channel.count(now)
            for window in self._together:
                window.count(now)
            self._waiting.remove(waiting)
            waiting.turn.set_result(None)
            soonest = self._wait(now)
            waits += [soonest] if soonest > 0 else []
        if self._waiting and waits:
            self._come_back(min(waits))

    def _come_back(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self._let_in()

    def _wait(self, now: float) -> float:
        return max((window.wait(now) for window in self._together), default=0.0)

    def _channel(self, channel: str) -> Window:
        if len(self._channels) > MOST_CHANNELS:
            self._channels = {name: known for name, known in self._channels.items() if known.wait(time.monotonic()) > 0}
        return self._channels.setdefault(channel, Window(*self._rate))
