"""Neutral message → Slack's blocks, within what Slack takes. Pure functions.

Nothing is left out without a word, and a run's page has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.render.slack_draw import ENGLISH, Drawer, Level, mention_of
from bot.render.slack_fit import fit
from bot.render.slack_home import HomeDrawer
from bot.render.slack_text import Block, chunks, escape, section
from bot.render.text import clean
from handlers.message import Button, Message
from handlers.texts import Texts

__all__ = ["Level", "Rendered", "render", "render_home"]
MOST_FALLBACK = 3_900
"""Characters of the text that notifications show."""
MOST_HOME_BLOCKS, MOST_HOME_TEXT = 100, 40_000


@dataclass(frozen=True)
class Rendered:
    """A message as Slack takes it: the text of notifications, and the blocks."""

    text: str
    blocks: list[Block]


def render(
    message: Message,
    level: Level,
    *,
    value: Callable[[Button], str],
    pictures: Sequence[str] = (),
    texts: Texts = ENGLISH,
) -> Rendered:
    """Return a message; `value` gives what a button says when it is pressed, 2,000 characters at most.

    `pictures` has the ids of uploaded files, one for each chart in turn, empty where there is none.
    """
    drawer = Drawer(message, level, value=value, pictures=pictures, texts=texts)
    return Rendered(_fallback(message), fit(list(drawer.pieces()), drawer.left_out) or [section("–")])


def render_home(message: Message, *, value: Callable[[Button], str], texts: Texts = ENGLISH) -> Block:
    """Return the view of a person's home: headers, lines and buttons, since it takes no tables, charts or tasks."""
    drawer = HomeDrawer(message, Level.TEXT, value=value, texts=texts)
    blocks = fit(list(drawer.pieces()), drawer.left_out, blocks=MOST_HOME_BLOCKS, text=MOST_HOME_TEXT)
    return {"type": "home", "blocks": blocks or [section("–")]}


def _fallback(message: Message) -> str:
    """Return what notifications show; the blocks have all of it."""
    text, mention = clean(message.text).strip(), mention_of(message)
    start = next(chunks(text, MOST_FALLBACK - 50), "–")
    return mention + escape(start) + ("…" if len(start) < len(text) else "")
