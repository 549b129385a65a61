"""A neutral table as Slack shows it: a data table, a plain table, or lines of one width. Says what it leaves out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.render.slack_text import Block, plain, titled
from bot.render.text import one_line, padded, shorten, width
from handlers.message import Table
from handlers.texts import Texts

Look = Literal["data_table", "table", "text"]
MOST_ROWS = 100
"""Rows of a data table, its header not counted."""
MOST_COLUMNS = 20
MOST_CELL = 500
LEAST_CELL = 8
MOST_CAPTION = 80
MOST_WIDTH = 100
"""Columns of one-width text that Slack shows side by side."""
PAGE, MOST_PAGE = 10, 15
"""Rows of a data table that are seen at once; a few more are seen without a second page."""
MOST_PLAIN = 5_000
"""Characters of a plain table."""
NOTE = 200
"""Characters kept free for what is said of rows that do not fit."""
NOTHING = "–"
"""Stands in an empty cell: Slack takes none."""
_NUMBER = re.compile(
    r"(?:★ )?(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)(?: ?([^\d\s\[\](),.-]+))?"
    r"(?: \[[^\[\]]*\])?(?: \([^()]*\))?"
)
"""One number with its unit; whatever else there is stands in brackets."""


@dataclass(frozen=True)
class Grid:
    """A table with cells on one line each, none of them empty, and as many in each row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]

    def cut(self, most: int) -> Grid:
        """Return the table with cells of at most `most` characters."""
        columns, *rows = (tuple(shorten(cell, most) for cell in row) for row in (self.columns, *self.rows))
        return Grid(columns, tuple(rows), self.numeric)


def grid(table: Table) -> Grid:
    """Return a table's cells as Slack can take them."""
    count = max(map(len, (table.columns, *table.rows)))
    columns, *rows = (
        tuple(one_line(cell) or NOTHING for cell in (*row, *[""] * (count - len(row))))
        for row in (table.columns, *table.rows)
    )
    numeric = frozenset(index for index, name in enumerate(table.columns) if name in table.numeric)
    return Grid(columns, tuple(rows), numeric)


def fits_plain(table: Table) -> bool:
    """Tell whether Slack's plain table block takes the whole of a table."""
    whole = grid(table)
    cells = sum(len(cell) for row in (whole.columns, *whole.rows) for cell in row)
    few = len(whole.rows) < MOST_ROWS and 0 < len(whole.columns) <= MOST_COLUMNS
    return few and bool(whole.rows) and cells <= MOST_PLAIN and whole == whole.cut(MOST_CELL)


def draw_table(table: Table, look: Look, most: int, texts: Texts) -> tuple[list[Block], list[str]]:
    """Return the blocks of a table within about `most` characters, and what is to be said of what they lack."""
    whole = grid(table)
    if not whole.columns:
        return [], []
    if not whole.rows:
        whole = Grid(whole.columns, (tuple(NOTHING for _ in whole.columns),), frozenset())
    notes = []
    across = whole if look == "text" else _narrowed(whole)
    if len(across.columns) < len(whole.columns):
        notes.append(texts("cut.columns", count=len(whole.columns) - len(across.columns)))
    room = max(0, most - NOTE - MOST_CAPTION)
    found = across.cut(min(MOST_CELL, max(LEAST_CELL, room // (2 * len(across.columns)))))
    if found != across:
        notes.append(texts("cut.cells"))
    block, shown = _BLOCKS[look](found, room)
    if shown < len(whole.rows):
        notes.append(texts("cut.rows", count=len(whole.rows) - shown))
    return [block], notes


def _narrowed(whole: Grid) -> Grid:
    few = slice(MOST_COLUMNS)
    return Grid(whole.columns[few], tuple(row[few] for row in whole.rows), whole.numeric & set(range(MOST_COLUMNS)))


def _rows_within(found: Grid, room: int) -> int:
    """Return how many rows have room, one at least."""
    left = room - sum(map(len, found.columns))
    for index, row in enumerate(found.rows[:MOST_ROWS]):
        left -= sum(len(cell) + (len(cell) if column in found.numeric else 0) for column, cell in enumerate(row))
        if left < 0:
            return max(1, index)
    return min(len(found.rows), MOST_ROWS)


def _data_table(found: Grid, room: int) -> tuple[Block, int]:
    rows = found.rows[: _rows_within(found, room)]
    numbers = {index: read for index in found.numeric if (read := numbers_of([row[index] for row in rows]))}
    cells: list[list[Block]] = [[{"type": "raw_text", "text": name} for name in found.columns]]
    for number, row in enumerate(rows):
        cells.append([
            {"type": "raw_number", "value": numbers[index][number], "text": cell}
            if index in numbers
            else {"type": "raw_text", "text": cell}
            for index, cell in enumerate(row)
        ])  # fmt: skip
    page = len(rows) if len(rows) <= MOST_PAGE else PAGE
    title = plain(found.columns[0], MOST_CAPTION)["text"]  # the text above it would be read twice
    return {"type": "data_table", "caption": title, "page_size": page, "rows": cells}, len(rows)


def _plain_table(found: Grid, room: int) -> tuple[Block, int]:
    rows = found.rows[: min(_rows_within(found, room), MOST_ROWS - 1)]
    cells = [[{"type": "raw_text", "text": cell} for cell in row] for row in (found.columns, *rows)]
    settings = [
        {"align": "right"} if index in found.numeric else {"is_wrapped": True} for index in range(len(found.columns))
    ]
    return {"type": "table", "rows": cells, "column_settings": settings}, len(rows)


def _text_table(found: Grid, room: int) -> tuple[Block, int]:
    """Return rows side by side in one width where they are narrow, else one line for each cell."""
    widths = [max(width(row[index]) for row in (found.columns, *found.rows)) for index in range(len(found.columns))]
    lines = [_line(row, widths, found.numeric) for row in (found.columns, *found.rows)]
    if sum(widths) + 2 * len(widths) > MOST_WIDTH:
        each = ["\n".join(map(": ".join, zip(found.columns, row, strict=True))) + "\n" for row in found.rows]
        lines = ["", *each]
    shown, left = 0, room - len(lines[0])
    for line in lines[1:]:
        left -= len(line) + 1
        if left < 0 and shown:
            break
        shown += 1
    return titled("", "\n".join(lines[: shown + 1]).strip("\n")), shown


def _line(row: Sequence[str], widths: Sequence[int], numeric: frozenset[int]) -> str:
    cells = (padded(cell, widths[index], right=index in numeric) for index, cell in enumerate(row))
    return "  ".join(cells).rstrip()


_BLOCKS = {"data_table": _data_table, "table": _plain_table, "text": _text_table}


def numbers_of(cells: Sequence[str]) -> list[float] | None:
    """Return the numbers that cells show, all in one unit; None where one shows none, or more than one."""
    found = [_NUMBER.fullmatch(cell) for cell in cells]
    read = [match for match in found if match is not None]
    if not read or len(read) < len(found) or len({match[2] for match in read}) > 1:
        return None
    numbers = [float(match[1].replace(",", "")) for match in read]
    if not all(map(math.isfinite, numbers)):
        return None
    return [int(number) if number.is_integer() and abs(number) < 1e15 else number for number in numbers]
