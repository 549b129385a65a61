"""Calls of Slack's Web API: one session, what each method allows, and what an answer means for us."""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine, Mapping
from typing import Any, cast

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.budgets import Posts, Rate
from bot.platforms.base import Denied, MessageGone, PlaceClosed, PlatformError, RateLimited

log = structlog.get_logger(__name__)

POSTS_IN_CHANNEL = Rate(1, 1.05)
POSTS_IN_WORKSPACE = Rate(280, 60.0)
"""Slack speaks of several hundred a minute."""
ANSWER_WITHIN = 30
"""Seconds after which it is open what became of a call."""
CLOSED = frozenset({
    "not_in_channel", "channel_not_found", "is_archived", "restricted_action", "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "user_not_found",
    "user_disabled", "cannot_dm_bot", "user_not_in_channel", "messages_tab_disabled", "ekm_access_denied",
})  # fmt: skip
"""Errors that say that we cannot post in a place."""
GONE = frozenset({
    "message_not_found", "cant_update_message", "thread_not_found", "cannot_reply_to_message", "edit_window_closed",
})  # fmt: skip
"""Errors that say that a message is not there, or not ours."""
DENIED = frozenset({
    "token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive", "missing_scope",
    "team_access_not_granted", "no_permission", "org_login_required", "access_denied", "team_not_found",
    "not_allowed_token_type", "two_factor_setup_required", "accesslimited",
})  # fmt: skip
"""Errors that an admin of the workspace has to mend."""
BAD_TOKEN = DENIED - {"missing_scope", "no_permission", "team_not_found"}
"""Those of them that every call has."""
DENIED_FOR = 20.0
"""Seconds for which a token that was refused is not tried again."""
REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long"})


class BlocksRefused(PlatformError):
    """The workspace does not take the blocks of a message; nothing was posted."""


class Calls:
    """The Web API as one workspace's bot may use it. Raises `PlatformError` where something is known not to be done."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        self._posts = Posts(channel=POSTS_IN_CHANNEL, together=[POSTS_IN_WORKSPACE])
        self._paused: dict[str, float] = {}
        """Until when a method is not to be called."""
        self._denial = ""
        self._denied_until = -math.inf

    @property
    def denied(self) -> bool:
        """Tell whether Slack refused our token just now."""
        return time.monotonic() < self._denied_until

    async def turn(self, channel: str, *, urgent: bool = False) -> None:
        """Wait until one more post may be made in a channel; an urgent one goes before others."""
        await self._posts.turn(channel, urgent=urgent)

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that changes something and return its answer."""
        return await self._guarded(method, self.client.api_call(method, json=_given(arguments)))

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that only reads and return its answer."""
        return await self._guarded(method, self.client.api_call(method, http_verb="GET", params=_given(arguments)))

    async def upload(self, content: bytes, name: str, about: str) -> str:
        """Upload a file that is shown in a message later; return its id. Nobody sees it before."""
        upload = self.client.files_upload_v2(content=content, filename=name, title=about, alt_txt=about)
        return str((await self._guarded("files.upload", upload))["file"]["id"])

    async def _guarded(self, method: str, calling: Coroutine[Any, Any, AsyncSlackResponse]) -> dict[str, Any]:
        left = self._paused.get(method, -math.inf) - time.monotonic()
        if left > 0 or self.denied:
            calling.close()
            raise Denied(self._denial) if self.denied else RateLimited(left)
        try:
            answer = await calling
        except SlackApiError as error:
            raise self._meaning(method, error) from error
        return cast("dict[str, Any]", answer.data)

    def _meaning(self, method: str, error: SlackApiError) -> Exception:
        """Return what an answer means; the error itself where it is open what was done."""
        status, data = answer_of(error)
        code = str(data.get("error", ""))
        if status == 429 or code in {"ratelimited", "rate_limited", "message_limit_exceeded"}:
            wait = retry_after(error)
            self._paused[method] = time.monotonic() + wait
            if method == "chat.postMessage":
                self._posts.pause(wait)
            return RateLimited(wait)
        if status >= 500 or not code or code in {"internal_error", "fatal_error", "service_unavailable"}:
            return error
        details = "; ".join((data.get("response_metadata") or {}).get("messages") or ())
        said = f"{method}: {code}" + (f" ({details})" if details else "")
        if code in CLOSED:
            return PlaceClosed(said)
        if code in GONE:
            return MessageGone(said)
        if code in DENIED:
            said += f", needs {data['needed']}" if "needed" in data else ""
            if code in BAD_TOKEN:
                self._denial, self._denied_until = said, time.monotonic() + DENIED_FOR
                log.error("Slack refuses the bot's token: install the app again; see `scopebot doctor`", reason=said)
            return Denied(said)
        if code in REFUSED or (code == "invalid_arguments" and "blocks" in details):
            return BlocksRefused(said)
        return PlatformError(said)


def answer_of(error: SlackApiError) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON of a refusal; of one that came from a proxy, there may be none."""
    response = error.response
    data = getattr(response, "data", None)
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return int(status or 0), data if isinstance(data, dict) else {}


def retry_after(error: SlackApiError) -> float:
    """Return the seconds after which a refusal says that it may be asked again, one where it does not say."""
    headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
    return seconds_of(next((value for name, value in headers.items() if name.lower() == "retry-after"), ""))


def seconds_of(value: str) -> float:
    """Return what a Retry-After says."""
    try:
        return max(1.0, float(value))
    except ValueError:
        return 1.0


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
