"""The methods about conversations, people, workspaces and tokens."""

from __future__ import annotations

import base64
import time
from typing import Any

from support.slack.api import Call, handles
from support.slack.chance import token
from support.slack.workspace import Channel, Message
from support.slack.world import Refused

CODE_LIFE = 600.0


@handles("api.test")
async def api_test(call: Call) -> dict[str, Any]:
    """Echo the parameters."""
    if "error" in call.args:
        raise Refused(call.args["error"])
    return {"args": call.args}


@handles("auth.test")
async def auth_test(call: Call) -> dict[str, Any]:
    """Say whose token it is."""
    team = call.team
    return {
        "url": f"https://{team.domain}.slack.com/", "team": team.name, "user": team.bot.name, "team_id": team.id,
        "user_id": team.bot.id, "bot_id": team.bot_id, "is_enterprise_install": False,
    }  # fmt: skip


@handles("auth.revoke")
async def auth_revoke(call: Call) -> dict[str, Any]:
    """Make the token worthless."""
    if not call.get("test"):
        call.team.token_state = "token_revoked"
    return {"revoked": not call.get("test")}


@handles("oauth.v2.access")
async def oauth_access(call: Call) -> dict[str, Any]:
    """Exchange a code for a token."""
    app = call.world.app
    if call.get("client_id") != app.client_id:
        raise Refused("invalid_client_id")
    if call.get("client_secret") != app.client_secret:
        raise Refused("bad_client_secret")
    team_id, given = call.world.codes.pop(call.get("code", ""), ("", 0.0))
    if time.monotonic() > given + CODE_LIFE or not team_id:
        raise Refused("invalid_code")
    team = call.world.teams[team_id]
    if team.token_state:
        team.token_state, team.bot_token = "", f"xoxb-{team.number}-{token(8)}"
    person = next(p for p in team.people.values() if not p.is_bot)
    return {
        "app_id": app.id, "authed_user": {"id": person.id}, "scope": ",".join(sorted(team.scopes)),
        "token_type": "bot", "access_token": team.bot_token, "bot_user_id": team.bot.id,
        "team": {"id": team.id, "name": team.name}, "enterprise": None, "is_enterprise_install": False,
    }  # fmt: skip


@handles("team.info")
async def team_info(call: Call) -> dict[str, Any]:
    """Describe the workspace."""
    team = call.team
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain, "icon": {}}}


@handles("bots.info")
async def bots_info(call: Call) -> dict[str, Any]:
    """Describe the bot."""
    team = call.team
    if call.get("bot", team.bot_id) != team.bot_id:
        raise Refused("bot_not_found")
    bot = {"id": team.bot_id, "app_id": call.world.app.id, "user_id": team.bot.id, "name": team.bot.name}
    return {"bot": bot | {"deleted": False, "updated": 1_700_000_000, "icons": {}}}


@handles("users.info")
async def users_info(call: Call) -> dict[str, Any]:
    """Describe somebody."""
    person = call.team.people.get(call.get("user"))
    if person is None:
        raise Refused("user_not_found")
    return {"user": person.shown(call.team.id, locale=bool(call.get("include_locale")))}


@handles("users.list")
async def users_list(call: Call) -> dict[str, Any]:
    """Describe everybody."""
    people, cursor = _page(call, list(call.team.people.values()))
    shown = [person.shown(call.team.id, locale=bool(call.get("include_locale"))) for person in people]
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


def _page(call: Call, items: list[Any], default: int = 100) -> tuple[list[Any], str]:
    """Return the page that limit and cursor ask for, and the next cursor."""
    limit, cursor = call.get("limit", default) or default, call.get("cursor", "")
    if not 0 < limit <= 1000:
        raise Refused("invalid_limit")
    try:
        start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:")) if cursor else 0
    except ValueError:
        raise Refused("invalid_cursor") from None
    more = start + limit < len(items)
    return items[start : start + limit], base64.b64encode(f"next:{start + limit}".encode()).decode() if more else ""


