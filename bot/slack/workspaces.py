"""The workspaces that the app is installed in, each with its own token: one by the environment, or many by OAuth."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import structlog
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.base import Denied, PlatformError
from bot.slack.calls import ANSWER_WITHIN, Calls

if TYPE_CHECKING:
    from slack_bolt.context.async_context import AsyncBoltContext

    from bot.settings import BotSettings
    from bot.slack.installations import Installations

log = structlog.get_logger(__name__)

KNOWN_FOR = 300.0
"""Seconds after which an installation is looked up again: another process may have removed it."""
TRY_EVERY = 30.0


class NotOurs(Denied):
    """The app is not installed there."""


@dataclass(frozen=True)
class Workspace:
    """One workspace as its bot sees it."""

    team: str
    bot_user: str
    bot_id: str
    token: str
    url: str
    """Where its messages are seen: https://team.slack.com/."""
    calls: Calls


class Workspaces(AsyncAuthorize):
    """Every workspace we may act in. Nobody else's events are heard."""

    def __init__(self, settings: BotSettings, installations: Installations | None) -> None:
        self._settings = settings
        self._installations = installations
        self._known: dict[str, tuple[Workspace, float]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._asking = asyncio.Lock()
        self._unknown: dict[str, Calls] = {}
        """By the token, those of whom it is not known yet: one that was refused is not asked again at once."""

    @property
    def session(self) -> aiohttp.ClientSession:
        """One session for all calls, made on first use in the bot's own loop."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN))
        return self._session

    def client(self, token: str | None = None) -> AsyncWebClient:
        """Return a client that tries nothing again by itself: a second post would be a double one."""
        return AsyncWebClient(
            token=token, base_url=self._settings.slack_api_url, session=self.session, timeout=ANSWER_WITHIN,
            retry_handlers=[],
        )  # fmt: skip

    async def open(self) -> None:
        """Wait until the one workspace's token is good; with OAuth there may be none yet."""
        while self._installations is None:
            try:
                await self._own()
            except (PlatformError, SlackApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("Slack does not let the bot in; see `scopebot doctor`", reason=str(error) or repr(error))
                await asyncio.sleep(TRY_EVERY)
            else:
                return

    async def get(self, team: str) -> Workspace:
        """Return a workspace. Raises `NotOurs` for one that is not, and `Denied` for one whose token is refused."""
        known, looked_at = self._known.get(team, (None, 0.0))
        if self._installations is None:
            own = await self._own()
            if own.team == team:
                return own
            raise NotOurs(f"workspace {team} is not the one of SLACK_BOT_TOKEN")
        if known is not None and not known.calls.denied and time.monotonic() - looked_at < KNOWN_FOR:
            return known
        found = await self._installations.async_find_installation(enterprise_id=team, team_id=team)
        if found is None or not found.bot_token:
            self._known.pop(team, None)
            raise NotOurs(f"the app is not installed in workspace {team}")
        if known is None or known.token != found.bot_token:
            known = await self._make(found.bot_token)
        self._known[team] = (known, time.monotonic())
        return known

    def forget(self, team: str) -> None:
        """Look a workspace up anew the next time; the one workspace of SLACK_BOT_TOKEN stays ours until a restart."""
        if self._installations is not None:
            self._known.pop(team, None)

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,  # noqa: ARG002 - Bolt's signature
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        actor_enterprise_id: str | None = None,  # noqa: ARG002
        actor_team_id: str | None = None,  # noqa: ARG002
        actor_user_id: str | None = None,  # noqa: ARG002
    ) -> AuthorizeResult | None:
        """Let in what comes from a workspace of ours."""
        try:
            workspace = await self.get(team_id or enterprise_id or "")
        except NotOurs as error:
            log.warning("not heard", reason=str(error))
            return None
        except SlackApiError as error:  # Bolt would acknowledge what it came with
            raise PlatformError(str(error)) from error
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=workspace.team, user_id=user_id, bot_user_id=workspace.bot_user,
            bot_id=workspace.bot_id, bot_token=workspace.token,
        )  # fmt: skip

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def _own(self) -> Workspace:
        async with self._asking:
            for known, _ in self._known.values():
                return known
            own = await self._make(self._settings.slack_bot_token or "")
            self._known[own.team] = (own, time.monotonic())
            return own

    async def _make(self, token: str) -> Workspace:
        calls = self._unknown.setdefault(token, Calls(self.client(token)))
        told = await calls.call("auth.test")
        self._unknown.pop(token, None)
        return Workspace(
            team=str(told["team_id"]), bot_user=str(told["user_id"]), bot_id=str(told.get("bot_id", "")), token=token,
            url=str(told.get("url", "")), calls=calls,
        )  # fmt: skip
