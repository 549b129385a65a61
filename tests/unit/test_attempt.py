"""One attempt without a worker and without EvalScope: whatever happens to it, somebody is told, once and truly."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import RedisError

from jobs import cancel, tasks
from jobs.artifacts import UNSHIPPED
from jobs.errors import EndpointDenied, RunKilled
from jobs.evalscope.engine import Collected, Workplace
from jobs.events import EVENTS, Event, read_progress, write_progress
from jobs.lease import holder, lease_key
from jobs.models import BenchmarkResult, EvalSpec, Progress, Reproduce, RunResult
from jobs.queue import JobPayload, JobRefused, sign
from jobs.tasks import announce_loss, drop_torn_lines, evaluate
from jobs.workspace import Workspace

RUN = 7
SCORED = BenchmarkResult(name="sample_mcq", benchmark="general_mcq", metrics=(), requested=52, succeeded=3, errored=0)
NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Left(BaseException):
    """Raised in place of the process's end."""


class FakeEngine:
    """Evaluates nothing: does what a test says, and has what it says."""

    done = 3

    def __init__(self) -> None:
        self.act: Callable[[Workplace], object] = lambda _place: None
        self.report: Callable[[Workplace], bool] = lambda _place: False
        self.collected = Collected(benchmarks=(SCORED,))

    def run(self, _spec: EvalSpec, place: Workplace) -> None:
        self.act(place)

    def collect(self, _place: Workplace) -> Collected:
        return self.collected

    def collect_partial(self) -> Collected:
        return self.collected

    def reproduce(self, _spec: EvalSpec, _place: Workplace) -> Reproduce:
        return Reproduce(command="evalscope eval")

    def write_report(self, place: Workplace) -> bool:
        return self.report(place)


@pytest.fixture
def engine(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeEngine]:
    """The engine of the next attempt, in this process, which keeps its output, its sockets and its handlers."""
    engine = FakeEngine()

    def leave(_status: int) -> None:
        raise Left

    monkeypatch.setattr(tasks, "make_engine", lambda _spec, _catalog: engine)
    monkeypatch.setattr(tasks, "_redirect_output", lambda path: path.touch())
    monkeypatch.setattr(Workspace, "guard_sockets", lambda _workspace, _network: None)
    monkeypatch.setattr("jobs.workspace._current", workspace)
    monkeypatch.setattr(tasks.os, "_exit", leave)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield engine
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def attempt(workspace: Workspace, engine: FakeEngine, mock_spec: Callable[..., EvalSpec]) -> Callable[..., str]:
    """Run an attempt of run 7, as RQ does."""

    def run(number: int = 1) -> str:
        payload = JobPayload(run_id=RUN, attempt=number, spec=mock_spec())
        return evaluate(sign(payload, workspace.settings.effective_job_key))

    return run


def events(workspace: Workspace) -> list[Event]:
    return [Event.model_validate_json(fields[b"event"]) for _, fields in workspace.redis.xrange(EVENTS)]


def said(workspace: Workspace) -> list[str]:
    return [event.what for event in events(workspace)]


def kept(workspace: Workspace) -> RunResult:
    return RunResult.model_validate_json(workspace.artifacts.read(RUN, "result.json"))


def end() -> None:
    """Tell this process to end, as a worker tells its work-horse."""
    os.kill(os.getpid(), signal.SIGTERM)


# how it ends


