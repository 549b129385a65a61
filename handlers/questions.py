"""Questions that wait for a person's answer, kept in the database: what was planned is frozen with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from pydantic import JsonValue
from sqlalchemy import Engine, String, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from handlers.incoming import Incoming, Language, Place
from handlers.sources import led_to
from jobs.db import Base, reading, transaction
from jobs.models import Frozen, Spec

CANCEL = "cancel"
CHANGED = "changed"
"""The answer of a question in whose place another request was put."""
WITHDRAWN = "withdrawn"
"""The answer of a question whose message was edited or deleted."""
OPEN_FOR = timedelta(days=1)
"""Later than that, a bare "yes" is no answer any more; a button still is."""


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
    label: str = ""
    """What its button says."""
    specs: tuple[Spec, ...] = ()
    replaces: str = ""
    """A run (r12) that is cancelled when these start."""


class Asking(Frozen):
    """The request that a question is about, which a later message may change."""

    intent: str
    args: dict[str, JsonValue]
    doubt: Literal["", "guessed", "differs"] = ""
    """Why it was asked whether it is meant at all: changed, it is asked again."""


class Question(Frozen):
    """A question as it was asked."""

    id: int
    place: Place
    user: str
    language: Language
    text: str
    """What the person wrote that led to it."""
    options: tuple[Option, ...]
    request: Asking | None
    source: str
    asked_at: datetime
    answer: str | None
    answered_by: str | None


class Questions:
    """The questions in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(
        self, incoming: Incoming, language: Language, options: Sequence[Option], request: Asking | None = None
    ) -> Question:
        """Record a question; the same incoming message twice gives the same one."""
        with transaction(self._engine) as session:
            row = session.scalar(select(QuestionRow).where(QuestionRow.source == incoming.id))
            if row is None:
                row = QuestionRow(
                    platform=incoming.place.platform, channel=incoming.place.channel, thread=incoming.place.thread,
                    user=incoming.user, language=language, text=incoming.text, source=incoming.id,
                    options={
                        "options": [option.model_dump(mode="json") for option in options],
                        "request": None if request is None else request.model_dump(mode="json"),
                    },
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

    def open_to(self, incoming: Incoming) -> Question | None:
        """Return the newest question a person was asked in a place, if it is open still.

        In a direct conversation it may have been asked in any thread.
        """
        place = incoming.place
        query = select(QuestionRow).where(
            QuestionRow.platform == place.platform, QuestionRow.channel == place.channel,
            QuestionRow.user == incoming.user, QuestionRow.source != incoming.id,
            or_(QuestionRow.answer.is_(None), QuestionRow.answer != WITHDRAWN),
        )  # fmt: skip
        if not incoming.direct:
            query = query.where(QuestionRow.thread == place.thread)
        with reading(self._engine) as session:
            row = session.scalar(query.order_by(QuestionRow.id.desc()).limit(1))
            if row is None or row.asked_at < datetime.now(UTC) - OPEN_FOR:
                return None
            return _question(row) if row.answer is None or row.answered_by == incoming.id else None

    def of_message(self, source: str) -> list[Question]:
        """Return the questions that a message led to, oldest first."""
        query = select(QuestionRow).where(led_to(QuestionRow.source, source))
        with reading(self._engine) as session:
            return [_question(row) for row in session.scalars(query.order_by(QuestionRow.id))]

    def answered_by(self, source: str) -> Question | None:
        """Return the question that a message answered."""
        with reading(self._engine) as session:
            row = session.scalar(select(QuestionRow).where(led_to(QuestionRow.answered_by, source)).limit(1))
            return None if row is None else _question(row)

    def withdraw(self, question_ids: Sequence[int], source: str) -> None:
        """Close those of the questions that are open: their message is not what it was."""
        with transaction(self._engine) as session:
            session.execute(
                update(QuestionRow)
                .where(QuestionRow.id.in_(question_ids), QuestionRow.answer.is_(None))
                .values(answer=WITHDRAWN, answered_by=source)
            )

    def reopen(self, question_id: int) -> None:
        """Take an answer back."""
        with transaction(self._engine) as session:
            session.execute(
                update(QuestionRow).where(QuestionRow.id == question_id).values(answer=None, answered_by=None)
            )

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
        request=None if (asking := row.options.get("request")) is None else Asking.model_validate(asking),
        source=row.source,
        asked_at=row.asked_at,
        answer=row.answer,
        answered_by=row.answered_by,
    )
