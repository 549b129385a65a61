"""The queue: what a worker is told is signed, in JSON, and once per attempt; what it says comes back as it was."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.events import EVENTS, PROGRESS_TTL, Event, announce, parse_progress, progress_key, write_progress
from jobs.fleet import ALIVE_FOR, WORKERS, beat, leave, living_workers
from jobs.lifecycle import RunState
from jobs.light import CheckWorker
from jobs.models import DatasetTarget, EvalSpec, Interval, ModelTarget, Progress, Run, RunningScore
from jobs.queue import EVAL_TASK, JobPayload, JobRefused, enqueue, open_queue, sign, unsign
from jobs.worker import ScopebotWorker, how_it_ended
from jobs.workspace import Workspace

KEY = "k" * 64
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
SPEC = EvalSpec(
    model=ModelTarget(name="m", model="m", eval_type="openai_api", api_url="https://h/v1", key="prod"),
    datasets=(DatasetTarget(name="gsm8k", benchmark="gsm8k", subsets={"main": 1319}),),
    limit=10,
)
PAYLOAD = JobPayload(run_id=12, attempt=1, spec=SPEC)
SIGNED = sign(PAYLOAD, KEY)


def run(attempt: int = 1) -> Run:
    return Run(id=12, group_id=1, spec=SPEC, state=RunState.QUEUED, attempt=attempt, worker="w1", created_at=NOW)


# signing


def test_what_was_signed_is_read_by_the_holder_of_the_key() -> None:
    assert unsign(SIGNED, KEY) == PAYLOAD


BODY, _, SIGNATURE = SIGNED.rpartition(".")


def refused_or_the_same_signature_in_other_letters(changed: str) -> bool:
    """Base64 has spare bits and skips foreign letters: one signature has several spellings. What it signs has one."""
    try:
        found = unsign(changed, KEY)
    except JobRefused:
        return True
    return changed.rpartition(".")[0] == BODY and found == PAYLOAD


@given(st.integers(0, len(BODY)), st.text(max_size=10), st.integers(0, 10))
def test_any_change_of_what_is_signed_is_refused(position: int, inserted: str, deleted: int) -> None:
    changed = BODY[:position] + inserted + BODY[position + deleted :]
    if changed != BODY:
        with pytest.raises(JobRefused):
            unsign(f"{changed}.{SIGNATURE}", KEY)


@given(st.integers(0, len(SIGNED)), st.text(max_size=10), st.integers(0, 10))
@example(len(SIGNED) - 1, "~", 0)
@example(len(SIGNED), "=", 0)
def test_no_change_anywhere_gives_another_job(position: int, inserted: str, deleted: int) -> None:
    assert refused_or_the_same_signature_in_other_letters(SIGNED[:position] + inserted + SIGNED[position + deleted :])


@given(st.binary(min_size=0, max_size=64))
def test_no_other_signature_passes(signature: bytes) -> None:
    letters = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    if letters != SIGNATURE:
        with pytest.raises(JobRefused):
            unsign(f"{BODY}.{letters}", KEY)


@given(st.text(max_size=200))
def test_no_other_text_is_taken_for_a_job(text: str) -> None:
    with pytest.raises(JobRefused):
        unsign(text, KEY)


@given(st.text(min_size=1, max_size=70).filter(lambda key: key != KEY))
def test_no_other_key_opens_or_makes_a_job(key: str) -> None:
    with pytest.raises(JobRefused):
        unsign(SIGNED, key)
    with pytest.raises(JobRefused):
        unsign(sign(PAYLOAD, key), KEY)


def test_a_text_signed_for_another_purpose_is_refused() -> None:
    other = URLSafeSerializer(KEY, salt="link").dumps(PAYLOAD.model_dump(mode="json"))
    with pytest.raises(JobRefused):
        unsign(str(other), KEY)


def test_a_signed_text_of_another_job_does_not_pass_for_this_one() -> None:
    other = sign(PAYLOAD.model_copy(update={"run_id": 13}), KEY)
    body, other_body = SIGNED.rpartition(".")[0], other.rpartition(".")[0]
    with pytest.raises(JobRefused):
        unsign(SIGNED.replace(body, other_body), KEY)


def test_a_job_carries_the_name_of_a_key_and_never_a_key() -> None:
    fields = set(PAYLOAD.model_dump()["spec"]["model"])
    assert fields == {"name", "model", "eval_type", "api_url", "key", "network", "model_args"}


# the queue


def fetch(redis: Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=redis, serializer=JSONSerializer)


def test_an_attempt_becomes_a_job_named_after_it(redis_client: Redis) -> None:
    assert enqueue(redis_client, run(), key=KEY, timeout=60.5) == "r12-a1"
    job = fetch(redis_client, "r12-a1")
    assert job.func_name == EVAL_TASK
    assert unsign(job.args[0], KEY) == PAYLOAD
    assert (job.kwargs, job.timeout, job.origin) == ({}, 60, open_queue(redis_client, "w1").name)


def test_a_second_enqueue_of_the_same_attempt_does_nothing(redis_client: Redis) -> None:
    enqueue(redis_client, run(), key=KEY, timeout=60)
    assert enqueue(redis_client, run(), key=KEY, timeout=99) == "r12-a1"
    assert open_queue(redis_client, "w1").job_ids == ["r12-a1"]
    assert fetch(redis_client, "r12-a1").timeout == 60


def test_the_next_attempt_is_a_job_of_its_own(redis_client: Redis) -> None:
    enqueue(redis_client, run(), key=KEY, timeout=60)
    enqueue(redis_client, run(attempt=2), key=KEY, timeout=60)
    assert open_queue(redis_client, "w1").job_ids == ["r12-a1", "r12-a2"]


def test_a_job_lies_on_redis_as_json_and_not_as_a_pickle(redis_client: Redis) -> None:
    enqueue(redis_client, run(), key=KEY, timeout=60)
    raw = cast("dict[bytes, bytes]", redis_client.hgetall("rq:job:r12-a1"))[b"data"]
    with suppress(zlib.error):
        raw = zlib.decompress(raw)
    name, _, args, kwargs = json.loads(raw)
    assert name == EVAL_TASK
    assert unsign(args[0], KEY) == PAYLOAD
    assert kwargs == {}


def test_the_only_task_is_evaluate_and_it_can_be_found() -> None:
    import jobs.tasks

    assert {"jobs.tasks.evaluate"} == ScopebotWorker.tasks
    assert {"jobs.tasks.check"} == CheckWorker.tasks
    assert callable(jobs.tasks.evaluate)


# what comes back


SCORES = st.builds(
    RunningScore,
    benchmark=st.text(max_size=10),
    metric=st.text(max_size=10),
    score=st.floats(-1e6, 1e6),
    scale=st.sampled_from([1, 100]),
    unit=st.sampled_from(["", "%"]),
    num=st.integers(0, 10_000),
    interval=st.none() | st.builds(Interval, low=st.floats(0, 1), high=st.floats(0, 1), method=st.just("wilson")),
)
PROGRESS = st.builds(
    Progress,
    attempt=st.integers(1, 9),
    phase=st.sampled_from(["starting", "checking", "loading", "evaluating", "reporting", "ended"]),
    benchmark=st.text(max_size=20),
    done=st.integers(0, 10**6),
    total=st.none() | st.integers(0, 10**6),
    errors=st.integers(0, 100),
    rate=st.none() | st.floats(0, 1e6),
    eta=st.none() | st.floats(0, 1e9),
    scores=st.lists(SCORES, max_size=3).map(tuple),
    updated_at=st.datetimes(timezones=st.just(UTC)),
)


class Hash:
    """As much of Redis as writing a progress needs: what is stored is what Redis would give back."""

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}

    def pipeline(self) -> Hash:
        return self

    def delete(self, _key: str) -> None:
        self.fields = {}

    def hset(self, _key: str, *, items: list[Any]) -> None:
        self.fields |= {str(k).encode(): str(v).encode() for k, v in zip(items[::2], items[1::2], strict=True)}

    def expire(self, _key: str, _seconds: int) -> None: ...

    def execute(self) -> None: ...


@given(PROGRESS)
def test_any_progress_comes_back_from_its_hash_as_it_was(progress: Progress) -> None:
    redis = Hash()
    write_progress(cast("Redis", redis), 1, progress)
    assert parse_progress(redis.fields) == progress


def test_no_hash_is_no_progress() -> None:
    assert parse_progress({}) is None


def test_progress_overwrites_all_that_was_there_and_ends_some_day(redis_client: Redis) -> None:
    first = Progress(attempt=1, phase="evaluating", done=5, total=10, rate=2.0, eta=2.5, updated_at=NOW)
    second = Progress(attempt=2, phase="loading", updated_at=NOW)
    for progress in (first, second):
        write_progress(redis_client, 12, progress)
        assert parse_progress(cast("dict[bytes, bytes]", redis_client.hgetall(progress_key(12)))) == progress
    assert 0 < cast("int", redis_client.ttl(progress_key(12))) <= PROGRESS_TTL


def test_transitions_come_back_in_the_order_they_were_announced(redis_client: Redis) -> None:
    sent = [Event(run_id=12, attempt=1, what=what, worker="w") for what in ("started", "succeeded", "report")]
    for event in sent:
        announce(redis_client, event)
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis_client.xrange(EVENTS))
    assert [Event.model_validate_json(fields[b"event"]) for _, fields in entries] == sent


def test_a_worker_lives_while_it_says_so_and_is_gone_when_it_leaves(redis_client: Redis) -> None:
    beat(redis_client, "b-2", "1.14.1")
    beat(redis_client, "a-1", "1.14.1")
    assert [(worker["name"], worker["evalscope"]) for worker in living_workers(redis_client)] == [
        ("a-1", "1.14.1"), ("b-2", "1.14.1"),
    ]  # fmt: skip
    leave(redis_client, "a-1")
    assert [worker["name"] for worker in living_workers(redis_client)] == ["b-2"]


def test_a_worker_that_says_nothing_for_long_counts_as_gone(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(redis_client, "a-1", "1")
    seen = float(json.loads(cast("bytes", redis_client.hget(WORKERS, "a-1")))["seen"])
    monkeypatch.setattr("jobs.fleet.time.time", lambda: seen + ALIVE_FOR - 0.1)
    assert living_workers(redis_client)
    monkeypatch.setattr("jobs.fleet.time.time", lambda: seen + ALIVE_FOR + 0.1)
    assert not living_workers(redis_client)


def test_a_task_refuses_a_job_before_it_touches_anything(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, add_run: Callable[..., Run]
) -> None:
    from jobs import tasks

    monkeypatch.setattr("jobs.workspace._current", workspace)
    for text in (SIGNED, "", "a.b", sign(PAYLOAD, "other")):
        with pytest.raises(JobRefused):
            tasks.evaluate(text)
    assert not (workspace.settings.folder / "work").exists()
    assert workspace.redis.keys("*") == []


@pytest.mark.parametrize(
    ("status", "told"),
    [(9, ("run_killed", {"worker": "w1", "signal": 9})), (None, ("run_killed", {"worker": "w1", "signal": 9})),
     (1 << 8, ("run_crashed", {"detail": "its process ended with status 1"}))],
)  # fmt: skip
def test_a_process_that_died_is_told_of_by_how_it_ended(
    status: int | None, told: tuple[str, dict[str, object]]
) -> None:
    error = how_it_ended(status, "w1")
    assert (error.code, error.params) == told
