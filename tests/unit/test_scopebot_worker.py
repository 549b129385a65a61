"""The worker around its runs: it ends them and what they started, says what they cannot, and waits where it must."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from redis import RedisError, ResponseError
from redis import TimeoutError as RedisLate
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs import guarded
from jobs import worker as module
from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.errors import ArtifactsDiffer, ConfigInvalid
from jobs.events import EVENTS, Event
from jobs.fleet import WAKE, leave, living_workers
from jobs.light import run_light
from jobs.queue import open_queue
from jobs.same_store import publish
from jobs.worker import Heartbeat, ScopebotWorker, run_worker
from jobs.workspace import Workspace
from tests.support.endpoint import wait_until

FULL = ResponseError("MISCONF Errors writing to the AOF file: No space left on device")
JOB = cast("Job", SimpleNamespace(id="r7-a2"))
QUEUE, EXECUTION = cast("Queue", None), cast("Any", None)


@pytest.fixture
def worker(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> ScopebotWorker:
    monkeypatch.setattr("jobs.workspace._current", workspace)
    monkeypatch.setattr(guarded, "LOOK_FOR_ROOM_EVERY", 0.01)
    queue = open_queue(workspace.redis, workspace.name)
    return ScopebotWorker([queue], name=workspace.name, connection=workspace.redis, serializer=JSONSerializer)


def events(workspace: Workspace) -> list[Event]:
    return [Event.model_validate_json(fields[b"event"]) for _, fields in workspace.redis.xrange(EVENTS)]


def rq(monkeypatch: pytest.MonkeyPatch, method: str, *outcomes: Any) -> list[Any]:
    """Let RQ's own method raise or return these, one after another; return the list of its calls."""
    left, calls = iter(outcomes), []

    def act(_self: Any, *args: Any, **_kwargs: Any) -> Any:
        calls.append(args)
        outcome = next(left)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(Worker, method, act)
    return calls


# ending a run


