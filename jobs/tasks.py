"""The only functions a worker runs. Each is one job, in a process of its own, forked with EvalScope imported."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import get_current_job

from jobs.artifacts import ATTEMPT, UNSHIPPED, Shipper
from jobs.cancel import cancel_asked
from jobs.errors import (
    DatasetUnreachable,
    EndpointBroken,
    EndpointBusy,
    EndpointDenied,
    EndpointNotJson,
    EndpointRejected,
    EndpointSilent,
    EndpointWrongModel,
    JobKeyDiffers,
    RunCrashed,
    RunKilled,
    ScopebotError,
)
from jobs.events import Event, announce, read_progress, write_progress
from jobs.fleet import living_workers
from jobs.lease import RunLease, holder
from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Failure, Loss, PerfSpec, Progress, Reproduce, RunResult
from jobs.patience import Patience, patiently
from jobs.queue import JobPayload, JobRefused, parse_job_id, unsign
from jobs.space import ARTIFACTS, DATA, is_full, require, told
from jobs.upkeep import ship_late

if TYPE_CHECKING:
    from jobs.catalog import Catalog
    from jobs.evalscope.engine import Collected, Engine, Workplace
    from jobs.workspace import Workspace

log = structlog.get_logger(__name__)

ENDS_WITHIN = 1.2
"""Seconds in which a process that is told to end says its last word: less than it is given."""
MAY_PASS = (EndpointSilent, EndpointBusy, EndpointBroken, DatasetUnreachable, RunCrashed)
"""What a check may meet and the run's turn, hours later, may not."""
SAID_BY_ENDPOINT = (EndpointWrongModel, EndpointDenied, EndpointRejected, EndpointNotJson)
"""What an endpoint says to every host alike; other findings may be this host's own."""


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
    try:
        return Attempt(workspace, payload).evaluate()
    except Exception as error:  # a full disk, a store that is away: nobody else would say so
        log.exception("attempt broke", run=f"r{payload.run_id}", attempt=payload.attempt)
        patiently(announce_failure, workspace, payload.job_id, _broken(error, workspace.settings.folder))
        raise


def check(signed: str) -> str:
    """Check a run that waits for its turn; say so at once if it cannot succeed. Its attempt will check again."""
    from jobs.workspace import current

    workspace = current()
    payload = unsign(signed, workspace.settings.effective_job_key)
    return Check(workspace, payload).check()


def announce_failure(workspace: Workspace, job_id: str, error: ScopebotError) -> None:
    """Say that an attempt failed without having been able to say so itself."""
    run_id, attempt = parse_job_id(job_id)
    failure = Failure(code=error.code, params=error.params)
    event = Event(run_id=run_id, attempt=attempt, what="failed", worker=workspace.name, failure=failure)
    announce(workspace.redis, event)


def _broken(error: Exception, folder: Path) -> ScopebotError:
    """Return what people are told of an attempt that could not say why it failed."""
    if isinstance(error, ScopebotError):
        return error
    return told(error, folder) if is_full(error) else RunCrashed(detail=f"{type(error).__name__}: {error}"[:300])


def announce_loss(workspace: Workspace, job_id: str, error: ScopebotError, *, own: bool) -> None:
    """Say that an attempt was lost with its process (see `Loss.own`); the next one goes on from what it kept."""
    run_id, attempt = parse_job_id(job_id)
    progress = read_progress(workspace.redis, run_id)
    done, failure = 0 if progress is None else progress.done, Failure(code=error.code, params=error.params)
    loss = Loss(own=own, done=done, failure=failure)
    announce(workspace.redis, Event(run_id=run_id, attempt=attempt, what="lost", worker=workspace.name, loss=loss))


