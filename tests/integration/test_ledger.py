"""Folding transitions into the database: however they are delivered, the same end, and each of them once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

import jobs.ledger
from jobs.db import transaction
from jobs.events import Event
from jobs.ledger import STREAM, Ledger, PositionRow, _order
from jobs.lifecycle import ENDED, MOVES, IllegalMove, RunState
from jobs.models import Failure, Loss, Run, RunResult
from jobs.store import Store

BEGINNING = "0-0"
NOW = datetime(2025, 3, 1, tzinfo=UTC)
WHATS = ("started", "succeeded", "failed", "cancelled", "report")
STATES = {
    "started": RunState.RUNNING, "succeeded": RunState.SUCCEEDED, "failed": RunState.FAILED,
    "cancelled": RunState.CANCELLED,
}  # fmt: skip
RUNS = 2

Entry = tuple[str, Event]


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.fixture
def queued(store: Store, add_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run whose attempt waits in a worker's queue."""

    def add(attempt: int = 1) -> Run:
        return store.move(add_run(store).id, RunState.QUEUED, attempt=attempt)

    return add


def event(run: int, what: str, attempt: int = 1) -> Event:
    ended = what in {"succeeded", "failed"}
    result = RunResult(
        run_id=run, attempt=attempt, state=RunState(what), model="m", started_at=NOW, ended_at=NOW
    ) if ended else None  # fmt: skip
    failure = Failure(code="run_crashed") if what == "failed" else None
    return Event.model_validate(
        {"run_id": run, "attempt": attempt, "what": what, "worker": "w", "result": result, "failure": failure}
    )


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[int, str, int]], list[str], list[tuple[int, int]]]:
    """Draw transitions (run's index, what, attempt), their ids in order, and slices in which they are delivered.

    Each slice begins no later than where the ones before it ended: parts come again, also after newer ones.
    """
    told = draw(st.lists(st.tuples(st.integers(0, RUNS - 1), st.sampled_from(WHATS), st.integers(1, 2)), max_size=10))
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=len(told), max_size=len(told)))
    ids, milliseconds, sequence = [], 5, 8
    for more, further in steps:  # 5-9, 5-10, 6-0, …: not in the order of text
        milliseconds, sequence = (milliseconds + more, further) if more else (milliseconds, sequence + 1 + further)
        ids.append(f"{milliseconds}-{sequence}")
    slices, reached = [], 0
    while reached < len(told):
        begin, end = draw(st.integers(0, reached)), draw(st.integers(0, len(told)))
        slices.append((begin, max(begin, end)))
        reached = max(reached, end)
    return told, ids, slices


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
def test_any_split_and_repetition_gives_the_same_end_and_applies_each_once(
    engine: Engine, store: Store, queued: Callable[..., Run], delivery: Any
) -> None:
    told, ids, slices = delivery
    with transaction(engine) as session:  # from the beginning for each example
        session.get_one(PositionRow, STREAM).position = BEGINNING
    ledger = Ledger(engine)
    runs = [queued() for _ in range(RUNS)]
    entries: list[Entry] = [
        (key, event(runs[run].id, what, attempt)) for key, (run, what, attempt) in zip(ids, told, strict=True)
    ]
    applied: Counter[int] = Counter()
    real = jobs.ledger._apply

    def counting(session: Any, one: Event) -> bool:
        applied[id(one)] += 1
        return real(session, one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.ledger, "_apply", counting)
        before = ledger.position()
        assert before == BEGINNING
        for begin, end in slices:
            changed = ledger.apply(entries[begin:end])
            assert changed <= {one.run_id for _, one in entries[begin:end]}
            after = ledger.position()
            assert _order(after) >= _order(before)
            before = after
    assert before == (ids[-1] if ids else BEGINNING)
    assert all(count == 1 for count in applied.values())
    assert len(applied) == len(entries)

    for index, run in enumerate(runs):
        state, ready = RunState.QUEUED, False
        for which, what, attempt in told:
            if which != index or attempt != 1:
                continue
            if what == "report":
                ready = True
            elif STATES[what] in MOVES[state]:
                state = STATES[what]
        kept = store.run(run.id)
        assert (kept.state, kept.report_ready, kept.attempt) == (state, ready, 1)
        assert (kept.ended_at is not None) == (state in ENDED)
        assert (kept.result is not None) == (state in {RunState.SUCCEEDED, RunState.FAILED})


def test_a_run_is_told_from_start_to_report(ledger: Ledger, store: Store, queued: Callable[..., Run]) -> None:
    run = queued()
    told = [event(run.id, what) for what in ("started", "succeeded", "report")]
    assert ledger.apply([(f"1-{number}", one) for number, one in enumerate(told)]) == {run.id}
    kept = store.run(run.id)
    assert (kept.state, kept.worker, kept.report_ready) == (RunState.SUCCEEDED, "w", True)
    assert kept.result == told[1].result


def test_a_failure_is_kept_with_its_run(ledger: Ledger, store: Store, queued: Callable[..., Run]) -> None:
    run = queued()
    ledger.apply([("1-0", event(run.id, "started")), ("1-1", event(run.id, "failed"))])
    assert store.run(run.id).failure == Failure(code="run_crashed")


@pytest.mark.parametrize("what", WHATS)
def test_a_late_report_of_an_older_attempt_is_refused(
    ledger: Ledger, store: Store, queued: Callable[..., Run], what: str
) -> None:
    run = queued(attempt=2)
    store.move(run.id, RunState.RUNNING)
    before = store.run(run.id)
    assert ledger.apply([("1-0", event(run.id, what, attempt=1))]) == set()
    assert store.run(run.id) == before
    assert ledger.position() == "1-0"


