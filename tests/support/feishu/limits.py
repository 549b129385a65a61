"""Feishu's limits: five a second for each chat, person and message, and fifty a second for each method."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from support.feishu.world import Refused, World

EACH = ((5, 1.0),)
METHOD = ((50, 1.0), (1000, 60.0))


class Limits:
    """Counts over any stretch of time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._done: dict[tuple[str, float], deque[float]] = defaultdict(deque)

    def count(self, what: str, rates: tuple[tuple[int, float], ...]) -> None:
        """Count one more; refuse it where it is one too many."""
        now = time.monotonic()
        for most, seconds in rates:
            done = self._done[what, seconds]
            while done and now - done[0] >= seconds:
                done.popleft()
            done.append(now)
            if len(done) > most:
                self._world.violate(f"more than {most} in {seconds:g} s: {what}")
                if self._world.settings.enforce:
                    raise Refused(99991400, "request trigger frequency limit", 429)
