"""The scores or figures of several runs in one table. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from handlers.cards import samples_of
from handlers.charts import comparison_chart, perf_comparison_charts
from handlers.figures import run_names, score_with_interval
from handlers.group_status import fitting
from handlers.message import Chart, Part, Table, Text
from handlers.perf_cards import figure, load_of
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import BenchmarkResult, MetricResult, PerfLevel, PerfSpec, Run

MOST_ACROSS = 6
"""Columns of scores that are still read at a glance."""
MOST_LEVEL_ROWS = 24
BEST = "★"


def comparison(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return the table of what runs of one kind came to, and what is to be said of it; nothing where there is nothing.

    A score is marked as the best only where its interval overlaps no other's and all rest on as many samples.
    """
    if isinstance(runs[0].spec, PerfSpec):
        return _levels(runs, texts)
    return _Board(runs, texts).parts()


# scores


@dataclass(frozen=True)
class _Score:
    """One model's headline score on one benchmark."""

    run: Run
    benchmark: BenchmarkResult
    metric: MetricResult
    samples: str

    @property
    def whole(self) -> bool:
        """It rests on every sample that was asked for."""
        return self.run.state is RunState.SUCCEEDED and not self.benchmark.errored


@dataclass
class _Row:
    """A model: its runs, by benchmark. One that was evaluated twice on a benchmark has two rows."""

    model: str
    runs: dict[str, Run] = field(default_factory=dict)


class _Board:
    """Models and benchmarks, and the scores where they meet."""

    def __init__(self, runs: Sequence[Run], texts: Texts) -> None:
        self._texts = texts
        self._rows: list[_Row] = []
        for run in runs:
            self._place(run)
        self._benchmarks = list(dict.fromkeys(name for run in runs for name in run.spec.covers))
        self._scores = {
            (index, name): score
            for index, row in enumerate(self._rows)
            for name, run in row.runs.items()
            if (score := _score(run, name, texts)) is not None
        }
        self._best = {name: self._find_best(name) for name in self._benchmarks}
        self._samples = {name: self._common(name, lambda score: score.samples) for name in self._benchmarks}

    def parts(self) -> list[Part]:
        """Return the table, what its mark means, and what it leaves out; nothing where there is no score."""
        if not self._scores:
            return []
        parts = fitting(self._table(), self._texts)
        notes = []
        if any(best is not None for best in self._best.values()):
            notes.append(self._texts("group.best", mark=BEST))
        level = [name for name in self._benchmarks if self._undecided(name)]
        if level:
            notes.append(self._texts("group.level", benchmarks=", ".join(level)))
        if any(_has_more(score.benchmark) for score in self._scores.values()):
            notes.append(self._texts("group.more_scores"))
        return [*parts, *([Text(text=" ".join(notes))] if notes else ()), *self._charts()]

    def _charts(self) -> list[Chart]:
        """Return the scores of runs that got to their end as bars, models side by side."""
        named = [row.model for row in self._rows]
        scores: dict[str, dict[str, MetricResult]] = {}
        for (index, name), score in self._scores.items():
            if score.run.state is not RunState.SUCCEEDED:
                continue
            model = named[index] if named.count(named[index]) == 1 else f"{named[index]} {score.run.name}"
            scores.setdefault(model, {})[name] = score.metric
        return comparison_chart(self._benchmarks, scores, self._texts)

    def _place(self, run: Run) -> None:
        covers = run.spec.covers
        row = next(
            (row for row in self._rows if row.model == run.spec.model.name and not row.runs.keys() & set(covers)), None
        )
        if row is None:
            row = _Row(run.spec.model.name)
            self._rows.append(row)
        row.runs.update(dict.fromkeys(covers, run))

    def _table(self) -> Table:
        """Return models down and benchmarks across, the other way round, or a row for each score, as is read best."""
        texts = self._texts
        runs = [run_names(list({run.id: run for run in row.runs.values()}.values())) for row in self._rows]
        if len(self._benchmarks) <= MOST_ACROSS and len(self._rows) > 1:
            headers = [self._header(name) for name in self._benchmarks]
            rows = [
                (row.model, runs[index], *(self._cell(index, name) for name in self._benchmarks))
                for index, row in enumerate(self._rows)
            ]
            columns = (texts("group.column.model"), texts("group.column.run"), *headers)
            return Table(columns=columns, rows=tuple(rows), numeric=tuple(headers))
        if len(self._rows) <= MOST_ACROSS:
            headers = [f"{row.model} ({names})" for row, names in zip(self._rows, runs, strict=True)]
            down = [
                (self._header(name), *(self._cell(index, name) for index in range(len(self._rows))))
                for name in self._benchmarks
            ]
            columns = (texts("result.column.benchmark"), *headers)
            return Table(columns=columns, rows=tuple(down), numeric=tuple(headers))
        each = [
            (self._header(name), row.model, row.runs[name].name if name in row.runs else "", self._cell(index, name))
            for name in self._benchmarks
            for index, row in enumerate(self._rows)
        ]
        names = ("result.column.benchmark", "group.column.model", "group.column.run", "group.column.score")
        columns = tuple(texts(name) for name in names)
        return Table(columns=columns, rows=tuple(each), numeric=(columns[-1],))

    def _header(self, name: str) -> str:
        """Return a benchmark with its metric, and its samples where they are the same for all."""
        metric, samples = self._common(name, lambda score: score.metric.label), self._samples[name]
        said = name if metric is None else f"{name} {metric}"
        return said if samples is None else f"{said} (n = {samples})"

    def _cell(self, index: int, name: str) -> str:
        run, score = self._rows[index].runs.get(name), self._scores.get((index, name))
        if run is None:
            return "–"
        if score is None:
            return self._texts(f"state.{run.state}") if run.state is not RunState.SUCCEEDED else "–"
        metric = score.metric
        shown = score_with_interval(metric.score, metric.interval, metric.scale, metric.unit)
        said = [f"n = {score.samples}"] if self._samples[name] is None else []
        if run.state is not RunState.SUCCEEDED:
            said.append(self._texts(f"state.{run.state}"))
        shown += f" ({', '.join(said)})" if said else ""
        return f"{BEST} {shown}" if self._best[name] == index else shown

    def _common(self, name: str, what: Callable[[_Score], str]) -> str | None:
        """Return what all scores on a benchmark have in common, None where they differ."""
        found = {what(score) for (_, benchmark), score in self._scores.items() if benchmark == name}
        return found.pop() if len(found) == 1 else None

    def _comparable(self, name: str) -> list[tuple[int, MetricResult]]:
        """Return the scores on a benchmark if they can be compared: one for each model, whole, on as many samples."""
        found = [self._scores.get((index, name)) for index in range(len(self._rows))]
        scores = [score for score in found if score is not None and score.whole and score.metric.interval is not None]
        alike = {(score.metric.label, score.metric.num, score.metric.direction) for score in scores}
        if len(scores) < len(found) or len(found) < 2 or len(alike) != 1 or scores[0].metric.direction == "none":
            return []
        return [(index, score.metric) for index, score in enumerate(scores)]

    def _find_best(self, name: str) -> int | None:
        """Return the model whose interval lies beyond all others' on a benchmark, None where there is none such."""
        for index, metric in self._comparable(name):
            if all(_beyond(metric, other) for n, other in self._comparable(name) if n != index):
                return index
        return None

    def _undecided(self, name: str) -> bool:
        return self._best[name] is None and bool(self._comparable(name))


