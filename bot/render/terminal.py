"""Neutral message → Rich renderables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table as RichTable
from rich.text import Text as RichText

from handlers.charts import bars
from handlers.message import Buttons, Chart, Fields, Form, Link, Log, Message, Part, Progress, Table, Text

BAR_WIDTH = 30


def render(message: Message) -> RenderableType:
    """Return the message."""
    parts = [Padding(_part(part), (0, 0, 0, 2), expand=False) for part in message.parts]
    return Group(RichText(message.text, style="bold"), *parts)


def _part(part: Part) -> RenderableType:
    match part:
        case Text():
            return RichText(part.text)
        case Fields():
            return _fields(part)
        case Table():
            return _table(part)
        case Chart():
            return _chart(part)
        case Progress():
            return _progress(part)
        case Log():
            title = [RichText(part.title, style="dim")] if part.title else []
            return Group(*title, RichText(part.text, overflow="fold"))
        case Link():
            return _link(part)
        case Buttons():
            return _buttons(part)
        case Form():
            return RichText()  # nobody can fill one in here, so nobody is given one


def _link(part: Link) -> RenderableType:
    """Return the address in full: not every terminal shows what a link hides."""
    return RichText.assemble(f"{part.label}: ", (part.url, f"blue underline link {part.url}"), overflow="fold")


def _fields(part: Fields) -> RenderableType:
    grid = RichTable.grid(padding=(0, 2))
    for name, value in part.items:
        grid.add_row(RichText(name, style="dim"), RichText(value))
    return grid


def _table(part: Table) -> RenderableType:
    table = RichTable(box=None, header_style="dim", pad_edge=False)
    for column in part.columns:
        table.add_column(column, justify="right" if column in part.numeric else "left", overflow="fold")
    for row in part.rows:
        table.add_row(*(RichText(cell) for cell in row))
    return table


def _chart(part: Chart) -> RenderableType:
    """Return bars one below the other, whatever the chart's kind."""
    title = part.title + (f" ({part.y_label})" if part.y_label else "")
    grid = RichTable.grid(padding=(0, 1))
    for category, series, share, value in bars(part):
        bar = "█" * round(share * BAR_WIDTH)
        grid.add_row(RichText(category), RichText(series, style="dim"), RichText(bar, style="cyan"), RichText(value))
    return Group(RichText(title, style="dim"), grid)


def _progress(part: Progress) -> RenderableType:
    grid = RichTable.grid(padding=(0, 1))
    done = f"{part.done:,}" if part.total is None else f"{part.done:,}/{part.total:,}"
    known = part.total is not None  # how far it is of nobody knows how much is no bar, least of all a full one
    bar = ProgressBar(total=part.total or 1, completed=part.done if known else 0, width=BAR_WIDTH)
    cells = [RichText(done), RichText(part.score, style="green"), RichText(part.note, style="dim")]
    grid.add_row(RichText(part.label), bar, *cells)
    return grid


def _buttons(part: Buttons) -> RenderableType:
    lines = [
        RichText.assemble((f"[{number}] ", "bold"), (item.label, "bold" if item.primary else ""))
        for number, item in enumerate(part.items, start=1)
    ]
    return Group(*lines)
