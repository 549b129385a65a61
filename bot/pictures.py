"""Charts as PNG pictures, for chats that draw none themselves.

`draw` imports matplotlib, so the bot calls it in its helper's process alone.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from handlers.message import Chart, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI = 9.0, 5.0, 100
"""Inches, and dots of each: 900 × 500."""
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC",
)  # fmt: skip
"""Fonts that have Chinese characters, best first."""
LATIN_FONT = "DejaVu Sans"
"""Comes with matplotlib."""
COLOURS = ("#2563eb", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#64748b")
MOST_LABEL = 22
FEW_LABELS = 8
"""Categories whose names still stand side by side."""
FEW_BARS = 24
"""Bars that still have their figures above them."""


def draw(chart: Chart) -> bytes:
    """Return a chart as a PNG of 900 × 500 dots.

    Texts that no font here has the characters of are left out; categories are numbered then.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    fonts = Fonts()
    settings: Any = {"font.family": fonts.names, "font.size": 11, "text.parse_math": False, "axes.unicode_minus": False}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(fonts.known(chart.title), fontsize=14, fontweight="bold", loc="left", pad=12)
        axes.set_xlabel(fonts.known(chart.x_label))
        axes.set_ylabel(fonts.known(chart.y_label))
        (_draw_bars if chart.kind == "bar" else _draw_lines)(axes, chart)
        _label(axes, chart, fonts)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
    return picture.getvalue()


class Fonts:
    """The fonts there are: matplotlib's own, and one with Chinese characters where one is installed."""

    def __init__(self) -> None:
        from matplotlib import font_manager

        installed = {font.name for font in font_manager.fontManager.ttflist}
        self.names = [LATIN_FONT, *[name for name in CJK_FONTS if name in installed][:1]]
        files = [font_manager.findfont(name) for name in self.names]
        self._characters = {code for file in files for code in font_manager.get_font(file).get_charmap()}

    def known(self, text: str, instead: str = "") -> str:
        """Return a short text on one line, or what stands for it where a character of it cannot be drawn."""
        text = " ".join(text.split())
        drawn = all(ord(char) in self._characters for char in text)
        shown = text if len(text) <= 4 * MOST_LABEL else text[: 4 * MOST_LABEL - 1] + "…"
        return shown if drawn else instead


def _draw_bars(axes: Axes, chart: Chart) -> None:
    count = max(1, len(chart.series))
    each = 0.8 / count
    for number, series in enumerate(chart.series):
        at = [index - 0.4 + each * (number + 0.5) for index in range(len(chart.categories))]
        drawn = axes.bar(at, _values(series, chart), each * 0.92, color=COLOURS[number % len(COLOURS)])
        if count * len(chart.categories) <= FEW_BARS:
            figures = ["" if math.isnan(value) else f"{value:,.4g}" for value in _values(series, chart)]
            axes.bar_label(drawn, figures, padding=2, fontsize=9)


def _draw_lines(axes: Axes, chart: Chart) -> None:
    for number, series in enumerate(chart.series):
        at = range(len(chart.categories))
        axes.plot(at, _values(series, chart), marker="o", linewidth=2, color=COLOURS[number % len(COLOURS)])
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def _values(series: Series, chart: Chart) -> list[float]:
    """Return a value for each category, NaN where there is none."""
    found = [math.nan if value is None or not math.isfinite(value) else value for value in series.values]
    return [*found, *[math.nan] * len(chart.categories)][: len(chart.categories)]


def _label(axes: Axes, chart: Chart, fonts: Fonts) -> None:
    """Name the categories and the series, and take away the lines that say nothing."""
    names = [fonts.known(name, f"{number}") for number, name in enumerate(chart.categories, start=1)]
    names = [name if len(name) <= MOST_LABEL else name[: MOST_LABEL - 1] + "…" for name in names]
    slanted = len(names) > FEW_LABELS or max(map(len, names), default=0) * len(names) > 5 * MOST_LABEL
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(len(names)), names, **turned)
    if len(chart.series) > 1:
        series = [fonts.known(row.name, f"{number}") for number, row in enumerate(chart.series, start=1)]
        drawn: list[Any] = list(axes.containers) if chart.kind == "bar" else list(axes.lines)
        # matplotlib leaves out of the legend what begins with an underscore
        axes.legend(drawn, [f" {name}" for name in series], frameon=False, loc="best")
    axes.grid(axis="y", color="#e5e7eb")
    axes.set_axisbelow(True)
    axes.margins(y=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
