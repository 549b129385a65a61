"""Block Kit's blocks by surface, whole messages, and views."""

from __future__ import annotations

from typing import Any

from support.slack import data_blocks
from support.slack.elements import (
    ELEMENTS,
    IN_ACTIONS,
    IN_CARD,
    IN_CONTEXT,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
)
from support.slack.objects import RICH_TEXT, SLACK_FILE, URL, WEB_URL, any_text, plain
from support.slack.schema import (
    Check,
    Fields,
    Report,
    anything,
    boolean,
    by_type,
    exactly_one,
    listing,
    record,
    string,
)

BLOCKS_TEXT = 13_200
"""Characters that all blocks of one message may have together."""
MOST = {"message": 50, "unfurl": 50, "modal": 100, "home": 100}


def _block(required: Fields | None = None, optional: Fields | None = None, *, also: Check = anything) -> Check:
    return record({"type": anything, **(required or {})}, {"block_id": string(255), **(optional or {})}, also=also)


def _text_or_fields(value: dict[str, Any], pointer: str, report: Report) -> None:
    report.expect("text" in value or "fields" in value, pointer, "must define either `text` or `fields`")


def _unique_actions(value: dict[str, Any], pointer: str, report: Report) -> None:
    names = [element["action_id"] for element in value["elements"] if "action_id" in element]
    for name in {name for name in names if names.count(name) > 1}:
        report.add(f"{pointer}/elements", f"`action_id`: {name} already exists")


def _input_place(value: dict[str, Any], pointer: str, report: Report) -> None:
    only_in_modals = value["element"]["type"] == "file_input"
    report.expect(not only_in_modals or report.surface == "modal", pointer, "file_input is only for modals")


def _header(value: dict[str, Any], pointer: str, report: Report) -> None:
    report.expect("title" in value or "rich_text_title" in value, pointer, "must define `title` or `rich_text_title`")
    collapsible = value.get("is_collapsible", False)
    report.expect(collapsible or not value.get("default_collapsed"), pointer, "default_collapsed needs is_collapsible")
    both = collapsible and value.get("has_header_divider")
    report.expect(not both, pointer, "has_header_divider does not go with is_collapsible")


def _some_content(value: dict[str, Any], pointer: str, report: Report) -> None:
    some = any(name in value for name in ("hero_image", "title", "actions", "body"))
    report.expect(some, pointer, "must define at least one of: hero_image, title, actions, body")


def _children(value: Any, pointer: str, report: Report) -> None:
    listing(anything, 10)(value, pointer, report)
    for place, child in enumerate(value if isinstance(value, list) else []):
        nested = isinstance(child, dict) and child.get("type") in ("container", "carousel")
        if report.expect(not nested, f"{pointer}/{place}", "containers cannot be nested"):
            _one(child, f"{pointer}/{place}", report)


_SOURCE = record({"type": string(among=("url",)), "url": URL, "text": string()})
_TASK = _block(
    {
        "task_id": string(),
        "title": string(counts="text"),
        "status": string(among=("pending", "in_progress", "complete", "error")),
    },
    {"details": RICH_TEXT, "output": RICH_TEXT, "sources": listing(_SOURCE)},
)
_CARD = _block(
    {},
    {
        "title": any_text(150), "subtitle": any_text(150), "body": any_text(200), "hero_image": ELEMENTS["image"],
        "icon": ELEMENTS["image"], "actions": listing(IN_CARD),
    },
    also=_some_content,
)  # fmt: skip

