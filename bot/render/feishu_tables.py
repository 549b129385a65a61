"""A neutral table as Feishu shows it, ten rows a page; rows that a card has no room for go into a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bot.render.feishu_text import Element, size
from bot.render.text import clean, one_line, shorten
from handlers.message import Table

MOST_COLUMNS = 50
MOST_NAME, MOST_CELL = 80, 500
PAGE = 10
MOST_FROZEN = 4
"""Columns up to which a table is seen as a whole; of a wider one the first stays in sight."""


def draw_table(table: Table, most: int) -> tuple[Element, int, bool]:
    """Return the component within about `most` bytes, how many rows it shows, and whether it shows them in full."""
    count = min(MOST_COLUMNS, max(map(len, (table.columns, *table.rows))))
    columns = [_column(table, number) for number in range(count)]
    whole = count == max(map(len, (table.columns, *table.rows)))
    component: Element = {"tag": "table", "page_size": PAGE, "columns": columns, "rows": []}
    if count > MOST_FROZEN:
        component["freeze_first_column"] = True
    room = most - size(component)
    rows: list[dict[str, str]] = []
    for row in table.rows:
        cells = [one_line(cell) for cell in row[:count]]
        shown = {f"c{number}": shorten(cell, MOST_CELL) or "–" for number, cell in enumerate(cells)}
        room -= size(shown) + 1
        if room < 0 and rows:
            break
        whole = whole and all(len(cell) <= MOST_CELL for cell in cells)
        rows.append(shown)
    component["rows"] = rows
    component["page_size"] = max(1, min(PAGE, len(rows)))
    return component, len(rows), whole


def as_csv(table: Table) -> bytes:
    """Return the whole of a table as a file that spreadsheets open, Chinese included."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerows(_cells(row) for row in (table.columns, *table.rows))
    return ("\ufeff" + written.getvalue()).encode()


def _cells(row: Sequence[str]) -> list[str]:
    """Return cells of which a spreadsheet takes none for a formula."""
    return [f"'{cell}" if cell[:1] in {"=", "@"} else cell for cell in map(clean, row)]


def _column(table: Table, number: int) -> Element:
    name = table.columns[number] if number < len(table.columns) else ""
    align = "right" if name in table.numeric else "left"
    shown = shorten(one_line(name), MOST_NAME)
    return {"name": f"c{number}", "display_name": shown, "data_type": "text", "horizontal_align": align}
