"""Installing the app in further workspaces: `/slack/install` leads to Slack, which leads back with a code."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import aiohttp
import structlog
from itsdangerous import BadData, URLSafeTimedSerializer
from jinja2 import Environment
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from sqlalchemy.exc import SQLAlchemyError

from bot.slack.manifest import INSTALL_PATH, REDIRECT_PATH, scopes
from bot.web.words import Language, preferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio
    from slack_bolt.oauth.async_callback_options import AsyncFailureArgs, AsyncSuccessArgs
    from slack_bolt.request.async_request import AsyncBoltRequest
    from slack_sdk.oauth.installation_store import Installation
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.settings import BotSettings
    from bot.slack.installations import Installations

log = structlog.get_logger(__name__)

STATE_FOR: Final = 600
"""Seconds within which an installation must be finished."""

_TEAM = re.compile(r"[TE][A-Z0-9]{1,30}", re.ASCII)
_PAGE = Environment(autoescape=True).from_string(
    '<!doctype html><html lang="{{ lang }}"><meta charset="utf-8"><title>Scopebot</title>'
    "<h1>{{ title }}</h1><p>{{ text }}</p></html>"
)
_DONE: dict[Language, tuple[str, str]] = {
    "en": ("Scopebot is in {team}", "Invite it to a channel with /invite @scopebot, or write to it directly."),
    "zh": ("Scopebot 已安装到 {team}", "在频道中用 /invite @scopebot 邀请它，或直接给它发消息。"),
}
_FAILED: dict[Language, str] = {"en": "Scopebot was not installed", "zh": "Scopebot 没有安装成功"}
_REASONS: dict[Language, dict[str, str]] = {
    "en": {
        "access_denied": "It was declined on Slack's page. Open the install link again to go on.",
        "invalid_browser": "It was not begun in this browser. Open the install link again, and allow cookies.",
        "invalid_state": "This page was too old or was used before. Open the install link again.",
        "storage_error": "The installation could not be kept. Tell whoever runs Scopebot, and try again.",
        "": "Slack did not confirm it. Open the install link again; tell whoever runs Scopebot if it fails again.",
    },
    "zh": {
        "access_denied": "在 Slack 的页面上被拒绝了。如要继续，请重新打开安装链接。",
        "invalid_browser": "安装不是在这个浏览器里开始的。请允许 Cookie 后重新打开安装链接。",
        "invalid_state": "这个页面已过期或已使用过。请重新打开安装链接。",
        "storage_error": "安装信息未能保存。请联系 Scopebot 的管理员后重试。",
        "": "Slack 没有确认安装。请重新打开安装链接；如再次失败，请联系 Scopebot 的管理员。",
    },
}


class SignedStates(AsyncOAuthStateStore):
    """States that any process with the secret key knows as ours; Redis remembers which were used."""

    def __init__(self, secret_key: str, redis: redis.asyncio.Redis) -> None:
        signing = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._serializer = URLSafeTimedSerializer(secret_key, salt="scopebot slack install", signer_kwargs=signing)
        self._redis = redis

    @property
    def logger(self) -> logging.Logger:
        """Where the SDK logs."""
        return logging.getLogger(__name__)

    async def async_issue(self, *_: object, **__: object) -> str:
        """Return a new state."""
        state = self._serializer.dumps(secrets.token_urlsafe(16))
        return state if isinstance(state, str) else state.decode()

    async def async_consume(self, state: str) -> bool:
        """Tell whether a state is ours, not older than `STATE_FOR`, and used for the first time."""
        try:
            nonce = self._serializer.loads(state, max_age=STATE_FOR)
        except BadData:
            return False
        # kept longer than a state is good, so that it is never good again when the mark is gone
        return bool(await self._redis.set(f"scopebot:slack:state:{nonce}", "1", nx=True, ex=2 * STATE_FOR))


class _Flow(AsyncOAuthFlow):
    """Answers with a page also where Slack or the database is away."""

    async def build_authorize_url(self, state: str, request: AsyncBoltRequest) -> str:
        """Return Slack's page; a `team` of the install link is passed on only if it looks like one."""
        team = next(iter(request.query.get("team", ())), "")
        known = team if _TEAM.fullmatch(team) else None
        return self.settings.authorize_url_generator.generate(state=state, team=known)

    async def run_installation(self, code: str) -> Installation | None:
        """Exchange the code for a token; None where Slack does not."""
        try:
            return await super().run_installation(code)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("Slack does not answer", error=type(error).__name__)
            return None

    async def store_installation(self, request: AsyncBoltRequest, installation: Installation) -> None:
        """Keep the installation. Raises `BoltError`."""
        try:
            await super().store_installation(request, installation)
        except (SQLAlchemyError, ValueError) as error:
            log.exception("an installation could not be kept")
            raise BoltError("an installation could not be kept") from error


def make_flow(
    settings: BotSettings, installations: Installations, client: AsyncWebClient, redis: redis.asyncio.Redis
) -> AsyncOAuthFlow:
    """Return what serves the install link and Slack's answer. The client says where Slack is, its authorize page too.

    Raises `BoltError` without SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.
    """
    base = (settings.public_url or "").rstrip("/")
    return _Flow(
        client=client,
        logger=logging.getLogger(__name__),
        settings=AsyncOAuthSettings(
            client_id=settings.slack_client_id,
            client_secret=settings.slack_client_secret,
            scopes=scopes(settings),
            user_scopes=(),
            redirect_uri=base + REDIRECT_PATH if base else None,
            install_path=INSTALL_PATH,
            install_page_rendering_enabled=False,
            redirect_uri_path=REDIRECT_PATH,
            callback_options=AsyncCallbackOptions(success=_succeeded, failure=_failed),
            authorization_url=urljoin(client.base_url, "/oauth/v2/authorize"),
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=SignedStates(settings.effective_secret_key, redis),
            state_expiration_seconds=STATE_FOR,
        ),
    )


async def _succeeded(args: AsyncSuccessArgs) -> BoltResponse:
    language = _language(args.request)
    title, text = _DONE[language]
    team = args.installation.team_name or args.installation.team_id or "Slack"
    return _page(args, language, title.format(team=team), text, 200)


async def _failed(args: AsyncFailureArgs) -> BoltResponse:
    language = _language(args.request)
    reasons = _REASONS[language]
    return _page(args, language, _FAILED[language], reasons.get(args.reason, reasons[""]), args.suggested_status_code)


def _page(
    args: AsyncSuccessArgs | AsyncFailureArgs, language: Language, title: str, text: str, status: int
) -> BoltResponse:
    """Return a page without scripts; the browser forgets the state."""
    headers: dict[str, str | Sequence[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Set-Cookie": args.settings.state_utils.build_set_cookie_for_deletion(),
    }
    body = _PAGE.render(lang=language, title=title, text=text)
    return BoltResponse(status=status, headers=headers, body=body)


def _language(request: AsyncBoltRequest) -> Language:
    return preferred(",".join(request.headers.get("accept-language", ())))
