"""The dispatcher finds the attempts for which nobody will ever speak again, and only those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from redis import ConnectionError as RedisAway
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from support.peers import FakePeers

from bot import dispatcher as module
from bot.alive import Alive, Lease
from bot.dispatcher import Dispatcher
from jobs.config import Settings
from jobs.db import migrate, open_engine
from jobs.events import write_progress
from jobs.fleet import beat, leave
from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import ModelTarget, PerfSpec, Progress, Run
from jobs.queue import open_checks, open_queue
from jobs.store import Store

KEY = "k" * 64


class Clock:
    """The dispatcher's clock, set by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = open_engine(f"sqlite:///{tmp_path / 'scopebot.db'}")
    migrate(engine)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def dispatcher(make_settings: Callable[..., Settings], store: Store, redis_client: Redis, clock: Clock) -> Dispatcher:
    beat(redis_client, "w1", "1.14.1")
    return Dispatcher(
        settings=make_settings(job_key=KEY), store=store, queue=redis_client,
        redis=cast("Any", None), lease=cast("Any", None),
    )  # fmt: skip


@pytest.fixture
def sent(dispatcher: Dispatcher, store: Store, add_run: Callable[..., Run]) -> Run:
    """A run that was sent to w1."""
    run = add_run(store)
    dispatcher.dispatch()
    sent = store.run(run.id)
    assert (sent.state, sent.attempt, sent.worker) == (RunState.QUEUED, 1, "w1")
    return sent


