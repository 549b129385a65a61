"""Sends waiting runs to workers, and finds those whose worker is gone. One process at a time does it, by a lease."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from bot.stalls import Stalls
from jobs import cancel
from jobs.config import Settings
from jobs.dispatch import Busy, Plan, Waiting, WorkerState, assign
from jobs.errors import RunHung, RunLost
from jobs.events import read_progress
from jobs.fleet import WAKE, living_workers
from jobs.lease import holder
from jobs.lifecycle import IllegalMove, RunState
from jobs.models import EvalSpec, Failure, Loss, PerfSpec, Run
from jobs.queue import enqueue, enqueue_check, stop, waits
from jobs.store import Store

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from bot.alive import Lease

log = structlog.get_logger(__name__)

TICK = 1
SILENT_FOR = 6.0
"""Seconds without its lease after which an attempt is lost. Its process renews the lease more often, and a worker says
more often that it lives: after an outage of Redis, in which everything lapses, both have been heard by then."""
STARTS_WITHIN = 15.0
"""The same for an attempt that a living worker took off its queue: its process has to be forked first."""
ACTIVE = (RunState.WAITING, RunState.QUEUED, RunState.RUNNING)


class Dispatcher:
    """Looks at what waits and who works whenever something changed, and every second."""

    def __init__(self, *, settings: Settings, store: Store, redis: AsyncRedis, queue: Redis, lease: Lease) -> None:
        self._settings = settings
        self._store = store
        self._redis = redis
        self._queue = queue
        self._lease = lease
        self._silent: dict[tuple[int, int], float] = {}
        """Since when nothing speaks for an attempt, by this process's clock."""
        self._stalls = Stalls()
        self._checked: set[int] = set()
        """Runs whose checks this process asked for."""

    async def run(self) -> None:
        """Dispatch until cancelled, as long as no other process does."""
        self._silent.clear()  # it begins again after an outage, in which everything was silent
        self._stalls.keep(())
        self._checked.clear()  # and Redis may have lost what it was told last
        while True:
            await self._redis.blpop([WAKE], timeout=TICK)
            if await self._lease.hold():
                began = time.monotonic()
                await asyncio.to_thread(self.dispatch)
                await asyncio.sleep(time.monotonic() - began)  # with many runs: others need the processor too
            else:
                self._silent.clear()  # what was seen before another process led is no longer known

    def dispatch(self) -> Plan:
        """Mend what was lost, then send what can start now."""
        workers = {facts["name"] for facts in living_workers(self._queue)}
        runs = self._store.runs(states=ACTIVE, limit=10_000)
        attempts = {(run.id, run.attempt) for run in runs}
        self._silent = {attempt: since for attempt, since in self._silent.items() if attempt in attempts}
        self._stalls.keep(attempts)
        for run in runs:
            if run.state in {RunState.QUEUED, RunState.RUNNING} and self._is_lost(run, workers):
                self._mend(run)
            elif run.state is RunState.RUNNING and self._hangs(run):
                self._end_hung(run)
            elif run.state is RunState.QUEUED and not run.cancel_asked:
                self._enqueue(run)  # where it was moved by a process that died just then; else it is there
        runs = self._store.runs(states=ACTIVE, limit=10_000)
        plan = plan_for(self._queue, runs, sorted(workers))
        by_id = {run.id: run for run in runs}
        for assignment in plan.assignments:
            self._send(by_id[assignment.run_id], assignment.worker)
        for run_id in plan.places:
            self._check(by_id[run_id])
        return plan

    def _check(self, run: Run) -> None:
        """Have a run checked that has to wait; one that starts now is checked by its worker."""
        if run.attempt == 0 and run.id not in self._checked:
            enqueue_check(self._queue, run, key=self._settings.effective_job_key)
            self._checked.add(run.id)

    def _send(self, run: Run, worker: str) -> None:
        try:
            queued = self._store.move(run.id, RunState.QUEUED, attempt=run.attempt + 1, worker=worker)
        except IllegalMove:  # cancelled meanwhile
            return
        self._enqueue(queued)
        log.info("run sent", run=run.name, attempt=queued.attempt, worker=worker)

    def _enqueue(self, run: Run) -> None:
        timeout = self._settings.config.defaults.run_timeout_hours * 3600
        enqueue(self._queue, run, key=self._settings.effective_job_key, timeout=timeout)

    def _is_lost(self, run: Run, workers: set[str]) -> bool:
        """Tell whether nobody will ever speak for this attempt again."""
        attempt, starts = (run.id, run.attempt), run.state is RunState.QUEUED and run.worker in workers
        if holder(self._queue, run.id) == run.attempt or (starts and waits(self._queue, run)):
            self._silent.pop(attempt, None)
            return False
        now = time.monotonic()
        return now - self._silent.setdefault(attempt, now) > (STARTS_WITHIN if starts else SILENT_FOR)

    def _hangs(self, run: Run) -> bool:
        """Tell whether a run that lives has not got on for longer than is allowed."""
        limit = 60 * self._settings.config.defaults.run_stalls_after_minutes
        progress = read_progress(self._queue, run.id)
        return self._stalls.seconds((run.id, run.attempt), progress, time.monotonic()) > limit

    def _end_hung(self, run: Run) -> None:
        """Fail a run that hangs, then end its process: whatever that still says is too late."""
        minutes = round(self._settings.config.defaults.run_stalls_after_minutes)
        failure = Failure(code=RunHung.code, params={"minutes": minutes, "run": run.name})
        log.warning("run hangs", run=run.name, attempt=run.attempt, worker=run.worker)
        with contextlib.suppress(IllegalMove):  # it ended just now
            self._store.move(run.id, RunState.FAILED, failure=failure)
        stop(self._queue, run)

    def _mend(self, run: Run) -> None:
        """Let a run whose worker is gone wait for another one; nothing that its job still says counts."""
        stop(self._queue, run)
        progress = read_progress(self._queue, run.id)
        failure = Failure(code=RunLost.code, params={"worker": run.worker})
        done = 0 if progress is None else progress.done
        log.warning("run lost", run=run.name, attempt=run.attempt, worker=run.worker, done=done)
        try:
            if run.state is RunState.QUEUED:  # it never began: no fault of its own
                self._store.move(run.id, RunState.CANCELLED if run.cancel_asked else RunState.WAITING)
            else:
                self._store.lose(run.id, run.attempt, Loss(done=done, failure=failure))
        except IllegalMove:
            log.info("run ended while it was mended", run=run.name)