def _score(run: Run, name: str, texts: Texts) -> _Score | None:
    benchmark = next((item for item in run.result.benchmarks if item.name == name), None) if run.result else None
    metric = benchmark.headline if benchmark is not None else None
    if benchmark is None or metric is None:
        return None
    return _Score(run, benchmark, metric, samples_of(run, benchmark, metric, texts))


def _beyond(one: MetricResult, other: MetricResult) -> bool:
    assert one.interval is not None
    assert other.interval is not None
    if one.direction == "lower_is_better":
        return one.interval.high < other.interval.low
    return one.interval.low > other.interval.high


def _has_more(benchmark: BenchmarkResult) -> bool:
    headline = benchmark.headline
    return len(benchmark.metrics) > 1 or (headline is not None and len(headline.subsets) > 1)


# stress tests


def _levels(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return one row per level and model, the models of one level below each other."""
    found = [(run, level) for run in runs if run.result is not None for level in run.result.perf]
    if not found:
        return []
    fewer = len(found) > MOST_LEVEL_ROWS
    if fewer:
        found = [(run, level) for run, level in found if run.result and level in _key_levels(run.result.perf)]
    found.sort(key=lambda item: float(load_of(item[1])))  # stable: within a level as they were asked for
    spec = runs[0].spec
    first = "perf.column.rate" if isinstance(spec, PerfSpec) and spec.open_loop else "perf.column.parallel"
    keys = (
        first, "group.column.model", "group.column.run", "perf.column.success", "perf.column.rps",
        "perf.column.output", "perf.column.ttft_p99", "perf.column.latency_p99",
    )  # fmt: skip
    columns = tuple(texts(key) for key in keys)
    rows = tuple(
        (
            load_of(level), run.spec.model.name, run.name, f"{100 * level.success:.4g} %", figure(level.rps),
            figure(level.output_tokens_per_second), figure(level.ttft_ms.p99), figure(level.latency_s.p99),
        )
        for run, level in found
    )  # fmt: skip
    table = Table(columns=columns, rows=rows, numeric=(columns[0], *columns[3:]))
    note = [Text(text=texts("group.key_levels"))] if fewer else []
    return [*fitting(table, texts), *note, *perf_comparison_charts(runs, texts)]


def _key_levels(levels: Sequence[PerfLevel]) -> list[PerfLevel]:
    """Return the first level, the one with the highest throughput and the last."""
    return [levels[0], max(levels, key=lambda level: level.rps), levels[-1]]