def test_an_error_of_ours_is_told_as_it_is_with_the_result(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    def deny(_place: Workplace) -> None:
        raise EndpointDenied(url="http://h/v1", status=401, detail="no such key")

    engine.act = deny
    assert attempt() == "failed"
    assert said(workspace) == ["started", "failed"]
    failure = events(workspace)[-1].failure
    assert failure is not None
    assert (failure.code, failure.detail) == ("endpoint_denied", "no such key")
    assert kept(workspace) == events(workspace)[-1].result
    assert kept(workspace).benchmarks == (), "half an evaluation has no scores"


def test_a_bug_is_told_with_its_name_and_the_run_has_failed(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    engine.act = lambda _place: {}["missing"]
    assert attempt() == "failed"
    failure = events(workspace)[-1].failure
    assert failure is not None
    assert (failure.code, failure.params["detail"]) == ("run_crashed", "KeyError: 'missing'")
    assert holder(workspace.redis, RUN) is None


def test_a_report_that_cannot_be_written_takes_no_score_away(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    engine.report = lambda _place: bool(1 / 0)
    assert attempt() == "succeeded"
    assert said(workspace) == ["started", "succeeded"]
    assert [result.name for result in kept(workspace).benchmarks] == ["sample_mcq"]


def test_an_older_attempt_than_the_one_that_speaks_says_and_does_nothing(
    workspace: Workspace, attempt: Callable[..., str]
) -> None:
    workspace.redis.set(lease_key(RUN), "2")
    assert attempt(1) == "superseded"
    assert said(workspace) == []
    assert not (workspace.settings.folder / "work" / f"r{RUN}").exists()
    assert holder(workspace.redis, RUN) == 2


def test_an_attempt_that_was_overtaken_while_it_ran_leaves_without_a_word_or_a_result(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    engine.act = lambda _place: workspace.redis.set(lease_key(RUN), "2")
    with pytest.raises(Left):
        attempt(1)
    assert said(workspace) == ["started"]
    assert not workspace.artifacts.exists(RUN, "result.json")
    assert holder(workspace.redis, RUN) == 2


# what is told to end


def test_a_cancelled_attempt_says_its_partial_score_and_lets_go(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    cancel.ask(workspace.redis, RUN)
    engine.act = lambda _place: end()
    with pytest.raises(Left):
        attempt()
    assert said(workspace) == ["started", "cancelled"]
    assert [result.name for result in kept(workspace).benchmarks] == ["sample_mcq"]
    assert holder(workspace.redis, RUN) is None


def test_an_attempt_whose_process_is_ended_is_lost_with_what_it_had_done_and_keeps_its_files(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str]
) -> None:
    def work(place: Workplace) -> None:
        (place.folder / "predictions").mkdir()
        (place.folder / "predictions" / "p.jsonl").write_text("{}\n", encoding="utf-8")
        end()

    engine.act = work
    with pytest.raises(Left):
        attempt()
    assert said(workspace) == ["started", "lost"]
    loss = events(workspace)[-1].loss
    assert loss is not None
    assert loss.failure is not None
    assert (loss.done, loss.failure.code, loss.failure.params["signal"]) == (3, "run_killed", 15)
    assert workspace.artifacts.exists(RUN, "predictions/p.jsonl")
    assert not workspace.artifacts.exists(RUN, "result.json")
    assert holder(workspace.redis, RUN) is None, "the next attempt need not wait for it"


def test_an_attempt_that_pauses_keeps_what_another_worker_goes_on_from_before_it_says_so(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    announce, there = tasks.announce, []

    def look(redis: Any, event: Event) -> None:
        there.append((event.what, workspace.artifacts.exists(RUN, "samples.db")))
        announce(redis, event)

    monkeypatch.setattr(tasks, "announce", look)

    def ask(place: Workplace) -> None:
        (place.folder / "samples.db").write_text("five rows", encoding="utf-8")
        assert place.pause is not None
        place.pause()

    engine.act = ask
    with pytest.raises(Left):
        attempt()
    assert there == [("started", False), ("paused", True)]
    assert str(kept(workspace).state) == "paused"
    assert workspace.artifacts.read(RUN, "samples.db") == b"five rows"


def test_the_word_to_cancel_is_heard_at_the_next_renewal_where_no_worker_passes_it_on(
    workspace: Workspace, mock_spec: Callable[..., EvalSpec]
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        attempt = tasks.Attempt(workspace, JobPayload(run_id=RUN, attempt=1, spec=mock_spec()))
        attempt._heed_cancel()
        assert heard == []
        cancel.ask(workspace.redis, RUN)
        attempt._heed_cancel()
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


# what is away or full


def test_progress_that_redis_does_not_take_ends_nothing(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise RedisError("away")

    monkeypatch.setattr(tasks, "write_progress", away)
    engine.act = lambda place: place.tell(Progress(attempt=1, phase="evaluating", updated_at=datetime.now(UTC)))
    assert attempt() == "succeeded"


def test_a_failure_is_told_also_where_its_result_cannot_be_stored_and_the_rest_is_left_for_later(
    workspace: Workspace, engine: FakeEngine, attempt: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = type(workspace.artifacts).write

    def full(artifacts: Any, run_id: int, name: str, data: bytes) -> None:
        if name == "result.json":
            raise NO_ROOM
        write(artifacts, run_id, name, data)

    def away(_shipper: Any) -> int:
        raise NO_ROOM

    def deny(_place: Workplace) -> None:
        raise EndpointDenied(url="http://h/v1", status=401, detail="no")

    monkeypatch.setattr(type(workspace.artifacts), "write", full)
    monkeypatch.setattr(tasks.Shipper, "ship", away)
    engine.act = deny
    assert attempt() == "failed"
    result = events(workspace)[-1].result
    assert result is not None
    assert result.failure is not None
    assert result.failure.code == "endpoint_denied"
    assert (workspace.settings.folder / "work" / f"r{RUN}" / UNSHIPPED).exists(), "the worker ships it later"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NO_ROOM, "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied"), "run_crashed"),
        (EndpointDenied(url="http://h", status=401, detail="no"), "endpoint_denied"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_attempt_that_cannot_even_begin_is_told_as_failed(
    workspace: Workspace,
    attempt: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
) -> None:
    def fail(_attempt: Any) -> None:
        raise error

    monkeypatch.setattr(tasks.Attempt, "_prepare_folder", fail)
    with pytest.raises(type(error)):
        attempt()
    assert said(workspace) == ["failed"]
    event = events(workspace)[0]
    assert event.failure is not None
    assert (event.failure.code, event.attempt, event.worker) == (code, 1, workspace.name)
    assert holder(workspace.redis, RUN) is None


def test_a_job_of_another_key_runs_nothing(workspace: Workspace, engine: FakeEngine) -> None:
    with pytest.raises(JobRefused):
        evaluate("not signed")
    assert said(workspace) == []


@pytest.mark.parametrize("done", [None, 12])
def test_an_attempt_lost_with_its_process_is_told_with_the_progress_it_had(
    workspace: Workspace, done: int | None
) -> None:
    if done is not None:
        progress = Progress(attempt=2, phase="evaluating", done=done, updated_at=datetime.now(UTC))
        write_progress(workspace.redis, RUN, progress)
        assert read_progress(workspace.redis, RUN) is not None
    announce_loss(workspace, f"r{RUN}-a2", RunKilled(worker=workspace.name, signal=9), own=True)
    (event,) = events(workspace)
    assert event.loss is not None
    assert event.loss.failure is not None
    assert (event.run_id, event.attempt, event.what) == (RUN, 2, "lost")
    assert (event.loss.done, event.loss.failure.params["signal"]) == (done or 0, 9)


# what it writes


@pytest.mark.parametrize(
    ("written", "left"),
    [
        (b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n{"a": 2}\n'),
        (b'{"a": 1}\n{"a": 2', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"a": 2}', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"a\n{"a": 3}\n', b'{"a": 1}\n{"a": 3}\n'),
        (b'{"a": "\xff\n', b""),
        (b"", b""),
    ],
)
def test_lines_that_were_not_written_to_their_end_are_dropped_and_the_others_stay(
    tmp_path: Path, written: bytes, left: bytes
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(written)
    drop_torn_lines(path)
    assert path.read_bytes() == left
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_on_a_full_disk_loses_its_lines_and_ends_nothing() -> None:
    with Path("/dev/full").open("wb") as full, tasks._Lossy(full.fileno(), "wb", closefd=False) as log:
        assert log.write("无".encode()) == 3
        with io.TextIOWrapper(io.BufferedWriter(log), encoding="utf-8", write_through=True) as text:
            text.write("a line\n")


def test_a_log_that_cannot_be_written_for_another_reason_says_so() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with tasks._Lossy(writing, "wb", closefd=False) as log, pytest.raises(BrokenPipeError):
            log.write(b"x")
    finally:
        os.close(writing)
