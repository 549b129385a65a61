"""What people type, as Slack stores it: escaped, links and mentions marked."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"<(?:[@#!][^<>\s][^<>]*|(?:https?|mailto):[^<>]+)>")
_URL = re.compile(r"https?://[^\s<>]*[^\s<>.,;:!?'\")\]]")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def escape(text: str) -> str:
    """Escape the three characters that Slack escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typed(text: str) -> str:
    """Return what was typed as Slack stores it; `<@U…>` stands for a mention."""
    parts, place = [], 0
    for found in _TOKEN.finditer(text):
        parts += [_linked(text[place : found.start()]), found.group()]
        place = found.end()
    return "".join([*parts, _linked(text[place:])])


def _linked(text: str) -> str:
    return _URL.sub(lambda found: f"<{found.group()}>", escape(text))


def mentions(text: str, user: str) -> bool:
    """Tell whether somebody is mentioned."""
    return user in _USER.findall(text)


def links(text: str) -> list[str]:
    """Return the links in a stored text."""
    return [
        found.partition("|")[0].replace("&amp;", "&") for found in re.findall(r"<(https?://[^<>]+)>", text)
    ]  # fmt: skip


def rich(text: str) -> list[dict[str, Any]]:
    """Return the rich_text block that Slack's client sends with a typed text."""
    elements: list[dict[str, Any]] = []
    place = 0
    for found in _TOKEN.finditer(text):
        elements += _plain(text[place : found.start()])
        token = found.group()[1:-1]
        if token.startswith("@"):
            elements.append({"type": "user", "user_id": token[1:].partition("|")[0]})
        elif token.startswith("http"):
            elements.append({"type": "link", "url": token.partition("|")[0].replace("&amp;", "&")})
        else:
            elements += _plain(found.group())
        place = found.end()
    elements += _plain(text[place:])
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": "typed", "elements": [section]}] if elements else []


def _plain(text: str) -> list[dict[str, Any]]:
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return [{"type": "text", "text": text}] if text else []
