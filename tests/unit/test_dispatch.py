"""`assign`: fair, never overbooked, and honest about why a run waits."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.dispatch import AGED, Busy, Waiting, WorkerState, assign, fair_order

USERS = st.sampled_from(["ann", "bob", "eve"])
ENDPOINTS = st.sampled_from(["", "", "", "http://a", "http://b"])


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Waiting], list[WorkerState]]:
    workers, number = [], 1000
    for index in range(draw(st.integers(0, 5))):
        gpus = tuple(range(draw(st.integers(0, 4))))
        slots = draw(st.integers(1, 3))
        runs, free = [], list(gpus)
        for _ in range(draw(st.integers(0, slots))):
            number += 1
            taken = tuple(free[: draw(st.integers(0, len(free)))])
            free = free[len(taken) :]
            left = draw(st.none() | st.floats(0, 1000))
            runs.append(Busy(number, draw(USERS), taken, "", left))
        workers.append(WorkerState(f"w{index}", slots, gpus, tuple(runs)))
    waiting = [
        Waiting(
            run_id=run_id, user=draw(USERS), waited=draw(st.floats(0, 2 * AGED)), priority=draw(st.integers(0, 1)),
            gpus=draw(st.integers(0, 3)), measures=draw(ENDPOINTS), lasts=draw(st.none() | st.floats(1, 500)),
        )
        for run_id in range(1, draw(st.integers(0, 12)) + 1)
    ]  # fmt: skip
    return waiting, workers


@settings(max_examples=300)
@given(situations())
def test_no_worker_is_overbooked_no_gpu_leased_twice_and_no_endpoint_measured_twice(
    situation: tuple[list[Waiting], list[WorkerState]],
) -> None:
    waiting, workers = situation
    plan = assign(waiting, workers)
    runs = {run.run_id: run for run in waiting}
    for worker in workers:
        here = [a for a in plan.assignments if a.worker == worker.name]
        assert len(here) + len(worker.runs) <= worker.slots
        gpus = [gpu for a in here for gpu in a.gpus] + [gpu for busy in worker.runs for gpu in busy.gpus]
        assert max(Counter(gpus).values(), default=0) <= 1
        assert set(gpus) <= set(worker.gpus)
        assert all(len(a.gpus) == runs[a.run_id].gpus for a in here)
    measured = Counter(runs[a.run_id].measures for a in plan.assignments if runs[a.run_id].measures)
    assert max(measured.values(), default=0) <= 1


@settings(max_examples=300)
@given(situations())
def test_every_run_is_assigned_or_has_a_place_and_places_are_1_to_n(
    situation: tuple[list[Waiting], list[WorkerState]],
) -> None:
    waiting, workers = situation
    plan = assign(waiting, workers)
    assigned = {a.run_id for a in plan.assignments}
    assert assigned.isdisjoint(plan.places)
    assert assigned | set(plan.places) == {run.run_id for run in waiting}
    assert sorted(place.position for place in plan.places.values()) == list(range(1, len(plan.places) + 1))


@settings(max_examples=300)
@given(situations())
def test_nobody_waits_while_a_worker_could_take_the_run(situation: tuple[list[Waiting], list[WorkerState]]) -> None:
    waiting, workers = situation
    plan = assign(waiting, workers)
    taken: Counter[str] = Counter(a.worker for a in plan.assignments)
    free = any(worker.slots > len(worker.runs) + taken[worker.name] for worker in workers)
    for run in waiting:
        if run.run_id in plan.places and not run.gpus and not run.measures:
            assert not free


@given(situations())
def test_the_same_situation_gives_the_same_plan_in_any_order(
    situation: tuple[list[Waiting], list[WorkerState]],
) -> None:
    waiting, workers = situation
    assert assign(waiting, workers) == assign(list(reversed(waiting)), workers)


def test_who_has_many_runs_waiting_does_not_keep_the_others_from_theirs() -> None:
    ann = [Waiting(run_id=n, user="ann", waited=100 - n) for n in range(1, 6)]
    order = [run.run_id for run in fair_order([*ann, Waiting(run_id=9, user="bob", waited=1)], [])]
    assert order[:2] == [1, 9]


def test_a_run_that_waited_long_goes_before_newer_ones_of_people_with_nothing_running() -> None:
    busy = WorkerState("w", 2, runs=(Busy(50, "ann"),))
    old = Waiting(run_id=1, user="ann", waited=AGED)
    plan = assign([old, Waiting(run_id=2, user="bob", waited=5)], [busy])
    assert [a.run_id for a in plan.assignments] == [1]


def test_nobody_is_starved_however_many_come_after() -> None:
    victim, run_id, clock = Waiting(run_id=1, user="ann", waited=0), 2, 0.0
    for _ in range(200):
        clock += 60
        newcomers = [Waiting(run_id=run_id + n, user=f"u{run_id + n}", waited=0) for n in range(3)]
        run_id += 3
        waiting = [Waiting(run_id=1, user="ann", waited=clock), *newcomers]
        plan = assign(waiting, [WorkerState("w", 2, runs=(Busy(99, "ann"),))])
        if victim.run_id in {a.run_id for a in plan.assignments}:
            return
    raise AssertionError("starved")


def test_priority_goes_first() -> None:
    plan = assign(
        [Waiting(run_id=1, user="a", waited=500), Waiting(run_id=2, user="b", waited=0, priority=1)],
        [WorkerState("w", 1)],
    )
    assert [a.run_id for a in plan.assignments] == [2]


def test_a_run_that_waits_says_why_and_about_when_it_starts() -> None:
    busy = WorkerState("w", 1, runs=(Busy(50, "eve", left=120),))
    plan = assign([Waiting(run_id=1, user="a", waited=9, lasts=60), Waiting(run_id=2, user="b", waited=0)], [busy])
    assert [(plan.places[n].position, plan.places[n].starts_in, plan.places[n].reason) for n in (1, 2)] == [
        (1, 120, "workers_busy"), (2, 180, "workers_busy"),
    ]  # fmt: skip
    assert assign([Waiting(run_id=1, user="a", waited=0)], []).places[1].reason == "no_worker"
    gpus = WorkerState("w", 2, gpus=(0,), runs=(Busy(50, "eve", gpus=(0,)),))
    assert assign([Waiting(run_id=1, user="a", waited=0, gpus=1)], [gpus]).places[1].reason == "gpus_busy"


def test_two_stress_tests_of_one_endpoint_do_not_run_at_once() -> None:
    waiting = [Waiting(run_id=n, user="a", waited=9 - n, measures="http://a") for n in (1, 2)]
    plan = assign(waiting, [WorkerState("w", 4)])
    assert [a.run_id for a in plan.assignments] == [1]
    assert plan.places[2].reason == "endpoint_measured"


def test_no_start_is_promised_behind_a_run_of_which_nobody_knows_how_long_it_takes() -> None:
    waiting = [Waiting(run_id=n, user="a", waited=10 - n) for n in (1, 2)]
    one = WorkerState("w", 1, runs=(Busy(50, "eve", left=120),))
    plan = assign(waiting, [one])
    assert [plan.places[n].starts_in for n in (1, 2)] == [120, None]
    two = [one, WorkerState("w2", 1, runs=(Busy(51, "eve"),))]
    assert [assign(waiting, two).places[n].starts_in for n in (1, 2)] == [120, None]
