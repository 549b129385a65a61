"""Requests that lack one thing: kept in the database while it is asked for, and completed by the next message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue
from sqlalchemy import JSON, ColumnElement, Engine, Index, String, and_, delete, or_, select, true, update
from sqlalchemy.orm import Mapped, mapped_column

from handlers.incoming import Incoming, Language, Place
from handlers.intents.grammar import parse_text
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.sources import led_to
from jobs.db import Base, reading, transaction
from jobs.models import Frozen

OPEN_FOR = timedelta(hours=1)
"""Later than that, a bare `gsm8k` is no answer any more."""


class OpenRequestRow(Base):
    """A request, and what it lacks."""

    __tablename__ = "open_requests"
    __table_args__ = (Index("ix_open_requests_place", "platform", "channel", "thread", "user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(255))
    thread: Mapped[str] = mapped_column(String(255))
    user: Mapped[str] = mapped_column("user_id", String(255))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    source: Mapped[str] = mapped_column(String(255), unique=True)
    """The message that asked for it."""
    asked_at: Mapped[datetime]
    answered_by: Mapped[str | None] = mapped_column(String(255))
    """The message that completed or dropped it: handled again after a crash, it does so again."""


class OpenRequest(Frozen):
    """What was understood so far. `instead_of` is a name that was said and is not known."""

    intent: str
    args: dict[str, JsonValue]
    missing: str
    instead_of: str = ""
    language: Language
    text: str


@dataclass(frozen=True)
class Asked:
    """An open request as it was kept: where it is completed, and when and what it was asked for."""

    id: int
    request: OpenRequest
    place: Place
    source: str
    asked_at: datetime
    answered_by: str | None


@dataclass(frozen=True)
class Ask:
    """How an answer that is no sentence is read: as a part of one. `own` are the args that the rest of it gives."""

    sentence: str
    own: frozenset[str] = frozenset()


_RUN = Ask("logs of {}")
ASKS: Mapping[tuple[str, str], Ask] = {
    ("eval", "model"): Ask("evaluate {} on gsm8k", frozenset({"datasets", "dataset_args"})),
    ("eval", "datasets"): Ask("evaluate mock on {}", frozenset({"model", "eval_type"})),
    ("perf", "model"): Ask("stress test {}"),
    ("logs", "run"): _RUN,
    ("resume", "run"): _RUN,
    ("rerun", "run"): _RUN,
    ("diagnose", "run"): _RUN,
}
"""What may be asked for, by intent and arg."""


class OpenRequests:
    """The open requests in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, incoming: Incoming, request: OpenRequest) -> None:
        """Keep a request until the person's next message in the place; the same message twice keeps it once."""
        with transaction(self._engine) as session:
            if session.scalar(select(OpenRequestRow.id).where(OpenRequestRow.source == incoming.id)) is not None:
                return
            session.execute(delete(OpenRequestRow).where(OpenRequestRow.asked_at < datetime.now(UTC) - OPEN_FOR))
            session.add(
                OpenRequestRow(
                    platform=incoming.place.platform, channel=incoming.place.channel, thread=incoming.place.thread,
                    user=incoming.user, request=request.model_dump(mode="json"), source=incoming.id,
                    asked_at=datetime.now(UTC), answered_by=None,
                )
            )  # fmt: skip

    def of(self, incoming: Incoming) -> Asked | None:
        """Return what the person was asked last in the place, if that is open still.

        In a direct conversation it may have been asked in any thread.
        """
        query = select(OpenRequestRow).where(_theirs(incoming), OpenRequestRow.source != incoming.id)
        query = query.where(OpenRequestRow.asked_at > datetime.now(UTC) - OPEN_FOR)
        with reading(self._engine) as session:
            row = session.scalar(query.order_by(OpenRequestRow.id.desc()).limit(1))
            return None if row is None or row.answered_by not in {None, incoming.id} else _asked(row)

    def of_message(self, source: str) -> list[Asked]:
        """Return the requests that a message left open, oldest first, answered or not."""
        query = select(OpenRequestRow).where(led_to(OpenRequestRow.source, source)).order_by(OpenRequestRow.id)
        with reading(self._engine) as session:
            return [_asked(row) for row in session.scalars(query)]

    def answered_by(self, source: str) -> list[Asked]:
        """Return the requests that a message answered, or left aside."""
        query = select(OpenRequestRow).where(led_to(OpenRequestRow.answered_by, source)).order_by(OpenRequestRow.id)
        with reading(self._engine) as session:
            return [_asked(row) for row in session.scalars(query)]

    def withdraw(self, ids: Collection[int], source: str) -> None:
        """Close those of the requests that are open: their message is not what it was."""
        with transaction(self._engine) as session:
            session.execute(
                update(OpenRequestRow)
                .where(OpenRequestRow.id.in_(ids), OpenRequestRow.answered_by.is_(None))
                .values(answered_by=source)
            )

    def reopen(self, ids: Collection[int]) -> None:
        """Take an answer back."""
        with transaction(self._engine) as session:
            session.execute(update(OpenRequestRow).where(OpenRequestRow.id.in_(ids)).values(answered_by=None))

    def close(self, incoming: Incoming) -> None:
        """Take note that a message answered, or left aside, what was open."""
        open_still = or_(OpenRequestRow.answered_by.is_(None), OpenRequestRow.answered_by == incoming.id)
        with transaction(self._engine) as session:
            session.execute(
                update(OpenRequestRow)
                .where(_theirs(incoming), OpenRequestRow.source != incoming.id, open_still)
                .values(answered_by=incoming.id)
            )


