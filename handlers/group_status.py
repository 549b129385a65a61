"""What is said of several runs of one request while they go on: one bar for all, one row for each. Pure functions.

Slack takes 50 blocks and about 13,000 characters a message (10,000 of them in tables), Feishu cards of 30 KB: what
would be too much for them is cut here, and said to be.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.context import Links
from handlers.figures import cut, run_names, score_with_interval
from handlers.message import Link, Part, Progress, State, Table, Text
from handlers.texts import Texts
from jobs.lifecycle import ENDED
from jobs.models import Run

STATES: tuple[State, ...] = ("running", "waiting", "paused", "failed", "cancelled", "succeeded")
"""What decides the state of several runs, in this order."""
MOST_LINKS = 12
MOST_CELL = 80
"""Characters of one cell."""
MOST_VERDICTS = 4
"""Parts that show one run's first verdicts: two benchmarks."""
MOST_TABLE = 5_000
"""Characters of one table."""


def group_parts(runs: Sequence[Run], bars: Sequence[Progress], texts: Texts) -> list[Part]:
    """Return how far all runs are together, and each by itself; `bars` has one for each run."""
    totals = [bar.total for bar in bars]
    together = Progress(
        label=texts("group.ended", ended=sum(run.state in ENDED for run in runs), count=len(runs)),
        done=sum(bar.done for bar in bars),
        total=None if None in totals else sum(total for total in totals if total is not None),
        state=_state(bars),
    )
    return [together, *fitting(_rows(runs, bars, texts), texts)]


def _state(bars: Sequence[Progress]) -> State:
    """Return the state of all together: as long as one goes on, they do."""
    states = {bar.state for bar in bars}
    return next((state for state in STATES if state in states), "succeeded")


def _rows(runs: Sequence[Run], bars: Sequence[Progress], texts: Texts) -> Table:
    """Return one row per run; a column that says the same of all, or nothing of any, is left out."""
    columns: dict[str, list[str]] = {
        "run": [run.name for run in runs],
        "model": [run.spec.model.name for run in runs],
        "benchmarks": [", ".join(run.spec.covers) for run in runs]
        if len({run.spec.covers for run in runs}) > 1
        else [],
        "state": [texts(f"state.{run.state}") for run in runs],
        "done": [f"{bar.done:,}" if bar.total is None else f"{bar.done:,} / {bar.total:,}" for bar in bars],
        "score": [bar.score or _score(run, texts) for run, bar in zip(runs, bars, strict=True)],
        "note": [bar.note for bar in bars],
    }
    shown = {texts(f"group.column.{name}"): cells for name, cells in columns.items() if any(cells)}
    return Table(
        columns=tuple(shown),
        rows=tuple(zip(*shown.values(), strict=True)),
        numeric=(texts("group.column.done"),),
    )


def _score(run: Run, texts: Texts) -> str:
    """Return what a run that ended came to."""
    if run.result is None:
        return ""
    if run.result.perf:
        return texts("perf.progress.rate", rate=max(level.rps for level in run.result.perf))
    return "; ".join(
        f"{benchmark.name} {score_with_interval(metric.score, metric.interval, metric.scale, metric.unit)}"
        for benchmark in run.result.benchmarks
        if (metric := benchmark.headline) is not None
    )


def fitting(table: Table, texts: Texts) -> list[Part]:
    """Return a table with as many of its rows as fit, and how many do not."""
    table = Table(columns=_cut(table.columns), rows=tuple(_cut(row) for row in table.rows), numeric=_cut(table.numeric))
    left, rows = MOST_TABLE - _length(table.columns), []
    for row in table.rows:
        left -= _length(row)
        if left < 0:
            break
        rows.append(row)
    if len(rows) == len(table.rows):
        return [table]
    more = Text(text=texts("group.more_rows", count=len(table.rows) - len(rows)))
    return [table.model_copy(update={"rows": tuple(rows)}), more]


def _cut(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cut(cell, MOST_CELL) for cell in cells)


def _length(cells: Sequence[str]) -> int:
    return sum(map(len, cells))


def few_verdicts(run: Run, verdicts: Sequence[Part], texts: Texts) -> list[Part]:
    """Return one run's first verdicts as far as they fit beside the others' rows."""
    if not verdicts:
        return []
    shown: list[Part] = [Text(text=texts("group.verdicts", run=run.name))]
    for part in verdicts[:MOST_VERDICTS]:
        shown += fitting(part, texts) if isinstance(part, Table) else [part]
    return shown


def page_parts(runs: Sequence[Run], texts: Texts, links: Links, *, reports: bool = False) -> list[Part]:
    """Return the link to each run's page, with `reports` and while they are few also to its report."""
    parts: list[Part] = []
    reports = reports and 2 * len(runs) <= MOST_LINKS
    for run in runs[:MOST_LINKS]:
        parts.append(Link(label=f"{texts('result.page')} {run.name}", url=links.run_url(run.id)))
        if reports and run.report_ready:
            parts.append(Link(label=f"{texts('result.report')} {run.name}", url=links.report_url(run.id)))
    if len(runs) > MOST_LINKS:
        rest = runs[MOST_LINKS:]
        parts.append(Text(text=texts("group.more_pages", runs=run_names(rest), run=rest[0].name)))
    return parts
