"""Slack's rate limits, as rolling windows by method, workspace and channel."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence

POSTS_IN_CHANNEL = ((4, 3.0), (60, 60.0))
"""What one channel takes: a short burst, and one post a second in the long run."""
POSTS_IN_WORKSPACE = ((300, 60.0),)

Window = tuple[int, float]


class Limits:
    """Counts calls; more than a window takes are refused, with the seconds until it takes the next."""

    def __init__(self) -> None:
        self.scale = 1.0
        """How much of each limit holds; 0 turns them off."""
        self._calls: dict[Hashable, deque[float]] = defaultdict(deque)

    def refuses(self, *rules: tuple[Hashable, Sequence[Window]]) -> int:
        """Count a call under all of these rules, or return the whole seconds after which it may be made."""
        if not self.scale:
            return 0
        now = time.monotonic()
        wait = max((self._wait(key, most, span, now) for key, windows in rules for most, span in windows), default=0.0)
        if wait > 0:
            return max(1, math.ceil(wait))
        for key, windows in rules:
            calls, longest = self._calls[key], max(span for _, span in windows)
            calls.append(now)
            while calls[0] < now - longest:
                calls.popleft()
        return 0

    def _wait(self, key: Hashable, most: int, span: float, now: float) -> float:
        calls, most = self._calls[key], max(1, int(most * self.scale))
        if len(calls) < most:
            return 0.0
        return calls[-most] + span - now
