"""What people read of a message."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def shown(message: Json) -> str:
    """Return all the text of a message, a line for each piece."""
    if message.get("deleted"):
        return "This message was recalled"
    card = message.get("card")
    if card is None:
        content = json.loads(message["body"]["content"])
        return str(content.get("text") or content)
    title = (card.get("header") or {}).get("title") or {}
    return "\n".join([*([title["content"]] if title.get("content") else []), *_lines(card["body"]["elements"])])


def degraded(card: Json) -> str:
    """Return the content that Feishu gives of a card: its text, and nothing of how it is made."""
    title = ((card.get("header") or {}).get("title") or {}).get("content")
    lines = [[{"tag": "text", "text": line}] for line in _lines(card["body"]["elements"])]
    return json.dumps({"title": title, "elements": lines}, ensure_ascii=False)


def elements_of(card: Json) -> Iterator[Json]:
    """Yield every component of a card, outer ones first."""
    yield from _all(card["body"]["elements"])


def buttons_of(message: Json) -> list[Json]:
    """Return the buttons of a message."""
    card = message.get("card")
    return [] if card is None else [element for element in elements_of(card) if element["tag"] == "button"]


def tables_of(message: Json) -> list[list[list[str]]]:
    """Return the tables of a message: rows of cells, the names of the columns first."""
    card = message.get("card")
    found = [] if card is None else [element for element in elements_of(card) if element["tag"] == "table"]
    return [
        [[column["display_name"] for column in table["columns"]],
         *([str(row.get(column["name"], "")) for column in table["columns"]] for row in table["rows"])]
        for table in found
    ]  # fmt: skip


def _all(elements: list[Json]) -> Iterator[Json]:
    for element in elements:
        yield element
        yield from _all(element.get("elements") or [])
        yield from _all(element.get("columns") or [] if element["tag"] == "column_set" else [])


def _lines(elements: list[Json]) -> Iterator[str]:
    for element in _all(elements):
        tag = element["tag"]
        if tag == "markdown":
            yield _markdown(element["content"])
        elif tag in {"div", "button"}:
            yield str(element["text"]["content"])
        elif tag == "collapsible_panel":
            yield str(element["header"]["title"]["content"])
        elif tag == "chart":
            yield str((element["chart_spec"].get("title") or {}).get("text", ""))
        elif tag == "table":
            for row in tables_of({"card": {"body": {"elements": [element]}}})[0]:
                yield " | ".join(row)
        elif tag == "img":
            yield str(element["alt"]["content"])
        elif tag in {"select_static", "multi_select_static"}:
            yield from (str(option["text"]["content"]) for option in element["options"])


def _markdown(content: str) -> str:
    text = re.sub(r"<at id=(\w+)></at>", r"@\1", content)
    text = re.sub(r"</?font[^>]*>", "", text)
    text = re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r"\1 (\2)", text)
    text = re.sub(r"```\n?|\*\*", "", text)
    return html.unescape(text)
