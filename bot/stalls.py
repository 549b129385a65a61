"""Runs that hang: their process lives and says so, and nothing gets on."""

from __future__ import annotations

from collections.abc import Collection

from jobs.models import Progress


class Stalls:
    """Since when each attempt's progress stands still."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[object, float]] = {}

    def seconds(self, attempt: tuple[int, int], progress: Progress | None, now: float) -> float:
        """Take the newest progress of an attempt (run, number); return for how long it says nothing new."""
        mark = None
        if progress is not None:
            mark = (progress.phase, progress.benchmark, progress.done, progress.errors, progress.level)
        known = self._seen.get(attempt)
        if known is None or known[0] != mark:
            self._seen[attempt] = (mark, now)
            return 0.0
        return now - known[1]

    def keep(self, attempts: Collection[tuple[int, int]]) -> None:
        """Forget all others."""
        self._seen = {attempt: seen for attempt, seen in self._seen.items() if attempt in attempts}
