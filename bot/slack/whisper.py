"""Answers that one person alone reads: where Slack said they may be sent, else as an ephemeral post, else directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from slack_sdk.proxy_env_variable_loader import load_http_proxy_from_env

from bot.platforms.base import MessageGone, PlaceClosed, RateLimited
from bot.slack.address import is_direct, spot_of, target_of, user_of
from bot.slack.calls import BlocksRefused, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from bot.platforms.base import Audience
    from bot.render.slack import Rendered
    from bot.slack.workspaces import Workspace
    from handlers.incoming import Place

log = structlog.get_logger(__name__)

WHISPERED = "private"
"""Stands for the id of a post that no history has."""


async def whisper(
    workspace: Workspace,
    place: Place,
    rendered: Rendered,
    audience: Audience,
    session: aiohttp.ClientSession,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Tell a person something in a place; return what stands for its id."""
    thread = spot_of(place.thread).ts if place.thread and not place.unopened else None
    if is_direct(place):
        try:
            return await _directly(workspace, rendered, audience, metadata, thread)
        except MessageGone:
            return await _directly(workspace, rendered, audience, metadata)
    if audience.reply_url and thread is None and await _by_reply_url(rendered, audience.reply_url, session):
        return WHISPERED
    try:
        await workspace.calls.call(
            "chat.postEphemeral", channel=target_of(place), user=user_of(audience.user), text=rendered.text,
            blocks=rendered.blocks, thread_ts=thread,
        )  # fmt: skip
    except (PlaceClosed, MessageGone):
        if audience.reply_url and await _by_reply_url(rendered, audience.reply_url, session):
            return WHISPERED
        return await _directly(workspace, rendered, audience, metadata)
    return WHISPERED


async def _by_reply_url(rendered: Rendered, url: str, session: aiohttp.ClientSession) -> bool:
    """Answer where Slack said; False where that is over (after 30 minutes, or five answers)."""
    body = {"response_type": "ephemeral", "replace_original": False, "text": rendered.text, "blocks": rendered.blocks}
    async with session.post(url, json=body, proxy=load_http_proxy_from_env(), allow_redirects=False) as answer:
        if answer.status == 429:
            raise RateLimited(seconds_of(answer.headers.get("Retry-After", "")))
        if answer.status >= 500:
            raise ConnectionError(f"an answer was not taken: {answer.status}")  # the address is for us alone
        if answer.status == 200:
            return True
        said = (await answer.text())[:200]
        if "invalid_blocks" in said:
            raise BlocksRefused(said)
        log.info("an answer's address is not good any more", status=answer.status, said=said)
        return False


async def _directly(
    workspace: Workspace,
    rendered: Rendered,
    audience: Audience,
    metadata: Mapping[str, Any] | None,
    thread: str | None = None,
) -> str:
    if not audience.user:
        raise PlaceClosed("nobody to tell")
    user = user_of(audience.user)
    await workspace.calls.turn(user)
    await workspace.calls.call(
        "chat.postMessage", channel=user, text=rendered.text, blocks=rendered.blocks, thread_ts=thread,
        metadata=metadata,
    )  # fmt: skip
    return WHISPERED
