"""Folds the workers' transitions into the database, each exactly once.

The position in the stream is stored in the transaction that applies the transitions, so a process that dies in
between applies them again, and one that died after it does not. Two processes may read: the row of the position
is locked, and what was applied meanwhile is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import Engine, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from jobs.db import Base, reading, transaction
from jobs.events import Event
from jobs.lifecycle import IllegalMove, RunState, check_move
from jobs.store import RunRow, apply_loss, apply_move

log = structlog.get_logger(__name__)

STREAM = "events"

_STATES = {
    "started": RunState.RUNNING,
    "paused": RunState.PAUSED,
    "succeeded": RunState.SUCCEEDED,
    "failed": RunState.FAILED,
    "cancelled": RunState.CANCELLED,
    "refused": RunState.FAILED,
}


class PositionRow(Base):
    """How far a stream has been applied. The migration makes the row, so that there is one to lock."""

    __tablename__ = "stream_positions"

    stream: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[str] = mapped_column(String(64))


class Ledger:
    """The one way a worker's word reaches the database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def position(self) -> str:
        """Return the id of the last transition applied, to read on from."""
        with reading(self.engine) as session:
            return session.get_one(PositionRow, STREAM).position

    def apply(self, entries: Sequence[tuple[str, Event | None]]) -> set[int]:
        """Apply transitions with their stream ids, in order; return the runs that changed."""
        changed: set[int] = set()
        with transaction(self.engine) as session:
            row = session.get_one(PositionRow, STREAM, with_for_update=True)
            for entry_id, event in entries:
                if _order(entry_id) <= _order(row.position):
                    continue
                if event is not None and _apply(session, event):
                    changed.add(event.run_id)
                row.position = entry_id
        return changed


def _apply(session: Session, event: Event) -> bool:
    """Apply one transition; False where it comes from an older attempt or after the end."""
    row = session.get(RunRow, event.run_id, with_for_update={"of": RunRow})
    if row is None or event.attempt != row.attempt:
        log.warning("transition refused", run=event.run_id, attempt=event.attempt, what=event.what)
        return False
    if event.what == "report":
        row.report_ready = True
        return True
    try:
        if event.loss is not None:
            check_move(RunState(row.state), RunState.WAITING)
            apply_loss(row, event.loss)
            return True
        apply_move(row, _STATES[event.what], worker=event.worker, failure=event.failure, result=event.result)
    except IllegalMove as error:
        log.warning("transition refused", run=event.run_id, attempt=event.attempt, move=str(error))
        return False
    return True


def _order(entry_id: str) -> tuple[int, int]:
    """Stream ids compare as (milliseconds, sequence)."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
