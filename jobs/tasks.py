"""The only functions a worker runs. Each is one job, in a process of its own, forked with EvalScope imported."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import RedisError
from rq import get_current_job

from jobs.artifacts import Shipper
from jobs.errors import JobKeyDiffers, RunCrashed, ScopebotError
from jobs.events import Event, announce, write_progress
from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Failure, PerfSpec, Progress, Reproduce, RunResult
from jobs.queue import JobPayload, JobRefused, parse_job_id, unsign

if TYPE_CHECKING:
    from jobs.catalog import Catalog
    from jobs.evalscope.engine import Collected, Engine, Workplace
    from jobs.workspace import Workspace

log = structlog.get_logger(__name__)


def evaluate(signed: str) -> str:
    """Evaluate one attempt of one run; everything it has to say goes through Redis and the artifact store."""
    from jobs.workspace import current

    workspace = current()
    try:
        payload = unsign(signed, workspace.settings.effective_job_key)
    except JobRefused:
        job = get_current_job()
        if job is not None:
            announce_failure(workspace, job.id, JobKeyDiffers(worker=workspace.name))
        raise
    return Attempt(workspace, payload).evaluate()


def announce_failure(workspace: Workspace, job_id: str, error: ScopebotError) -> None:
    """Say that an attempt failed without having been able to say so itself."""
    run_id, attempt = parse_job_id(job_id)
    failure = Failure(code=error.code, params=error.params)
    announce(
        workspace.redis,
        Event(run_id=run_id, attempt=attempt, what="failed", worker=workspace.name, failure=failure),
    )


class Attempt:
    """One attempt of one run on this worker."""

    def __init__(self, workspace: Workspace, payload: JobPayload) -> None:
        self._workspace = workspace
        self._payload = payload
        self._folder = workspace.settings.folder / "work" / f"r{payload.run_id}"
        self._started_at = datetime.now(UTC)
        self._shipper = Shipper(workspace.artifacts, payload.run_id, self._folder)

    def evaluate(self) -> str:
        """Run, store the result, announce it, then write the HTML report; return the state it ended in."""
        if self._payload.attempt == 1:  # what lies there is another installation's run of the same number
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        _redirect_output(self._folder / "worker.log")
        os.chdir(self._folder)
        structlog.contextvars.bind_contextvars(run=f"r{self._payload.run_id}", attempt=self._payload.attempt)
        self._announce("started")
        place = self._place()
        spec = self._payload.spec
        engine = make_engine(spec, self._workspace.catalog)
        try:
            self._workspace.guard_sockets(spec.model.network)
            with self._shipper.shipping_logs():
                engine.run(spec, place)
            collected = engine.collect(place)
            reproduce = engine.reproduce(spec, place)
        except ScopebotError as error:
            return self._fail(error, _what_there_is(engine, place))
        except Exception as error:  # a bug, ours or EvalScope's: people see the run's id, the log has the rest
            log.exception("run crashed")
            return self._fail(RunCrashed(detail=f"{type(error).__name__}: {error}"[:300]))
        self._succeed(collected, reproduce)
        try:
            self._add_report(engine, place)
        except Exception:  # the scores stand; only the report is missing
            log.exception("no HTML report")
        return str(RunState.SUCCEEDED)

    def _add_report(self, engine: Engine[Any], place: Workplace) -> None:
        """Write the HTML report, which may follow the scores, and what it loads."""
        from jobs.evalscope.fixes import PLOTLY_JS, plotly_script

        if engine.write_report(place):
            self._workspace.artifacts.share(PLOTLY_JS, plotly_script())
            self._shipper.ship()
            self._announce("report")

    def _place(self) -> Workplace:
        from jobs.evalscope.engine import Workplace

        return Workplace(
            run_id=self._payload.run_id,
            attempt=self._payload.attempt,
            folder=self._folder,
            config=self._workspace.settings.config,
            tell=self._tell,
        )

    def _tell(self, progress: Progress) -> None:
        """Write the run's progress; Redis may be away for a while, and the next one says it all."""
        try:
            write_progress(self._workspace.redis, self._payload.run_id, progress)
        except RedisError:
            log.warning("progress not written", exc_info=True)

    def _succeed(self, collected: Collected, reproduce: Reproduce) -> None:
        result = self._result(RunState.SUCCEEDED, collected=collected, reproduce=reproduce)
        self._keep(result)
        self._announce("succeeded", result=result)
        self._shipper.ship()

    def _fail(self, error: ScopebotError, collected: Collected | None = None) -> str:
        detail = str(error.params.get("detail", ""))
        failure = Failure(code=error.code, params=error.params, detail=detail)
        log.error("run failed", code=error.code, **{f"fact_{name}": value for name, value in error.params.items()})
        result = self._result(RunState.FAILED, collected=collected, failure=failure)
        self._keep(result)
        self._announce("failed", result=result, failure=failure)
        self._shipper.ship()
        return str(RunState.FAILED)

    def _result(
        self,
        state: RunState,
        *,
        collected: Collected | None = None,
        reproduce: Reproduce | None = None,
        failure: Failure | None = None,
    ) -> RunResult:
        return RunResult(
            run_id=self._payload.run_id,
            attempt=self._payload.attempt,
            state=state,
            model=self._payload.spec.model.name,
            benchmarks=collected.benchmarks if collected else (),
            perf=collected.perf if collected else (),
            failure=failure,
            started_at=self._started_at,
            ended_at=datetime.now(UTC),
            worker=self._workspace.name,
            reproduce=reproduce,
        )

    def _keep(self, result: RunResult) -> None:
        """Store result.json before anybody hears of it."""
        data = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1).encode()
        self._workspace.artifacts.write(result.run_id, "result.json", data)

    def _announce(self, what: str, *, result: RunResult | None = None, failure: Failure | None = None) -> None:
        event = Event.model_validate({
            "run_id": self._payload.run_id, "attempt": self._payload.attempt, "what": what,
            "worker": self._workspace.name, "result": result, "failure": failure,
        })  # fmt: skip
        announce(self._workspace.redis, event)


def make_engine(spec: EvalSpec | PerfSpec, catalog: Catalog) -> Engine[Any]:
    """Return what runs a spec of this kind."""
    if isinstance(spec, PerfSpec):
        from jobs.evalscope.perf import PerfEngine

        return PerfEngine()
    from jobs.evalscope.eval import EvalEngine

    return EvalEngine(catalog)


def _what_there_is(engine: Engine[Any], place: Workplace) -> Collected | None:
    """Return the levels that a stress test finished before it failed; half an evaluation has no scores."""
    from jobs.evalscope.perf import PerfEngine

    return engine.collect(place) if isinstance(engine, PerfEngine) else None


def _redirect_output(path: Path) -> None:
    """Send this process's output, and that of all it starts, to the run's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