def _between(call: Call, messages: list[Message]) -> list[Message]:
    """Keep the messages that oldest, latest and inclusive ask for; ts compare as text, all being equally long."""
    oldest, latest = call.get("oldest", "0") or "0", call.get("latest", "") or "9999999999.999999"
    try:
        first, last = float(oldest), float(latest)
    except ValueError:
        raise Refused("invalid_ts_oldest") from None
    exact = bool(call.get("inclusive"))
    return [
        message
        for message in messages
        if first < float(message.ts) < last or (exact and message.ts in {oldest, latest})
    ]


def _history(call: Call, messages: list[Message], default: int) -> dict[str, Any]:
    page, cursor = _page(call, messages, default)
    metadata = bool(call.get("include_all_metadata"))
    answer: dict[str, Any] = {
        "messages": [call.team.shown(message, metadata=metadata) for message in page], "has_more": bool(cursor),
    }  # fmt: skip
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


@handles("conversations.history")
async def history(call: Call) -> dict[str, Any]:
    """Return what a channel shows, the newest first."""
    channel = call.channel(member=True)
    shown = [message for message in reversed(channel.messages.values()) if message.in_channel]
    return _history(call, _between(call, shown), 100) | {"pin_count": 0}


@handles("conversations.replies")
async def replies(call: Call) -> dict[str, Any]:
    """Return a thread, its parent first, then the oldest; the parent comes with each first page."""
    channel = call.channel(member=True)
    parent = channel.messages.get(call.get("ts"))
    if parent is None:
        raise Refused("thread_not_found")
    first, *rest = call.team.thread(channel, parent.thread_ts or parent.ts)
    return _history(call, [first, *_between(call, rest)], 1000)


@handles("conversations.open")
async def open_conversation(call: Call) -> dict[str, Any]:
    """Open direct messages."""
    users = [user for user in call.get("users", "").split(",") if user]
    if not users:
        channel = call.channel()
    elif any(user not in call.team.people for user in users):
        raise Refused("user_not_found")
    elif len(users) == 1:
        call.need_scope("im:write")
        channel = call.team.open_im(users[0])
    else:
        call.need_scope("mpim:write")
        everybody = {*users, call.team.bot.id}
        known = (c for c in call.team.channels.values() if c.kind == "mpim" and c.members == everybody)
        channel = next(known, None) or call.team.add_channel("mpdm-" + "--".join(users), "mpim", everybody)
    shown = channel.shown(call.team.id, call.team.bot.id)
    return {"channel": shown if call.get("return_im") else {"id": channel.id}}


@handles("conversations.info")
async def info(call: Call) -> dict[str, Any]:
    """Describe a channel."""
    channel = call.channel()
    shown = channel.shown(call.team.id, call.team.bot.id)
    if call.get("include_locale"):
        shown["locale"] = "en-US"
    if call.get("include_num_members"):
        shown["num_members"] = len(channel.members)
    return {"channel": shown}


@handles("conversations.members")
async def members(call: Call) -> dict[str, Any]:
    """Say who is in a channel."""
    page, cursor = _page(call, sorted(call.channel().members))
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


@handles("conversations.list")
async def list_channels(call: Call) -> dict[str, Any]:
    """Return the channels the bot may see."""
    kinds = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
    wanted = {kinds.get(kind, "") for kind in call.get("types", "public_channel").split(",")}
    if "" in wanted:
        raise Refused("invalid_types")

    def visible(channel: Channel) -> bool:
        return channel.kind == "channel" or call.team.bot.id in channel.members

    found = [c for c in call.team.channels.values() if c.kind in wanted and visible(c)]
    if call.get("exclude_archived"):
        found = [channel for channel in found if not channel.archived]
    page, cursor = _page(call, found)
    shown = [channel.shown(call.team.id, call.team.bot.id) for channel in page]
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


@handles("conversations.join")
async def join(call: Call) -> dict[str, Any]:
    """Have the bot join a public channel."""
    channel = call.channel()
    if channel.archived:
        raise Refused("is_archived")
    channel.members.add(call.team.bot.id)
    return {"channel": channel.shown(call.team.id, call.team.bot.id)}
