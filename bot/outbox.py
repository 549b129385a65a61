"""What must be posted exactly once: a row for each post, recorded with the effect that it tells of, sent afterwards.

A row is `pending`, then `sending` by one process, then `sent`, or `dropped` where nothing can take it. One that a dead
process was sending may be on the platform or not: whoever takes it over looks there first.

A conversation may be named before its thread exists (`Place.unopened`): its thread hangs under its first public post.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import (
    ColumnElement,
    Engine,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    and_,
    delete,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, aliased, mapped_column

from bot.platforms.base import Audience
from handlers.incoming import UNOPENED, Incoming, Place
from handlers.message import Message
from handlers.reply import Reply
from jobs.db import Base, reading, transaction
from jobs.models import Group
from jobs.store import GroupRow

Role = Literal["reply", "root", "status", "question", "result", "headline", "none"]
"""`root`: what opens a thread. `question`: whether a paused run goes on. `headline`: a result's line in the channel.
`none`: a message that nothing answers; the row says it was handled."""

PENDING, SENDING, SENT, DROPPED = "pending", "sending", "sent", "dropped"


class PostRow(Base):
    """A post, due or made."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_state_platform", "state", "platform"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(320), unique=True)
    """`<incoming id>/<n>` for replies, `result:g12`, `paused:r12-a1`: nothing is posted twice under one key."""
    source: Mapped[str] = mapped_column(String(255), index=True)
    """The incoming message that it answers; empty where it answers none."""
    platform: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(255))
    thread: Mapped[str] = mapped_column(String(255))
    message: Mapped[dict[str, Any]]
    user: Mapped[str] = mapped_column("user_id", String(255), default="", server_default="")
    """For whom it is, as `Incoming.user` has them."""
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    """For them alone."""
    reply_url: Mapped[str] = mapped_column(Text, default="", server_default="")
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    refused: Mapped[bool]
    waits: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(255))
    """The process that sends it; empty before."""
    message_id: Mapped[str | None] = mapped_column(String(255), index=True)
    final: Mapped[bool]
    """What it shows will not change any more."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Post:
    """A row as it was read."""

    id: int
    key: str
    place: Place
    group: int | None
    refused: bool
    waits: bool
    role: Role
    state: str
    owner: str
    message_id: str | None
    final: bool
    audience: Audience
    created_at: datetime
    content: dict[str, Any]
    """The message as it is stored: many are only counted, and reading one takes time."""

    @property
    def sent(self) -> bool:
        """It is posted, or never will be."""
        return self.state in {SENT, DROPPED}

    @functools.cached_property
    def message(self) -> Message:
        """What it says."""
        return Message.model_validate(self.content)

    @property
    def reply(self) -> Reply:
        """What a handler answered with."""
        return Reply(
            self.message, group=self.group, refused=self.refused, waits=self.waits, private=self.audience.private
        )


class Outbox:
    """The posts in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answered(self, source: str) -> bool:
        """Tell whether what a message led to is recorded."""
        with reading(self._engine) as session:
            return session.scalar(select(PostRow.id).where(PostRow.source == source).limit(1)) is not None

    def refused(self, source: str) -> bool:
        """Tell whether a message was answered with refusals alone."""
        answers = self.answers(source)
        return bool(answers) and all(answer.refused for answer in answers)

    def record(self, incoming: Incoming, replies: Sequence[Reply], root: Message | None = None) -> bool:
        """Record what answers a message: all of it, once. False where it was answered before.

        `root` is posted before, to open the conversation's thread.
        """
        source, place = incoming.id, incoming.place
        rows = [_row(f"{source}/{n}", reply.place or place, reply, source=source) for n, reply in enumerate(replies)]
        if not rows:
            rows = [_row(f"{source}/0", place, Reply(Message(text="")), source=source, role="none")]
        if root is not None:
            rows.insert(0, _row(f"{source}/root", place, Reply(root), source=source, role="root"))
        for row in rows:
            row.user, row.reply_url = incoming.user, incoming.reply_url
        return self._add(rows)

    def record_result(self, group: Group, place: Place, message: Message, *, final: bool) -> bool:
        """Record a group's result, once; `final` where nothing will be added to it."""
        row = _row(f"result:g{group.id}", place, Reply(message, group=group.id), role="result", final=final)
        row.user = group.user
        return self._add([row])

    def record_headline(self, group: int, place: Place, message: Message) -> bool:
        """Record the line on a group's result that its channel reads, once."""
        row = _row(f"headline:g{group}", place, Reply(message, group=group), role="headline", final=True)
        return self._add([row])

    def record_question(self, attempt: str, place: Place, message: Message, *, group: Group) -> bool:
        """Record what is asked about a paused attempt of a run, once."""
        reply = Reply(message, group=group.id, waits=True)
        row = _row(f"paused:{attempt}", place, reply, role="question", final=True)
        row.user = group.user
        return self._add([row])

    def opened(self, place: Place) -> Place:
        """Return where a conversation's thread really is; its channel alone, as long as nothing opened it."""
        if not place.unopened:
            return place
        query = select(PostRow.message_id).where(
            _at(PostRow, place), PostRow.state == SENT, PostRow.private.is_(False), PostRow.message_id.is_not(None)
        )
        with reading(self._engine) as session:
            first = session.scalar(query.order_by(PostRow.id).limit(1))
        return place.model_copy(update={"thread": first or ""})

    def known_as(self, place: Place) -> Place:
        """Return a conversation by the name that it had before its thread was opened, if it had one."""
        if not place.thread or place.unopened:
            return place
        query = select(PostRow.channel, PostRow.thread).where(
            PostRow.platform == place.platform, PostRow.message_id == place.thread, PostRow.thread.startswith(UNOPENED)
        )
        with reading(self._engine) as session:
            named = session.execute(query.limit(1)).one_or_none()
        return place if named is None else place.model_copy(update={"channel": named[0], "thread": named[1]})

    def by_key(self, key: str) -> Post | None:
        """Return what is posted under a key; None where nothing is, or it was long ago."""
        with reading(self._engine) as session:
            row = session.scalar(select(PostRow).where(PostRow.key == key))
            return None if row is None else _post(row)

    def by_message(self, platform: str, message_id: str) -> Post | None:
        """Return what was posted as a message; None where that was not ours."""
        query = select(PostRow).where(PostRow.platform == platform, PostRow.message_id == message_id)
        with reading(self._engine) as session:
            row = session.scalar(query.limit(1))
            return None if row is None else _post(row)

    def due(self, platform: str, thread: str | None) -> dict[Place, set[str]]:
        """Return where on a platform (or in one thread of it) something is to be posted, and who is at it already."""
        query = select(PostRow.channel, PostRow.thread, PostRow.owner).distinct()
        query = query.where(PostRow.state.in_([PENDING, SENDING]), PostRow.platform == platform)
        if thread is not None:
            query = query.where(PostRow.thread == thread)
        places: dict[Place, set[str]] = {}
        with reading(self._engine) as session:
            for channel, row_thread, owner in session.execute(query):
                place = Place(platform=platform, channel=channel, thread=row_thread)
                places.setdefault(place, set()).update({owner} - {""})
        return places

    def take(self, place: Place, process: str, dead: Collection[str]) -> tuple[Post, bool] | None:
        """Take the oldest unsent post of a place, to send it; None where there is none, or another process is at it.

        With it comes whether it may have been posted already.
        """
        with transaction(self._engine) as session:
            query = select(PostRow).where(PostRow.state.in_([PENDING, SENDING]), _at(PostRow, place))
            row = session.scalar(query.order_by(PostRow.id).limit(1))
            if row is None or (row.state == SENDING and row.owner != process and row.owner not in dead):
                return None
            doubtful, owner = row.state == SENDING, row.owner
            earlier = aliased(PostRow)
            before = select(earlier.id).where(
                earlier.id < row.id, earlier.state.in_([PENDING, SENDING]), _at(earlier, place)
            )
            taken = session.execute(
                update(PostRow)
                .where(PostRow.id == row.id, PostRow.owner == owner, PostRow.state == row.state, ~before.exists())
                .values(state=SENDING, owner=process)
                .execution_options(synchronize_session=False)
            )
            return (_post(row), doubtful) if _changed(taken) else None

    def still_ours(self, post_id: int, process: str) -> bool:
        """Tell whether a post that a process took is its own still."""
        query = select(PostRow.id).where(PostRow.id == post_id, PostRow.state == SENDING, PostRow.owner == process)
        with reading(self._engine) as session:
            return session.scalar(query) is not None

    def sent(self, post_id: int, message_id: str) -> None:
        """Take note that a post was made."""
        with transaction(self._engine) as session:
            session.execute(
                update(PostRow)
                .where(PostRow.id == post_id, PostRow.state != SENT)
                .values(state=SENT, message_id=message_id, sent_at=datetime.now(UTC), reply_url="")
            )

    def dropped(self, post_id: int) -> None:
        """Take note that a post cannot be made."""
        with transaction(self._engine) as session:
            session.execute(
                update(PostRow)
                .where(PostRow.id == post_id, PostRow.state != SENT)
                .values(state=DROPPED, final=True, sent_at=datetime.now(UTC), reply_url="")
            )

    def edited(self, post_id: int, message: Message, *, final: bool) -> None:
        """Take note of what a post shows now."""
        with transaction(self._engine) as session:
            session.execute(
                update(PostRow)
                .where(PostRow.id == post_id)
                .values(message=message.model_dump(mode="json"), final=final)
            )

    def forget(self, before: datetime) -> int:
        """Remove the posts that were made before then, but for groups of which not all is said; return how many."""
        settled = select(GroupRow.id).where(GroupRow.settled_at.is_not(None))
        made = delete(PostRow).where(
            PostRow.state.in_([SENT, DROPPED]),
            PostRow.role != "root",  # by it a conversation is known for as long as people go back to it
            func.coalesce(PostRow.sent_at, PostRow.created_at) < before,
            or_(PostRow.group_id.is_(None), PostRow.group_id.in_(settled)),
        )
        with transaction(self._engine) as session:
            return int(cast("Any", session.execute(made)).rowcount)

    def answers(self, source: str) -> list[Post]:
        """Return what answers a message, in order."""
        return self._posts(select(PostRow).where(PostRow.source == source))

    def of_groups(self, groups: Collection[int]) -> list[Post]:
        """Return the status message, the questions, the result and the headline of each group."""
        roles = PostRow.role.in_(["status", "question", "result", "headline"])
        return self._posts(select(PostRow).where(PostRow.group_id.in_(groups), roles))

    def _add(self, rows: Sequence[PostRow]) -> bool:
        try:
            with transaction(self._engine) as session:
                for row in rows:
                    session.add(row)
                    session.flush()  # ids in the order they are posted in
        except IntegrityError:
            with reading(self._engine) as session:
                if session.scalar(select(PostRow.id).where(PostRow.key == rows[0].key)) is None:
                    raise
            return False
        return True

    def _posts(self, query: Select[Any]) -> list[Post]:
        with reading(self._engine) as session:
            return [_post(row) for row in session.scalars(query.order_by(PostRow.id))]


