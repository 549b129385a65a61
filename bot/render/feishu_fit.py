"""What makes a message fit into one of Feishu's cards: the longest of its pieces give way first, and it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.render.feishu_text import Element, grey, size
from bot.render.text import share

MOST_BYTES = 27_000
"""Of the elements of a card; Feishu takes 30 KB of it as a whole."""
MOST_COMPONENTS = 180
"""Feishu takes 200, texts included."""
LEAST_PIECE = 600
"""Bytes below which a piece is left out rather than shortened."""
NOTE = 400


@dataclass(frozen=True)
class Piece:
    """What one part of a message becomes, or several in a row: `draw` takes about how many bytes it may have."""

    draw: Callable[[int], list[Element]]
    keep: bool = False
    """Never shortened, and left out only if nothing else is there."""


def fit(pieces: Sequence[Piece], said: Callable[[int], str]) -> list[Element]:
    """Return the elements of a card that Feishu takes; `said` tells how many pieces were left out."""
    drawn = [piece.draw(MOST_BYTES) for piece in pieces]
    sizes = list(map(size, drawn))
    if sum(sizes) > MOST_BYTES:
        kept = sum(length for piece, length in zip(pieces, sizes, strict=True) if piece.keep)
        others = [length for piece, length in zip(pieces, sizes, strict=True) if not piece.keep]
        most = share(others, max(0, MOST_BYTES - kept - NOTE))
        for index, piece in enumerate(pieces):
            if not piece.keep and sizes[index] > most:
                drawn[index] = piece.draw(max(LEAST_PIECE, most))
    return _leave_out(pieces, drawn, said)


def _leave_out(pieces: Sequence[Piece], drawn: list[list[Element]], said: Callable[[int], str]) -> list[Element]:
    """Return the elements without the last pieces that do not fit; the first one always stays."""
    sizes, counts = list(map(size, drawn)), list(map(components, drawn))
    if sum(sizes) <= MOST_BYTES and sum(counts) <= MOST_COMPONENTS:
        return [element for each in drawn for element in each]
    order = sorted(range(1, len(pieces)), key=lambda index: (not pieces[index].keep, index))
    left: list[int] = []
    while order and (sum(sizes) > MOST_BYTES - NOTE or sum(counts) > MOST_COMPONENTS - 2):
        index = order.pop()
        if drawn[index]:
            left.append(index)
        sizes[index] = counts[index] = 0
    for index in left:
        drawn[index] = []
    if left:
        drawn[min(left)] = [grey(said(len(left)))]
    return [element for each in drawn for element in each]


def components(found: Any) -> int:
    """Return how many components and texts there are, one inside another."""
    if isinstance(found, dict):
        return ("tag" in found) + sum(map(components, found.values()))
    return sum(map(components, found)) if isinstance(found, list) else 0
