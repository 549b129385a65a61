"""Feishu and Lark: what people say there, and what is posted there. The parts stand in `bot/feishu/`.

Importing this takes seconds, which the SDK needs: it is done in a thread while everything else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from lark_oapi import AccessTokenType, BaseRequest, HttpMethod

from bot.background import cancel, keep_going
from bot.feishu import posting
from bot.feishu.address import NAME, Receiver, direct_of, is_direct, message_of_source, receiver_of, user_of
from bot.feishu.calls import Calls, CardRefused, NoThreads
from bot.feishu.chats import Chats
from bot.feishu.commands import register
from bot.feishu.connection import Connection
from bot.feishu.listeners import Listeners
from bot.feishu.people import People
from bot.feishu.plain import plain_card
from bot.feishu.presses import Presses, Toasts
from bot.feishu.references import reference_of, uuid_of
from bot.feishu.tokens import Tokens
from bot.helper import Helper, HelperFailed
from bot.pictures import draw
from bot.platforms.base import (
    EVERYONE,
    Audience,
    Denied,
    Mark,
    MessageGone,
    Person,
    PlaceClosed,
    Platform,
    PlatformError,
    Receive,
)
from bot.render.feishu import Rendered, charts_as_pictures, render
from bot.signed import Signer
from handlers.incoming import Place, language_of
from handlers.message import Button, Chart, Form, Message, Text
from handlers.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.app import Bot

log = structlog.get_logger(__name__)

EDIT_EVERY = 1.1
"""Seconds between two edits of a card: Feishu takes five in a second, but each flickers."""
EDITS_PER_MINUTE = 900.0
"""Of the 1,000 that Feishu allows the app."""
KNOWN_FOR = timedelta(minutes=50)
"""For how long Feishu knows by its id that something was posted, with something to spare."""
CLOCKS_DIFFER_BY = timedelta(minutes=5)
MOST_PAGES = 20
MOST_UPLOADED = 500
SHOWN_ALONE = "private"
"""Stands for the id of a post that no history has."""
MARKS: dict[Mark, str] = {"seen": "OnIt", "good": "DONE", "bad": "CrossMark"}
WHO_AM_I_EVERY = 10.0


@dataclass(frozen=True)
class _Way:
    """How a message is posted: the requests for one of a kind, under an id that Feishu knows it by."""

    request: Callable[[str, dict[str, Any], str], BaseRequest]
    name: str


class FeishuPlatform(Platform):
    """The app in its tenant."""

    name = NAME
    edit_every = EDIT_EVERY
    edits_per_minute = EDITS_PER_MINUTE
    mention_after = 0.0

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        settings = bot.settings
        self._session = aiohttp.ClientSession(trust_env=True)
        self._tokens = Tokens(settings, self._session)
        self._calls = Calls(settings.feishu_domain, self._session, self._tokens)
        self._chats = Chats(bot.redis, self._calls)
        self._people = People(bot.redis, settings.feishu_domain)
        self._signer = Signer(settings.effective_secret_key)
        self._toasts = Toasts()
        self._presses = Presses(bot, self, self._signer, self._people, self._toasts)
        self._helper = Helper()
        self._uploaded: dict[Chart, str] = {}
        """The pictures of charts that were drawn."""

    async def run(self, receive: Receive) -> None:  # noqa: ARG002 - what comes in is kept by `bot.accept`, which tells copies
        """See `Platform.run`."""
        listeners = Listeners(
            bot=self._bot, platform=self, chats=self._chats, people=self._people, presses=self._presses
        )
        fresh = asyncio.create_task(keep_going(self._tokens.keep_fresh))
        try:
            await self._chats.load()
            async with listeners:
                # the console lets nobody choose the long connection before there is one, so nothing is waited for
                listeners.beside(self._find_out(listeners))
                listeners.beside(register(self._calls))
                if self._bot.settings.config.feishu.receive == "webhook":
                    await asyncio.Event().wait()
                else:
                    await Connection(self._bot.settings, self._session, listeners.hear).run()
        finally:
            await cancel([fresh])

    async def _find_out(self, listeners: Listeners) -> None:
        """Find out our own open id, however long it takes: without it nobody can be heard to mention us."""
        request = BaseRequest.builder().http_method(HttpMethod.GET).uri("/open-apis/bot/v3/info")
        while not listeners.bot_user:
            try:
                said = await self._calls.call(request.token_types({AccessTokenType.TENANT}).build())
                listeners.bot_user = str(said["bot"]["open_id"])
            except (PlatformError, aiohttp.ClientError, TimeoutError, OSError, KeyError) as error:
                log.warning(
                    "Feishu does not say who the bot is; see `scopebot doctor`", reason=str(error) or repr(error)
                )
                await asyncio.sleep(WHO_AM_I_EVERY)

    # what is posted

    async def turn(self, place: Place, audience: Audience, *, urgent: bool) -> None:
        """See `Platform.turn`."""
        if not audience.private or is_direct(place):
            await self._calls.turn(place.channel, urgent=urgent)

    async def send(
        self,
        place: Place,
        message: Message,
        *,
        key: str,
        live: bool = False,  # noqa: ARG002 - every card can be edited
        audience: Audience = EVERYONE,
    ) -> str:
        """See `Platform.send`. Where nobody can post it goes to the person it is for, who learns why."""
        texts = Texts(language_of(message.text))
        if audience.private and not message.parts and self._toasts.tell(audience.reply_url, message.text):
            return SHOWN_ALONE
        self._toasts.came_of(key, texts("feishu.taken"))
        if audience.private and not is_direct(place):
            return await self._whisper(place, message, key, audience)
        try:
            return await self._post(place, message, key)
        except PlaceClosed as error:
            if not audience.user or is_direct(place):
                raise
            log.warning("posting to the person instead", key=key, reason=str(error))
            why = Text(text=texts("feishu.elsewhere"))
            message = message.model_copy(update={"parts": (*message.parts, why)})
            return await self._post(_direct(audience.user), message, key)

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        """See `Platform.find`: for most of an hour Feishu itself makes nothing twice, then by the card's reference."""
        if datetime.now(UTC) - since < KNOWN_FOR:
            return None
        try:
            return await self._look(place, reference_of(key), since)
        except (PlaceClosed, MessageGone):
            return None
        except Denied as error:
            log.warning("cannot look whether something was posted; it may be posted twice", key=key, reason=str(error))
            return None

    async def edit(
        self,
        place: Place,  # noqa: ARG002 - a card is known by its id alone
        message_id: str,
        message: Message,
        *,
        key: str,
        final: bool = False,  # noqa: ARG002
    ) -> None:
        """See `Platform.edit`."""
        if message_id == SHOWN_ALONE:
            return
        rendered = await self._rendered(message, key)
        try:
            await self._calls.call(posting.patch(message_id, rendered.card))
        except CardRefused as error:
            log.warning("Feishu refused a card; showing its text", key=key, reason=str(error))
            await self._calls.call(posting.patch(message_id, plain_card(message, reference_of(key))))

    async def close(self) -> None:
        """See `Platform.close`."""
        await self._helper.close()
        await self._session.close()

    # what else it can do

    def headline_place(self, place: Place) -> Place | None:
        """See `Platform.headline_place`; in a chat of topics a line would be a topic of its own."""
        if is_direct(place) or self._chats.has_topics(place.channel):
            return None
        return place.model_copy(update={"thread": ""})

    async def person(self, place: Place, user: str) -> Person:  # noqa: ARG002 - the app has one tenant
        """See `Platform.person`."""
        return await self._people.get(user_of(user))

    async def mark(self, source: str, mark: Mark) -> None:
        """See `Platform.mark`: a reaction."""
        message_id = message_of_source(source)
        if message_id is None:
            return
        try:
            await self._calls.call(posting.react(message_id, MARKS[mark]))
        except Exception as error:
            log.info("no reaction", reason=repr(error))

    # how

    async def _post(self, place: Place, message: Message, key: str) -> str:
        """Post a message, in its thread where it has one, and before it the files that a card has no room for."""
        rendered = await self._rendered(message, key)
        ways = _ways(place)
        for at, attachment in enumerate(rendered.attachments):
            request, form = posting.upload_file(attachment.name, attachment.content)
            uploaded = await self._calls.call(request, form=form)
            await self._calls.turn(place.channel)
            await self._put(ways, "file", {"file_key": str(uploaded["file_key"])}, f"{key}|{at}")
        try:
            return await self._put(ways, "interactive", rendered.card, key)
        except CardRefused as error:
            log.warning("Feishu refused a card; posting its text", key=key, reason=str(error))
        await self._calls.turn(place.channel)
        return await self._put(ways, "interactive", plain_card(message, reference_of(key)), f"{key}|plain")

    async def _put(self, ways: list[_Way], kind: str, content: dict[str, Any], key: str) -> str:
        """Post in the first way that is open."""
        for way in ways[:-1]:
            try:
                return await self._make(way, kind, content, key)
            except (MessageGone, NoThreads) as error:
                log.info("posting in another way", way=way.name, reason=str(error))
        return await self._make(ways[-1], kind, content, key)

    async def _make(self, way: _Way, kind: str, content: dict[str, Any], key: str) -> str:
        made = await self._calls.call(way.request(kind, content, uuid_of(key, way.name)))
        return str(made["message_id"])

    async def _whisper(self, place: Place, message: Message, key: str, audience: Audience) -> str:
        """Tell a person something that nobody else in a chat sees; directly where the chat does not have that."""
        user = user_of(audience.user)
        card = (await self._rendered(message, key)).card
        if not self._chats.has_topics(place.channel):
            try:
                await self._calls.call(posting.show_to(user, place.channel, card))
            except (PlaceClosed, MessageGone, CardRefused, Denied) as error:
                log.info("telling a person directly", key=key, reason=str(error))
            else:
                return SHOWN_ALONE
        await self._calls.turn(direct_of(user))
        await self._post(_direct(audience.user), message, key)
        return SHOWN_ALONE

    async def _rendered(self, message: Message, key: str) -> Rendered:
        """Return a message as a card; a form is asked of the one who knows what can be filled in."""
        texts = Texts(language_of(message.text))
        form = next((part for part in message.parts if isinstance(part, Form)), None)
        if form is not None:
            card = await self._presses.form(form.intent, key, texts.language)
            if card is not None:
                return Rendered(card)

        def value(button: Button) -> str:
            return self._signer.value(button.id, post=key, team="")

        pictures = await self._pictures(charts_as_pictures(message))
        return render(message, value=value, texts=texts, reference=reference_of(key), pictures=pictures)

    async def _pictures(self, charts: tuple[Chart, ...]) -> Mapping[Chart, str]:
        """Draw charts and upload them; none where that does not work, and they are told as text."""
        try:
            return {chart: await self._picture(chart) for chart in charts}
        except (PlatformError, HelperFailed, aiohttp.ClientError, OSError, RuntimeError) as error:
            log.warning("charts are told as text", reason=repr(error))
            return {}

    async def _picture(self, chart: Chart) -> str:
        known = self._uploaded.get(chart)
        if known is None:
            request, form = posting.upload_image(await self._helper.call(draw, chart))
            known = str((await self._calls.call(request, form=form))["image_key"])
            if len(self._uploaded) >= MOST_UPLOADED:
                self._uploaded.clear()
            self._uploaded[chart] = known
        return known

    # what was posted before

    async def _look(self, place: Place, reference: str, since: datetime) -> str | None:
        """Look through a conversation, the newest first, for a post with a reference."""
        thread = await self._thread_of(place.thread) if place.thread else None
        if thread is not None:
            found = await self._look_through(thread, "thread", reference, since)
            if found is not None:
                return found
        chat = self._chats.direct(receiver_of(place).id) if is_direct(place) else place.channel
        return None if chat is None else await self._look_through(chat, "chat", reference, since)

    async def _thread_of(self, message_id: str) -> str | None:
        """Return the thread under a message, None where it has none or is not there any more."""
        with contextlib.suppress(MessageGone):
            items = (await self._calls.call(posting.get(message_id))).get("items") or ()
            return next((str(item["thread_id"]) for item in items if item.get("thread_id")), None)
        return None

    async def _look_through(self, container: str, kind: str, reference: str, since: datetime) -> str | None:
        begin, page = (since - CLOCKS_DIFFER_BY).timestamp(), ""
        for _ in range(MOST_PAGES):
            answer = await self._calls.call(posting.newest(container, kind, page, int(begin)))
            for item in answer.get("items") or ():
                if float(item.get("create_time") or 0) / 1000 < begin:
                    return None
                ours = (item.get("sender") or {}).get("id") == self._bot.settings.feishu_app_id
                if ours and not item.get("deleted") and reference in str((item.get("body") or {}).get("content", "")):
                    return str(item["message_id"])
            page = str(answer.get("page_token") or "")
            if not answer.get("has_more") or not page:
                return None
        return None


def make(bot: Bot) -> Platform:
    """Return the platform of a process."""
    return FeishuPlatform(bot)


def _ways(place: Place) -> list[_Way]:
    """Return how something is posted in a place: in its thread, else under its message, else in the chat."""
    receiver: Receiver = receiver_of(place)
    into_chat = _Way(lambda kind, content, uuid: posting.create(receiver, kind, content, uuid), "chat")
    if not place.thread or place.unopened:
        return [into_chat]
    root = place.thread
    return [
        _Way(lambda kind, content, uuid: posting.reply(root, kind, content, uuid), "thread"),
        _Way(lambda kind, content, uuid: posting.reply(root, kind, content, uuid, in_thread=False), "reply"),
        into_chat,
    ]


def _direct(user: str) -> Place:
    return Place(platform=NAME, channel=direct_of(user_of(user)), thread="")
