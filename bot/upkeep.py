"""Lets go of what nobody needs any more: files of old runs, posts that were made, transitions that were applied.

Runs, results and scores stay. Every process of the bot may do it at any time: each step only removes what is over.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from bot.outbox import Outbox
from handlers.presses import Presses
from jobs.events import EVENTS

if TYPE_CHECKING:
    from redis import Redis

    from jobs.artifacts import Artifacts
    from jobs.config import Retention
    from jobs.ledger import Ledger
    from jobs.store import Store

log = structlog.get_logger(__name__)

FIRST_AFTER = 600.0
"""Seconds in which a bot that was away for long first does what it left undone: old posts tell it what is done."""
EVERY = 3600.0
POSTS_KEPT_FOR = timedelta(days=30)
"""A post's row says that its message was answered: it stays for longer than a copy of that message can come."""
PRESSES_KEPT_FOR = timedelta(days=60)
"""Longer than any platform takes a button to be good."""
EVENTS_KEPT_FOR = timedelta(days=7)


class Upkeep:
    """What one process removes."""

    def __init__(
        self, *, retention: Retention, store: Store, outbox: Outbox, ledger: Ledger, artifacts: Artifacts, redis: Redis
    ) -> None:
        self._retention = retention
        self._store = store
        self._outbox = outbox
        self._presses = Presses(store.engine)
        self._ledger = ledger
        self._artifacts = artifacts
        self._redis = redis

    async def run(self) -> None:
        """Remove what is over, every hour, until cancelled."""
        await asyncio.sleep(FIRST_AFTER)
        while True:
            await asyncio.to_thread(self.tidy, datetime.now(UTC))
            await asyncio.sleep(EVERY)

    def tidy(self, now: datetime) -> None:
        """Remove what is over at a time."""
        if self._retention.days:
            self._let_files_go(now - timedelta(days=self._retention.days))
        posts = self._outbox.forget(now - POSTS_KEPT_FOR)
        presses = self._presses.forget(now - PRESSES_KEPT_FOR)
        events = self._trim_events(now - EVENTS_KEPT_FOR)
        log.info("tidied", posts=posts, presses=presses, events=events)

    def _let_files_go(self, before: datetime) -> None:
        """Remove the files of runs that ended before; what could not be removed the last time, too."""
        marked = self._store.let_files_go(before)
        for run_id in sorted(self._store.without_files(self._artifacts.run_ids())):
            self._artifacts.remove(run_id)
            log.info("removed a run's files", run=f"r{run_id}", due_now=run_id in marked)

    def _trim_events(self, before: datetime) -> int:
        """Remove old transitions, but none that the database does not know."""
        applied = self._ledger.position()
        old = int(before.timestamp() * 1000)
        oldest_kept = applied if int(applied.partition("-")[0]) < old else f"{old}-0"
        return self._redis.xtrim(EVENTS, minid=oldest_kept, approximate=False)
