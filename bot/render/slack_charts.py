"""A neutral chart as Slack shows it: drawn by Slack, as a picture, or as bars of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.render.slack_text import Block, plain, titled
from bot.render.text import one_line, padded, shorten, width
from handlers.charts import bars
from handlers.message import Chart
from handlers.texts import Texts

MOST_DRAWN = 2
"""Charts of one message that Slack draws."""
MOST_SERIES, MOST_CATEGORIES = 12, 20
MOST_TITLE = MOST_AXIS = 50
MOST_LABEL = 20
MOST_ALT = 1_900
BAR = 20
NOTE = 100


def is_drawn(chart: Chart) -> bool:
    """Tell whether Slack can draw a chart: it takes few labels, and no gaps."""
    few = 0 < len(chart.series) <= MOST_SERIES and 0 < len(chart.categories) <= MOST_CATEGORIES
    return few and all(
        len(series.values) == len(chart.categories)
        and all(value is not None and math.isfinite(value) for value in series.values)
        for series in chart.series
    )


def data_visualization(chart: Chart) -> Block:
    """Return the block that Slack draws; the chart `is_drawn`."""
    categories = unique(chart.categories)
    names = unique([series.name for series in chart.series])
    axes: Block = {"categories": categories}
    axes |= {
        key: shorten(one_line(label), MOST_AXIS)
        for key, label in (("x_label", chart.x_label), ("y_label", chart.y_label))
        if one_line(label)
    }
    series = [
        {
            "name": name,
            "data": [{"label": at, "value": value} for at, value in zip(categories, row.values, strict=True)],
        }
        for name, row in zip(names, chart.series, strict=True)
    ]
    title = plain(chart.title, MOST_TITLE)["text"]
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": chart.kind, "series": series, "axis_config": axes},
    }


def picture(chart: Chart, file_id: str) -> Block:
    """Return the block of a picture that was uploaded."""
    alt = f"{one_line(chart.title)}: " + "; ".join(_row_text(row) for row in bars(chart))
    return {
        "type": "image",
        "slack_file": {"id": file_id},
        "alt_text": shorten(one_line(alt), MOST_ALT),
        "title": plain(chart.title, MOST_ALT),
    }


def _row_text(row: tuple[str, str, float, str]) -> str:
    category, name, _, value = row
    return f"{category} {name} {value}" if name else f"{category} {value}"


def text_bars(chart: Chart, most: int, texts: Texts) -> tuple[list[Block], list[str]]:
    """Return a chart as bars of text within about `most` characters, and what is to be said of what it lacks."""
    rows = [(one_line(category), one_line(name), share, value) for category, name, share, value in bars(chart)]
    labels = [shorten(f"{category}  {name}".strip(), 40) for category, name, _, _ in rows]
    column = max(map(width, labels), default=0)
    lines = [
        f"{padded(label, column)}  {padded('▇' * round(share * BAR), BAR)}  {value}"
        for label, (_, _, share, value) in zip(labels, rows, strict=True)
    ]
    title = chart.title + (f" ({chart.y_label})" if chart.y_label else "")
    shown = _within(lines, most - min(len(title), MOST_ALT) - NOTE)
    notes = [texts("cut.rows", count=len(lines) - shown)] if shown < len(lines) else []
    return [titled(shorten(one_line(title), MOST_ALT), "\n".join(lines[:shown]))], notes


def _within(lines: Sequence[str], room: int) -> int:
    for index, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return max(1, index)
    return len(lines)


def unique(labels: Sequence[str], most: int = MOST_LABEL) -> list[str]:
    """Return labels that are short, and still differ from each other."""
    found: list[str] = []
    for label in labels:
        short, number = shorten(one_line(label), most) or "–", 1
        while short in found:
            number += 1
            short = f"{shorten(one_line(label), most - len(str(number)) - 1)} {number}"
        found.append(short)
    return found
