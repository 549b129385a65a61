"""When a message may be edited: not too often each, not too many together, later after a failure."""

from __future__ import annotations

import math
import time
from collections.abc import Collection

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
BURST = 10.0
"""Seconds of a platform's budget that may be spent at once."""


class Edits:
    """The edits of one platform."""

    def __init__(self, *, every: float, per_minute: float) -> None:
        self._every = every
        self._per_second = per_minute / 60
        self._most = max(1.0, self._per_second * BURST)
        self._left = self._most
        self._counted_at = time.monotonic()
        self._edited_at: dict[int, float] = {}
        self._not_before: dict[int, float] = {}
        self._waits: dict[int, float] = {}

    def due(self, post: int, *, final: bool) -> bool:
        """Tell whether a post's own time has come; a final edit comes as soon as it can."""
        now = time.monotonic()
        return now >= self._not_before.get(post, 0.0) and (final or now - self.edited_at(post) >= self._every)

    def may(self, post: int, *, final: bool) -> bool:
        """Tell whether a post may be edited now, and count it if so."""
        if not self.due(post, final=final):
            return False
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        self._edited_at[post] = now
        return True

    def edited_at(self, post: int) -> float:
        """Return when a post was edited last."""
        return self._edited_at.get(post, -math.inf)

    def failed(self, post: int) -> float:
        """Take note of a failure; return the seconds until the next try."""
        wait = self._waits.get(post, FIRST_WAIT)
        self._not_before[post] = time.monotonic() + wait
        self._waits[post] = min(2 * wait, LONGEST_WAIT)
        return wait

    def done(self, post: int) -> None:
        """Take note of a success."""
        self._waits.pop(post, None)

    def keep(self, posts: Collection[int]) -> None:
        """Forget all other posts."""
        for known in (self._edited_at, self._not_before, self._waits):
            for post in known.keys() - posts:
                del known[post]
