"""Charts beside the tables: scores as bars, stress tests as lines over the load. Pure functions.

There is no chart of a single figure, and none of more than people can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from handlers.message import Chart, Part, Series
from handlers.perf_cards import load_of
from handlers.texts import Texts
from jobs.models import MetricResult, PerfLevel, PerfSpec, Run, RunResult

MOST_CHARTS = 2
"""Charts of one message."""
MOST_BARS = 12
MOST_CATEGORIES = 20
MOST_SERIES = 6


def score_charts(result: RunResult, texts: Texts) -> list[Chart]:
    """Return one run's headline scores as bars: of its benchmarks, or of the subsets of its only one."""
    metrics = [(benchmark.name, benchmark.headline) for benchmark in result.benchmarks]
    found = [(name, metric) for name, metric in metrics if metric is not None]
    if len(found) == 1:
        name, metric = found[0]
        scores = tuple((subset.name, shown(metric, subset.score)) for subset in metric.subsets)
        return _bar_chart(texts("chart.subsets", benchmark=name), result.model, scores, metric)
    alike = _most_alike([metric for _, metric in found])
    scores = tuple((name, shown(metric, metric.score)) for name, metric in found if metric in alike)
    return _bar_chart(texts("chart.scores"), result.model, scores, *alike)


def _bar_chart(title: str, model: str, scores: Sequence[tuple[str, float]], *metrics: MetricResult) -> list[Chart]:
    if not 2 <= len(scores) <= MOST_BARS:
        return []
    series = Series(name=model, values=tuple(value for _, value in scores))
    categories = tuple(name for name, _ in scores)
    return [Chart(title=title, kind="bar", categories=categories, series=(series,), y_label=_unit(metrics))]


def comparison_chart(
    benchmarks: Sequence[str], scores: Mapping[str, Mapping[str, MetricResult]], texts: Texts
) -> list[Chart]:
    """Return models side by side on each benchmark; `scores` has each model's, by benchmark.

    A benchmark on which models have different metrics is not shown, nor one whose unit most others do not have.
    """
    by_name = {
        name: [each[name] for each in scores.values() if name in each]
        for name in benchmarks
        if len({each[name].label for each in scores.values() if name in each}) == 1
    }
    alike = _most_alike([metrics[0] for metrics in by_name.values()])
    categories = tuple(name for name, metrics in by_name.items() if metrics[0] in alike)
    series = tuple(
        Series(
            name=model,
            values=tuple(shown(each[name], each[name].score) if name in each else None for name in categories),
        )
        for model, each in scores.items()
        if set(each) & set(categories)
    )
    some = sum(value is not None for row in series for value in row.values)
    if some < 2 or len(series) > MOST_SERIES or len(categories) > MOST_BARS:
        return []
    unit = _unit([by_name[name][0] for name in categories])
    return [Chart(title=texts("chart.scores"), kind="bar", categories=categories, series=series, y_label=unit)]


def perf_charts(spec: PerfSpec, levels: Sequence[PerfLevel], texts: Texts) -> list[Chart]:
    """Return a stress test's throughput and its slowest times over the load."""
    if not 2 <= len(levels) <= MOST_CATEGORIES:
        return []
    throughput = Series(name=texts("perf.column.rps"), values=tuple(_digits(level.rps) for level in levels))
    ttft = [level.ttft_ms.p99 for level in levels]
    times = [
        (texts("chart.latency"), [level.latency_s.p99 for level in levels]),
        (texts("chart.ttft"), [None if value is None else value / 1000 for value in ttft]),
    ]
    slowest = tuple(
        Series(name=name, values=tuple(_digits(value) for value in values if value is not None))
        for name, values in times
        if None not in values
    )
    over_load = _over_load(spec, list(map(load_of, levels)), texts)
    charts = [over_load(title=texts("chart.throughput"), series=(throughput,), y_label=texts("chart.rps"))]
    if slowest:
        charts.append(over_load(title=texts("chart.times"), series=slowest, y_label=texts("chart.seconds")))
    return charts


def perf_comparison_charts(runs: Sequence[Run], texts: Texts) -> list[Chart]:
    """Return the throughput and the slowest latency of several stress tests over the load."""
    measured = [(run, run.result.perf) for run in runs if run.result is not None and run.result.perf]
    loads = sorted({load_of(level) for _, levels in measured for level in levels}, key=float)
    spec = runs[0].spec
    if not isinstance(spec, PerfSpec) or not 2 <= len(loads) <= MOST_CATEGORIES or len(measured) > MOST_SERIES:
        return []
    models = [run.spec.model.name for run, _ in measured]
    throughput, latency = [], []
    for run, levels in measured:
        model = run.spec.model.name
        name = model if models.count(model) == 1 else f"{model} {run.name}"
        at = {load_of(level): level for level in levels}
        there = [at.get(load) for load in loads]
        throughput.append(Series(name=name, values=tuple(level and _digits(level.rps) for level in there)))
        slow = [None if level is None else level.latency_s.p99 for level in there]
        latency.append(Series(name=name, values=tuple(None if value is None else _digits(value) for value in slow)))
    over_load = _over_load(spec, loads, texts)
    return [
        over_load(title=texts("chart.throughput"), series=tuple(throughput), y_label=texts("chart.rps")),
        over_load(title=texts("chart.latency"), series=tuple(latency), y_label=texts("chart.seconds")),
    ]


def _over_load(spec: PerfSpec, loads: Sequence[str], texts: Texts) -> Callable[..., Chart]:
    """Return what makes a chart over the load, when it is given title, series and the label of the figures."""
    load = texts("perf.column.rate" if spec.open_loop else "perf.column.parallel")
    return partial(Chart, kind="line", categories=tuple(loads), x_label=load)


def few_charts(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return a message's parts with as many charts as one message has, the first ones."""
    charts = [part for part in parts if isinstance(part, Chart)][MOST_CHARTS:]
    return tuple(part for part in parts if not any(part is chart for chart in charts))


def shown(metric: MetricResult, score: float) -> float:
    """Return a score in the metric's unit, with the digits that matter."""
    value = score * metric.scale
    return round(value, 1) if metric.unit == "%" else _digits(value)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def _most_alike(metrics: Sequence[MetricResult]) -> list[MetricResult]:
    """Return the metrics whose unit most of them have: one axis has one unit."""
    units = [metric.unit for metric in metrics]
    return [metric for metric in metrics if metric.unit == max(units, key=units.count)]


def _unit(metrics: Sequence[MetricResult]) -> str:
    """Return what an axis shows: the metric where it is one and the same, and its unit."""
    labels = {metric.label for metric in metrics}
    said = [*(labels if len(labels) == 1 else ()), *({metric.unit for metric in metrics} - {""})]
    return ", ".join(said)


def bars(chart: Chart) -> Iterator[tuple[str, str, float, str]]:
    """Yield category, series (empty where there is only one), share of the longest bar, and the value as text.

    For platforms that draw charts as text: the series of a category stand below each other, the first with its name.
    """
    values = [value for row in chart.series for value in row.values if value is not None and math.isfinite(value)]
    longest = max(map(abs, values), default=0)
    for index, category in enumerate(chart.categories):
        for number, row in enumerate(chart.series):
            value = row.values[index] if index < len(row.values) else None
            drawn = value is not None and math.isfinite(value)
            share = max(0.0, value / longest) if drawn and value is not None and longest else 0.0
            name = row.name if len(chart.series) > 1 else ""
            text = f"{value:,.5g}" if drawn else "–"
            yield category if number == 0 else "", name, share, text