@contextmanager
def horse(worker: ScopebotWorker, script: str) -> Iterator[psutil.Process]:
    """A run's process in a group of its own, with a child; its parent waits for it, as RQ does."""
    process = subprocess.Popen(
        ["sh", "-c", script], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        worker._horse_pid = process.pid
        waiting = threading.Thread(target=process.wait)
        waiting.start()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
            waiting.join()


DEAF = "trap '' TERM; sleep 60 & echo ready; sleep 60"
GOOD = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done"


def test_a_run_that_does_not_end_is_killed_after_its_grace_with_all_it_started(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.3)
    with horse(worker, DEAF) as process:
        wait_until(lambda: len(process.children()) == 2)
        family = [process, *process.children()]
        begun = time.monotonic()
        worker.kill_horse()
        assert time.monotonic() - begun >= 0.3
        _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_run_that_ends_when_told_is_not_waited_for_longer(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 30)
    with horse(worker, GOOD):
        begun = time.monotonic()
        worker.kill_horse()
        assert time.monotonic() - begun < 15


def test_what_a_run_left_behind_in_its_group_ends_with_it_and_the_dispatcher_is_woken(
    worker: ScopebotWorker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rq(monkeypatch, "monitor_work_horse", None)
    with horse(worker, DEAF) as process:
        wait_until(lambda: len(process.children()) == 2)
        family = [process, *process.children()]
        worker.monitor_work_horse(JOB, QUEUE, EXECUTION)
        _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert workspace.redis.llen(WAKE) == 1


@pytest.mark.parametrize("way", ["ended on request", "killed"])
def test_a_run_that_could_not_say_its_end_itself_is_told_as_lost(
    worker: ScopebotWorker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "killed":
        rq(monkeypatch, "handle_work_horse_killed", None)
        worker.handle_work_horse_killed(JOB, 1, int(signal.SIGKILL), cast("Any", None))
    else:
        rq(monkeypatch, "_handle_stopped_job", None)
        worker._handle_stopped_job(JOB, QUEUE, EXECUTION)
    (event,) = events(workspace)
    assert (event.run_id, event.attempt, event.what, event.worker) == (7, 2, "lost", "host-1")
    assert event.loss is not None
    assert event.loss.failure is not None
    assert (event.loss.failure.code, event.loss.failure.params["signal"]) == ("run_killed", 9)


def test_a_run_whose_process_exited_without_a_word_is_told_as_lost_by_its_own_fault(
    worker: ScopebotWorker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rq(monkeypatch, "handle_work_horse_killed", None)
    worker.handle_work_horse_killed(JOB, 1, 1 << 8, cast("Any", None))
    (event,) = events(workspace)
    assert event.loss is not None
    assert (event.what, event.loss.own, event.loss.failure.code) == ("lost", True, "run_crashed")


# Redis away


def test_a_run_goes_on_while_redis_takes_no_heartbeat_of_it_and_a_bug_is_not_hidden(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = rq(monkeypatch, "maintain_heartbeats", RedisError("away"), KeyError("a bug"))
    worker.maintain_heartbeats(JOB, EXECUTION)
    with pytest.raises(KeyError):
        worker.maintain_heartbeats(JOB, EXECUTION)
    assert len(tried) == 2


def test_the_word_to_stop_is_listened_for_on_when_redis_answers_late(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(Worker, "_pubsub_exception_handler", lambda _self, error, *_: heard.append(error))
    for error in (RedisLate("late"), ResponseError("another")):
        worker._pubsub_exception_handler(error, cast("Any", None), cast("Any", None))
    late, another = heard
    assert isinstance(late, module.RedisAway), "RQ tries these again and gives up on others"
    assert str(late) == "late"
    assert isinstance(another, ResponseError)


# Redis full


def test_a_worker_waits_until_redis_takes_something_again_and_then_takes_its_job(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rq(monkeypatch, "dequeue_job_and_maintain_ttl", FULL, FULL, (JOB, QUEUE))
    full = iter([FULL, FULL])
    taken: list[str] = []

    def set_(name: str, *_args: Any, **_kwargs: Any) -> None:
        error = next(full, None)
        if error is not None:
            raise error
        taken.append(name)

    monkeypatch.setattr(worker.connection, "set", set_)
    assert worker.dequeue_job_and_maintain_ttl(1) == (JOB, QUEUE)
    assert len(taken) == 2, "once for each time it was full, when there was room again"


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE"), ResponseError("NOAUTH")], ids=str)
def test_another_refusal_of_redis_is_not_waited_for(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch, error: ResponseError
) -> None:
    rq(monkeypatch, "dequeue_job_and_maintain_ttl", error)
    with pytest.raises(ResponseError, match=str(error)):
        worker.dequeue_job_and_maintain_ttl(1)


def test_another_refusal_while_it_waits_is_raised_too(worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise ResponseError("NOAUTH")

    rq(monkeypatch, "dequeue_job_and_maintain_ttl", FULL)
    monkeypatch.setattr(worker.connection, "set", refuse)
    with pytest.raises(ResponseError, match="NOAUTH"):
        worker.dequeue_job_and_maintain_ttl(1)


def test_maintenance_on_a_full_redis_ends_no_worker_and_folders_are_looked_after_now_and_then(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tended: list[Workspace] = []
    monkeypatch.setattr(module, "tend", tended.append)
    rq(monkeypatch, "run_maintenance_tasks", FULL, None, None)
    worker.run_maintenance_tasks()
    worker.run_maintenance_tasks()
    assert len(tended) == 1, "the second time comes too soon"
    worker._tended -= module.TEND_EVERY
    worker.run_maintenance_tasks()
    assert len(tended) == 2


def test_a_job_that_redis_has_no_room_for_ends_no_worker(
    worker: ScopebotWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.guarded.check_job", lambda _job, _tasks: None)
    tried = rq(monkeypatch, "execute_job", FULL)
    worker.execute_job(JOB, QUEUE)
    assert len(tried) == 1


# signs of life


@pytest.fixture
def heartbeat(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heartbeat]:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    heartbeat = Heartbeat(workspace, publish(workspace.artifacts, workspace.redis, others=False))
    yield heartbeat
    if heartbeat._thread.is_alive():
        heartbeat.stop()


def alive(workspace: Workspace) -> list[str]:
    return [facts["name"] for facts in living_workers(workspace.redis)]


def test_a_worker_lives_from_its_first_beat_and_wakes_the_dispatcher_once(
    workspace: Workspace, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[str] = []
    beat = module.beat

    def counted(redis: Any, name: str, evalscope: str) -> None:
        beat(redis, name, evalscope)
        beats.append(name)

    monkeypatch.setattr(module, "beat", counted)
    heartbeat.start()
    wait_until(lambda: len(beats) >= 3)
    assert alive(workspace) == ["host-1"]
    assert workspace.redis.llen(WAKE) == 1


def test_a_worker_that_has_left_does_not_come_back_by_a_late_beat(workspace: Workspace, heartbeat: Heartbeat) -> None:
    heartbeat.start()
    wait_until(lambda: alive(workspace) == ["host-1"])
    heartbeat.stop()
    leave(workspace.redis, "host-1")
    time.sleep(0.1)
    assert alive(workspace) == []


def test_a_beat_that_redis_does_not_take_is_followed_by_the_next(
    workspace: Workspace, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = iter([RedisError("away")] * 3)
    beat = module.beat

    def sometimes(redis: Any, name: str, evalscope: str) -> None:
        error = next(away, None)
        if error is not None:
            raise error
        beat(redis, name, evalscope)

    monkeypatch.setattr(module, "beat", sometimes)
    heartbeat.start()
    wait_until(lambda: alive(workspace) == ["host-1"])
    assert next(away, None) is None


def test_a_worker_whose_bot_has_moved_to_another_store_is_told_to_end_once(
    workspace: Workspace, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(module.os, "kill", lambda *signalled: told.append(signalled))
    heartbeat._look_at_the_store(workspace.redis)
    assert heartbeat.wrong_store is None
    publish(Artifacts(f"file://{tmp_path}/moved"), workspace.redis, others=False)
    heartbeat._look_at_the_store(workspace.redis)
    heartbeat._look_at_the_store(workspace.redis)
    assert isinstance(heartbeat.wrong_store, ArtifactsDiffer)
    assert told == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.parametrize("run", [run_worker, run_light])
def test_neither_process_of_a_worker_starts_without_redis(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, run: Callable[[Settings], None]
) -> None:
    monkeypatch.setattr("jobs.light.die_with_parent", lambda: None)
    monkeypatch.setattr("jobs.light.os.nice", lambda _increment: 0)
    with pytest.raises(ConfigInvalid) as told:
        run(settings)
    assert told.value.params["file"] == "REDIS_URL"
