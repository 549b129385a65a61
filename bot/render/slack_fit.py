"""What makes a message fit into what Slack takes: the longest of its pieces give way first, and it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.render.slack_text import Block, context, text_length
from bot.render.text import share

MOST_BLOCKS = 50
MOST_TEXT = 12_300
"""Characters of a whole message; Slack fails a little above 13,200 (`msg_blocks_too_long`)."""
MOST_TABLES = 9_500
"""Characters of all tables of a message together; Slack takes 10,000 in their cells."""
LEAST_PIECE = 300
"""Characters below which a piece is left out rather than shortened."""
NOTE = 200
"""Characters kept free for what is said of pieces that are left out."""


@dataclass(frozen=True)
class Piece:
    """What one part of a message becomes, or several in a row: `draw` takes about how many characters it may have."""

    draw: Callable[[int], list[Block]]
    keep: bool = False
    """Never shortened, and left out only if nothing else is there."""
    table: bool = False


def fit(
    pieces: Sequence[Piece], said: Callable[[int], str], *, blocks: int = MOST_BLOCKS, text: int = MOST_TEXT
) -> list[Block]:
    """Return the blocks of a message that Slack takes; `said` tells how many pieces were left out."""
    drawn = [piece.draw(text) for piece in pieces]
    sizes = list(map(text_length, drawn))
    tables = share([size for piece, size in zip(pieces, sizes, strict=True) if piece.table], MOST_TABLES)
    caps = [min(size, tables) if piece.table else size for piece, size in zip(pieces, sizes, strict=True)]
    kept = sum(size for piece, size in zip(pieces, sizes, strict=True) if piece.keep)
    most = share([cap for piece, cap in zip(pieces, caps, strict=True) if not piece.keep], text - kept)
    for index, piece in enumerate(pieces):
        cap = max(LEAST_PIECE, min(caps[index], most))
        if not piece.keep and cap < sizes[index]:
            drawn[index] = piece.draw(cap)
    return _leave_out(pieces, drawn, said, blocks=blocks, text=text)


def _leave_out(
    pieces: Sequence[Piece], drawn: list[list[Block]], said: Callable[[int], str], *, blocks: int, text: int
) -> list[Block]:
    """Return the blocks without the last pieces that do not fit; the first one always stays."""
    counts, sizes = [len(each) for each in drawn], [text_length(each) for each in drawn]
    if sum(counts) <= blocks and sum(sizes) <= text:
        return [block for each in drawn for block in each]
    order = sorted(range(1, len(pieces)), key=lambda index: (not pieces[index].keep, index))
    left: list[int] = []
    while order and (sum(counts) > blocks - 1 or sum(sizes) > text - NOTE):
        index = order.pop()
        if drawn[index]:
            left.append(index)
        counts[index] = sizes[index] = 0
    for index in left:
        drawn[index] = []
    if left:
        drawn[min(left)] = [context(said(len(left)))]
    return [block for each in drawn for block in each]
