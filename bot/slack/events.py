"""What Slack delivers → what we hear. Pure functions over payloads; None for what is not for us."""

from __future__ import annotations

import re
from typing import Any

from bot.signed import Signer
from bot.slack.address import NAME, channel_of, direct_of, message_source, spot_id
from bot.slack.manifest import other_calls
from handlers.incoming import UNOPENED, Incoming, Place, Request
from handlers.typed import as_command

Payload = dict[str, Any]

SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
"""Subtypes of messages in which a person says something."""


def message_heard(body: Payload, bot_user: str) -> Incoming | None:
    """Return what a `message` or `app_mention` event says to us, or what people say in a thread."""
    event: Payload = body.get("event") or {}
    team = _team(body)
    subtype = event.get("subtype") or ""
    if subtype == "message_changed":
        return _changed(event, team, bot_user)
    if subtype == "message_deleted":
        return _deleted(event, team, bot_user)
    if subtype not in SPOKEN or event.get("bot_id") or not event.get("user") or event.get("hidden"):
        return None
    if event.get("type") == "app_mention" and event.get("edited"):
        return None  # an edit, of which another event tells too, with what was said before
    said = _said(event, team, str(event.get("channel", "")), bot_user)
    if said is None or not said.text:
        return None
    shows_others = bool(event.get("files")) and not said.addressed  # "logs" beside a file is its title
    return None if shows_others else said


def command_heard(body: Payload) -> Incoming:
    """Return a slash command; its answers hang under what the bot posts first."""
    team, user, channel = _team(body), str(body["user_id"]), str(body["channel_id"])
    source = f"{NAME}:{team}:command:{body['trigger_id']}"
    return Incoming(
        id=source, place=new_place(team, channel, user, source), user=f"{NAME}:{user}",
        text=f"{body['command']} {_unescaped(str(body.get('text') or '')).strip()}".strip(), unseen=True,
        direct=channel.startswith("D"), reply_url=str(body.get("response_url") or ""), calls=other_calls(),
    )  # fmt: skip


def click_heard(body: Payload, signer: Signer) -> Incoming | None:
    """Return the press of a button of ours, in a message or in App Home; None for links and inputs."""
    team, user = _team(body), str(body["user"]["id"])
    action: Payload = (body.get("actions") or [{}])[0]
    if action.get("type") != "button" or not action.get("value"):
        return None
    pressed = signer.read(str(action["value"]), team=team)
    source = f"{NAME}:{team}:click:{body['trigger_id']}"
    container: Payload = body.get("container") or {}
    channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
    if channel:
        message: Payload = body.get("message") or {}
        ts = str(message.get("thread_ts") or container.get("thread_ts") or container.get("message_ts") or "")
        place = _place(team, channel, user, ts)
    else:
        place = new_place(team, "", user, source)
    return Incoming(
        id=source, place=place, user=f"{NAME}:{user}", button=pressed.button, post=pressed.post,
        direct=not channel or channel.startswith("D"), unseen=not channel,
        reply_url=str(body.get("response_url") or ""), calls=other_calls(),
    )  # fmt: skip


def form_heard(body: Payload, request: Request, channel: str) -> Incoming:
    """Return what a form asks for that was submitted, in a channel or, where that is empty, to the person alone."""
    team, user = _team(body), str(body["user"]["id"])
    source = f"{NAME}:{team}:form:{body['view']['id']}"
    return Incoming(
        id=source, place=new_place(team, channel, user, source), user=f"{NAME}:{user}", text=as_command(request),
        request=request, direct=not channel or channel.startswith("D"), unseen=True,
    )  # fmt: skip


def shortcut_heard(body: Payload, intent: str, run: str = "", conversation: Place | None = None) -> Incoming:
    """Return what is asked for of a message: about a run, in the conversation that this belongs to.

    Without one it is asked in the message's own thread, which says what run is meant.
    """
    team, user, channel = _team(body), str(body["user"]["id"]), str(body["channel"]["id"])
    message: Payload = body["message"]
    request = Request(intent=intent, args={"run": run} if run else {})
    return Incoming(
        id=f"{NAME}:{team}:shortcut:{body['trigger_id']}",
        place=conversation or _place(team, channel, user, str(message.get("thread_ts") or message["ts"])),
        user=f"{NAME}:{user}", text=as_command(request), request=request, direct=channel.startswith("D"),
        unseen=True, reply_url=str(body.get("response_url") or ""),
    )  # fmt: skip


