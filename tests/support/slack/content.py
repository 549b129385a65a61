"""What a message says: text, blocks, attachments and metadata are checked and completed as Slack does it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from support.slack.blocks import check_blocks, too_long
from support.slack.mrkdwn import escape
from support.slack.schema import Report
from support.slack.workspace import Workspace
from support.slack.world import Refused, World

TEXT = 40_000
EDITED_TEXT = 4_000
"""Bytes that the text of an edit may have, escaped."""
METADATA = 8_000
ATTACHMENTS = 20
_ids = itertools.count(1)
_ATTACHMENT = {
    "blocks", "color", "fallback", "text", "pretext", "title", "title_link", "fields", "footer", "footer_icon", "ts",
    "author_name", "author_link", "author_icon", "image_url", "thumb_url", "mrkdwn_in", "id", "callback_id", "actions",
    "preview", "from_url", "hide_color",
}  # fmt: skip


def parts(block: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Go through the elements of a block that people can use, each with the block it stands in."""
    for element in block.get("elements", ()):
        if isinstance(element, dict) and block.get("type") in {"actions", "context_actions"}:
            yield block, element
        elif isinstance(element, dict) and element.get("type") == "card":
            yield from parts(element)
    for name in ("accessory", "element"):
        if isinstance(block.get(name), dict) and block[name].get("type") != "image":
            yield block, block[name]
    if block.get("type") == "card":
        yield from ((block, element) for element in block.get("actions", ()))
    for child in block.get("child_blocks", ()):
        yield from parts(child)


def elements(blocks: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Go through all elements that people can use."""
    for block in blocks:
        yield from parts(block)


def complete(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give blocks and elements the ids that they lack."""
    for block in blocks:
        block.setdefault("block_id", f"b{next(_ids)}")
        for child in block.get("child_blocks", ()):
            child.setdefault("block_id", f"b{next(_ids)}")
    for _, element in elements(blocks):
        element.setdefault("action_id", f"a{next(_ids)}")
    return blocks


def check(world: World, team: Workspace, args: dict[str, Any], *, edit: bool = False) -> list[dict[str, Any]]:
    """Check what is to be said, and return its blocks complete."""
    text, blocks = args.get("text", ""), args.get("blocks")
    markdown = args.get("markdown_text")
    if markdown is not None and (text or blocks):
        raise Refused("markdown_text_conflict")
    if markdown is not None and len(markdown) > 12_000:
        raise Refused("msg_too_long")
    if len(text) > TEXT or (edit and len(_stored(text).encode()) > EDITED_TEXT):
        raise Refused("msg_too_long")
    if not (text or blocks or args.get("attachments") or markdown):
        raise Refused("no_text")
    report = world.report(team, "message")
    if blocks is not None:
        if not isinstance(blocks, list):
            raise Refused("invalid_blocks_format")
        check_blocks(blocks, report)
        if report.problems:
            raise Refused("invalid_blocks", *report.problems)
        if too_long(report):
            raise Refused("msg_blocks_too_long")
    _attachments(report, args.get("attachments", []))
    _metadata(args.get("metadata"))
    return complete(blocks or [])


def _stored(text: str) -> str:
    """Return the text as it counts: bots escape it themselves, but a bare character counts escaped too."""
    return escape(text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def _attachments(report: Report, attachments: Any) -> None:
    if not isinstance(attachments, list) or len(attachments) > ATTACHMENTS:
        raise Refused("invalid_attachments")
    for place, attachment in enumerate(attachments):
        if not isinstance(attachment, dict) or not set(attachment) <= _ATTACHMENT:
            raise Refused("invalid_attachments", "invalid_keys")
        if "blocks" in attachment:
            check_blocks(attachment["blocks"], report, f"/attachments/{place}/blocks")
            if report.problems:
                raise Refused("invalid_attachments", *report.problems)


def _metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata["event_type"], str) or not isinstance(metadata["event_payload"], dict):
        raise Refused("invalid_metadata_schema")
    if not 0 < len(metadata["event_type"]) <= 255 or not all(_flat(v) for v in metadata["event_payload"].values()):
        raise Refused("invalid_metadata_schema")
    if len(json.dumps(metadata)) > METADATA:
        raise Refused("metadata_too_large")


def _flat(value: Any, depth: int = 0) -> bool:
    """Tell whether a payload's value is a simple one, or an object or a list of those."""
    if isinstance(value, str | int | float | bool):
        return True
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and depth < 2 and all(_flat(one, depth + 1) for one in inner)
