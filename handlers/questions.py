"""Questions that wait for a person's answer, kept in the database: what was planned is frozen with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Engine, String, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from handlers.incoming import Incoming, Language, Place
from jobs.db import Base, reading, transaction
from jobs.models import Frozen, Spec

CANCEL = "cancel"


class QuestionRow(Base):
    """A question, its answers and what each of them starts."""

    __tablename__ = "questions"

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(255))
    thread: Mapped[str] = mapped_column(String(255))
    user: Mapped[str] = mapped_column("user_id", String(255))
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str]
    options: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(String(255), unique=True)
    asked_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(String(64))
    answered_by: Mapped[str | None] = mapped_column(String(255))
    """The id of the click that gave the answer: handled again after a crash, it is still the answer."""


class Option(Frozen):
    """One answer: the runs it starts; none for the one that cancels."""

    id: str
    specs: tuple[Spec, ...] = ()


class Question(Frozen):
    """A question as it was asked."""

    id: int
    place: Place
    user: str
    language: Language
    text: str
    """What the person wrote that led to it."""
    options: tuple[Option, ...]
    answer: str | None


class Questions:
    """The questions in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, incoming: Incoming, language: Language, options: Sequence[Option]) -> Question:
        """Record a question; the same incoming message twice gives the same one."""
        with transaction(self._engine) as session:
            row = session.scalar(select(QuestionRow).where(QuestionRow.source == incoming.id))
            if row is None:
                row = QuestionRow(
                    platform=incoming.place.platform, channel=incoming.place.channel, thread=incoming.place.thread,
                    user=incoming.user, language=language, text=incoming.text, source=incoming.id,
                    options={"options": [option.model_dump(mode="json") for option in options]},
                    asked_at=datetime.now(UTC), answer=None, answered_by=None,
                )  # fmt: skip
                session.add(row)
                session.flush()
            return _question(row)

    def get(self, question_id: int) -> Question | None:
        """Return a question, None where there is none."""
        with reading(self._engine) as session:
            row = session.get(QuestionRow, question_id)
            return None if row is None else _question(row)

    def answer(self, question_id: int, option_id: str, source: str) -> bool:
        """Take the answer that the click `source` gives; False where another click's was taken before."""
        with transaction(self._engine) as session:
            taken = session.execute(
                update(QuestionRow)
                .where(
                    QuestionRow.id == question_id,
                    or_(QuestionRow.answer.is_(None), QuestionRow.answered_by == source),
                )
                .values(answer=option_id, answered_by=source)
            )
            return bool(cast("Any", taken).rowcount == 1)


def _question(row: QuestionRow) -> Question:
    return Question(
        id=row.id,
        place=Place(platform=row.platform, channel=row.channel, thread=row.thread),
        user=row.user,
        language=cast("Language", row.language),
        text=row.text,
        options=tuple(Option.model_validate(option) for option in row.options["options"]),
        answer=row.answer,
    )