def complete(parsed: Parsed, request: OpenRequest, said: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the open request with what a message adds to it; None for a message that is no answer."""
    if parsed.intent == request.intent and parsed.missing and request.missing in parsed.args:
        return parsed.model_copy(update={"args": request.args | parsed.args, "missing": ()})
    ask = ASKS.get((request.intent, request.missing))
    bare = parsed.intent == "none" or (request.missing == "run" and parsed.intent == "status")  # `r12` alone
    if ask is None or not bare or parsed.refused or parsed.question is not None:  # "train it on gsm8k"
        return None
    read = parse_text(ask.sentence.format(said), vocabulary)
    given = {name: value for name, value in read.args.items() if name not in ask.own}
    # an endpoint is an answer to "which model?": the name was said, or is in the question
    if not {request.missing, "models", "api_url", "url"} & given.keys():
        return None
    if "models" in given:  # several instead of the one that was asked for
        request = request.model_copy(update={"args": {k: v for k, v in request.args.items() if k != "model"}})
    before = request.args.get("datasets")
    if request.instead_of and isinstance(before, list) and isinstance(given.get("datasets"), list):
        given["datasets"] = _replaced(before, request.instead_of, given["datasets"])  # type: ignore[arg-type]
    return read.model_copy(update={"intent": request.intent, "args": request.args | given, "missing": (), "more": ()})


def _replaced(names: list[JsonValue], unknown: str, known: list[JsonValue]) -> list[JsonValue]:
    return [new for name in names for new in (known if name == unknown else [name])]


def _asked(row: OpenRequestRow) -> Asked:
    return Asked(
        id=row.id,
        request=OpenRequest.model_validate(row.request),
        place=Place(platform=row.platform, channel=row.channel, thread=row.thread),
        source=row.source,
        asked_at=row.asked_at,
        answered_by=row.answered_by,
    )


def _theirs(incoming: Incoming) -> ColumnElement[bool]:
    place = incoming.place
    return and_(
        OpenRequestRow.platform == place.platform,
        OpenRequestRow.channel == place.channel,
        true() if incoming.direct else OpenRequestRow.thread == place.thread,
        OpenRequestRow.user == incoming.user,
    )