def dispatch_after(seconds: float, dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.dispatch()
    clock.now += seconds
    dispatcher.dispatch()


def job_of(redis: Redis, run: Run) -> Job:
    return Job.fetch(f"{run.name}-a{run.attempt}", connection=redis, serializer=JSONSerializer)


def test_a_run_whose_job_still_waits_on_a_living_workers_queue_is_never_lost(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run
) -> None:
    dispatch_after(3600, dispatcher, clock)
    assert store.run(sent.id) == sent


def test_a_run_whose_job_a_living_worker_took_and_failed_silently_is_sent_again(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    redis_client.lmove(open_queue(redis_client, "w1").key, "taken", "RIGHT", "LEFT")
    job_of(redis_client, sent).set_status(JobStatus.FAILED)
    dispatch_after(14, dispatcher, clock)
    assert store.run(sent.id).attempt == 1
    dispatch_after(2, dispatcher, clock)
    again = store.run(sent.id)
    assert (again.state, again.attempt) == (RunState.QUEUED, 2)
    assert open_queue(redis_client, "w1").job_ids == [f"{sent.name}-a2"]


def test_a_job_that_vanished_with_its_redis_is_put_back_on_its_queue(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    redis_client.flushdb()
    beat(redis_client, "w1", "1.14.1")
    dispatch_after(60, dispatcher, clock)
    assert store.run(sent.id) == sent
    assert open_queue(redis_client, "w1").job_ids == [f"{sent.name}-a1"]


def test_a_run_whose_worker_took_it_and_is_gone_is_lost_once_it_has_been_silent_for_a_while(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    store.move(sent.id, RunState.RUNNING)
    leave(redis_client, "w1")
    dispatch_after(5, dispatcher, clock)
    assert store.run(sent.id).state is RunState.RUNNING
    dispatch_after(2, dispatcher, clock)
    assert store.run(sent.id).state is RunState.WAITING


def test_after_an_outage_in_which_every_lease_lapsed_no_run_is_lost_that_speaks_again_soon(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    running = store.move(sent.id, RunState.RUNNING)
    leave(redis_client, "w1")
    dispatch_after(5, dispatcher, clock)
    redis_client.set(lease_key(sent.id), "1")  # its process was waiting for Redis
    beat(redis_client, "w1", "1.14.1")
    dispatch_after(60, dispatcher, clock)
    assert store.run(sent.id) == running


def test_an_attempt_whose_worker_is_killed_goes_on_without_it(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    running = store.move(sent.id, RunState.RUNNING)
    redis_client.set(lease_key(sent.id), "1")  # the work-horse lives on
    leave(redis_client, "w1")
    dispatch_after(60, dispatcher, clock)
    assert store.run(sent.id) == running


async def test_the_dispatchers_lease_passes_on_at_once_where_its_holder_is_known_to_be_dead(
    client: AsyncRedis,
) -> None:
    grave: set[str] = set()
    first, second = (Lease(client, cast("Alive", FakePeers(name, grave)), "dispatch") for name in ("one", "two"))
    assert await first.hold()
    assert not await second.hold()
    grave.add("one")
    assert await second.hold()
    assert not await first.hold()


class Away:
    """A Redis that is away."""

    async def blpop(self, *_: object, **__: object) -> None:
        raise RedisAway


async def outage(dispatcher: Dispatcher) -> None:
    dispatcher._redis = cast("Any", Away())
    with pytest.raises(RedisAway):
        await dispatcher.run()


@pytest.mark.asyncio
async def test_a_check_that_redis_lost_in_an_outage_is_asked_for_again(
    dispatcher: Dispatcher, store: Store, redis_client: Redis, sent: Run, add_run: Callable[..., Run]
) -> None:
    waiting = add_run(store)
    dispatcher.dispatch()
    assert open_checks(redis_client).job_ids == [f"{waiting.name}-a0"]
    redis_client.delete(f"rq:job:{waiting.name}-a0", open_checks(redis_client).key)
    dispatcher.dispatch()
    assert open_checks(redis_client).job_ids == []
    await outage(dispatcher)
    dispatcher.dispatch()
    assert open_checks(redis_client).job_ids == [f"{waiting.name}-a0"]


@pytest.mark.asyncio
async def test_an_outage_of_redis_in_which_no_progress_could_be_told_fails_no_run(
    dispatcher: Dispatcher, store: Store, clock: Clock, redis_client: Redis, sent: Run
) -> None:
    store.move(sent.id, RunState.RUNNING)
    redis_client.set(lease_key(sent.id), "1")
    write_progress(redis_client, sent.id, progress(2))
    dispatch_after(10, dispatcher, clock)
    clock.now += 4000
    await outage(dispatcher)
    dispatcher.dispatch()
    assert store.run(sent.id).state is RunState.RUNNING


def progress(done: int) -> Progress:
    return Progress(attempt=1, phase="evaluating", benchmark="gsm8k", done=done, updated_at=datetime.now(UTC))


def test_a_run_that_lives_and_finishes_nothing_for_too_long_fails_and_one_that_gets_on_does_not(
    dispatcher: Dispatcher, store: Store, clock: Clock, sent: Run, redis_client: Redis
) -> None:
    store.move(sent.id, RunState.RUNNING)
    redis_client.set(lease_key(sent.id), "1")
    for done in range(3):
        write_progress(redis_client, sent.id, progress(done))
        dispatch_after(3599, dispatcher, clock)
    assert store.run(sent.id).state is RunState.RUNNING
    write_progress(redis_client, sent.id, progress(2))  # says that it lives, and no more
    dispatch_after(3601, dispatcher, clock)
    ended = store.run(sent.id)
    assert (ended.state, ended.failure and ended.failure.code) == (RunState.FAILED, "run_hung")


def test_two_stress_tests_of_one_endpoint_never_run_at_once_on_two_workers(
    dispatcher: Dispatcher, store: Store, redis_client: Redis
) -> None:
    beat(redis_client, "w2", "1.14.1")

    def load(number: int, url: str) -> Run:
        model = ModelTarget(name="m", model="m", eval_type="openai_api", api_url=url)
        spec = PerfSpec(model=model, number=(10,), dataset="prompts", plugin="openqa")
        _, (run,) = store.add_group(
            source=f"s{number}", platform="p", channel="c", thread="t", user="u", language="en", text="x", specs=[spec]
        )
        return run

    first, second, other = load(1, "http://h:1/v1"), load(2, "http://H:1/v1/"), load(3, "http://h:2/v1")
    plan = dispatcher.dispatch()
    assert {a.run_id for a in plan.assignments} == {first.id, other.id}
    assert dispatcher.dispatch().places[second.id].reason == "endpoint_measured"
