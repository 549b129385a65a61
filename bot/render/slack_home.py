"""A person's home on Slack: titles as headers, the rows of a table as lines."""

from __future__ import annotations

from functools import partial

from bot.render.slack_draw import Drawer
from bot.render.slack_fit import Piece
from bot.render.slack_tables import MOST_CELL, NOTE, NOTHING, grid
from bot.render.slack_text import MOST_SECTION, Block, bold, escape, plain, section
from bot.render.text import one_line
from handlers.message import Part, Table, Text

MOST_HEADER = 100
"""Characters of a text that can be a title."""
ENDS = (".", "!", "?", "。", "！", "？", "…")


class HomeDrawer(Drawer):
    """Makes the pieces of a home."""

    def headline(self) -> list[Block]:
        """Return the message's text as a header."""
        text = one_line(self.message.text)
        return [_header(text)] if 0 < len(text) <= MOST_HEADER else super().headline()

    def piece(self, part: Part, at: int) -> Piece:
        """Return what the part at a place becomes."""
        if isinstance(part, Text) and _is_title(part):
            return Piece(partial(_fixed_header, part.text))
        if isinstance(part, Table):
            return Piece(partial(self._lines, part))
        return super().piece(part, at)

    def _lines(self, part: Table, most: int) -> list[Block]:
        """Return a line for each row: its first cell in bold, its figures last."""
        whole = grid(part)
        if not whole.columns:
            return []
        notes = []
        if whole != whole.cut(MOST_CELL):
            whole = whole.cut(MOST_CELL)
            notes.append(self.texts("cut.cells"))
        lines, left = [], most - NOTE
        for row in whole.rows:
            others = [index for index in range(1, len(row)) if row[index] != NOTHING]
            words = " · ".join(row[index] for index in others if index not in whole.numeric)
            figures = " · ".join(row[index] for index in others if index in whole.numeric)
            rest = " — ".join(filter(None, [words, figures]))
            line = f"{bold(row[0])} {escape(rest)}".strip()
            left -= len(line) + 1
            if left < 0 or len(line) > MOST_SECTION:
                break
            lines.append(line)
        if len(lines) < len(whole.rows):
            notes.append(self.texts("cut.rows", count=len(whole.rows) - len(lines)))
        return self.noted(_sections(lines), notes)


def _sections(lines: list[str]) -> list[Block]:
    """Return lines in as few sections as they fit into."""
    blocks, held = [], ""
    for line in lines:
        if held and len(held) + len(line) + 1 > MOST_SECTION:
            blocks.append(section(held))
            held = ""
        held = f"{held}\n{line}" if held else line
    return [*blocks, section(held)] if held else blocks


def _is_title(part: Text) -> bool:
    text = part.text.strip()
    return 0 < len(one_line(text)) <= MOST_HEADER and "\n" not in text and "`" not in text and not text.endswith(ENDS)


def _header(text: str) -> Block:
    return {"type": "header", "text": plain(text.rstrip(":："), MOST_HEADER)}


def _fixed_header(text: str, _most: int) -> list[Block]:
    return [_header(text.strip())]
