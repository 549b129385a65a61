"""Texts of any chat: cleaned, shortened with a mark, as wide as they are shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """Return a text without the characters that no chat shows: control characters and halves of characters."""
    return _UNSHOWN.sub("", text)


def one_line(text: str) -> str:
    """Return a text as one line."""
    return " ".join(clean(text).split())


def shorten(text: str, most: int) -> str:
    """Return a text of at most `most` characters; one that is longer ends in "…"."""
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + "…"


def width(text: str) -> int:
    """Return how many columns a text takes in a font of one width."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Return a text filled up to a width."""
    gap = " " * max(0, columns - width(text))
    return gap + text if right else text + gap


def share(sizes: Sequence[int], total: int) -> int:
    """Return the most that each may have so that all together have at most `total`: the longest give way first."""
    left, count = total, len(sizes)
    for size in sorted(sizes):
        if size * count > left:
            return max(0, left // count)
        left -= size
        count -= 1
    return max(sizes, default=0)