class Attempt:
    """One attempt of one run on this worker."""

    def __init__(self, workspace: Workspace, payload: JobPayload) -> None:
        self._workspace = workspace
        self._payload = payload
        self._folder = workspace.settings.folder / "work" / f"r{payload.run_id}"
        self._started_at = datetime.now(UTC)
        self._shipper = Shipper(workspace.artifacts, payload.run_id, self._folder)
        self._lease = RunLease(
            workspace.redis, payload.run_id, payload.attempt, lost=_leave_at_once, renewed=self._heed_cancel
        )
        self._engine: Engine[Any] | None = None
        self._pausing = False

    def evaluate(self) -> str:
        """Run, store the result, announce it, then write the HTML report; return the state it ended in."""
        if not self._lease.take():
            return "superseded"
        try:
            return self._evaluate()
        finally:
            self._lease.release()

    def _evaluate(self) -> str:
        self._require_space()
        self._prepare_folder()
        _redirect_output(self._folder / "worker.log")
        os.chdir(self._folder)
        structlog.contextvars.bind_contextvars(run=f"r{self._payload.run_id}", attempt=self._payload.attempt)
        self._announce("started")
        place = self._place()
        spec = self._payload.spec
        engine = self._engine = make_engine(spec, self._workspace.catalog)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        try:
            self._workspace.guard_sockets(spec.model.network)
            with self._shipper.shipping():
                engine.run(spec, place)
            collected = engine.collect(place)
            reproduce = engine.reproduce(spec, place)
        except ScopebotError as error:
            return self._fail(error, _what_there_is(engine, place))
        except Exception as error:  # a bug, ours or EvalScope's: people see the run's id, the log has the rest
            log.exception("run crashed")
            return self._fail(RunCrashed(detail=f"{type(error).__name__}: {error}"[:300]))
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what has ended has ended: let it say so
        self._succeed(collected, reproduce)
        try:
            self._add_report(engine, place)
        except Exception:  # the scores stand; only the report is missing
            log.exception("no HTML report")
        return str(RunState.SUCCEEDED)

    def _require_space(self) -> None:
        """Raise `DiskLow` before anything is begun that could not be kept."""
        settings, store = self._workspace.settings, self._workspace.artifacts.local
        least = settings.config.disk.min_free_gb
        require(settings.folder, DATA, least)
        if store is not None:
            require(store, ARTIFACTS, least)

    def _prepare_folder(self) -> None:
        """Start the first attempt in an empty folder, a later one from all that the earlier ones kept."""
        first = self._payload.attempt == 1  # what lies there is another installation's run of the same number
        if first or self._went_on_elsewhere():
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        attempt = str(self._payload.attempt)
        (self._folder / UNSHIPPED).write_text(attempt)
        source = self._payload.spec.resumes
        if not any((self._folder / name).exists() for name in ("configs", "perf")):
            # the store may hold another installation's run of the same number too: a first attempt takes nothing of it
            later = self._payload.attempt > 1
            restored = self._workspace.artifacts.restore(self._payload.run_id, self._folder) if later else 0
            if not restored and source is not None:
                beside = self._folder.with_name(f"r{source}")  # where it could not ship all, and there is room now
                ship_late(self._workspace.artifacts, self._workspace.redis, source, beside)
                self._workspace.artifacts.restore(source, self._folder)
                (self._folder / "result.json").unlink(missing_ok=True)
        (self._folder / ATTEMPT).write_text(attempt, encoding="ascii")
        if first:
            self._mark_in_store(attempt)
        for name in ("predictions", "reviews"):
            for path in (self._folder / name).rglob("*.jsonl"):
                drop_torn_lines(path)

    def _mark_in_store(self, attempt: str) -> None:
        """Let what another installation left in the store not look newer."""
        try:
            self._workspace.artifacts.write(self._payload.run_id, ATTEMPT, attempt.encode())
        except OSError:  # full or away: the folder's own copy is shipped as soon as that is possible
            log.warning("the attempt is not marked in the store", exc_info=True)

    def _went_on_elsewhere(self) -> bool:
        """Tell whether a later attempt than the last one here has kept something: on another host."""
        try:
            stored = int(self._workspace.artifacts.read(self._payload.run_id, ATTEMPT))
            return stored > int((self._folder / ATTEMPT).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return False

    def _heed_cancel(self) -> None:
        """End if that was asked for: the worker that would see to it may have been killed."""
        if cancel_asked(self._workspace.redis, self._payload.run_id):
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        """End now: with the partial score if it is cancelled or paused, else so that the next attempt goes on."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        try:
            self._tell_end()
        except Exception as error:  # Redis away: none of it may reach the interrupted code; the lease lapses by itself
            log.warning("the end of this process was not told", reason=repr(error))
        self._ship_the_rest()
        os._exit(0)

    def _tell_end(self) -> None:
        """Say with what this attempt ends; it has `ENDS_WITHIN` seconds, unless it only pauses."""
        assert self._workspace.settings.redis_url is not None
        # the interrupted code may hold the shared connection
        patience = Patience() if self._pausing else Patience(ENDS_WITHIN)
        redis = Redis.from_url(
            self._workspace.settings.redis_url, socket_timeout=ENDS_WITHIN, socket_connect_timeout=ENDS_WITHIN,
            retry=patience,
        )  # fmt: skip
        run_id, attempt = self._payload.run_id, self._payload.attempt
        cancelled = cancel_asked(redis, run_id)
        if cancelled or self._pausing:
            what, state = ("cancelled", RunState.CANCELLED) if cancelled else ("paused", RunState.PAUSED)
            collected = None if self._engine is None else self._engine.collect_partial()
            result = self._result(state, collected=collected)
            keeping = threading.Thread(target=self._keep_if_possible, args=(result, redis), daemon=True)
            keeping.start()
            keeping.join(ENDS_WITHIN / 2 if cancelled else None)  # a slow store must not cost the word of the score
            if not cancelled:  # another worker may have to go on
                self._ship_the_rest()
            event = Event.model_validate({
                "run_id": run_id, "attempt": attempt, "what": what, "worker": self._workspace.name, "result": result,
            })  # fmt: skip
            announce(redis, event)
        else:
            done = 0 if self._engine is None else self._engine.done
            failure = Failure(code=RunKilled.code, params={"worker": self._workspace.name, "signal": 15})
            loss = Loss(done=done, failure=failure)
            announce(redis, Event(run_id=run_id, attempt=attempt, what="lost", worker=self._workspace.name, loss=loss))
        self._lease.release(redis)

    def _pause(self) -> None:
        """End this attempt until a person says whether the run goes on; called from one of EvalScope's threads."""
        self._pausing = True
        os.kill(os.getpid(), signal.SIGTERM)

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
            pause=self._pause,
        )

    def _tell(self, progress: Progress) -> None:
        """Write the run's progress; Redis may be away for a while, and the next one says it all."""
        try:
            write_progress(self._workspace.redis, self._payload.run_id, progress)
        except RedisError:
            log.warning("progress not written", exc_info=True)

    def _succeed(self, collected: Collected, reproduce: Reproduce) -> None:
        result = self._result(RunState.SUCCEEDED, collected=collected, reproduce=reproduce)
        patiently(self._keep, result)
        self._announce("succeeded", result=result)
        self._ship_the_rest()

    def _fail(self, error: ScopebotError, collected: Collected | None = None) -> str:
        detail = str(error.params.get("detail", ""))
        failure = Failure(code=error.code, params=error.params, detail=detail)
        log.error("run failed", code=error.code, **{f"fact_{name}": value for name, value in error.params.items()})
        result = self._result(RunState.FAILED, collected=collected, failure=failure)
        self._keep_if_possible(result)
        self._announce("failed", result=result, failure=failure)
        self._ship_the_rest()
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

    def _keep(self, result: RunResult, redis: Redis | None = None) -> None:
        """Store result.json before anybody hears of it, unless a newer attempt speaks for the run by now."""
        if holder(redis or self._workspace.redis, result.run_id) not in {None, result.attempt}:
            _leave_at_once()
        data = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1).encode()
        self._workspace.artifacts.write(result.run_id, "result.json", data)

    def _keep_if_possible(self, result: RunResult, redis: Redis | None = None) -> None:
        """Store result.json of a run without a final score; what its event says is enough where there is no room."""
        try:
            self._keep(result, redis)
        except Exception:  # each store has errors of its own
            log.warning("result not stored", exc_info=True)

    def _ship_the_rest(self) -> None:
        """Copy what is not in the store yet; what cannot be copied now the worker copies later."""
        try:
            self._shipper.ship()
            (self._folder / UNSHIPPED).unlink(missing_ok=True)
        except Exception:  # the run's end is told; the store is full or away
            log.warning("not shipped; the worker does it later", exc_info=True)

    def _announce(self, what: str, *, result: RunResult | None = None, failure: Failure | None = None) -> None:
        event = Event.model_validate({
            "run_id": self._payload.run_id, "attempt": self._payload.attempt, "what": what,
            "worker": self._workspace.name, "result": result, "failure": failure,
        })  # fmt: skip
        patiently(announce, self._workspace.redis, event)


