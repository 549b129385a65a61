"""What an app hears of messages: the events that posts, edits and deletions make."""

from __future__ import annotations

from typing import Any

from support.slack.mrkdwn import mentions
from support.slack.workspace import Channel, Message, Workspace
from support.slack.world import World

CHANNEL_EVENTS = {"channel": "message.channels", "group": "message.groups", "im": "message.im", "mpim": "message.mpim"}


def posted(world: World, team: Workspace, message: Message, client_msg_id: str = "") -> None:
    """Tell the app of a new message, twice where it is mentioned in a channel."""
    if message.by_bot and not world.settings.echo:
        return
    channel = team.channels[message.channel]
    event = team.shown(message) | {"channel": channel.id, "event_ts": message.ts}
    if client_msg_id:
        event["client_msg_id"] = client_msg_id
    if not message.by_bot and _mentioned(team, channel, message.text):
        mention = {name: value for name, value in event.items() if name != "subtype"} | {"type": "app_mention"}
        world.tell(team, "app_mention", mention)
    _tell(world, team, channel, event)


def changed(world: World, team: Workspace, message: Message, before: dict[str, Any]) -> None:
    """Tell the app that a message says something else now."""
    if message.by_bot and not world.settings.echo:
        return
    channel, ts = team.channels[message.channel], team.new_ts()
    newly = _mentioned(team, channel, message.text) and not mentions(before["text"], team.bot.id)
    if newly and not message.by_bot:
        mention = team.shown(message) | {"type": "app_mention", "channel": channel.id, "event_ts": message.ts}
        world.tell(team, "app_mention", mention)
    _tell(world, team, channel, {
        "type": "message", "subtype": "message_changed", "message": team.shown(message), "previous_message": before,
        "hidden": True, "channel": channel.id, "ts": ts, "event_ts": ts,
    })  # fmt: skip


def removed(world: World, team: Workspace, message: Message, before: dict[str, Any]) -> None:
    """Tell the app that a message is gone."""
    if message.by_bot and not world.settings.echo:
        return
    channel, ts = team.channels[message.channel], team.new_ts()
    _tell(world, team, channel, {
        "type": "message", "subtype": "message_deleted", "deleted_ts": message.ts, "previous_message": before,
        "hidden": True, "channel": channel.id, "ts": ts, "event_ts": ts,
    })  # fmt: skip


def delete(world: World, team: Workspace, message: Message) -> None:
    """Delete a message; where it has replies, a tombstone stays in its place."""
    channel, before = team.channels[message.channel], team.shown(message)
    if message.replies:
        message.remember()
        message.subtype, message.text, message.user = "tombstone", "This message was deleted.", "USLACKBOT"
        message.blocks, message.files, message.metadata, message.reactions = [], [], None, {}
        changed(world, team, message, before)
        return
    del channel.messages[message.ts]
    if message.thread_ts and message.thread_ts in channel.messages and message.thread_ts != message.ts:
        channel.messages[message.thread_ts].replies.remove(message.ts)
    removed(world, team, message, before)


def _mentioned(team: Workspace, channel: Channel, text: str) -> bool:
    """Tell whether an app_mention is due: only where the bot is, and not in direct messages."""
    return channel.kind != "im" and team.bot.id in channel.members and mentions(text, team.bot.id)


def _tell(world: World, team: Workspace, channel: Channel, event: dict[str, Any]) -> None:
    if team.bot.id in channel.members:
        world.tell(team, CHANNEL_EVENTS[channel.kind], event | {"channel_type": channel.kind})
