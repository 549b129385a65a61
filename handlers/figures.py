"""Numbers as people read them: scores, intervals, durations, moments, and the names of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from jobs.models import Interval, Run

FEW_NAMES = 3
"""Runs in a row that are still named one by one."""


def score_text(score: float, scale: float, unit: str) -> str:
    """Return a score as people read it: 62.5 %, 0.412."""
    shown = score * scale
    if unit == "%":
        return f"{shown:.1f} %"
    number = f"{shown:,.0f}" if abs(shown) >= 1000 else f"{shown:.4g}"
    return f"{number} {unit}".rstrip()


def interval_text(interval: Interval | None, scale: float, unit: str) -> str:
    """Return an interval as people read it, empty where there is none."""
    if interval is None:
        return ""
    low, high = interval.low * scale, interval.high * scale
    return f"{low:.1f} – {high:.1f} %" if unit == "%" else f"{low:.4g} – {high:.4g}"


def score_with_interval(score: float, interval: Interval | None, scale: float, unit: str) -> str:
    """Return both: 62.5 % [30.0 – 86.0 %]."""
    between = interval_text(interval, scale, unit)
    return score_text(score, scale, unit) + (f" [{between}]" if between else "")


def duration_text(seconds: float) -> str:
    """Return a duration as people read it: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {left} s"
    return f"{left} s" if whole >= 10 else f"{seconds:.1f} s"


def moment_text(moment: datetime, zone: tzinfo) -> str:
    """Return a moment as people in a time zone read it: 2026-11-23 12:00."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def date_text(moment: datetime, zone: tzinfo) -> str:
    """Return the day of a moment as people in a time zone read it: 2026-11-23."""
    return f"{moment.astimezone(zone):%Y-%m-%d}"


def run_names(runs: Sequence[Run]) -> str:
    """Return the names of runs, those in a row as one: r1 – r5, r9."""
    rows: list[list[int]] = []
    for number in sorted(run.id for run in runs):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    said = []
    for row in rows:
        if len(row) > FEW_NAMES:
            said.append(f"r{row[0]} – r{row[-1]}")
        else:
            said += [f"r{number}" for number in row]
    return ", ".join(said)


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters; one that is longer ends in "…"."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
