"""Who runs what next: one pure function from what waits and who works to assignments, places and reasons.

Nothing here asks a clock, a database or Redis; the same function answers "why does it wait?".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

AGED = 600.0
"""Seconds of waiting after which a run goes before everyone's newer ones."""

Reason = Literal["next", "no_worker", "workers_busy", "gpus_busy", "endpoint_measured"]


@dataclass(frozen=True)
class Waiting:
    """A run that waits. `waited` and `lasts` are seconds; `user` is whom it counts for."""

    run_id: int
    user: str
    waited: float
    priority: int = 0
    gpus: int = 0
    measures: str = ""
    """The endpoint a stress test measures; two at once would spoil each other."""
    lasts: float | None = None


@dataclass(frozen=True)
class Busy:
    """A run that a worker has. `left` is the seconds it is taken to go on."""

    run_id: int
    user: str
    gpus: tuple[int, ...] = ()
    measures: str = ""
    left: float | None = None


@dataclass(frozen=True)
class WorkerState:
    """A living worker: how many runs it takes at once, its GPUs, and the runs it has."""

    name: str
    slots: int
    gpus: tuple[int, ...] = ()
    runs: tuple[Busy, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """A run that can start now, where, and on which GPUs."""

    run_id: int
    worker: str
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Place:
    """A run's place among those that wait (1 is next), when it is taken to start (seconds), and why it waits."""

    position: int
    starts_in: float | None
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """What starts now, and how the others stand."""

    assignments: tuple[Assignment, ...] = ()
    places: dict[int, Place] = field(default_factory=dict)


@dataclass
class _Slots:
    """A worker while a plan is made."""

    name: str
    free: int
    free_gpus: list[int]
    runs: list[Busy]


def assign(waiting: Sequence[Waiting], workers: Sequence[WorkerState]) -> Plan:
    """Assign what can start now, in a fair order; say of the rest where it stands.

    No worker gets more runs than slots, no GPU two runs, no endpoint two stress tests. Order: priority, then those
    that have waited long, then who has fewest runs before them, then who came first.
    """
    slots = [_free(worker) for worker in workers]
    measured = {run.measures for worker in workers for run in worker.runs if run.measures}
    assignments: list[Assignment] = []
    left: list[tuple[Waiting, Reason]] = []
    for run in fair_order(waiting, workers):
        if run.measures and run.measures in measured:
            left.append((run, "endpoint_measured"))
            continue
        worker = _fit(run, slots)
        if worker is None:
            left.append((run, _why(run, workers)))
            continue
        gpus = tuple(worker.free_gpus[: run.gpus])
        del worker.free_gpus[: run.gpus]
        worker.free -= 1
        worker.runs.append(Busy(run.run_id, run.user, gpus, run.measures, run.lasts))
        assignments.append(Assignment(run.run_id, worker.name, gpus))
        if run.measures:
            measured.add(run.measures)
    return Plan(tuple(assignments), _places(left, slots))


def fair_order(waiting: Sequence[Waiting], workers: Sequence[WorkerState]) -> list[Waiting]:
    """Return the runs in the order they are served."""
    ahead: dict[str, int] = {}
    for worker in workers:
        for busy in worker.runs:
            ahead[busy.user] = ahead.get(busy.user, 0) + 1
    ranked: list[tuple[tuple[int, int, int, float, int], Waiting]] = []
    for run in sorted(waiting, key=lambda run: (-run.waited, run.run_id)):
        rank = ahead.get(run.user, 0)
        ahead[run.user] = rank + 1
        aged = run.waited >= AGED
        ranked.append(((-run.priority, not aged, 0 if aged else rank, -run.waited, run.run_id), run))
    return [run for _, run in sorted(ranked, key=lambda entry: entry[0])]


def _free(worker: WorkerState) -> _Slots:
    used = {gpu for run in worker.runs for gpu in run.gpus}
    free_gpus = [gpu for gpu in worker.gpus if gpu not in used]
    return _Slots(worker.name, max(0, worker.slots - len(worker.runs)), free_gpus, list(worker.runs))


def _fit(run: Waiting, slots: Sequence[_Slots]) -> _Slots | None:
    """Return the worker with most room that can take the run now."""
    fitting = [worker for worker in slots if worker.free > 0 and len(worker.free_gpus) >= run.gpus]
    return max(fitting, key=lambda worker: (worker.free, -len(worker.free_gpus), worker.name), default=None)


def _why(run: Waiting, workers: Sequence[WorkerState]) -> Reason:
    if not any(len(worker.gpus) >= run.gpus for worker in workers):
        return "no_worker"
    if run.gpus and any(worker.slots > len(worker.runs) for worker in workers):
        return "gpus_busy"
    return "workers_busy"


def _places(left: Sequence[tuple[Waiting, Reason]], slots: Sequence[_Slots]) -> dict[int, Place]:
    """Give each waiting run its place, and a start time by letting the workers take them in order.

    Where it would start after a run of which nobody knows how long it takes, there is no start time.
    """
    free_at = sorted(math.inf if run.left is None else run.left for worker in slots for run in worker.runs)
    free_at = [0.0] * sum(worker.free for worker in slots) + free_at
    places: dict[int, Place] = {}
    for position, (run, reason) in enumerate(left, start=1):
        starts_in = None
        if free_at and reason != "no_worker":
            starts_at = free_at.pop(0)
            free_at = sorted([*free_at, starts_at + (math.inf if run.lasts is None else run.lasts)])
            starts_in = starts_at if starts_at < math.inf else None
        places[run.run_id] = Place(position, starts_in, reason)
    return places