def _row(
    key: str, place: Place, reply: Reply, *, source: str = "", role: Role | None = None, final: bool = False
) -> PostRow:
    if role is None:
        role = "reply" if reply.group is None else "status"
    return PostRow(
        key=key, source=source, platform=place.platform, channel=place.channel, thread=place.thread,
        message=reply.message.model_dump(mode="json"), group_id=reply.group, role=role, refused=reply.refused,
        private=reply.private, waits=reply.waits, state=SENT if role == "none" else PENDING, owner="",
        message_id=None, final=final,
        created_at=datetime.now(UTC), sent_at=None,
    )  # fmt: skip


def _at(row: type[PostRow], place: Place) -> ColumnElement[bool]:
    return and_(row.platform == place.platform, row.channel == place.channel, row.thread == place.thread)


def _changed(result: object) -> bool:
    return bool(cast("Any", result).rowcount == 1)


def _post(row: PostRow) -> Post:
    return Post(
        id=row.id,
        key=row.key,
        place=Place(platform=row.platform, channel=row.channel, thread=row.thread),
        group=row.group_id,
        refused=row.refused,
        waits=row.waits,
        role=cast("Role", row.role),
        state=row.state,
        owner=row.owner,
        message_id=row.message_id,
        final=row.final,
        audience=Audience(user=row.user, private=row.private, reply_url=row.reply_url),
        created_at=row.created_at,
        content=row.message,
    )
