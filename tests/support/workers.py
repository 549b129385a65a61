"""A real worker process, and beside it what the bot has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from sqlalchemy import Engine

from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.events import EVENTS, Event, parse_progress, progress_key
from jobs.fleet import living_workers
from jobs.ledger import Ledger
from jobs.lifecycle import ENDED, RunState
from jobs.models import EvalSpec, Progress, Run, RunResult
from jobs.queue import enqueue
from jobs.same_store import publish
from jobs.store import Store

ROOT = Path(__file__).resolve().parents[2]
OWN_VARIABLES = ("REDIS_URL", "DATABASE_URL", *(name for name in os.environ if name.startswith("SCOPEBOT_")))


def start_worker(settings: Settings, redis: Redis, **more: str) -> subprocess.Popen[bytes]:
    """Start `scopebot worker` on settings (`more`: variables) and wait until it says that it lives."""
    publish(Artifacts(settings.effective_artifacts_url), redis, others=False)  # as the bot does
    before = {worker["name"] for worker in living_workers(redis)}
    environment: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if name not in OWN_VARIABLES},
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",  # a work-horse ends without flushing
        "REDIS_URL": settings.redis_url or "",
        "SCOPEBOT_DATA_DIR": str(settings.folder),
        **more,
    }
    log = settings.folder / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "worker"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while not {worker["name"] for worker in living_workers(redis)} - before:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"the worker did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(0.05)
    return process


def end_worker(process: subprocess.Popen[bytes], within: float = 30) -> int:
    """Ask a worker to end and return its exit status; kill it if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"the worker did not end within {within} s of SIGTERM")


@dataclass
class Ended:
    """A run that ended, and what was seen on the way."""

    run: Run
    events: list[tuple[str, Event]]
    kept: RunResult
    """What result.json held at the moment the announcement of the end was read."""
    progress: Progress
    job_id: str


@dataclass
class Office:
    """A real worker process, and beside it what the bot has."""

    settings: Settings
    redis: Redis
    engine: Engine
    artifacts: Artifacts
    process: subprocess.Popen[bytes]
    add_run: Callable[..., Run]
    store: Store = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.store, self.ledger = Store(self.engine), Ledger(self.engine)

    def new_events(self) -> list[tuple[str, Event]]:
        """Read what the ledger has not applied yet; wait half a second for it."""
        read = cast("list[Any]", self.redis.xread({EVENTS: self.ledger.position()}, block=500) or [])
        return [
            (key.decode(), Event.model_validate_json(fields[b"event"]))
            for _, entries in read
            for key, fields in entries
        ]

    def job_ended(self, job_id: str) -> bool:
        """Tell whether RQ counts the job as ended, well or not."""
        status = Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer).get_status()
        return status in {JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}

    def wait_for_job(self, job_id: str, within: float = 60) -> None:
        """Wait until a job has ended."""
        deadline = time.monotonic() + within
        while not self.job_ended(job_id):
            assert time.monotonic() < deadline, f"{job_id} did not end within {within} s"
            time.sleep(0.05)

    @property
    def worker(self) -> str:
        """The name of its one worker."""
        return next(facts["name"] for facts in living_workers(self.redis) if facts["pid"] == str(self.process.pid))

    def run_to_end(self, spec: EvalSpec, within: float = 60) -> Ended:
        """Run a spec through store, queue, worker and ledger until it ended and its job did.

        Strict: every transition must be the run's own and be applied, and there is one end.
        """
        run = self.store.move(self.add_run(self.store, spec).id, RunState.QUEUED, attempt=1, worker=self.worker)
        job_id = enqueue(self.redis, run, key=self.settings.effective_job_key, timeout=600)
        events: list[tuple[str, Event]] = []
        kept: RunResult | None = None
        deadline = time.monotonic() + within
        while True:
            over = self.job_ended(job_id)  # asked before reading: what is read then is all there is
            new = self.new_events()
            for entry in new:
                event = entry[1]
                if event.result is not None:
                    kept = RunResult.model_validate_json(self.artifacts.read(run.id, "result.json"))
                assert event.run_id == run.id, f"a transition of another run: {event}"
                assert self.ledger.apply([entry]) == {run.id}, f"a transition was refused: {event}"
            events += new
            if over and not new:
                break
            assert time.monotonic() < deadline, f"r{run.id} did not end within {within} s: {events}"
        ended = [event.what for _, event in events if event.what in {str(state) for state in ENDED}]
        assert len(ended) == 1, f"r{run.id} ended {len(ended)} times: {events}"
        progress = parse_progress(cast("dict[bytes, bytes]", self.redis.hgetall(progress_key(run.id))))
        assert kept is not None
        assert progress is not None
        return Ended(run=self.store.run(run.id), events=events, kept=kept, progress=progress, job_id=job_id)
