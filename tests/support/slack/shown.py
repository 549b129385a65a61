"""The text that people see of a message."""

from __future__ import annotations

from typing import Any

_SKIPPED = {
    "type", "block_id", "action_id", "style", "value", "url", "image_url", "slack_file", "task_id", "callback_id",
    "private_metadata", "confirm", "width", "user_id", "channel_id", "initial_option",
}  # fmt: skip


def text_of(value: Any) -> str:
    """Gather the visible text of a message, a view, or some blocks, a line for each part of it."""
    if isinstance(value, dict) and "blocks" in value:
        title = [text_of(value["title"])] if isinstance(value.get("title"), dict) else []
        plain = [] if value["blocks"] else [str(value.get("text", ""))]
        return "\n".join([*title, *plain, *_lines(value["blocks"])])
    if isinstance(value, dict) and "type" in value and value["type"] == "message":
        return str(value.get("text", ""))
    return "\n".join(_lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, list):
        return [line for one in value for line in _lines(one)]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict):
        return []
    kind = value.get("type", "")
    if kind in {"rich_text_section", "rich_text_preformatted", "rich_text_quote"}:
        return ["".join(_inline(element) for element in value["elements"])]
    if kind in {"table", "data_table"}:
        rows = [" | ".join(" ".join(_lines(cell)) for cell in row) for row in value["rows"]]
        return [*([value["caption"]] if "caption" in value else []), *rows]
    if kind == "raw_number":
        return [value["text"]]
    if {"label", "value"} == set(value):
        return [f"{value['label']}: {value['value']}"]
    return [line for name, inner in value.items() if name not in _SKIPPED for line in _lines(inner)]


def _inline(element: dict[str, Any]) -> str:
    kind = element["type"]
    if kind == "link":
        return str(element.get("text", element["url"]))
    if kind == "user":
        return f"<@{element['user_id']}>"
    return f":{element['name']}:" if kind == "emoji" else str(element.get("text", element.get("fallback", "")))
