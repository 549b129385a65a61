"""Block Kit JSON → an HTML page that looks about as Slack does, for pictures of our messages."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import escape
from typing import Any

Block = dict[str, Any]
COLOURS = ("#1264a3", "#e8912d", "#2bac76", "#e01e5a", "#7c3aed", "#64748b")
ICONS = {"pending": "◌", "in_progress": "◐", "complete": "✓", "error": "✕"}
STYLE = """
body { margin: 0; background: #fff; font: 15px/1.46 "Liberation Sans", sans-serif; color: #1d1c1d; }
main { width: 680px; padding: 14px 20px 16px; display: grid; grid-template-columns: 36px minmax(0, 1fr);
  gap: 0 10px; }
main.home { grid-template-columns: minmax(0, 1fr); }
.face { width: 36px; height: 36px; border-radius: 6px; background: #1264a3; color: #fff; text-align: center;
  font: bold 18px/36px "Liberation Sans", sans-serif; }
.name b { margin-right: 6px; } .name small { color: #616061; font-size: 12px; }
.app { background: #e8e8e8; border-radius: 3px; font-size: 10px; padding: 1px 4px; margin-right: 6px; color: #616061; }
.block { margin: 4px 0 8px; overflow-wrap: anywhere; } .context { color: #616061; font-size: 13px; }
h3 { margin: 10px 0 2px; font-size: 18px; } a { color: #1264a3; text-decoration: none; }
.mention { background: #e8f5fa; color: #1264a3; border-radius: 3px; padding: 0 2px; }
code { background: #f8f8f8; border: 1px solid #ddd; border-radius: 3px; color: #c01343; padding: 1px 3px;
  font-size: 12px; }
pre { background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; padding: 8px; margin: 4px 0; font: 12px/1.5
  "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; }
button { font: bold 14px "Liberation Sans", sans-serif; background: #fff; border: 1px solid #bbb; border-radius: 4px;
  padding: 6px 12px; margin: 0 8px 6px 0; } button.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
.card { border: 1px solid #ddd; border-radius: 8px; overflow: hidden; } .title { font-weight: bold; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } caption { text-align: left; padding: 7px 10px;
  font-size: 13px; color: #616061; } th, td { border-top: 1px solid #e4e4e4; padding: 5px 10px; text-align: left;
  vertical-align: top; overflow-wrap: break-word; } th { background: #f8f8f8; }
td.number, th.number { text-align: right; }
.foot { border-top: 1px solid #e4e4e4; padding: 5px 10px; color: #616061; font-size: 12px; }
.task { padding: 9px 12px; display: grid; grid-template-columns: 22px 1fr; }
.task + .task { border-top: 1px solid #eee; }
.icon { font-weight: bold; } .complete { color: #007a5a; } .error { color: #e01e5a; } .in_progress { color: #1264a3; }
.pending { color: #616061; } .task .more { color: #616061; font-size: 13px; }
.chart { padding: 8px 12px; } svg { display: block; width: 100%; font: 11px "Liberation Sans", sans-serif; }
hr { border: 0; border-top: 1px solid #ddd; }
"""


def page(blocks: list[Block], *, home: bool = False) -> str:
    """Return the page of a message, or of a home."""
    body = "".join(f'<div class="block">{_DRAWN[block["type"]](block)}</div>' for block in blocks)
    head = (
        '<div class="face">S</div><div><div class="name"><b>Scopebot</b>'
        '<span class="app">APP</span><small>12:00</small></div>'
    )
    inner = f"<div>{body}</div>" if home else f"{head}{body}</div>"
    main = f'<main class="{"home" if home else ""}">{inner}</main>'
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{main}'


def _text(found: Block) -> str:
    """Return a text object; mrkdwn is escaped already, its marks become tags."""
    if found["type"] == "plain_text":
        return escape(found["text"])
    said = re.sub(r"<@([A-Z0-9]+)>", r'<span class="mention">@Ada</span>', found["text"])
    said = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', said)
    said = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", said)
    said = re.sub(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])", r"<b>\1</b>", said)
    return said.replace("\n", "<br>")


def _section(block: Block) -> str:
    text = _text(block["text"]) if "text" in block else ""
    fields = "".join(f"<div>{_text(each)}</div>" for each in block.get("fields", ()))
    return text + (f'<div class="fields">{fields}</div>' if fields else "")


def _rich(block: Block) -> str:
    parts = []
    for part in block["elements"]:
        inner = "".join(
            f"<b>{escape(each['text'])}</b>" if each.get("style", {}).get("bold") else escape(each["text"])
            for each in part["elements"]
        )
        parts.append(f"<pre>{inner}</pre>" if part["type"] == "rich_text_preformatted" else f"<div>{inner}</div>")
    return "".join(parts)


def _actions(block: Block) -> str:
    return "".join(
        f'<button class="{each.get("style", "")}">{_text(each["text"])}</button>' for each in block["elements"]
    )


def _data_table(block: Block) -> str:
    header, *rows = block["rows"]
    numeric = [all(row[index]["type"] == "raw_number" for row in rows) for index in range(len(header))]
    marks = ["number" if number else "" for number in numeric]
    head = "".join(f'<th class="{mark}">{escape(cell["text"])}</th>' for mark, cell in zip(marks, header, strict=True))
    size = block.get("page_size", 5)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{mark}">{escape(cell["text"])}</td>' for mark, cell in zip(marks, row, strict=True))
        + "</tr>"
        for row in rows[:size]
    )
    foot = f'<div class="foot">1 – {size} of {len(rows)} rows</div>' if len(rows) > size else ""
    caption = f"<caption>{escape(block['caption'])}</caption>"
    return f'<div class="card"><table>{caption}<tr>{head}</tr>{body}</table>{foot}</div>'


def _task(block: Block) -> str:
    more = "".join(f'<div class="more">{_rich(block[key])}</div>' for key in ("details", "output") if key in block)
    icon = f'<div class="icon {block["status"]}">{ICONS[block["status"]]}</div>'
    return f'<div class="task">{icon}<div><div class="title">{escape(block["title"])}</div>{more}</div></div>'


def _plan(block: Block) -> str:
    tasks = "".join(map(_task, block["tasks"]))
    return f'<div class="card"><div class="foot title">{escape(block["title"])}</div>{tasks}</div>'


def _chart(block: Block) -> str:
    chart = block["chart"]
    drawn = _svg(chart)
    names = [series["name"] for series in chart["series"]]
    legend = " ".join(
        f'<span style="color:{COLOURS[index % len(COLOURS)]}">■</span> {escape(name)} '
        for index, name in enumerate(names)
    )
    title = f'<div class="title">{escape(block["title"])}</div>'
    return f'<div class="card chart">{title}{drawn}<div class="context">{legend}</div></div>'


def _svg(chart: Block) -> str:
    width, height, left, bottom = 600, 190, 46, 34
    axes, series = chart["axis_config"], chart["series"]
    values = [point["value"] for row in series for point in row["data"]]
    step = _step(max([*values, 1e-9]))
    top = step * (math.floor(max(values) / step) + 1)
    column = (width - left) / len(axes["categories"])

    def height_of(value: float) -> float:
        return (height - bottom - 10) * max(0, value) / top

    shapes = []
    for tick in range(round(top / step) + 1):
        y = height - bottom - height_of(tick * step)
        shapes.append(f'<line x1="{left}" x2="{width}" y1="{y:.0f}" y2="{y:.0f}" stroke="#e4e4e4"/>')
        figure = f'text-anchor="end" fill="#616061">{tick * step:g}'
        shapes.append(f'<text x="{left - 6}" y="{y + 4:.0f}" {figure}</text>')
    for number, row in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = []
        for index, point in enumerate(row["data"]):
            tall = height_of(point["value"])
            if chart["type"] == "bar":
                each = column * 0.7 / len(series)
                x = left + column * (index + 0.15) + each * number
                shapes.append(
                    f'<rect x="{x:.1f}" y="{height - bottom - tall:.1f}" width="{each * 0.92:.1f}" '
                    f'height="{tall:.1f}" rx="2" fill="{colour}"/>'
                )
            points.append(f"{left + column * (index + 0.5):.1f},{height - bottom - tall:.1f}")
        if chart["type"] == "line":
            shapes.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    shapes += [
        f'<text x="{left + column * (index + 0.5):.1f}" y="{height - bottom + 15}" text-anchor="middle">'
        f"{escape(name)}</text>"
        for index, name in enumerate(axes["categories"])
    ]
    label = " · ".join(escape(axes[key]) for key in ("x_label", "y_label") if key in axes)
    shapes.append(f'<text x="{width}" y="{height - 3}" text-anchor="end" fill="#616061">{label}</text>')
    return f'<svg viewBox="0 0 {width} {height}">{"".join(shapes)}</svg>'


def _step(most: float) -> float:
    """Return a round number of which a few make up an axis."""
    size = 10 ** math.floor(math.log10(most / 4))
    return next(size * times for times in (1, 2, 2.5, 5, 10) if most / (size * times) <= 5)


_DRAWN: dict[str, Callable[[Block], str]] = {
    "section": _section,
    "context": lambda block: f'<div class="context">{"".join(map(_text, block["elements"]))}</div>',
    "rich_text": _rich,
    "actions": _actions,
    "divider": lambda _: "<hr>",
    "header": lambda block: f"<h3>{_text(block['text'])}</h3>",
    "data_table": _data_table,
    "task_card": lambda block: f'<div class="card">{_task(block)}</div>',
    "plan": _plan,
    "data_visualization": _chart,
}
