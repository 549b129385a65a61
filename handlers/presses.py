"""Presses of buttons that start something: from each post, each of them counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Engine, String, UniqueConstraint, and_, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from handlers.incoming import Incoming
from jobs.db import Base, reading, transaction


class PressRow(Base):
    """A press that counted."""

    __tablename__ = "presses"
    __table_args__ = (UniqueConstraint("post", "button", name="uq_presses_post_button"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    post: Mapped[str] = mapped_column(String(320))
    button: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(255))
    """The id of the press: handled again after a crash, it counts still."""
    pressed_at: Mapped[datetime]


class Presses:
    """The presses in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, incoming: Incoming) -> bool:
        """Take a press; False where another one of the same button of the same post counted before."""
        try:
            return self._claim(incoming)
        except IntegrityError:  # the other one was taken just now
            return self._claim(incoming)

    def _claim(self, incoming: Incoming) -> bool:
        with transaction(self._engine) as session:
            taken = session.scalar(select(PressRow.source).where(_same(incoming)))
            if taken is None:
                row = PressRow(post=incoming.post, button=incoming.button, source=incoming.id)
                row.pressed_at = datetime.now(UTC)
                session.add(row)
            return taken in {None, incoming.id}

    def taken_by(self, incoming: Incoming) -> str | None:
        """Return the id of the press that counted; None where none did."""
        with reading(self._engine) as session:
            return session.scalar(select(PressRow.source).where(_same(incoming)))

    def let_go(self, incoming: Incoming) -> None:
        """Forget a press of which nothing came: the button may be pressed again."""
        with transaction(self._engine) as session:
            session.execute(delete(PressRow).where(_same(incoming), PressRow.source == incoming.id))

    def forget(self, before: datetime) -> int:
        """Remove the presses made before then, whose buttons are too old to be pressed; return how many."""
        with transaction(self._engine) as session:
            removed = session.execute(delete(PressRow).where(PressRow.pressed_at < before))
            return int(cast("Any", removed).rowcount)


def _same(incoming: Incoming) -> ColumnElement[bool]:
    return and_(PressRow.post == incoming.post, PressRow.button == incoming.button)
