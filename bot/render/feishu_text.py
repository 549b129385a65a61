"""Texts in Feishu's cards: what people and models wrote never becomes markup.

Plain text, table cells and titles Feishu shows as they are. In markdown, every character that could mean something is
written as its number; only code in ticks stays code.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bot.render.text import clean, one_line, shorten

Element = dict[str, Any]
"""A component of a card, as its JSON has it."""
MOST_URL = 2_000
MOST_LABEL = 200
_SPECIAL = re.compile(r"[&<>*_~`\[\]()#:$|\\!+\-]")
_NUMBERED = re.compile(r"(?m)^(\s*\d+)\.")
_CODE = re.compile(r"`([^`\n<>&]{1,200})`")
_PERSON = re.compile(r"ou_[A-Za-z0-9]{1,64}")


def escape(text: str) -> str:
    """Return a text in which Feishu finds no markup, mention or emoji."""
    shown = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", clean(text))
    return _NUMBERED.sub(r"\1&#46;", shown)


def marked(text: str) -> str:
    """Return a text as markdown in which nothing is markup but code in ticks."""
    parts = _CODE.split(clean(text))
    return "".join(f"`{part}`" if number % 2 else escape(part) for number, part in enumerate(parts))


def bold(text: str) -> str:
    """Return a text in bold, as markdown."""
    shown = escape(one_line(text))
    return f"**{shown}**" if shown else ""


def markdown(content: str, **more: Any) -> Element:
    """Return a paragraph of markdown that is escaped already."""
    return {"tag": "markdown", "content": content, **more}


def grey(text: str) -> Element:
    """Return small print."""
    return {"tag": "div", "text": plain(text) | {"text_size": "notation", "text_color": "grey"}}


def plain(text: str) -> Element:
    """Return a text object without markup."""
    return {"tag": "plain_text", "content": clean(text) or "–"}


def code(text: str) -> Element:
    """Return lines kept as they are; such as could end the block, or be read as a tag, without its look."""
    text = clean(text)
    if "```" in text or re.search(r"<[a-zA-Z/]", text):
        return {"tag": "div", "text": plain(text)}
    return markdown(f"```\n{text}\n```")


def at(person: str) -> str:
    """Return the markup that brings a card to a person's notice; empty where nobody is meant."""
    user = person.rpartition(":")[2]
    return f"<at id={user}></at>" if _PERSON.fullmatch(user) else ""


def link(label: str, url: str) -> str:
    """Return a link as markdown; an address that Feishu would not follow as it is."""
    label, url = shorten(one_line(label), MOST_LABEL), "".join(clean(url).split())
    if not re.match(r"https?://.", url, re.IGNORECASE) or len(url) > MOST_URL:
        return escape(shorten(f"{label}: {url}", MOST_URL))
    for char, written in (("(", "%28"), (")", "%29"), ("<", "%3C"), (">", "%3E"), ('"', "%22"), ("\\", "%5C")):
        url = url.replace(char, written)
    return f"[{escape(label or url)}]({url})"


def size(found: Any) -> int:
    """Return how many bytes something takes in a card."""
    return len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode())
