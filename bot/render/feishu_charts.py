"""A neutral chart as Feishu shows it: drawn by Feishu, as a picture, or as bars of text."""

from __future__ import annotations

import math
from typing import Any

from bot.render.feishu_text import Element, plain
from bot.render.text import one_line, padded, shorten, width
from handlers.charts import bars
from handlers.message import Chart, Message

MOST_DRAWN = 5
"""Charts of one card that Feishu draws well."""
MOST_POINTS = 120
"""Figures of one chart; more take too much of a card."""
MOST_TITLE, MOST_NAME = 80, 60
MOST_ALT = 500
BAR = 20
MOST_BARS = 30


def charts_as_pictures(message: Message) -> tuple[Chart, ...]:
    """Return the charts of a message that a card shows as pictures."""
    charts = [part for part in message.parts if isinstance(part, Chart)]
    return tuple(chart for number, chart in enumerate(charts) if number >= MOST_DRAWN or not is_drawn(chart))


def is_drawn(chart: Chart) -> bool:
    """Tell whether Feishu draws a chart from its figures."""
    return 0 < len(chart.categories) * len(chart.series) <= MOST_POINTS


def drawn(chart: Chart) -> Element:
    """Return the component that Feishu draws; a figure that is missing leaves a gap."""
    several = len(chart.series) > 1
    names = [shorten(one_line(name), MOST_NAME) for name in chart.categories]
    values = [
        {"x": name, "y": value, "s": shorten(one_line(series.name), MOST_NAME)}
        for series in chart.series
        for name, value in zip(names, series.values, strict=False)
        if value is not None and math.isfinite(value)
    ]
    spec: dict[str, Any] = {
        "type": chart.kind,
        "title": {"text": shorten(one_line(chart.title), MOST_TITLE)},
        "data": {"values": values},
        "xField": ["x", "s"] if several and chart.kind == "bar" else "x",
        "yField": "y",
        "seriesField": "s",
        "legends": {"visible": several, "orient": "bottom"},
        "label": {"visible": len(values) <= BAR},
        "axes": [_axis("bottom", chart.x_label), _axis("left", chart.y_label)],
    }
    return {"tag": "chart", "chart_spec": spec}


def picture(chart: Chart, image_key: str) -> Element:
    """Return the component of a picture that was uploaded."""
    said = f"{one_line(chart.title)}: " + "; ".join(" ".join(filter(None, row)) for row in _rows(chart))
    return {"tag": "img", "img_key": image_key, "alt": plain(shorten(said, MOST_ALT)), "scale_type": "fit_horizontal"}


def text_bars(chart: Chart) -> tuple[str, int]:
    """Return a chart as bars of text, and how many of its figures these leave out."""
    found = [(shorten(f"{one_line(c)}  {one_line(n)}".strip(), 40), share, value) for c, n, share, value in bars(chart)]
    column = max((width(label) for label, _, _ in found), default=0)
    lines = [
        f"{padded(label, column)}  {padded('▇' * round(share * BAR), BAR)}  {value}"
        for label, share, value in found[:MOST_BARS]
    ]
    title = chart.title + (f" ({chart.y_label})" if chart.y_label else "")
    return "\n".join([one_line(title), *lines]), max(0, len(found) - MOST_BARS)


def _axis(orient: str, label: str) -> dict[str, Any]:
    title = shorten(one_line(label), MOST_NAME)
    return {"orient": orient, "title": {"visible": bool(title), "text": title}}


def _rows(chart: Chart) -> list[tuple[str, ...]]:
    return [(one_line(category), one_line(name), value) for category, name, _, value in bars(chart)]
