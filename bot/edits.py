"""When a message may be edited: not too often each, not too many together, later after a failure.

A workspace's budget is counted over any minute. What shows progress gets a share of it, evenly spread; the rest is
kept for final edits, so that many runs that end together are all told in time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection

MINUTE = 61.0
"""Seconds of a minute as a platform may count it that hears of some edits later than of others."""
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

    def room(self, now: float, *, final: bool) -> bool:
        """Tell whether one more may be made now."""
        if now < self.not_before:
            return False
        if math.isinf(self._per_minute):
            return True
        while self._made and now - self._made[0] >= MINUTE:
            self._made.popleft()
        self._left = min(BURST, self._left + (now - self._counted_at) * SHARE * self._per_minute / MINUTE)
        self._counted_at = now
        return len(self._made) < self._per_minute and (final or self._left >= 1.0)

    def count(self, now: float, *, final: bool) -> None:
        """Count one more."""
        if not math.isinf(self._per_minute):
            self._made.append(now)
            self._left -= 0.0 if final else 1.0


class Edits:
    """The edits of one platform; each workspace has a budget of its own."""

    def __init__(self, *, every: float, per_minute: float) -> None:
        self._every = every
        self._per_minute = per_minute
        self._budgets: dict[str, _Budget] = {}
        self._edited_at: dict[int, float] = {}
        self._not_before: dict[int, float] = {}
        self._waits: dict[int, float] = {}

    @property
    def limited(self) -> bool:
        """Tell whether a workspace has a budget at all."""
        return not math.isinf(self._per_minute)

    def due(self, post: int, workspace: str = "", *, final: bool) -> bool:
        """Tell whether a post may be edited now."""
        now = time.monotonic()
        if now < self._not_before.get(post, 0.0) or now - self.edited_at(post) < self._every:
            return False
        return self._budget(workspace).room(now, final=final)

    def may(self, post: int, workspace: str = "", *, final: bool) -> bool:
        """Tell whether a post may be edited now, and count it if so."""
        if not self.due(post, workspace, final=final):
            return False
        now = self._edited_at[post] = time.monotonic()
        self._budget(workspace).count(now, final=final)
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
