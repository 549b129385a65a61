"""The store on both databases: runs move by legal moves only, a request is recorded once, results come back whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.event import listens_for

import jobs.store
from jobs.db import UtcDateTime
from jobs.errors import UnknownRun
from jobs.lifecycle import ENDED, MOVES, IllegalMove, RunState, check_move
from jobs.models import (
    BenchmarkResult,
    EvalSpec,
    Failure,
    Group,
    Interval,
    MetricResult,
    Run,
    RunResult,
    SubsetScore,
)  # fmt: skip
from jobs.store import Store

on_one_database = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)


@pytest.fixture
def add(store: Store, mock_spec: Callable[..., EvalSpec]) -> Callable[..., tuple[Group, list[Run]]]:
    def add_group(source: str, *specs: EvalSpec, **fields: Any) -> tuple[Group, list[Run]]:
        known = {
            "platform": "console", "channel": "c", "thread": "t", "user": "u", "language": "zh", "text": "跑一下 🚀",
        }  # fmt: skip
        return store.add_group(source=source, specs=specs or (mock_spec(),), **(known | fields))

    return add_group


def result_of(run: Run) -> RunResult:
    metric = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100,
        score=0.1 + 0.2, num=52, interval=Interval(low=0.1, high=0.4, method="wilson"),
        subsets=(SubsetScore(name="中文", score=1 / 3, num=20),), dimensions={"k": 4, "x": True},
    )  # fmt: skip
    benchmark = BenchmarkResult(
        name="b", benchmark="b", metrics=(metric,), requested=52, succeeded=52, errored=0, latency_mean=0.25
    )
    return RunResult(
        run_id=run.id, attempt=1, state=RunState.SUCCEEDED, model="m", benchmarks=(benchmark,),
        started_at=datetime(2025, 3, 1, tzinfo=UTC), ended_at=datetime(2025, 3, 2, tzinfo=UTC), worker="w",
    )  # fmt: skip


def test_a_request_and_its_runs_are_recorded_waiting(store: Store, add: Any, mock_spec: Any) -> None:
    first, second = mock_spec(limit=5), mock_spec("sample_qa", limit=0.5)
    group, runs = add("m1", first, second)
    assert [run.spec for run in runs] == [first, second]
    assert [(run.state, run.attempt, run.worker, run.result) for run in runs] == [(RunState.WAITING, 0, "", None)] * 2
    assert store.group(group.id) == group
    assert store.group_runs(group.id) == runs == [store.run(run.id) for run in runs]
    assert group.text == "跑一下 🚀"
    assert group.created_at.tzinfo == UTC
    assert abs(datetime.now(UTC) - group.created_at) < timedelta(minutes=1)


def test_the_same_message_twice_makes_one_group_and_gives_it_as_it_is_now(store: Store, add: Any) -> None:
    group, (run,) = add("m1")
    moved = store.move(run.id, RunState.QUEUED, attempt=1)
    again, runs = add("m1", text="something else")
    assert (again, runs) == (group, [moved])
    assert len(store.runs()) == 1


def test_the_same_message_handled_by_two_processes_at_once_makes_one_group(store: Store, add: Any) -> None:
    both_looked = threading.Barrier(2, timeout=1)

    @listens_for(store.engine, "before_cursor_execute")
    def _wait(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO groups"):
            wait(both_looked)

    found, errors = at_once(lambda: add("m1")[0].id, lambda: add("m1")[0].id)
    assert errors == []
    assert len(set(found)) == 1


def wait(barrier: threading.Barrier) -> None:
    """Wait for the other thread; where the database holds it back, go on."""
    with suppress(threading.BrokenBarrierError):
        barrier.wait()


def at_once(*calls: Callable[[], Any]) -> tuple[list[Any], list[Exception]]:
    """Call each in a thread of its own; return what they gave and what they raised."""
    found: list[Any] = []
    errors: list[Exception] = []

    def call(one: Callable[[], Any]) -> None:
        try:
            found.append(one())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(one,)) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, errors


@on_one_database
@given(wanted=st.lists(st.sampled_from(RunState), max_size=8))
def test_the_store_makes_exactly_the_legal_moves_and_refuses_the_others(
    store: Store, add_run: Callable[..., Run], wanted: list[RunState]
) -> None:
    run = add_run(store)
    state = RunState.WAITING
    for new in wanted:
        if new in MOVES[state]:
            run = store.move(run.id, new)
            state = new
        else:
            with pytest.raises(IllegalMove):
                store.move(run.id, new, attempt=99, worker="intruder")
        assert store.run(run.id) == run
        assert run.state is state
        assert (run.ended_at is not None) == (state in ENDED)
        assert run.attempt == 0
        assert run.worker == ""


@pytest.mark.parametrize("end", sorted(ENDED))
def test_a_refused_move_changes_nothing(store: Store, add_run: Callable[..., Run], end: RunState) -> None:
    run = add_run(store)
    store.move(run.id, RunState.QUEUED, attempt=1)
    store.move(run.id, RunState.RUNNING, worker="w")
    ended = store.move(run.id, end)
    for new in RunState:
        with pytest.raises(IllegalMove):
            store.move(run.id, new, worker="x", failure=Failure(code="run_crashed"), result=result_of(run))
    assert store.run(run.id) == ended


def test_the_beginning_is_the_first_attempts_and_the_end_is_noted_once(
    store: Store, add_run: Callable[..., Run]
) -> None:
    run = add_run(store)
    store.move(run.id, RunState.QUEUED, attempt=1)
    first = store.move(run.id, RunState.RUNNING, worker="a")
    assert first.started_at is not None
    store.move(run.id, RunState.WAITING)
    store.move(run.id, RunState.QUEUED, attempt=2)
    second = store.move(run.id, RunState.RUNNING, worker="b")
    assert (second.started_at, second.attempt, second.worker) == (first.started_at, 2, "b")
    ended = store.move(run.id, RunState.SUCCEEDED)
    assert ended.ended_at is not None
    assert ended.ended_at >= first.started_at


def test_two_moves_at_once_cannot_both_leave_the_same_state(
    store: Store, add_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_run(store)
    store.move(run.id, RunState.QUEUED, attempt=1)
    store.move(run.id, RunState.RUNNING)
    both_read = threading.Barrier(2, timeout=1)

    def slow_check(current: RunState, new: RunState) -> None:
        wait(both_read)
        check_move(current, new)

    monkeypatch.setattr(jobs.store, "check_move", slow_check)
    found, errors = at_once(
        lambda: store.move(run.id, RunState.CANCELLED), lambda: store.move(run.id, RunState.SUCCEEDED)
    )
    assert [type(error) for error in errors] == [IllegalMove]
    assert [store.run(run.id)] == found


def test_a_result_and_a_failure_come_back_as_they_were(store: Store, add_run: Callable[..., Run]) -> None:
    run = add_run(store)
    failure = Failure(code="endpoint_denied", params={"status": 401, "rate": 0.5, "url": "http://h"}, detail="nö\n")
    store.move(run.id, RunState.QUEUED, attempt=1)
    store.move(run.id, RunState.RUNNING)
    store.move(run.id, RunState.FAILED, failure=failure, result=result_of(run))
    kept = store.run(run.id)
    assert (kept.failure, kept.result) == (failure, result_of(run))


def test_what_is_not_there_is_told_as_such(store: Store) -> None:
    with pytest.raises(UnknownRun) as caught:
        store.run(12)
    assert caught.value.params == {"run": "r12"}
    with pytest.raises(UnknownRun):
        store.move(12, RunState.QUEUED)
    with pytest.raises(KeyError):
        store.group(12)
    assert store.group_runs(12) == []
    assert store.newest_run("console", "c", "t") is None


def test_runs_are_narrowed_by_state_model_benchmark_and_channel_newest_first(
    store: Store, add: Any, mock_spec: Any
) -> None:
    big = mock_spec("sample_qa").model_copy(
        update={"model": mock_spec().model.model_copy(update={"name": "Qwen-Plus"})}
    )
    _, (one, two) = add("m1", mock_spec("sample_mcq"), mock_spec("sample_mcq", "sample_qa"))
    _, (three,) = add("m2", big, channel="other")
    store.move(one.id, RunState.QUEUED, attempt=1)

    def ids(**narrowed: Any) -> list[int]:
        return [run.id for run in store.runs(**narrowed)]

    assert ids() == [three.id, two.id, one.id]
    assert ids(limit=2) == [three.id, two.id]
    assert ids(states=[RunState.WAITING]) == [three.id, two.id]
    assert ids(states=[]) == []
    assert ids(model="qwen-plus") == [three.id]
    assert ids(datasets=["sample_mcq"]) == [two.id, one.id]
    assert ids(datasets=["sample_mcq", "sample_qa"]) == [three.id, two.id, one.id]
    assert ids(channel=("console", "other")) == [three.id]
    assert ids(channel=("slack", "other")) == []
    assert ids(datasets=["sample_qa"], model="mock", channel=("console", "c")) == [two.id]


def test_a_conversation_is_about_its_newest_run(store: Store, add: Any) -> None:
    add("m1")
    _, (newest,) = add("m2")
    add("m3", thread="other")
    assert store.newest_run("console", "c", "t") == newest.id


def test_the_same_benchmark_twice_in_a_run_is_recorded_once(store: Store, add: Any, mock_spec: Any) -> None:
    _, (run,) = add("m1", mock_spec("sample_mcq", "sample_mcq"))
    assert [found.id for found in store.runs(datasets=["sample_mcq"])] == [run.id]


def test_the_database_answers(store: Store) -> None:
    assert store.answers()


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False))
def test_a_time_is_stored_as_utc_and_read_as_utc_with_or_without_a_zone(moment: datetime) -> None:
    column, dialect = UtcDateTime(), Any
    try:
        stored = column.process_bind_param(moment, dialect)  # type: ignore[arg-type]
    except OverflowError:  # at the ends of the calendar
        return
    assert stored is not None
    for read in (stored, stored.replace(tzinfo=None), stored.astimezone(timezone(timedelta(hours=1)))):
        back = column.process_result_value(read, dialect)  # type: ignore[arg-type]
        assert back == moment.astimezone(UTC)
        assert back is not None
        assert back.tzinfo == UTC


def test_who_goes_on_from_whom_is_found(
    store: Store, add: Callable[..., tuple[Group, list[Run]]], mock_spec: Callable[..., EvalSpec]
) -> None:
    _, (first, second, third) = add("m1", mock_spec(), mock_spec(), mock_spec())
    add("other")
    assert store.followers([first, second, third]) == {}
    assert store.asked_with([first]) == []
    _, (again,) = add("m2", mock_spec(resumes=second.id))
    _, (newest,) = add("m3", mock_spec(resumes=again.id))
    _, (elsewhere,) = add("m4", mock_spec(resumes=third.id))
    assert store.followers([first, second, third]) == {second.id: again, third.id: elsewhere}
    assert store.asked_with([newest]) == [first, elsewhere]
    assert store.asked_with([again]) == [first, elsewhere]
    assert store.asked_with([newest, elsewhere]) == [first]


def test_of_two_that_go_on_from_one_run_the_newest_counts(
    store: Store, add: Callable[..., tuple[Group, list[Run]]], mock_spec: Callable[..., EvalSpec]
) -> None:
    _, (alone,) = add("m1")
    for source in ("m2", "m3"):
        _, (newest,) = add(source, mock_spec(resumes=alone.id))
    assert store.followers([alone]) == {alone.id: newest}
    assert store.asked_with([newest]) == []


def test_a_run_that_its_worker_began_just_before_it_was_cancelled_keeps_its_word(
    store: Store, add_run: Callable[..., Run]
) -> None:
    queued, begun = add_run(store), add_run(store)
    for run in (queued, begun):
        store.move(run.id, RunState.QUEUED, attempt=1, worker="w")
    store.move(begun.id, RunState.RUNNING)
    assert store.cancel_queued(queued.id).state is RunState.CANCELLED
    assert store.cancel_queued(begun.id).state is RunState.RUNNING
