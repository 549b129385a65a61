"""The methods chat.* and reactions.*."""

from __future__ import annotations

import time
from typing import Any

from support.slack import content, events
from support.slack.api import Call, handles
from support.slack.blocks import check_blocks
from support.slack.workspace import Channel, Ephemeral, Message
from support.slack.world import Refused

EDIT_GAP = 3.0
"""Seconds between edits of one message below which they count as hasty."""


def _addressed(call: Call) -> Channel:
    """Return the channel to post in; somebody's id stands for direct messages with them."""
    key = call.get("channel")
    if key.startswith(("U", "W")):
        person = call.team.people.get(key)
        if person is None or person.is_bot:
            raise Refused("user_not_found")
        return call.team.open_im(key)
    return call.channel(member=True, open_to_public=True)


def _parent(channel: Channel, thread_ts: str | None) -> str | None:
    """Return the ts of the thread's first message."""
    if thread_ts is None:
        return None
    parent = channel.messages.get(thread_ts)
    if parent is None:
        raise Refused("thread_not_found")
    return parent.thread_ts or parent.ts


@handles("chat.postMessage")
async def post_message(call: Call) -> dict[str, Any]:
    """Post a message."""
    channel = _addressed(call)
    if channel.archived:
        raise Refused("is_archived")
    thread = _parent(channel, call.get("thread_ts"))
    blocks = content.check(call.world, call.team, call.args)
    call.limit_posts(channel.id)
    broadcast = thread is not None and call.get("reply_broadcast")
    message = Message(
        call.team.new_ts(), channel.id, call.team.bot.id, call.get("text", call.get("markdown_text", "")), by_bot=True,
        thread_ts=thread, subtype="thread_broadcast" if broadcast else None, blocks=blocks,
        attachments=call.get("attachments", []), metadata=call.get("metadata"),
    )  # fmt: skip
    call.world.post(call.team, message)
    events.posted(call.world, call.team, message)
    return {"channel": channel.id, "ts": message.ts, "message": call.team.shown(message, metadata=True)}


