"""Slack: what people say there, and what is posted there. The parts stand in `bot/slack/`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError

from bot.budgets import Window
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
from bot.render.slack import Level, Rendered, render
from bot.signed import Signer
from bot.slack.address import (
    NAME,
    Spot,
    is_direct,
    spot_id,
    spot_of,
    spot_of_source,
    target_of,
    team_of,
    user_of,
)
from bot.slack.calls import BlocksRefused
from bot.slack.listeners import Listeners
from bot.slack.people import People
from bot.slack.socket import Connection
from bot.slack.whisper import whisper
from bot.slack.workspaces import Workspace, Workspaces
from handlers.incoming import Place, language_of
from handlers.message import Button, Chart, Message, Text
from handlers.texts import Texts

if TYPE_CHECKING:
    from bot.app import Bot

log = structlog.get_logger(__name__)

EDIT_EVERY = 3.2
"""Seconds between two edits of a message: at Slack no less than three, also where one was a little late."""
EDITS_PER_MINUTE = 47.0
"""Of the 50 that Slack allows a workspace; some are left for what is not counted here."""
MARKS_PER_MINUTE = 40
POSTED = "scopebot_post"
"""The type of the metadata that says under which key a message was posted."""
CLOCKS_DIFFER_BY = timedelta(minutes=5)
MOST_PAGES = 20
LOOKED_UP_FOR = timedelta(days=7)
"""How far back it is looked whether a person was posted to already what its place does not take."""
PICTURE_WAITS = (1.0, 1.0, 2.0, 3.0, 4.0)
"""Seconds between the tries to show a file that Slack is still processing; then its message does without it."""
MOST_UPLOADED = 500
SIMPLER_FOR = 3600.0
"""Seconds after which a workspace that refused blocks is offered them again."""
MARKS: dict[Mark, str] = {"seen": "eyes", "good": "white_check_mark", "bad": "x"}


@dataclass(frozen=True)
class _Post:
    """A message on its way: what it says, and under which key."""

    message: Message
    key: str


class SlackPlatform(Platform):
    """The app in one workspace, or in all that installed it."""

    name = NAME
    edit_every = EDIT_EVERY
    edits_per_minute = EDITS_PER_MINUTE
    mention_after = 0.0

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        settings = bot.settings
        installations = None
        if settings.slack_client_id and settings.slack_client_secret:
            from bot.slack.installations import Installations

            installations = Installations(bot.services.store.engine)
        self.workspaces = Workspaces(settings, installations)
        self._installations = installations
        self._people = People(self.workspaces)
        self._signer = Signer(settings.effective_secret_key)
        self._helper = Helper()
        self._levels: dict[str, tuple[Level, float]] = {}
        """What a workspace takes that refused something, and until when it is not tried again."""
        self._uploaded: dict[tuple[str, Chart], str] = {}
        """The files of charts that were drawn, by workspace."""
        self._marks: dict[str, Window] = {}

    async def run(self, receive: Receive) -> None:
        """See `Platform.run`."""
        settings = self._bot.settings
        await self.workspaces.open()
        listeners = Listeners(
            bot=self._bot, workspaces=self.workspaces, installations=self._installations, people=self._people,
            signer=self._signer, receive=receive,
        )  # fmt: skip
        async with listeners:
            if settings.slack_app_token:
                await Connection(listeners.app, settings.slack_app_token).run()
            else:
                await asyncio.Event().wait()

    # what is posted

    async def turn(self, place: Place, audience: Audience, *, urgent: bool) -> None:
        """See `Platform.turn`."""
        if audience.private:
            return
        workspace = await self.workspaces.get(team_of(place))
        await workspace.calls.turn(target_of(place), urgent=urgent)

    async def send(
        self,
        place: Place,
        message: Message,
        *,
        key: str,
        live: bool = False,  # noqa: ARG002 - every message of Slack's can be edited
        audience: Audience = EVERYONE,
    ) -> str:
        """See `Platform.send`. Where nobody can post it goes to the person it is for, who learns why."""
        workspace = await self.workspaces.get(team_of(place))
        post = _Post(message, key)
        if audience.private:
            session = self.workspaces.session

            async def tell(rendered: Rendered) -> str:
                return await whisper(workspace, place, rendered, audience, session, metadata=_metadata(key))

            return str(await self._with_fallback(workspace, post, tell))
        thread = spot_of(place.thread) if place.thread else None
        try:
            return await self._post(workspace, thread.channel if thread else target_of(place), post, thread)
        except MessageGone:  # the thread's first message: what is said goes into the channel
            return await self._post(workspace, target_of(place), post)
        except PlaceClosed as error:
            if not audience.user or is_direct(place):
                raise
            log.warning("posting to the person instead", key=key, reason=str(error))
            return await self._post_to(workspace, user_of(audience.user), post)

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        """See `Platform.find`: by the metadata that every post has."""
        workspace = await self.workspaces.get(team_of(place))
        try:
            if place.thread:
                with contextlib.suppress(MessageGone):  # it went into the channel then
                    return await self._look(workspace, spot_of(place.thread), key, since)
            channel = await self._channel_id(workspace, target_of(place))
            return await self._look(workspace, Spot(channel, ""), key, since)
        except (PlaceClosed, MessageGone):  # `send` looks where it posts instead
            return None

    async def edit(
        self,
        place: Place,
        message_id: str,
        message: Message,
        *,
        key: str,
        final: bool = False,  # noqa: ARG002
    ) -> None:
        """See `Platform.edit`."""
        spot = spot_of(message_id)
        if not spot.ts:
            return
        workspace = await self.workspaces.get(team_of(place))

        async def update(rendered: Rendered) -> Any:
            return await workspace.calls.call(
                "chat.update", channel=spot.channel, ts=spot.ts, text=rendered.text, blocks=rendered.blocks,
                metadata=_metadata(key),
            )  # fmt: skip

        await self._with_fallback(workspace, _Post(message, key), update)

    async def close(self) -> None:
        """See `Platform.close`."""
        await self._helper.close()
        await self.workspaces.close()

    # what else it can do

    def workspace(self, place: Place) -> str:
        """See `Platform.workspace`."""
        return team_of(place)

    def headline_place(self, place: Place) -> Place | None:
        """See `Platform.headline_place`."""
        return None if is_direct(place) else place.model_copy(update={"thread": ""})

    async def person(self, place: Place, user: str) -> Person:
        """See `Platform.person`."""
        return await self._people.get(team_of(place), user_of(user))

    async def link(self, place: Place, message_id: str) -> str | None:
        """See `Platform.link`."""
        spot = spot_of(message_id)
        try:
            workspace = await self.workspaces.get(team_of(place))
        except Denied:
            return None
        if not spot.ts or not workspace.url:
            return None
        url = f"{workspace.url.rstrip('/')}/archives/{spot.channel}/p{spot.ts.replace('.', '')}"
        opened = await asyncio.to_thread(self._bot.reporter.outbox.opened, place)
        thread = spot_of(opened.thread)
        return f"{url}?thread_ts={thread.ts}&cid={thread.channel}" if thread.ts else url

    async def mark(self, source: str, mark: Mark) -> None:
        """See `Platform.mark`: a reaction, if the workspace has one to spare now."""
        where = spot_of_source(source)
        if where is None:
            return
        team, spot = where
        if not self._marks.setdefault(team, Window(MARKS_PER_MINUTE, 60.0)).free():
            return
        try:
            workspace = await self.workspaces.get(team)
            await workspace.calls.call("reactions.add", channel=spot.channel, timestamp=spot.ts, name=MARKS[mark])
        except Exception as error:
            log.info("no reaction", reason=repr(error))

    # how

    async def _post(self, workspace: Workspace, channel: str, post: _Post, thread: Spot | None = None) -> str:
        async def put(rendered: Rendered) -> Any:
            return await workspace.calls.call(
                "chat.postMessage", channel=channel, text=rendered.text, blocks=rendered.blocks,
                thread_ts=thread.ts if thread else None, metadata=_metadata(post.key), unfurl_links=False,
                unfurl_media=False,
            )  # fmt: skip

        async def again() -> None:
            await workspace.calls.turn(channel)

        answer = await self._with_fallback(workspace, post, put, again)
        return spot_id(str(answer["channel"]), str(answer["ts"]))

    async def _post_to(self, workspace: Workspace, user: str, post: _Post) -> str:
        """Post to a person what its place does not take, once, and say why."""
        channel = await self._channel_id(workspace, user)
        since = datetime.now().astimezone() - LOOKED_UP_FOR
        found = await self._look(workspace, Spot(channel, ""), post.key, since)
        if found is not None:
            return found
        await workspace.calls.turn(user)
        why = Text(text=Texts(language_of(post.message.text))("post.elsewhere"))
        message = post.message.model_copy(update={"parts": (*post.message.parts, why)})
        return await self._post(workspace, channel, _Post(message, post.key))

    async def _with_fallback(
        self,
        workspace: Workspace,
        post: _Post,
        put: Callable[[Rendered], Awaitable[Any]],
        again: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        """Put a message as richly as the workspace takes it, and remember what it does not take."""
        known, until = self._levels.get(workspace.team, (Level.RICH, 0.0))
        level = known = known if time.monotonic() < until else Level.RICH
        waits, whole = iter(PICTURE_WAITS), True
        pictures: Sequence[str] | None = None
        while True:
            if pictures is None:
                pictures = await self._pictures(workspace, post.message) if level is Level.PLAIN else ()
            try:
                done = await put(self._rendered(workspace, post, level, pictures))
            except BlocksRefused as error:
                if level is Level.TEXT:
                    log.exception("Slack takes a message in no form", key=post.key)
                    raise PlaceClosed(str(error)) from error
                if pictures and "file" in str(error):
                    wait = next(waits, None)
                    if wait is None:
                        log.warning("a chart is told as text", key=post.key, reason=str(error))
                        pictures = ()
                    else:
                        await asyncio.sleep(wait)  # it is still being processed
                else:
                    log.warning("Slack refused blocks; trying simpler ones", key=post.key, reason=str(error))
                    level, pictures = Level(level - 1), None
                    whole = whole and "too_long" not in str(error)
            else:
                if level < known and whole:  # what it refused was no fault of this message alone
                    self._levels[workspace.team] = (level, time.monotonic() + SIMPLER_FOR)
                return done
            if again is not None:
                await again()

    async def _pictures(self, workspace: Workspace, message: Message) -> Sequence[str]:
        """Draw a message's charts and upload them; none where that does not work, and they are told as text."""
        charts = [part for part in message.parts if isinstance(part, Chart)]
        try:
            return [await self._picture(workspace, chart, f"chart-{at}.png") for at, chart in enumerate(charts, 1)]
        except (PlatformError, SlackClientError, HelperFailed, aiohttp.ClientError, OSError, RuntimeError) as error:
            log.warning("charts are told as text", reason=repr(error))
            return ()

    async def _picture(self, workspace: Workspace, chart: Chart, name: str) -> str:
        """Return the file of a chart; an edit of its message shows the one that was uploaded before."""
        known = self._uploaded.get((workspace.team, chart))
        if known is None:
            known = await workspace.calls.upload(await self._helper.call(draw, chart), name, chart.title)
            if len(self._uploaded) >= MOST_UPLOADED:
                self._uploaded.clear()
            self._uploaded[workspace.team, chart] = known
        return known

    def _rendered(self, workspace: Workspace, post: _Post, level: Level, pictures: Sequence[str] = ()) -> Rendered:
        def value(button: Button) -> str:
            return self._signer.value(button.id, post=post.key, team=workspace.team)

        texts = Texts(language_of(post.message.text))
        return render(post.message, level, value=value, pictures=pictures, texts=texts)

    async def _channel_id(self, workspace: Workspace, target: str) -> str:
        if not target.startswith(("U", "W")):
            return target
        answer = await workspace.calls.call("conversations.open", users=target)
        return str(answer["channel"]["id"])

    async def _look(self, workspace: Workspace, where: Spot, key: str, since: datetime) -> str | None:
        """Look through a thread, or a channel, for what was posted under a key."""
        method = "conversations.replies" if where.ts else "conversations.history"
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await workspace.calls.ask(
                method, channel=where.channel, ts=where.ts or None, cursor=cursor, limit="200",
                oldest=f"{(since - CLOCKS_DIFFER_BY).timestamp():.6f}", include_all_metadata="true",
            )  # fmt: skip
            for message in page.get("messages") or ():
                metadata = message.get("metadata") or {}
                if (metadata.get("event_payload") or {}).get("key") == key and metadata.get("event_type") == POSTED:
                    return spot_id(where.channel, str(message["ts"]))
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
        return None


def make(bot: Bot) -> Platform:
    """Return the platform of a process."""
    return SlackPlatform(bot)


def _metadata(key: str) -> dict[str, Any]:
    return {"event_type": POSTED, "event_payload": {"key": key}}