class Check:
    """The check of one waiting run on this host, before its first attempt."""

    def __init__(self, workspace: Workspace, payload: JobPayload) -> None:
        self._workspace = workspace
        self._payload = payload

    def check(self) -> str:
        """Return what came of it: checked, refused, undecided where it may still go well at its turn, or too late."""
        from jobs.evalscope.engine import Workplace

        run_id, spec = self._payload.run_id, self._payload.spec
        redis = self._workspace.redis
        # other runs wait for their checks, and the progress is the attempt's once it has begun
        if cancel_asked(redis, run_id) or holder(redis, run_id) is not None:
            return "late"
        self._tell("checking")
        self._workspace.guard_sockets(spec.model.network)
        place = Workplace(
            run_id=run_id, attempt=0, folder=self._workspace.settings.folder / "work" / f"r{run_id}",
            config=self._workspace.settings.config, tell=lambda _progress: None,
        )  # fmt: skip
        try:
            make_engine(spec, self._workspace.catalog).check(spec, place)
        except ScopebotError as error:
            log.info("check failed", run=f"r{run_id}", code=error.code)
            if not self._is_final(error):
                return "undecided"
            failure = Failure(code=error.code, params=error.params)
            event = Event(run_id=run_id, attempt=0, what="refused", worker=self._workspace.name, failure=failure)
            announce(self._workspace.redis, event)
            return "refused"
        self._tell("checked")
        return "checked"

    def _is_final(self, error: ScopebotError) -> bool:
        """Tell whether the run would fail with this at its turn too, wherever it is sent."""
        if isinstance(error, MAY_PASS):
            return False
        hosts = {facts["host"] for facts in living_workers(self._workspace.redis)}
        return isinstance(error, SAID_BY_ENDPOINT) or hosts <= {socket.gethostname()}

    def _tell(self, phase: Literal["checking", "checked"]) -> None:
        """Write how far the check is, unless the run has begun meanwhile: its own progress must stand."""
        if holder(self._workspace.redis, self._payload.run_id) is not None:
            return
        progress = Progress(attempt=0, phase=phase, total=self._payload.spec.total, updated_at=datetime.now(UTC))
        write_progress(self._workspace.redis, self._payload.run_id, progress)


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


def _leave_at_once() -> None:
    """End this process without a further word: a newer attempt speaks for the run."""
    os._exit(0)


def drop_torn_lines(path: Path) -> None:
    """Drop the lines that a killed process or a full disk left unfinished: EvalScope reads none of a file with one."""
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n") and _is_json(line)]
    if len(whole) != len(lines):
        draft = path.with_name(f"{path.name}.part")
        draft.write_bytes(b"".join(whole))
        draft.replace(path)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


class _Lossy(io.FileIO):
    """A log that loses what there is no room for: a full disk ends no run in the middle of a line of its log."""

    def write(self, data: Any) -> int:
        """Write, or do as if."""
        try:
            return super().write(data)
        except OSError as error:
            if not is_full(error):
                raise
            return len(memoryview(data).cast("B"))


def _redirect_output(path: Path) -> None:
    """Send this process's output, and that of all it starts, to the run's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for name, number in (("stdout", 1), ("stderr", 2)):
        buffer = io.BufferedWriter(_Lossy(number, "wb", closefd=False))
        setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8", errors="replace", write_through=True))
