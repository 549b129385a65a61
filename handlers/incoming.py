"""What we hear, platform-neutral: who said what where, as text or as the press of a button."""

from __future__ import annotations

from typing import Literal

from jobs.models import Frozen

Language = Literal["en", "zh"]


class Place(Frozen):
    """Where a conversation happens."""

    platform: str
    channel: str
    thread: str


class Incoming(Frozen):
    """One message or click. `id` is unique for it, however often the platform delivers it."""

    id: str
    place: Place
    user: str
    text: str = ""
    button: str = ""
    """The id of the button that was pressed; empty for text."""
    owns_machine: bool = False
    """The person sits at the machine Scopebot runs on: they may name its loopback endpoints."""


def language_of(text: str) -> Language:
    """Chinese if the text has a Chinese character, else English."""
    return "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en"
