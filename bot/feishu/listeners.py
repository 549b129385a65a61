"""What Feishu delivers, on its way into the inbox: nothing slow happens before it is acknowledged.

A message, a press or a form is acknowledged once it is kept; what cannot be kept is not, and Feishu delivers it again.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self, cast

import structlog
from aiohttp import web

from bot.feishu.address import NAME, direct_of, message_source, user_of
from bot.feishu.events import as_edit, as_recall, edited_at, menu_heard, message_heard
from bot.feishu.hearing import Dispatcher, Heard, NotReady
from bot.suggestions import suggestions
from handlers.incoming import Incoming, Place
from handlers.message import Message
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.errors import RedisFull
from jobs.outages import is_outage

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.feishu.chats import Chats
    from bot.feishu.people import People
    from bot.feishu.presses import Presses
    from bot.platforms.base import Platform

log = structlog.get_logger(__name__)

EVENTS_PATH = "/feishu/events"
MOST_RECENT = 10_000
UPDATED = "scopebot:feishu:updated:"
"""Begins the key that says which version of a message was heard first."""
UPDATED_FOR = 7 * 24 * 3600


class Listeners:
    """Hears events, whichever way they come; with requests, served at the web server while open."""

    def __init__(self, *, bot: Bot, platform: Platform, chats: Chats, people: People, presses: Presses) -> None:
        self._bot, self._platform = bot, platform
        self._chats, self._people, self._presses = chats, people, presses
        settings = bot.settings
        self._dispatcher = Dispatcher(settings.feishu_encrypt_key, settings.feishu_verification_token)
        self._recent: OrderedDict[str, Incoming] = OrderedDict()
        """Messages that were heard of late: of one that is recalled nothing but its id is told."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.bot_user = ""
        """Our own open id."""

    async def __aenter__(self) -> Self:
        settings = self._bot.settings
        if settings.config.feishu.receive == "webhook":
            if settings.feishu_encrypt_key or settings.feishu_verification_token:
                self._bot.hooks[EVENTS_PATH] = self._over_http
            else:  # anybody could say that they are Feishu
                log.error("Feishu is not heard: set FEISHU_ENCRYPT_KEY and FEISHU_VERIFICATION_TOKEN for requests")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bot.hooks.pop(EVENTS_PATH, None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def hear(self, payload: bytes) -> dict[str, Any] | None:
        """Keep an event of the long connection; return what it is answered with."""
        heard = self._dispatcher.read(payload)
        return None if heard is None else await self._keep(heard)

    async def _over_http(self, request: web.Request) -> web.StreamResponse:
        asked = self._dispatcher.check(request.headers, await request.read())
        if asked.heard is None:
            return web.Response(status=asked.status, body=asked.body, content_type="application/json")
        try:
            answer = await self._keep(asked.heard)
        except Exception as error:
            if not (is_outage(error) or isinstance(error, RedisFull | NotReady)):
                log.exception("an event is not understood", kind=asked.heard.kind)
            return web.Response(status=503, text="{}", content_type="application/json")
        return web.Response(text=json.dumps(answer or {}, ensure_ascii=False), content_type="application/json")

    async def _keep(self, heard: Heard) -> dict[str, Any] | None:
        """Keep an event; do beside it what it wants done and nobody waits for."""
        event = heard.event
        match heard.kind:
            case "im.message.receive_v1":
                await self._message(event)
            case "im.message.recalled_v1":
                await self._recalled(event)
            case "card.action.trigger":
                return await self._presses.heard(event)
            case "application.bot.menu_v6":
                asked = menu_heard(event)
                if asked is not None:
                    await self._bot.accept(self._platform, asked)
            case "im.chat.member.bot.added_v1":
                self.beside(self._added(event))
            case "im.chat.access_event.bot_p2p_chat_entered_v1":
                self.beside(self._entered(event))
        return None

    # messages

    async def _message(self, event: Any) -> None:
        if not self.bot_user and event.event.message.chat_type != "p2p":
            raise NotReady("who we are is not known yet")
        said = message_heard(event, self.bot_user)
        if said is None:
            return
        self._remember(said)
        new, when = await self._bot.accept(self._platform, said), edited_at(event)
        if new and when:
            await self._bot.redis.set(UPDATED + said.id, when, ex=UPDATED_FOR)
        elif when:
            known = cast("bytes | None", await self._bot.redis.get(UPDATED + said.id))
            if known is None or known.decode() != when:
                await self._bot.accept(self._platform, as_edit(said, when))
        self.beside(self._know(event, said))

    async def _know(self, event: Any, said: Incoming) -> None:
        """Take note of what a message tells of the person and the chat."""
        chat = str(event.event.message.chat_id or "")
        if said.addressed:
            await self._people.heard(user_of(said.user), said.text)
        await (self._chats.is_direct(user_of(said.user), chat) if said.direct else self._chats.learn(chat))

    async def _recalled(self, event: Any) -> None:
        message_id = str(event.event.message_id or "")
        said = self._recent.get(message_id) or await asyncio.to_thread(self._said, message_id)
        if said is not None:
            await self._bot.accept(self._platform, as_recall(said))

    def _said(self, message_id: str) -> Incoming | None:
        """Return a message of which only its effects are known; None where there are none. It reads the database."""
        posts = self._bot.reporter.outbox.answers(message_source(message_id))
        if not posts:
            return None
        return Incoming(id=message_source(message_id), place=posts[0].place, user=posts[0].audience.user)

    def _remember(self, said: Incoming) -> None:
        self._recent[said.id.removeprefix(f"{NAME}:")] = said
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    # greetings

    async def _added(self, event: Any) -> None:
        """Say, once, in a chat that we were added to what to say to us."""
        chat, operator = str(event.event.chat_id or ""), event.event.operator_id
        user = str(operator.open_id or "") if operator is not None else ""
        await self._chats.learn(chat)
        place = Place(platform=NAME, channel=chat, thread="")
        await self._greet(f"{NAME}:added:{chat}:{event.header.create_time}", place, user, "feishu.greeting")

    async def _entered(self, event: Any) -> None:
        """Greet, once, a person who opens the conversation with us and has said nothing yet."""
        chat, operator = str(event.event.chat_id or ""), event.event.operator_id
        user = str(operator.open_id or "") if operator is not None else ""
        if not user:
            return
        await self._chats.is_direct(user, chat)
        if not event.event.last_message_id:
            place = Place(platform=NAME, channel=direct_of(user), thread="")
            await self._greet(f"{NAME}:entered:{user}", place, user, "feishu.greeting.direct")

    async def _greet(self, source: str, place: Place, user: str, text: str) -> None:
        language = (await self._people.get(user)).language or "en"
        example = suggestions(language, self._bot.services.config)[0]
        greeted = Incoming(id=source, place=place, user=f"{NAME}:{user}")
        said = Message(text=Texts(language)(text, example=example))
        await asyncio.to_thread(self._bot.reporter.outbox.record, greeted, [Reply(said)])
        self._bot.reporter.wakeups.due.wake()

    def beside(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something that no acknowledgement waits for; nothing is lost where it fails."""
        task = asyncio.create_task(_logged(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(doing: Coroutine[Any, Any, None]) -> None:
    try:
        await doing
    except Exception:
        log.exception("something beside the conversation failed")
