"""Slack's text objects: escaped, split where Slack takes no more, never cut silently.

Slack reads markup in mrkdwn alone, so that is escaped. Plain text, rich text and table cells it shows as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bot.render.text import clean, one_line, shorten

Block = dict[str, Any]
"""A block, or an element of one, as Slack's JSON has it."""
MOST_SECTION = 2_900
"""Characters of one section; Slack takes 3,000."""
MOST_URL = 2_500
MOST_LABEL = 200
_ESCAPED = {"&": 5, "<": 4, ">": 4}
"""How long a character is once it is escaped."""
BOUNDARIES = ("\n", " ", "。", "，")
"""Where a long text is split, best first."""
UNSEEN = frozenset({
    "type", "style", "action_id", "value", "task_id", "status", "align", "id", "url", "user_id",
})  # fmt: skip
"""Keys whose values nobody reads."""


def escape(text: str) -> str:
    """Return a text in which Slack finds no mention, no channel and no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bold(text: str) -> str:
    """Return a text in bold, as mrkdwn; an asterisk in it would end that."""
    shown = escape(one_line(text)).replace("*", "∗")
    return f"*{shown}*" if shown else ""


def fitting(text: str, most: int) -> int:
    """Return how many of a text's characters fit into `most` once they are escaped."""
    length = 0
    for index, char in enumerate(text):
        length += _ESCAPED.get(char, 1)
        if length > most:
            return index
    return len(text)


def chunks(text: str, most: int = MOST_SECTION) -> Iterator[str]:
    """Yield a text in pieces that have at most `most` characters each once they are escaped."""
    text = text.strip()
    while text:
        end = fitting(text, most)
        if end < len(text):
            found = (text.rfind(mark, end // 2, end) + 1 for mark in BOUNDARIES)
            end = next((place for place in found if place), end)
        yield text[:end].strip()
        text = text[end:].strip()


def mrkdwn(text: str) -> Block:
    """Return a text object of escaped text; `verbatim`, since Slack would look for @here and #channels in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str, most: int) -> Block:
    """Return a text object without markup."""
    return {"type": "plain_text", "text": shorten(one_line(text), most) or "–"}


def link_text(label: str, url: str) -> str:
    """Return a link as mrkdwn; where Slack would take the address for none, both as they are."""
    label = shorten(one_line(label), MOST_LABEL)
    url = "".join(clean(url).split())
    address = escape(url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C"))
    if not re.match(r"https?://.", url, re.IGNORECASE) or len(address) > MOST_URL:
        said = f"{label}: {url}"
        start = next(chunks(said, MOST_URL))
        return escape(start) + ("…" if len(start) < len(said) else "")
    shown = escape(label).replace("|", "∣")
    return f"<{address}|{shown}>" if shown else f"<{address}>"


def section(text: str) -> Block:
    """Return a section of escaped text."""
    return {"type": "section", "text": mrkdwn(text)}


def context(text: str) -> Block:
    """Return small print."""
    return {"type": "context", "elements": [mrkdwn(escape(text))]}


def rich(*elements: Block) -> Block:
    """Return a block of rich text."""
    return {"type": "rich_text", "elements": list(elements)}


def run_of(text: str, *, strong: bool = False) -> Block:
    """Return a stretch of rich text, in bold if `strong`."""
    element: Block = {"type": "text", "text": clean(text) or "–"}
    return element | {"style": {"bold": True}} if strong else element


def titled(title: str, text: str) -> Block:
    """Return lines kept as they are, under a title in bold."""
    head: list[Block] = []
    if one_line(title):
        head = [{"type": "rich_text_section", "elements": [run_of(one_line(title), strong=True)]}]
    return rich(*head, {"type": "rich_text_preformatted", "elements": [run_of(text)]})


def text_length(found: Any) -> int:
    """Return how many characters blocks have that people read."""
    if isinstance(found, str):
        return len(found)
    if isinstance(found, dict):
        return sum(text_length(value) for key, value in found.items() if key not in UNSEEN)
    return sum(map(text_length, found)) if isinstance(found, list) else 0
