"""Neutral message → one of Feishu's cards (JSON 2.0), within what Feishu takes. Pure functions.

Nothing is left out without a word: what a card has no room for goes into a file beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.render.feishu_charts import charts_as_pictures
from bot.render.feishu_draw import Attachment, Drawer
from bot.render.feishu_fit import fit
from bot.render.feishu_text import grey, markdown, plain
from bot.render.text import one_line, shorten
from handlers.message import Button, Chart, Message, Progress, State
from handlers.texts import Texts

__all__ = ["Attachment", "Rendered", "charts_as_pictures", "render"]
MOST_SUMMARY = 120
MOST_TITLE = 150
COLOURS: Mapping[State, str] = {
    "running": "blue", "waiting": "grey", "paused": "orange", "failed": "red", "cancelled": "grey",
    "succeeded": "green",
}  # fmt: skip
"""The states of runs, the one that matters most first, with the colour of a card that shows several."""


@dataclass(frozen=True)
class Rendered:
    """A message as Feishu takes it: the card, and the files that belong to it."""

    card: dict[str, Any]
    attachments: tuple[Attachment, ...] = ()


def render(
    message: Message,
    *,
    value: Callable[[Button], str],
    texts: Texts,
    reference: str = "",
    pictures: Mapping[Chart, str] | None = None,
) -> Rendered:
    """Return a message; `value` gives what a button says when it is pressed.

    `pictures` has the keys of uploaded pictures; `reference` is how the post is found again.
    """
    drawer = Drawer(message, value=value, texts=texts, pictures=pictures or {}, titled=_has_title(message))
    elements = fit(list(drawer.pieces()), drawer.left_out) or [markdown("–")]
    if reference:
        elements.append(grey(reference))
    card = frame(message.text, elements)
    if _has_title(message):
        card["header"] = {"title": plain(shorten(one_line(message.text), MOST_TITLE)), "template": _colour(message)}
    return Rendered(card, drawer.attachments())


def frame(text: str, elements: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a card with these elements; the text is what notifications show."""
    summary = {"content": shorten(one_line(text), MOST_SUMMARY) or "–"}
    config = {"update_multi": True, "width_mode": "fill", "summary": summary}
    return {"schema": "2.0", "config": config, "body": {"elements": elements}}


def _has_title(message: Message) -> bool:
    """Tell whether a message's text stands over the card: it shows how runs go, or figures."""
    return bool(one_line(message.text)) and any(part.type in {"progress", "table", "chart"} for part in message.parts)


def _colour(message: Message) -> str:
    """Return the colour of a title: that of the state that matters most."""
    states = {part.state for part in message.parts if isinstance(part, Progress)}
    return next((colour for state, colour in COLOURS.items() if state in states), "blue")