@handles("chat.update")
async def update(call: Call) -> dict[str, Any]:
    """Change one of the bot's messages; without blocks, those it has go away."""
    channel = call.channel(member=True, open_to_public=True)
    message = call.message(channel, "ts")
    if not message.by_bot:
        raise Refused("cant_update_message")
    if channel.archived:
        raise Refused("is_archived")
    blocks = content.check(call.world, call.team, call.args, edit=True)
    before, now = call.team.shown(message), time.time()
    hasty = message.changed_at and now - message.changed_at < EDIT_GAP
    call.world.stats["hasty edits"] += bool(hasty)
    message.remember()
    message.text, message.blocks = call.get("text", call.get("markdown_text", "")), blocks
    message.attachments = call.get("attachments", [])
    message.metadata = call.get("metadata", message.metadata)
    message.edited, message.changed_at = {"user": call.team.bot.id, "ts": call.team.new_ts()}, now
    call.world.edits.append({
        "at": now, "team": call.team.id, "channel": channel.id, "ts": message.ts, "text": message.text[:300],
        "blocks": len(blocks),
    })  # fmt: skip
    events.changed(call.world, call.team, message, before)
    shown = call.team.shown(message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


@handles("chat.delete")
async def delete(call: Call) -> dict[str, Any]:
    """Delete one of the bot's messages."""
    channel = call.channel(member=True, open_to_public=True)
    message = call.message(channel, "ts")
    if not message.by_bot:
        raise Refused("cant_delete_message")
    events.delete(call.world, call.team, message)
    return {"channel": channel.id, "ts": message.ts}


@handles("chat.postEphemeral")
async def post_ephemeral(call: Call) -> dict[str, Any]:
    """Show a message to one person in a channel."""
    channel = call.channel(member=True)
    if channel.archived:
        raise Refused("is_archived")
    if call.get("user") not in channel.members:
        raise Refused("user_not_in_channel")
    thread = _parent(channel, call.get("thread_ts"))
    blocks = content.check(call.world, call.team, call.args)
    text = call.get("text", call.get("markdown_text", ""))
    shown = Ephemeral(call.team.new_ts(), channel.id, call.get("user"), text, blocks, thread)
    call.world.show_to(call.team, shown)
    return {"message_ts": shown.ts}


@handles("chat.getPermalink")
async def get_permalink(call: Call) -> dict[str, Any]:
    """Return a message's link."""
    channel = call.channel()
    message = call.message(channel, "message_ts")
    thread = message.thread_ts and message.thread_ts != message.ts
    tail = f"?thread_ts={message.thread_ts}&cid={channel.id}" if thread else ""
    link = f"https://{call.team.domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}{tail}"
    return {"channel": channel.id, "permalink": link}


@handles("chat.unfurl")
async def unfurl(call: Call) -> dict[str, Any]:
    """Show what is behind links that somebody shared."""
    key = call.get("unfurl_id")
    shared = call.team.link_posts.get(key) if key else None
    if key is None:
        place = (call.get("channel"), call.get("ts"))
        shared = next((known for known in call.team.link_posts.values() if known[:2] == place), None)
    if shared is None:
        raise Refused("cannot_find_message")
    unfurls = call.get("unfurls")
    if not isinstance(unfurls, dict) or not unfurls:
        raise Refused("missing_unfurls")
    channel_id, ts, urls = shared
    attachments = []
    for url, shown in unfurls.items():
        if url not in urls:
            raise Refused("cannot_unfurl_url")
        report = call.world.report(call.team, "unfurl")
        if not isinstance(shown, dict) or not set(shown) <= {"blocks", "title", "text", "fallback", "color", "preview"}:
            raise Refused("invalid_unfurls_format")
        check_blocks(shown.get("blocks", []), report, "/unfurls/blocks")
        if report.problems:
            raise Refused("invalid_blocks", *report.problems)
        attachments.append({"from_url": url, "is_app_unfurl": True, "app_id": call.world.app.id, **shown})
    message = call.team.channels[channel_id].messages.get(ts)
    if message is None:
        raise Refused("cannot_find_message")
    before = call.team.shown(message)
    message.attachments = [*message.attachments, *attachments]
    call.team.unfurls.append({"at": time.time(), "channel": channel_id, "ts": ts, "unfurls": unfurls})
    events.changed(call.world, call.team, message, before)
    return {}


def _reaction(call: Call) -> tuple[Message, list[str]]:
    channel = call.channel(member=True)
    if channel.archived:
        raise Refused("is_archived")
    message, name = call.message(channel, "timestamp"), call.get("name")
    if not name.replace("_", "").replace("-", "").replace("+", "").replace(":", "").isalnum() or name.startswith(":"):
        raise Refused("invalid_name")
    return message, message.reactions.get(name, [])


@handles("reactions.add")
async def add_reaction(call: Call) -> dict[str, Any]:
    """React to a message."""
    message, users = _reaction(call)
    if call.team.bot.id in users:
        raise Refused("already_reacted")
    message.reactions[call.get("name")] = [*users, call.team.bot.id]
    return {}


@handles("reactions.remove")
async def remove_reaction(call: Call) -> dict[str, Any]:
    """Take a reaction back."""
    message, users = _reaction(call)
    if call.team.bot.id not in users:
        raise Refused("no_reaction")
    left = [user for user in users if user != call.team.bot.id]
    message.reactions = {n: u for n, u in (message.reactions | {call.get("name"): left}).items() if u}
    return {}


@handles("reactions.get")
async def get_reactions(call: Call) -> dict[str, Any]:
    """Return a message with its reactions."""
    channel = call.channel(member=True)
    message = call.message(channel, "timestamp")
    return {"type": "message", "channel": channel.id, "message": call.team.shown(message)}
