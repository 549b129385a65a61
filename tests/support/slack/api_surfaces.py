"""The methods views.*, files.* and assistant.threads.*."""

from __future__ import annotations

import mimetypes
import time
from typing import Any

from support.slack import content, events
from support.slack.api import Call, handles
from support.slack.blocks import check_view
from support.slack.chance import token
from support.slack.workspace import File, Message, View, Workspace
from support.slack.world import Refused, World

STACK = 3
"""Modals that may lie on one another."""
LARGEST = 1_000_000_000


def checked_view(world: World, team: Workspace, view: Any, surface: str) -> dict[str, Any]:
    """Check a view, and return it complete."""
    report = world.report(team, surface)
    check_view(view, report)
    if report.problems:
        raise Refused("invalid_arguments", *report.problems)
    content.complete(view["blocks"])
    return dict(view)


def shown_view(world: World, team: Workspace, view: View, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a view as Slack's APIs show it."""
    empty = {
        "callback_id": "", "private_metadata": "", "external_id": "", "title": None, "submit": None, "close": None,
        "clear_on_close": False, "notify_on_close": False,
    }  # fmt: skip
    return empty | view.content | {
        "id": view.id, "team_id": team.id, "hash": view.hash, "root_view_id": view.root, "app_id": world.app.id,
        "previous_view_id": view.previous, "state": {"values": values or {}}, "bot_id": team.bot_id,
        "app_installed_team_id": team.id,
    }  # fmt: skip


def new_hash() -> str:
    """Return a view's new hash."""
    return f"{int(time.time())}.{token(4)}"


def new_view(team: Workspace, user: str, view: dict[str, Any], below: View | None = None) -> View:
    """Make a view, on top of another one where given."""
    view_id = team.new_id("V")
    root = below.root if below else view_id
    return View(view_id, user, view, new_hash(), root, below.id if below else None)


def _unique(team: Workspace, view: dict[str, Any], own: View | None = None) -> None:
    external = view.get("external_id")
    others = (other for stack in team.modals.values() for other in stack if other is not own)
    if external and any(other.content.get("external_id") == external for other in others):
        raise Refused("duplicate_external_id")


@handles("views.open")
async def open_view(call: Call) -> dict[str, Any]:
    """Open a modal for whoever made the trigger."""
    content_ = checked_view(call.world, call.team, call.get("view"), "modal")
    _unique(call.team, content_)
    trigger = call.world.use_trigger(call.get("trigger_id") or call.get("interactivity_pointer"))
    view = new_view(call.team, trigger.user, content_)
    call.team.modals[trigger.user] = [view]
    return {"view": shown_view(call.world, call.team, view)}


@handles("views.push")
async def push_view(call: Call) -> dict[str, Any]:
    """Put a modal on top of the one that the trigger comes from."""
    content_ = checked_view(call.world, call.team, call.get("view"), "modal")
    _unique(call.team, content_)
    trigger = call.world.use_trigger(call.get("trigger_id") or call.get("interactivity_pointer"))
    stack = call.team.modals.get(trigger.user, [])
    if trigger.view is None or not stack:
        raise Refused("invalid_trigger_id")
    if len(stack) >= STACK:
        raise Refused("push_limit_reached")
    view = new_view(call.team, trigger.user, content_, stack[-1])
    stack.append(view)
    return {"view": shown_view(call.world, call.team, view)}


def replace(view: View, new: dict[str, Any]) -> None:
    """Have a view show something else; what was put in stays where block and action ids do."""
    view.content, view.hash = new, new_hash()
    kept = {(block["block_id"], element["action_id"]) for block, element in content.elements(new["blocks"])}
    view.values = {key: value for key, value in view.values.items() if key in kept}


@handles("views.update")
async def update_view(call: Call) -> dict[str, Any]:
    """Change a modal that is open."""
    external, view = call.get("external_id"), call.team.view(call.get("view_id", ""))
    if external:
        views = (view for stack in call.team.modals.values() for view in stack)
        view = next((view for view in views if view.content.get("external_id") == external), None)
    if view is None:
        raise Refused("not_found")
    if call.get("hash", view.hash) != view.hash:
        raise Refused("hash_conflict")
    content_ = checked_view(call.world, call.team, call.get("view"), view.content["type"])
    _unique(call.team, content_, view)
    replace(view, content_)
    return {"view": shown_view(call.world, call.team, view)}


@handles("views.publish")
async def publish_view(call: Call) -> dict[str, Any]:
    """Set somebody's Home tab."""
    if not call.world.app.home_tab:
        raise Refused("not_enabled")
    user = call.get("user_id")
    if user not in call.team.people:
        raise Refused("user_not_found")
    content_ = checked_view(call.world, call.team, call.get("view"), "home")
    view = call.team.homes.get(user)
    if view and call.get("hash", view.hash) != view.hash:
        raise Refused("hash_conflict")
    if view is None:
        view = call.team.homes[user] = new_view(call.team, user, content_)
    else:
        replace(view, content_)
    return {"view": shown_view(call.world, call.team, view)}


@handles("files.getUploadURLExternal")
async def upload_url(call: Call) -> dict[str, Any]:
    """Say where to upload a file."""
    if not 0 < call.get("length") <= LARGEST:
        raise Refused("invalid_arguments", "must be at least 1 [json-pointer:/length]")
    name = call.get("filename")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    file = File(call.team.new_id("F"), name, kind, call.team.bot.id, call.get("length"))
    call.team.files[file.id] = file
    return {"file_id": file.id, "upload_url": f"{call.world.url}/upload/v1/{call.team.id}/{file.id}"}


@handles("files.completeUploadExternal")
async def complete_upload(call: Call) -> dict[str, Any]:
    """Finish uploads, and share the files where a channel is named."""
    given = call.get("files")
    shape = isinstance(given, list) and given and all(isinstance(f, dict) and "id" in f for f in given)
    if not shape or any(set(f) - {"id", "title", "highlight_type"} for f in given):
        raise Refused("invalid_arguments", "must be a list of files [json-pointer:/files]")
    files = [call.team.files.get(one["id"]) for one in given]
    if any(file is None or not file.uploaded for file in files):
        raise Refused("file_not_found")
    places = [call.get("channel_id"), *call.get("channels", "").split(",")]
    channels = []
    for place in filter(None, places):
        call.args["channel_id"] = place
        channels.append(call.channel("channel_id", member=True))
    for file, one in zip(files, given, strict=True):
        assert file is not None
        file.title, file.complete = one.get("title", file.name), True
        file.ready_at = time.monotonic() + call.world.settings.processing
        file.channels = [channel.id for channel in channels]
    shown = [file.shown(call.world.url) for file in files if file is not None]
    for channel in channels:
        thread = call.get("thread_ts")
        if thread is not None and thread not in channel.messages:
            raise Refused("invalid_thread_ts")
        call.limit_posts(channel.id)
        text = call.get("initial_comment", "")
        message = Message(
            call.team.new_ts(), channel.id, call.team.bot.id, text, by_bot=True, thread_ts=thread, files=shown
        )
        call.world.post(call.team, message)
        events.posted(call.world, call.team, message)
    return {"files": shown}


@handles("files.info")
async def file_info(call: Call) -> dict[str, Any]:
    """Describe a file."""
    file = call.team.files.get(call.get("file"))
    if file is None or not file.complete:
        raise Refused("file_not_found")
    return {"file": file.shown(call.world.url), "comments": [], "response_metadata": {"next_cursor": ""}}


@handles("files.delete")
async def delete_file(call: Call) -> dict[str, Any]:
    """Delete one of the bot's files."""
    file = call.team.files.get(call.get("file"))
    if file is None:
        raise Refused("file_not_found")
    if file.user != call.team.bot.id:
        raise Refused("cant_delete_file")
    del call.team.files[file.id]
    return {}


def _assistant_channel(call: Call) -> str:
    return call.channel("channel_id", member=True).id


@handles("assistant.threads.setSuggestedPrompts")
async def set_prompts(call: Call) -> dict[str, Any]:
    """Suggest what to ask."""
    prompts = call.get("prompts")
    good = isinstance(prompts, list) and 0 < len(prompts) <= 4
    if not good or any(not isinstance(p, dict) or set(p) != {"title", "message"} for p in prompts):
        raise Refused("invalid_arguments", "must be 1 to 4 prompts [json-pointer:/prompts]")
    channel = _assistant_channel(call)
    call.team.prompts.append({"channel": channel, "thread_ts": call.get("thread_ts"), "prompts": prompts})
    return {}


@handles("assistant.threads.setStatus")
async def set_status(call: Call) -> dict[str, Any]:
    """Show what the app is at."""
    entry = {"channel": _assistant_channel(call), "thread_ts": call.get("thread_ts"), "status": call.get("status")}
    call.team.statuses.append(entry | {"at": time.time()})
    del call.team.statuses[:-1000]
    return {}


@handles("assistant.threads.setTitle")
async def set_title(call: Call) -> dict[str, Any]:
    """Name a thread."""
    entry = {"channel": _assistant_channel(call), "thread_ts": call.get("thread_ts"), "title": call.get("title")}
    call.team.statuses.append(entry | {"at": time.time()})
    return {}
