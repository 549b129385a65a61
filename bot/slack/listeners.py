"""What Slack delivers, on its way into the inbox: nothing slow happens before it is acknowledged.

A message, command, click or form is acknowledged once it is kept; what cannot be kept is not acknowledged, so that
Slack delivers it again or tells the person. Only what rides on the acknowledgement is done before it: a form's field
errors, a menu's options. Everything else is done beside it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self, cast

import structlog
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.slack.address import NAME, spot_id
from bot.slack.dialogs import Dialogs
from bot.slack.events import click_heard, command_heard, message_heard, shortcut_heard
from bot.slack.homes import Homes
from bot.slack.manifest import EVENTS_PATH, INSTALL_PATH, NEW_EVALUATION, REDIRECT_PATH, RERUN_THIS
from bot.slack.prompts import greet, suggest_prompts
from bot.slack.unfurl import unfurl
from handlers.incoming import Incoming, Place

if TYPE_CHECKING:
    from aiohttp import web
    from slack_bolt.context.ack.async_ack import AsyncAck
    from slack_bolt.context.async_context import AsyncBoltContext

    from bot.app import Bot
    from bot.platforms.base import Receive
    from bot.signed import Signer
    from bot.slack.installations import Installations
    from bot.slack.people import People
    from bot.slack.workspaces import Workspaces

log = structlog.get_logger(__name__)

ANYTHING = re.compile("")
HEARD = BoltResponse(status=200, body="")
Payload = dict[str, Any]


class Listeners:
    """The app's listeners; with HTTP, served at the web server while open."""

    def __init__(
        self,
        *,
        bot: Bot,
        workspaces: Workspaces,
        installations: Installations | None,
        people: People,
        signer: Signer,
        receive: Receive,
    ) -> None:
        self._bot, self._workspaces, self._installations = bot, workspaces, installations
        self._people, self._signer, self._receive = people, signer, receive
        self._dialogs = Dialogs(bot, workspaces, people, receive)
        self._homes = Homes(bot, workspaces, people, signer)
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = self._make_app()

    async def __aenter__(self) -> Self:
        hooks, settings = self._bot.hooks, self._bot.settings
        if settings.slack_signing_secret and not settings.slack_app_token:
            hooks[EVENTS_PATH] = self._over_http
        elif not settings.slack_app_token:  # anybody could say that they are Slack
            log.error("Slack is not heard: set SLACK_APP_TOKEN, or SLACK_SIGNING_SECRET for requests over HTTP")
        if self._installations is not None:
            hooks[INSTALL_PATH] = self._install
            hooks[REDIRECT_PATH] = self._installed
        self._beside(self._homes.keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        for path in (EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH):
            self._bot.hooks.pop(path, None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _make_app(self) -> AsyncApp:
        settings = self._bot.settings
        flow = None
        if self._installations is not None:
            from bot.slack.oauth import make_flow

            flow = make_flow(settings, self._installations, self._workspaces.client(), self._bot.redis)
        app = AsyncApp(
            name=NAME, client=self._workspaces.client(), oauth_flow=flow,
            authorize=cast("Any", self._workspaces),  # Bolt takes its own class too
            signing_secret=settings.slack_signing_secret or "", logger=_quiet(), before_authorize=self._on_removal,
        )  # fmt: skip
        app.middleware(self._on_event)
        app.command(ANYTHING)(self._on_command)
        app.action(ANYTHING)(self._on_action)
        app.options(ANYTHING)(self._on_options)
        app.view(ANYTHING)(self._on_form)
        app.view_closed(ANYTHING)(_on_closed)
        app.global_shortcut(NEW_EVALUATION)(self._on_new_evaluation)
        app.message_shortcut(RERUN_THIS)(self._on_rerun_this)
        return app

    # events

    async def _on_event(self, body: Payload, context: AsyncBoltContext, next: Any) -> BoltResponse | None:  # noqa: A002
        """Keep what an event says, and acknowledge it; Bolt itself would acknowledge it before that."""
        if body.get("type") != "event_callback":
            await next()
            return None
        incoming = self._heard(body, context.bot_user_id or "")
        if incoming is not None:
            await self._receive(incoming)
        return HEARD

    def _heard(self, body: Payload, bot_user: str) -> Incoming | None:
        """Return what an event says to us; do beside it what it wants done and nobody waits for."""
        event: Payload = body.get("event") or {}
        team = str(body.get("team_id") or body.get("enterprise_id") or "")
        kind, user = event.get("type"), str(event.get("user") or "")
        if kind in {"message", "app_mention"}:
            return message_heard(body, bot_user)
        if kind == "app_home_opened" and event.get("tab") == "home":
            self._beside(self._homes.opened(team, user))
        elif kind in {"app_home_opened", "assistant_thread_started"}:
            self._beside(suggest_prompts(self._bot, self._workspaces, self._people, team, event))
        elif kind == "link_shared":
            self._beside(unfurl(self._bot, self._workspaces, team, event))
        elif kind == "member_joined_channel" and user == bot_user:
            self._beside(greet(self._bot, self._people, team, event))
        return None

    async def _on_removal(self, body: Payload, next: Any) -> BoltResponse | None:  # noqa: A002
        """Hear that a workspace removed the app: its token, which is looked at before anything else, is worthless."""
        event: Payload = body.get("event") or {}
        if event.get("type") not in {"app_uninstalled", "tokens_revoked"}:
            await next()
            return None
        await self._uninstalled(str(body.get("team_id") or body.get("enterprise_id") or ""), event)
        return HEARD

    async def _uninstalled(self, team: str, event: Payload) -> None:
        if event.get("type") == "tokens_revoked" and not (event.get("tokens") or {}).get("bot"):
            return
        log.warning("a workspace removed the app", team=team)
        self._workspaces.forget(team)
        if self._installations is not None:
            await self._installations.async_delete_all(enterprise_id=team, team_id=team)

    # commands, clicks, forms

    async def _on_command(self, body: Payload, ack: AsyncAck) -> None:
        if self._dialogs.wants_form(body):
            await ack()
            self._beside(self._dialogs.open_for_command(body))
            return
        await self._receive(command_heard(body))
        await ack()

    async def _on_action(self, body: Payload, ack: AsyncAck) -> None:
        if self._dialogs.concerns(body, self._signer):
            await ack()
            self._beside(self._dialogs.acted(body, self._signer))
            return
        incoming = click_heard(body, self._signer)
        if incoming is not None:
            await self._receive(incoming)
        await ack()

    async def _on_options(self, body: Payload, ack: AsyncAck) -> None:
        await ack(await self._dialogs.options(body))

    async def _on_form(self, body: Payload, ack: AsyncAck) -> None:
        answer = await self._dialogs.submitted(body)
        await (ack() if answer is None else ack(**answer))

    async def _on_new_evaluation(self, body: Payload, ack: AsyncAck) -> None:
        await ack()
        self._beside(self._dialogs.open_new(body))

    async def _on_rerun_this(self, body: Payload, ack: AsyncAck) -> None:
        run, conversation = await asyncio.to_thread(self._run_of, body)
        await self._receive(shortcut_heard(body, "rerun", run, conversation))
        await ack()

    def _run_of(self, body: Payload) -> tuple[str, Place | None]:
        """Return the run that a message of ours is about, and the conversation that this belongs to; else nothing."""
        message_id = spot_id(str(body["channel"]["id"]), str(body["message"]["ts"]))
        post, store = self._bot.reporter.outbox.by_message(NAME, message_id), self._bot.services.store
        if post is None or post.group is None:
            return "", None
        group, runs = store.group(post.group), store.group_runs(post.group)
        place = Place(platform=group.platform, channel=group.channel, thread=group.thread)
        return runs[0].name if len(runs) == 1 else "", place

    # over HTTP

    async def _over_http(self, request: web.Request) -> web.StreamResponse:
        return await to_aiohttp_response(await self.app.async_dispatch(await to_bolt_request(request)))

    async def _install(self, request: web.Request) -> web.StreamResponse:
        assert self.app.oauth_flow is not None
        return await to_aiohttp_response(await self.app.oauth_flow.handle_installation(await _bolt(request)))

    async def _installed(self, request: web.Request) -> web.StreamResponse:
        assert self.app.oauth_flow is not None
        return await to_aiohttp_response(await self.app.oauth_flow.handle_callback(await _bolt(request)))

    def _beside(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something that no acknowledgement waits for; nothing is lost where it fails."""
        task = asyncio.create_task(_logged(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _quiet() -> logging.Logger:
    """Return Bolt's logger without its advice on settings that are meant."""
    logger = logging.getLogger("slack_bolt")
    logger.setLevel(logging.ERROR)
    return logger


async def _logged(doing: Coroutine[Any, Any, None]) -> None:
    try:
        await doing
    except Exception:
        log.exception("something beside the conversation failed")


async def _on_closed(ack: AsyncAck) -> None:
    await ack()


async def _bolt(request: web.Request) -> AsyncBoltRequest:
    return await to_bolt_request(request)