def plan_for(queue: Redis, runs: Sequence[Run], workers: Sequence[str]) -> Plan:
    """Return the dispatch plan of these active runs on these workers."""
    now = datetime.now(UTC)
    busy: dict[str, list[Busy]] = {name: [] for name in workers}
    waiting = []
    for run in runs:
        measures = measured_by(run.spec)
        if run.state is RunState.WAITING:
            waited = (now - run.created_at).total_seconds()
            waiting.append(Waiting(run_id=run.id, user=run.user, waited=waited, measures=measures))
        elif run.worker in busy:
            progress = read_progress(queue, run.id)
            left = None if progress is None else progress.eta
            busy[run.worker].append(Busy(run.id, run.user, measures=measures, left=left))
    states = [WorkerState(name, slots=1, runs=tuple(taken)) for name, taken in busy.items()]
    return assign(waiting, states)


def measured_by(spec: EvalSpec | PerfSpec) -> str:
    """Return the host and port that a stress test loads; empty for what is no stress test."""
    return urlsplit(spec.model.api_url or "").netloc.lower() if isinstance(spec, PerfSpec) else ""


def ask_to_cancel(store: Store, queue: Redis, run: Run) -> Run:
    """Cancel a run wherever it is; its worker, if it has one, ends it and says its partial score."""
    cancel.ask(queue, run.id)
    asked = store.ask_to_cancel(run.id)
    if asked.cancel_asked and not stop(queue, asked) and asked.state is RunState.QUEUED:
        return store.cancel_queued(run.id)
    return asked