_EVERYWHERE: dict[str, Check] = {
    "section": _block(
        {},
        {"text": any_text(3000), "fields": listing(any_text(2000), 10), "accessory": IN_SECTION, "expand": boolean},
        also=_text_or_fields,
    ),
    "divider": _block(),
    "header": _block({"text": plain(150)}),
    "image": _block(
        {"alt_text": string(2000)},
        {"image_url": WEB_URL, "slack_file": SLACK_FILE, "title": plain(2000)},
        also=exactly_one("image_url", "slack_file"),
    ),
    "context": _block({"elements": listing(IN_CONTEXT, 10)}),
    "actions": _block({"elements": listing(IN_ACTIONS, 25)}, also=_unique_actions),
    "rich_text": RICH_TEXT,
}
_INPUT = _block(
    {"label": plain(2000), "element": IN_INPUT},
    {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    also=_input_place,
)
_IN_MESSAGES: dict[str, Check] = {
    "markdown": _block({"text": string(12_000, counts="text")}),
    "context_actions": _block({"elements": listing(IN_CONTEXT_ACTIONS, 5)}, also=_unique_actions),
    "table": data_blocks.TABLE,
    "data_table": data_blocks.DATA_TABLE,
    "data_visualization": data_blocks.DATA_VISUALIZATION,
    "task_card": _TASK,
    "plan": _block({"title": string(counts="text")}, {"tasks": listing(by_type({"task_card": _TASK}))}),
    "card": _CARD,
    "carousel": _block({"elements": listing(by_type({"card": _CARD}), 10)}),
    "container": _block(
        {"child_blocks": _children},
        {
            "title": plain(150), "rich_text_title": RICH_TEXT, "subtitle": any_text(150), "icon": ELEMENTS["image"],
            "width": string(among=("narrow", "standard", "wide", "full")), "is_collapsible": boolean,
            "default_collapsed": boolean, "has_header_divider": boolean,
        },
        also=_header,
    ),
}  # fmt: skip
_ALERT = _block({"text": any_text(200)}, {"level": string(among=("default", "info", "warning", "error", "success"))})
BLOCKS: dict[str, dict[str, Check]] = {
    "message": _EVERYWHERE | {"input": _INPUT} | _IN_MESSAGES,
    "modal": _EVERYWHERE | {"input": _INPUT, "alert": _ALERT},
    "home": _EVERYWHERE | {"input": _INPUT},
    "unfurl": {name: check for name, check in _EVERYWHERE.items() if name != "rich_text"},
}


def _one(value: Any, pointer: str, report: Report) -> None:
    known = {name: check for name, check in BLOCKS[report.surface].items() if name not in report.unknown}
    by_type(known)(value, pointer, report)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return
    report.counts[value["type"]] += 1
    block_id = value.get("block_id")
    if isinstance(block_id, str):
        report.expect(block_id not in report.block_ids, pointer, f"`block_id`: {block_id} already exists for this view")
        report.block_ids.add(block_id)


def check_blocks(blocks: Any, report: Report, pointer: str = "/blocks", least: int = 0) -> None:
    """Check the blocks of a message or a view."""
    listing(_one, MOST[report.surface], least)(blocks, pointer, report)
    report.expect(report.counts["table"] <= 1, pointer, "only one table block is allowed in a message")
    report.expect(
        report.counts["data_visualization"] <= data_blocks.CHARTS, pointer,
        f"only {data_blocks.CHARTS} data_visualization blocks are allowed in a message",
    )  # fmt: skip
    too_much = report.counts["table text"] > data_blocks.TABLE_TEXT
    report.expect(not too_much, pointer, f"tables must be less than {data_blocks.TABLE_TEXT + 1} characters together")


def too_long(report: Report) -> bool:
    """Tell whether a message's blocks have too much text together."""
    return report.counts["text"] > BLOCKS_TEXT


_BOTH: Fields = {"private_metadata": string(3000, 0), "callback_id": string(255, 0), "external_id": string(255)}
_MODAL = record(
    {"type": anything, "title": plain(24), "blocks": anything},
    {
        "submit": plain(24), "close": plain(24), "clear_on_close": boolean, "notify_on_close": boolean,
        "submit_disabled": boolean, **_BOTH,
    },
)  # fmt: skip
_HOME = record({"type": anything, "blocks": anything}, _BOTH)


def check_view(view: Any, report: Report) -> None:
    """Check a modal or a Home tab, whichever the report's surface says."""
    by_type({report.surface: _MODAL if report.surface == "modal" else _HOME}, "type of view")(view, "/view", report)
    if isinstance(view, dict) and "blocks" in view:
        check_blocks(view["blocks"], report, "/view/blocks", least=1)
        has_input = isinstance(view["blocks"], list) and report.counts["input"]
        if has_input and report.surface == "modal":
            report.expect("submit" in view, "/view", "missing required field: submit (there is an input block)")
