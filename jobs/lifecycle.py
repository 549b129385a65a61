"""The states of a run and the only legal moves between them."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. It begins `waiting` and ends in one of `ENDED`."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    """Its first answers could not be read: no worker has it until a person says whether it goes on."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})

MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset({RunState.QUEUED, RunState.FAILED, RunState.CANCELLED}),
    # back to waiting: its worker vanished before it began
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.WAITING, RunState.FAILED, RunState.CANCELLED}),
    # back to waiting: its worker vanished; the next attempt goes on from the cache
    RunState.RUNNING: frozenset({RunState.WAITING, RunState.PAUSED} | ENDED),
    RunState.PAUSED: frozenset({RunState.WAITING, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


class IllegalMove(ValueError):
    """A move that no run may make: a bug, or a report that comes too late."""


def check_move(current: RunState, new: RunState) -> None:
    """Raise `IllegalMove` unless a run may go from `current` to `new`."""
    if new not in MOVES[current]:
        raise IllegalMove(f"{current} → {new}")
