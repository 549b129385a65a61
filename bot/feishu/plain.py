"""A message as text alone, for where Feishu does not take its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers.message import Buttons, Chart, Fields, Form, Link, Log, Progress, Table, Text

if TYPE_CHECKING:
    from handlers.message import Message, Part

MOST = 6_000
"""Characters; in Chinese about 18 KB, of the 30 that a card may have."""


def plain_card(message: Message, reference: str) -> dict[str, Any]:
    """Return a card that shows what a message says, with nothing in it that could be refused."""
    text = "\n".join(filter(None, [message.text, *map(_text, message.parts)]))
    shown = text if len(text) <= MOST else f"{text[:MOST]}…"
    lines = [shown or "–", *([reference] if reference else [])]
    elements = [{"tag": "div", "text": {"tag": "plain_text", "content": line}} for line in lines]
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": elements}}


def _text(part: Part) -> str:
    """Return a part as lines of text; buttons say nothing without being pressed."""
    match part:
        case Text():
            return part.text
        case Fields():
            return "\n".join(f"{name}: {value}" for name, value in part.items)
        case Table():
            return "\n".join(" | ".join(row) for row in (part.columns, *part.rows))
        case Chart():
            return part.title
        case Progress():
            return " · ".join(filter(None, [part.label, f"{part.done} / {part.total or '?'}", part.score, part.note]))
        case Log():
            return f"{part.title}\n{part.text}"
        case Link():
            return f"{part.label}: {part.url}"
        case Buttons() | Form():
            return ""
