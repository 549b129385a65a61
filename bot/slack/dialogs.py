"""Forms in Slack's modals: opened, looked up in, shown again with more, and read, before they become a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import structlog
from redis.exceptions import RedisError
from slack_sdk.errors import SlackApiError

from bot.platforms.base import Audience, Person, PlatformError
from bot.render.slack import Level, render
from bot.slack.address import NAME, channel_of, direct_of
from bot.slack.events import form_heard
from bot.slack.forms import (
    MORE,
    errors_response,
    is_expanded,
    modal,
    options_response,
    values_of,
    where_of,
)
from bot.slack.manifest import call_of
from bot.slack.whisper import whisper
from handlers.form_options import benchmark_options
from handlers.form_reading import read
from handlers.forms import FORMS, form_for
from handlers.home import OPEN
from handlers.incoming import Language, Place, language_of
from handlers.intents.slash import named_intent
from handlers.message import Message
from handlers.registry import intents
from handlers.texts import Texts
from jobs.models import Frozen

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.platforms.base import Receive
    from bot.signed import Signer
    from bot.slack.people import People
    from bot.slack.workspaces import Workspaces
    from handlers.forms import Form

log = structlog.get_logger(__name__)

FORM = "form"
"""The callback id of a form."""
KNOWN_WITHIN = 0.5
"""Seconds for which a form that is to open waits to know the person: it has to be open in three."""
TRIGGERS = "scopebot:slack:trigger"
"""Begins the key in Redis that says that a form was asked for."""
REMEMBERED_FOR = 600
"""Seconds for which a copy of what opened a form may come."""
Payload = dict[str, Any]


class _Opened(Frozen):
    """What an open form is about; Slack keeps it with the view and shows it to nobody."""

    intent: str
    channel: str = ""
    """Where the answer goes; empty where the form asks, or the person alone is answered."""
    asks_where: bool = False
    language: Language = "en"


class _Asked(NamedTuple):
    """Who asked for a form, and where."""

    team: str
    user: str
    trigger: str
    said: str
    """The command that opens it, without anything behind it."""
    channel: str = ""
    """Where that was typed; empty where it was not."""
    reply_url: str = ""


class Dialogs:
    """The forms of all workspaces."""

    def __init__(self, bot: Bot, workspaces: Workspaces, people: People, receive: Receive) -> None:
        self._bot, self._workspaces, self._people, self._receive = bot, workspaces, people, receive

    # what opens one

    def wants_form(self, body: Payload) -> bool:
        """Tell whether a slash command says nothing and has a form to ask with."""
        return named_intent(f"{body.get('command')} {body.get('text') or ''}".strip()) in FORMS

    async def open_for_command(self, body: Payload) -> None:
        """Open the form of a slash command."""
        said = f"{body['command']} {body.get('text') or ''}".strip()
        intent = named_intent(said) or ""
        team, user, channel = str(body["team_id"]), str(body["user_id"]), str(body["channel_id"])
        language = await self._language(team, user, said)
        opened = _Opened(intent=intent, channel="" if channel.startswith("D") else channel, language=language)
        asked = _Asked(team, user, str(body["trigger_id"]), said, channel, str(body.get("response_url") or ""))
        await self._open(opened, asked)

    async def open_new(self, body: Payload, intent: str = "eval") -> None:
        """Open a form where no channel is given: it asks where to post."""
        team, user = str((body.get("team") or {}).get("id", "")), str(body["user"]["id"])
        opened = _Opened(intent=intent, asks_where=True, language=await self._language(team, user))
        await self._open(opened, _Asked(team, user, str(body["trigger_id"]), call_of(intents()[intent])))

    async def _open(self, opened: _Opened, asked: _Asked) -> None:
        """Open a form; a person for whom it does not open is told what to type."""
        if await self._is_copy(asked):
            return
        try:
            workspace = await self._workspaces.get(asked.team)
            view = await self._view(opened)
            await workspace.calls.call("views.open", trigger_id=asked.trigger, view=view)
        except (PlatformError, SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("a form did not open", intent=opened.intent, reason=repr(error))
            await self._tell_instead(opened, asked)

    async def _is_copy(self, asked: _Asked) -> bool:
        """Tell whether the form was asked for before, by what Slack delivered then too."""
        mark = f"{TRIGGERS}:{asked.team}:{asked.trigger}"
        try:
            return not await self._bot.redis.set(mark, "1", nx=True, ex=REMEMBERED_FOR)
        except RedisError as error:  # at worst a second one does not open, and the person is told
            log.warning("a copy would not be known", reason=repr(error))
            return False

    async def _tell_instead(self, opened: _Opened, asked: _Asked) -> None:
        """Tell a person what to type in place of a form."""
        text = Texts(opened.language)(f"forms.not_opened.{opened.intent}", command=asked.said)
        rendered = render(Message(text=text), Level.TEXT, value=lambda button: button.id)
        where = direct_of(asked.team, asked.user) if not asked.channel else channel_of(asked.team, asked.channel)
        place = Place(platform=NAME, channel=where, thread="")
        audience = Audience(f"{NAME}:{asked.user}", private=True, reply_url=asked.reply_url)
        await whisper(await self._workspaces.get(asked.team), place, rendered, audience, self._workspaces.session)

    # what is done in one

    def concerns(self, body: Payload, signer: Signer) -> bool:
        """Tell whether a click or a choice was made in a form, or opens one."""
        if (body.get("view") or {}).get("type") == "modal":
            return True
        return self._opens(body, signer) is not None

    async def acted(self, body: Payload, signer: Signer) -> None:
        """Open a form, or show more of the one that is open."""
        intent = self._opens(body, signer)
        if intent is not None:
            await self.open_new(body, intent)
            return
        if (body.get("actions") or [{}])[0].get("action_id") != MORE:
            return
        view: Payload = body["view"]
        opened = _Opened.model_validate_json(view["private_metadata"])
        team = str((body.get("team") or {}).get("id", ""))
        workspace = await self._workspaces.get(team)
        fresh = await self._view(opened, view, expanded=True)
        await workspace.calls.call("views.update", view_id=view["id"], hash=view.get("hash"), view=fresh)

    async def options(self, body: Payload) -> dict[str, Any]:
        """Return what there is to choose of what a person types."""
        view: Payload = body.get("view") or {}
        language: Language = "en"
        if view.get("private_metadata"):
            language = _Opened.model_validate_json(view["private_metadata"]).language
        services, said = self._bot.services, str(body.get("value") or "")
        found = benchmark_options(said, await services.vocabulary(), Texts(language), services.config)
        return options_response(found)

    async def submitted(self, body: Payload) -> dict[str, Any] | None:
        """Keep what a form asks for and return None; or return the errors of its fields."""
        view: Payload = body["view"]
        opened = _Opened.model_validate_json(view["private_metadata"])
        form, texts = await self._form(opened), Texts(opened.language)
        services = self._bot.services
        request = read(
            form, values_of(view, form), texts=texts, config=services.config, vocabulary=await services.vocabulary()
        )
        if isinstance(request, dict):
            return errors_response(request, view)
        channel = where_of(view) if opened.asks_where else opened.channel
        await self._receive(form_heard(body, request, channel))
        return None

    # how

    def _opens(self, body: Payload, signer: Signer) -> str | None:
        """Return the intent whose form a button opens."""
        value = (body.get("actions") or [{}])[0].get("value")
        if not value:
            return None
        pressed = signer.read(str(value), team=str((body.get("team") or {}).get("id", ""))).button
        return pressed.removeprefix(OPEN) if pressed.startswith(OPEN) else None

    async def _form(self, opened: _Opened) -> Form:
        services = self._bot.services
        form = form_for(opened.intent, Texts(opened.language), services.config, await services.vocabulary())
        assert form is not None, opened.intent
        return form

    async def _view(self, opened: _Opened, before: Payload | None = None, *, expanded: bool = False) -> Payload:
        """Return a form's view, with what was typed before."""
        form = await self._form(opened)
        return modal(
            form,
            callback_id=FORM,
            private_metadata=opened.model_dump_json(),
            texts=Texts(opened.language),
            expanded=expanded or (before is not None and is_expanded(before, form)),
            values=None if before is None else values_of(before, form),
            ask_where=opened.asks_where,
            where="" if before is None else where_of(before),
        )

    async def _language(self, team: str, user: str, said: str = "") -> Language:
        """Return the language of a form: that of the command, else the person's if it is known soon enough."""
        if language_of(said) == "zh":
            return "zh"
        person = self._people.known(team, user)
        if person is None:
            try:
                async with asyncio.timeout(KNOWN_WITHIN):
                    person = await self._people.get(team, user)
            except TimeoutError:
                person = Person()
        return person.language or "en"