def test_a_loss_that_is_told_twice_counts_once(ledger: Ledger, store: Store, queued: Callable[..., Run]) -> None:
    run = queued()
    failure = Failure(code="run_killed", params={"worker": "w1", "signal": 9})
    lost = Event(run_id=run.id, attempt=1, what="lost", loss=Loss(done=0, failure=failure))
    ledger.apply([("1-0", event(run.id, "started")), ("2-0", lost), ("3-0", lost)])
    assert store.run(run.id).state is RunState.WAITING
    with suppress(IllegalMove):  # and the dispatcher finds it too
        store.lose(run.id, 1, Loss(done=0, failure=failure))
    assert store.run(run.id).state is RunState.WAITING


@pytest.mark.parametrize(("own", "losses"), [(True, 2), (False, 6)])
def test_a_run_is_given_up_after_two_deaths_of_its_own_process_and_only_after_many_of_its_host(
    store: Store, queued: Callable[..., Run], *, own: bool, losses: int
) -> None:
    run = queued()
    loss = Loss(own=own, done=3, failure=Failure(code="run_killed", params={"worker": "w1", "signal": 9}))
    states = [store.lose(run.id, 1, loss).state]
    for attempt in range(2, losses + 1):
        store.move(run.id, RunState.QUEUED, attempt=attempt, worker="w1")
        states.append(store.lose(run.id, attempt, loss).state)
    assert states == [RunState.WAITING] * (losses - 1) + [RunState.FAILED]


def test_a_new_sample_between_two_deaths_lets_a_run_go_on(store: Store, queued: Callable[..., Run]) -> None:
    run = queued()
    failure = Failure(code="run_killed", params={"worker": "w1", "signal": 9})
    for attempt in range(1, 9):
        assert store.lose(run.id, attempt, Loss(own=True, done=attempt, failure=failure)).state is RunState.WAITING
        store.move(run.id, RunState.QUEUED, attempt=attempt + 1, worker="w1")


@pytest.mark.parametrize("what", WHATS)
def test_a_report_of_an_attempt_that_was_never_given_is_refused(
    ledger: Ledger, store: Store, queued: Callable[..., Run], what: str
) -> None:
    before = queued(attempt=1)
    assert ledger.apply([("1-0", event(before.id, what, attempt=2))]) == set()
    assert store.run(before.id) == before


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_nothing_moves_a_run_that_has_ended(ledger: Ledger, store: Store, queued: Callable[..., Run], end: str) -> None:
    run = queued()
    ledger.apply([("1-0", event(run.id, "started")), ("1-1", event(run.id, end))])
    ended = store.run(run.id)
    for number, late in enumerate(STATES):
        assert ledger.apply([(f"2-{number}", event(run.id, late))]) == set()
        assert store.run(run.id) == ended


def test_a_run_nobody_knows_does_not_hold_up_the_others(
    ledger: Ledger, store: Store, queued: Callable[..., Run]
) -> None:
    run = queued()
    assert ledger.apply([("1-0", event(999_999, "started")), ("1-1", event(run.id, "started"))]) == {run.id}
    assert store.run(run.id).state is RunState.RUNNING


def test_what_is_not_committed_is_applied_again(
    ledger: Ledger, store: Store, queued: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queued()
    entries = [("1-0", event(run.id, "started")), ("1-1", event(run.id, "succeeded"))]
    real = jobs.ledger._apply

    def dies_at_the_second(session: Any, one: Event) -> bool:
        if one.what == "succeeded":
            raise OSError("the process dies here")
        return real(session, one)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.ledger, "_apply", dies_at_the_second)
        with pytest.raises(OSError, match="dies here"):
            ledger.apply(entries)
    assert (ledger.position(), store.run(run.id)) == (BEGINNING, run)
    assert ledger.apply(entries) == {run.id}
    assert store.run(run.id).state is RunState.SUCCEEDED


@pytest.mark.parametrize(("older", "newer"), [("9-0", "10-0"), ("5-9", "5-10"), ("0-0", "0-1"), ("9-99", "10-0")])
def test_ids_are_ordered_as_numbers_and_not_as_text(
    ledger: Ledger, store: Store, queued: Callable[..., Run], older: str, newer: str
) -> None:
    assert _order(older) < _order(newer)
    run = queued()
    ledger.apply([(newer, event(run.id, "started"))])
    assert ledger.apply([(older, event(run.id, "cancelled"))]) == set()
    assert (ledger.position(), store.run(run.id).state) == (newer, RunState.RUNNING)


def test_two_readers_at_once_apply_each_transition_once(
    engine: Engine, store: Store, queued: Callable[..., Run]
) -> None:
    run = queued()
    entries = [("1-0", event(run.id, "started")), ("1-1", event(run.id, "succeeded"))]
    both_read = threading.Barrier(2, timeout=1)
    applied: list[str] = []
    errors: list[Exception] = []
    real = jobs.ledger._apply

    def slow(session: Any, one: Event) -> bool:
        if one.what == "started":
            with suppress(threading.BrokenBarrierError):  # where the lock holds the other back, go on after a second
                both_read.wait()
        applied.append(one.what)
        return real(session, one)

    def read() -> None:
        try:
            Ledger(engine).apply(entries)
        except Exception as error:
            errors.append(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.ledger, "_apply", slow)
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert applied == ["started", "succeeded"]
    assert store.run(run.id).state is RunState.SUCCEEDED
