"""One platform in one process: what comes in is kept and handled, what is due is posted, what goes on is reported."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from bot.alive import Alive, Lease
from bot.background import cancel, keep_going
from bot.inbox import Inbox
from bot.intake import Intake
from bot.platforms.base import Audience, Platform, Posted
from bot.reporter import PlatformReporter, Reporter
from bot.sender import SEND_WITHIN, Sender
from bot.wakeups import woken
from handlers.conversation import bug_reply, converse
from handlers.incoming import UNOPENED, Incoming
from handlers.intents.secrets import redact
from handlers.message import Buttons, Message, Part, Text
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.space import telling_of_redis

if TYPE_CHECKING:
    from redis import Redis as Keeper
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.5
"""Seconds after which it is looked whether another process has answered."""


class AttachedPlatform:
    """Opened when the platform is attached, closed with the process."""

    def __init__(self, platform: Platform, redis: Redis, keeper: Keeper, alive: Alive, reporter: Reporter) -> None:
        self.platform = platform
        self._reporter = reporter
        self._services, self._outbox, self._wakeups = reporter.services, reporter.outbox, reporter.wakeups
        self._inbox = Inbox(redis, keeper, alive, platform.name, platform.session)
        self._intake = Intake(
            self._inbox, self._handle, give_up=self._give_up, set_aside=self._set_aside, postponed=self._tell_full
        )
        self._sender = Sender(self._outbox, platform, alive, self._wakeups)
        self._lease = Lease(redis, alive, f"report:{self._inbox.address}")
        self._reports = PlatformReporter(reporter, platform, self._lease)
        self._tasks: list[asyncio.Task[None]] = []
        self._beside: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin, with what was left by a process that is gone."""
        await self._inbox.open()
        await self._lease.hold()
        self._tasks = [
            asyncio.create_task(keep_going(task))
            for task in (
                self._intake.read, self._intake.look_for_leftovers, self._sender.run, self._lease.run,
                self._reports.run,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        """End; what is not done stays where others find it."""
        await cancel([*self._tasks, *self._beside])
        await self._intake.close()
        await self._sender.close()
        await self._lease.let_go()
        await self._inbox.close()
        await self.platform.close()

    async def accept(self, incoming: Incoming) -> bool:
        """Keep a message; False for a copy. The platform may acknowledge it when this returns. Raises `RedisFull`."""
        with telling_of_redis():
            return await self._inbox.accept(incoming)

    async def receive(self, incoming: Incoming) -> list[Posted]:
        """Keep a message and return what it led to, once that is posted."""
        with self._wakeups.said.listening() as said:
            await self.accept(incoming)
            while True:
                posts = await asyncio.to_thread(self._outbox.answers, incoming.id)
                if posts and all(post.sent for post in posts):
                    return [Posted(post.reply, post.message_id) for post in posts if post.message_id is not None]
                if self._sender.broken is not None:
                    raise self._sender.broken
                await woken(said, LOOK_EVERY)

    async def _handle(self, incoming: Incoming) -> None:
        """Answer a message unless it is answered: a copy of it, or this one by a process that died just then."""
        if await asyncio.to_thread(self._outbox.answered, incoming.id):
            return
        incoming = await self._known(incoming)
        about = await asyncio.to_thread(self._run_of_thread, incoming) if self.platform.run_threads else None
        refused = bool(incoming.about) and await asyncio.to_thread(self._outbox.refused, incoming.about)
        replies = await converse(incoming, self._services, about, was_refused=refused)
        if not replies and not incoming.addressed:
            return  # what people say to each other leaves no trace
        await self._answer(incoming, replies)
        await self._close_question(incoming, replies)
        if any(reply.group is not None for reply in replies):
            self._mark(incoming.about if incoming.newly_addressed else incoming.id)

    async def _known(self, incoming: Incoming) -> Incoming:
        """Return a message in the conversation that it belongs to, with what is known of the person."""
        place = await asyncio.to_thread(self._outbox.known_as, incoming.place)
        person = await self.platform.person(place, incoming.user)
        return incoming.model_copy(update={"place": place, "language": person.language, "timezone": person.timezone})

    async def _give_up(self, incoming: Incoming) -> None:
        """Tell that a message cannot be handled."""
        await self._tell_bug(incoming, "bug")

    async def _set_aside(self, incoming: Incoming) -> None:
        """Tell that a message ended the process each time it was handled."""
        await self._tell_bug(incoming, "bug.killed")

    async def _tell_full(self, incoming: Incoming) -> None:
        """Tell that a message waits for room on a disk: by the platform alone, the outbox may have no room either."""
        text, place = Texts(incoming.speaks)("postponed.full"), incoming.place
        if place.unopened:
            place = place.model_copy(update={"thread": ""})
        audience = Audience(incoming.user, private=incoming.unseen, reply_url=incoming.reply_url)
        async with asyncio.timeout(SEND_WITHIN):
            await self.platform.send(place, Message(text=text), key=f"{incoming.id}/postponed", audience=audience)

    async def _tell_bug(self, incoming: Incoming, text: str) -> None:
        if not await asyncio.to_thread(self._outbox.answered, incoming.id):
            bug = secrets.token_hex(4)
            log.error("gave a message up", bug=bug, incoming=incoming.id, told=text)
            await self._answer(incoming, [bug_reply(Texts(incoming.speaks), bug, text)])

    async def _answer(self, incoming: Incoming, replies: list[Reply]) -> None:
        """Record what is said; for the person alone where nobody else saw what it answers and nothing comes of it."""
        if incoming.unseen:
            replies = [
                dataclasses.replace(reply, private=reply.private or (reply.group is None and not _asks(reply.message)))
                for reply in replies
            ]
        opens = incoming.place.thread == f"{UNOPENED}{incoming.id}"
        root = _as_asked(incoming) if opens and not all(reply.private or reply.place for reply in replies) else None
        await asyncio.to_thread(self._outbox.record, incoming, replies, root)
        self._wakeups.due.wake()
        self._wakeups.runs.wake()  # what was asked for may have changed runs

    async def _close_question(self, incoming: Incoming, replies: list[Reply]) -> None:
        """Have a question that a press answered show the answer, and no more buttons."""
        if not incoming.post or not replies or any(reply.private for reply in replies):
            return
        post = await asyncio.to_thread(self._outbox.by_key, incoming.post)
        if post is not None and post.waits and post.message_id is not None:
            self._do_beside(self._reports.close_question(post, _answered(post.message, incoming)))

    def _mark(self, source: str) -> None:
        """Show lightly that a request was taken."""
        self._do_beside(self.platform.mark(source, "seen"))

    def _do_beside(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something that nothing waits for."""
        task = asyncio.create_task(doing)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _run_of_thread(self, incoming: Incoming) -> int | None:
        """Return the newest run of the conversation."""
        place = incoming.place
        return self._services.store.newest_run(place.platform, place.channel, place.thread)


def _as_asked(incoming: Incoming) -> Message:
    """Return what opens a thread: a command as it was typed, since nobody else saw it, but for what is secret."""
    said = " ".join(redact(incoming.text).replace("`", "'").split())
    return Message(text=f"`{said}`", mention=incoming.user)


def _asks(message: Message) -> bool:
    """Tell whether a message has buttons to answer it with."""
    return any(isinstance(part, Buttons) and not part.shortcuts for part in message.parts)


def _answered(message: Message, incoming: Incoming) -> Message:
    """Return a question with the answer that was pressed in place of its buttons."""
    parts: list[Part] = []
    for part in message.parts:
        if not isinstance(part, Buttons):
            parts.append(part)
            continue
        pressed = next((button.label for button in part.items if button.id == incoming.button), "")
        parts += [Text(text=f"✓ {pressed}")] if pressed else []
    return message.model_copy(update={"parts": tuple(parts)})
