"""Answers by response_url, and those that come with an acknowledgement."""

from __future__ import annotations

import json
import time
from typing import Any

from aiohttp import web

from support.slack import content, events
from support.slack.api import failed, lost
from support.slack.workspace import Ephemeral, Message, Workspace
from support.slack.world import Refused, ResponseUrl, World

FIELDS = {
    "text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
    "unfurl_links", "unfurl_media", "metadata", "mrkdwn", "link_names", "parse",
}  # fmt: skip


def _checked(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Refused("invalid_payload")
    strange = sorted(set(answer) - FIELDS)
    if strange:
        raise Refused("invalid_arguments", *[f"invalid parameter: {name}" for name in strange])
    if answer.get("response_type", "ephemeral") not in {"ephemeral", "in_channel"}:
        raise Refused("invalid_arguments", "response_type must be ephemeral or in_channel")
    if any(not isinstance(answer.get(name, False), bool) for name in ("replace_original", "delete_original")):
        raise Refused("invalid_arguments", "must be a boolean")
    return answer


def said_in_answer(
    world: World, team: Workspace, channel: str, user: str, answer: Any, *, source: str, thread: str | None = None
) -> str:
    """Show what an answer says, to the person or to the channel; return its ts."""
    answer = _checked(answer)
    blocks, text = content.check(world, team, answer), answer.get("text", "")
    thread = answer.get("thread_ts", thread)
    if thread is not None and thread not in team.channels[channel].messages:
        raise Refused("thread_not_found")
    if answer.get("response_type", "ephemeral") == "ephemeral":
        shown = Ephemeral(team.new_ts(), channel, user, text, blocks, thread, source)
        return world.show_to(team, shown).ts
    message = Message(
        team.new_ts(), channel, team.bot.id, text, by_bot=True, thread_ts=thread, blocks=blocks,
        attachments=answer.get("attachments", []), metadata=answer.get("metadata"),
    )  # fmt: skip
    world.post(team, message)
    events.posted(world, team, message)
    return message.ts


async def respond(world: World, request: web.Request) -> web.StreamResponse:
    """Take an answer by response_url."""
    fault = world.faults.take("response_url")
    if fault and fault.before and fault.kind != "lose":
        return failed(fault)
    url = world.urls.get(request.match_info["key"])
    answer: Any = None
    try:
        url = _usable(world, url)
        try:
            answer = json.loads(await request.read())
        except ValueError:
            raise Refused("invalid_payload", status=400) from None
        ts = _apply(world, url, answer)
        url.uses += 1
    except Refused as refused:
        world.violate(refused.error, list(refused.messages), method="response_url")
        world.stats["refused answers"] += 1
        status = refused.status if refused.status != 200 else 400
        return web.json_response(refused.answer(), status=status)
    world.responses.append({
        "at": time.time(), "channel": url.channel, "user": url.user, "answer": answer, "ts": ts, "uses": url.uses,
    })  # fmt: skip
    if fault and fault.kind == "lose":
        return lost(request)
    return failed(fault) if fault and fault.kind != "delay" else web.Response(text="ok")


def _usable(world: World, url: ResponseUrl | None) -> ResponseUrl:
    if url is None or time.monotonic() > url.made + world.settings.url_life:
        raise Refused("expired_url", status=404)
    if url.uses >= world.settings.url_uses:
        raise Refused("used_url", status=404)
    return url


def _apply(world: World, url: ResponseUrl, answer: Any) -> str:
    team, answer = world.teams[url.team], _checked(answer)
    if answer.get("delete_original"):
        return _delete(world, team, url)
    # where the interaction came from a message, that one is replaced unless the app says no
    if answer.get("replace_original", url.message_ts is not None and answer.get("response_type") is None):
        return _replace(world, team, url, answer)
    return said_in_answer(
        world, team, url.channel, url.user, answer, source="response_url", thread=url.thread_ts
    )  # fmt: skip


def _original(team: Workspace, url: ResponseUrl) -> Message | Ephemeral:
    if url.message_ts is None:
        raise Refused("no_original_message", status=404)
    if url.ephemeral:
        found = next((shown for shown in team.ephemerals if shown.ts == url.message_ts), None)
    else:
        found = team.channels[url.channel].messages.get(url.message_ts)  # type: ignore[assignment]
    if found is None:
        raise Refused("message_not_found", status=404)
    return found


def _delete(world: World, team: Workspace, url: ResponseUrl) -> str:
    original = _original(team, url)
    if isinstance(original, Ephemeral):
        team.ephemerals.remove(original)
    else:
        events.delete(world, team, original)
    return original.ts


def _replace(world: World, team: Workspace, url: ResponseUrl, answer: dict[str, Any]) -> str:
    original = _original(team, url)
    blocks, before = content.check(world, team, answer), None
    if isinstance(original, Message):
        before = team.shown(original)
        original.remember()
        original.changed_at = time.time()
    original.text, original.blocks = answer.get("text", ""), blocks
    if isinstance(original, Message) and before is not None:
        events.changed(world, team, original, before)
    return original.ts