def new_place(team: str, channel: str, user: str, source: str) -> Place:
    """Return a conversation that opens with what we post: in a channel, else with the person alone.

    A direct conversation with somebody else is none that we could post in.
    """
    where = direct_of(team, user) if not channel or channel.startswith("D") else channel_of(team, channel)
    return Place(platform=NAME, channel=where, thread=f"{UNOPENED}{source}")


def _said(message: Payload, team: str, channel: str, bot_user: str) -> Incoming | None:
    """Return what a message says; None where it is not said to us, nor in a thread."""
    text, ts = str(message.get("text") or ""), str(message["ts"])
    mention = _mention(bot_user)
    direct, mentioned = channel.startswith("D"), mention.search(text) is not None
    thread = message.get("thread_ts")
    if not direct and not mentioned and (not thread or thread == ts):
        return None
    user = str(message["user"])
    return Incoming(
        id=message_source(team, channel, ts), place=_place(team, channel, user, str(thread or ts)),
        user=f"{NAME}:{user}", text=mention.sub(" ", text).strip(), addressed=direct or mentioned, direct=direct,
        calls=other_calls(),
    )  # fmt: skip


def _changed(event: Payload, team: str, bot_user: str) -> Incoming | None:
    """Return what a message says now that was edited; one that was deleted under its answers is one of these too."""
    message, before = event.get("message") or {}, event.get("previous_message") or {}
    if message.get("subtype") == "tombstone":
        return _deleted(event | {"deleted_ts": message.get("ts")}, team, bot_user)
    if message.get("bot_id") or not message.get("user") or message.get("text") == before.get("text"):
        return None  # a link that was unfolded changes a message as well
    channel = str(event.get("channel", ""))
    now = _said(message, team, channel, bot_user)
    then = _said(before | {"ts": message["ts"]}, team, channel, bot_user)
    said = now or then
    if said is None:
        return None
    addressed, was_addressed = now is not None and now.addressed, then is not None and then.addressed
    text = _mention(bot_user).sub(" ", str(message.get("text") or "")).strip()
    changed_at = event.get("event_ts") or event.get("ts") or (message.get("edited") or {}).get("ts")
    return said.model_copy(
        update={
            "id": f"{said.id}:edited:{changed_at}", "kind": "edited", "about": said.id, "text": text,
            "addressed": addressed, "newly_addressed": addressed and not was_addressed,
        }
    )  # fmt: skip


def _deleted(event: Payload, team: str, bot_user: str) -> Incoming | None:
    before = event.get("previous_message") or {}
    if before.get("bot_id") or not before.get("user") or not event.get("deleted_ts"):
        return None
    said = _said(before | {"ts": event["deleted_ts"]}, team, str(event.get("channel", "")), bot_user)
    if said is None:
        return None
    return said.model_copy(update={"id": f"{said.id}:deleted", "kind": "deleted", "about": said.id})


def _place(team: str, channel: str, user: str, ts: str) -> Place:
    where = direct_of(team, user) if channel.startswith("D") else channel_of(team, channel)
    return Place(platform=NAME, channel=where, thread=spot_id(channel, ts))


def _mention(bot_user: str) -> re.Pattern[str]:
    return re.compile(rf"<@{re.escape(bot_user)}(?:\|[^>]*)?>")


def _team(body: Payload) -> str:
    """Return the workspace that the app is installed in and that this comes from."""
    team = body.get("team_id") or (body.get("team") or {}).get("id") or (body.get("enterprise") or {}).get("id")
    return str(team or "")


def _unescaped(text: str) -> str:
    """Return the text of a command as it was typed: Slack marks these three characters."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
