"""When a message may be edited: not too often each, not too many together, later after a failure.

A workspace's budget is counted over any minute. What shows progress gets a share of it, evenly spread; the rest is
kept for final edits, so that many runs that end together are all told in time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection

MINUTE = 60.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
SHARE = 0.6
"""The part of a budget that goes to what is not final."""
BURST = 5.0
"""Edits that are not final that may be made at once."""


class _Budget:
    """The edits of one workspace."""

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._made: deque[float] = deque()
        self._left = BURST
        self._counted_at = time.monotonic()
        self.not_before = 0.0

    def may(self, now: float, *, final: bool) -> bool:
        """Tell whether one more may be made now, and count it if so."""
        if now < self.not_before:
            return False
        if math.isinf(self._per_minute):
            return True
        while self._made and now - self._made[0] >= MINUTE:
            self._made.popleft()
        if len(self._made) >= self._per_minute:
            return False
        self._left = min(BURST, self._left + (now - self._counted_at) * SHARE * self._per_minute / MINUTE)
        self._counted_at = now
        if not final:
            if self._left < 1.0:
                return False
            self._left -= 1.0
        self._made.append(now)
        return True


class Edits:
    """The edits of one platform; each workspace has a budget of its own."""

    def __init__(self, *, every: float, per_minute: float) -> None:
        self._every = every
        self._per_minute = per_minute
        self._budgets: dict[str, _Budget] = {}
        self._edited_at: dict[int, float] = {}
        self._not_before: dict[int, float] = {}
        self._waits: dict[int, float] = {}

    def due(self, post: int, *, final: bool) -> bool:
        """Tell whether a post's own time has come; a final edit comes as soon as it can."""
        now = time.monotonic()
        return now >= self._not_before.get(post, 0.0) and (final or now - self.edited_at(post) >= self._every)

    def may(self, post: int, workspace: str = "", *, final: bool) -> bool:
        """Tell whether a post may be edited now, and count it if so."""
        now = time.monotonic()
        if not self.due(post, final=final) or not self._budget(workspace).may(now, final=final):
            return False
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

    def pause(self, workspace: str, seconds: float) -> None:
        """Make no edits in a workspace for a while: the platform said so."""
        self._budget(workspace).not_before = time.monotonic() + seconds

    def done(self, post: int) -> None:
        """Take note of a success."""
        self._waits.pop(post, None)

    def keep(self, posts: Collection[int]) -> None:
        """Forget all other posts."""
        for known in (self._edited_at, self._not_before, self._waits):
            for post in known.keys() - posts:
                del known[post]

    def _budget(self, workspace: str) -> _Budget:
        return self._budgets.setdefault(workspace, _Budget(self._per_minute))
