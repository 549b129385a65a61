"""What is said of runs: the status of a request's while they go on, the result of one at the end. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handlers.charts import perf_charts, score_charts
from handlers.context import Links
from handlers.figures import cut, duration_text, interval_text, run_names, score_text, score_with_interval
from handlers.group_status import few_verdicts, group_parts, page_parts
from handlers.message import Fields, Link, Log, Message, Part, Table, Text
from handlers.message import Progress as ProgressPart
from handlers.perf_cards import (
    bar_state,
    perf_conclusion,
    perf_headline,
    perf_plan,
    perf_progress,
    perf_warnings,
    throughput_table,
    times_table,
)
from handlers.shortcuts import ended_shortcuts, running_shortcuts
from handlers.texts import Texts
from handlers.verdicts import verdicts_part
from jobs.dispatch import Place
from jobs.lifecycle import ENDED, RunState
from jobs.models import BenchmarkResult, EvalSpec, Interval, MetricResult, PerfSpec, Progress, Run, RunResult

FEW_METRICS = 3
FEW_SUBSETS = 12
MOST_FIELD = 1_000
"""Characters of one fact."""


def status_message(
    runs: Sequence[Run],
    progress: Mapping[int, Progress],
    texts: Texts,
    links: Links,
    places: Mapping[int, Place] | None = None,
) -> Message:
    """Return the one message that is edited as a group's runs go on."""
    bars = [progress_part(run, progress.get(run.id), texts, (places or {}).get(run.id)) for run in runs]
    goes_on = bars if len(runs) == 1 else group_parts(runs, bars, texts)
    parts = [_plan(runs, texts), *goes_on, *page_parts(runs, texts, links)]
    running = next((run for run in runs if run.state is RunState.RUNNING), None)
    if running is not None:
        verdicts = verdicts_part(running, progress.get(running.id), texts, links)
        parts += verdicts if len(runs) == 1 else few_verdicts(running, verdicts, texts)
    parts += running_shortcuts(runs, texts)
    return Message(text=headline(runs, texts), parts=tuple(parts))


def headline(runs: Sequence[Run], texts: Texts) -> str:
    """Return one line on what a group evaluates, or tests."""
    if isinstance(runs[0].spec, PerfSpec):
        return perf_headline(runs, runs[0].spec, texts)
    samples = samples_text(_eval_specs(runs), texts)
    if len(runs) == 1:
        run = runs[0]
        names = ", ".join(run.spec.covers)
        return texts("eval.accepted", run=run.name, model=run.spec.model.name, datasets=names, samples=samples)
    return texts("eval.accepted.many", count=len(runs), runs=run_names(runs), samples=samples)


def _eval_specs(runs: Sequence[Run]) -> list[EvalSpec]:
    return [run.spec for run in runs if isinstance(run.spec, EvalSpec)]


def samples_text(specs: Sequence[EvalSpec], texts: Texts) -> str:
    """Return how many samples will run, as exactly as it is known."""
    counts = [spec.total for spec in specs]
    if None not in counts:
        return texts("eval.samples.total", total=sum(count for count in counts if count is not None))
    limit = specs[0].limit
    if limit is None:
        return texts("eval.samples.unknown")
    return texts("eval.samples.limit_fraction" if isinstance(limit, float) else "eval.samples.limit", limit=limit)


def result_message(run: Run, texts: Texts, links: Links) -> Message:
    """Return a run's result: score table, facts, links, how to reproduce it, and what to do with it."""
    message = result_card(run, texts, links)
    return message.model_copy(update={"parts": (*message.parts, *ended_shortcuts([run], texts))})


def result_card(run: Run, texts: Texts, links: Links) -> Message:
    """Return a run's result without buttons."""
    page = Link(label=texts("result.page"), url=links.run_url(run.id))
    if run.state is RunState.CANCELLED:
        return _cancelled_message(run, texts, page)
    if isinstance(run.spec, PerfSpec):
        return _perf_message(run, run.spec, texts, links)
    if run.result is None or run.state is RunState.FAILED:
        return Message(text=_failed(run, texts), parts=(page,))
    result = run.result
    parts: list[Part] = [score_table(run, result, texts), *_left_out(result, texts), *score_charts(result, texts)]
    parts.append(_facts(result, texts))
    parts += [
        Text(text=texts("result.errors", errored=b.errored, requested=b.requested, benchmark=b.name))
        for b in result.benchmarks
        if b.errored
    ]
    parts += _more(run, result, texts, links)
    said = "; ".join(benchmark_headline(run, benchmark, texts) for benchmark in result.benchmarks)
    return Message(text=texts("result.done", run=run.name, model=result.model, headline=said), parts=tuple(parts))


def _failed(run: Run, texts: Texts) -> str:
    return texts("result.failed", run=run.name, reason=reason_text(run, texts))


def reason_text(run: Run, texts: Texts) -> str:
    """Return why a run failed, and what to do."""
    return texts("bug.run") if run.failure is None else texts.error(run.failure)


def _more(run: Run, result: RunResult, texts: Texts, links: Links) -> list[Part]:
    """Return where there is more to see, and how to get the same again."""
    parts: list[Part] = [Link(label=texts("result.page"), url=links.run_url(run.id))]
    if run.report_ready:
        parts.append(Link(label=texts("result.report"), url=links.report_url(run.id)))
    if result.reproduce is not None:
        parts.append(Log(title=texts("result.reproduce"), text=reproduce_text(result)))
    return parts


def _warned(spec: PerfSpec, result: RunResult, texts: Texts) -> list[Part]:
    return [Text(text=warning) for warning in perf_warnings(spec, result, texts)]


def _perf_message(run: Run, spec: PerfSpec, texts: Texts, links: Links) -> Message:
    """Return a stress test's result; where it failed, what had been measured until then."""
    result = run.result
    if result is None or not result.perf:
        page = Link(label=texts("result.page"), url=links.run_url(run.id))
        return Message(text=_failed(run, texts), parts=(page,))
    parts: list[Part] = [throughput_table(spec, result.perf, texts), times_table(spec, result.perf, texts)]
    parts += [*_warned(spec, result, texts), *perf_charts(spec, result.perf, texts)]
    items = [(texts("result.field.time"), duration_text(result.seconds)), (texts("result.field.worker"), result.worker)]
    parts += [Fields(items=tuple(items)), *_more(run, result, texts, links)]
    if run.state is RunState.FAILED:
        return Message(text=_failed(run, texts), parts=tuple(parts))
    said = perf_conclusion(spec, result.perf, texts)
    return Message(text=texts("result.done", run=run.name, model=result.model, headline=said), parts=tuple(parts))


def _cancelled_message(run: Run, texts: Texts, page: Link) -> Message:
    """Return what is said of a cancelled run: its partial score, marked as such."""
    if isinstance(run.spec, PerfSpec) and run.result is not None and run.result.perf:
        said = perf_conclusion(run.spec, run.result.perf, texts)
        tables = (throughput_table(run.spec, run.result.perf, texts), times_table(run.spec, run.result.perf, texts))
        text = texts("result.cancelled_perf", run=run.name, headline=said)
        charts = perf_charts(run.spec, run.result.perf, texts)
        return Message(text=text, parts=(*tables, *_warned(run.spec, run.result, texts), *charts, page))
    if run.result is None or not run.result.benchmarks:
        return Message(text=texts("result.cancelled", run=run.name), parts=(page,))
    said = "; ".join(benchmark_headline(run, benchmark, texts) for benchmark in run.result.benchmarks)
    parts = (score_table(run, run.result, texts), *score_charts(run.result, texts), page)
    return Message(text=texts("result.cancelled_partial", run=run.name, headline=said), parts=parts)


def score_table(run: Run, result: RunResult, texts: Texts) -> Table:
    """Return each benchmark's headline, overall and per subset, and its other metrics while they are few.

    The run page has them all.
    """
    rows: list[tuple[str, ...]] = []
    for benchmark in result.benchmarks:
        others = [metric for metric in benchmark.metrics if not metric.primary]
        for metric in [m for m in benchmark.metrics if m.primary] + (others if len(others) <= FEW_METRICS else []):
            samples = samples_of(run, benchmark, metric, texts)
            overall = _row(texts("result.overall"), metric, metric.score, metric.interval, samples)
            rows.append((benchmark.name, *overall))
            if metric.primary and 1 < len(metric.subsets) <= FEW_SUBSETS:
                rows += [
                    (benchmark.name, *_row(subset.name, metric, subset.score, None, f"{subset.num:,}"))
                    for subset in metric.subsets
                ]
    columns = ("benchmark", "subset", "metric", "score", "interval", "samples")
    names = tuple(texts(f"result.column.{column}") for column in columns)
    return Table(columns=names, rows=tuple(rows), numeric=(names[3], names[5]))


def _left_out(result: RunResult, texts: Texts) -> list[Part]:
    """Say what the table does not show, so that nothing is cut silently."""
    metrics = [len(b.metrics) - 1 for b in result.benchmarks if len(b.metrics) - 1 > FEW_METRICS]
    subsets = [len(m.subsets) for b in result.benchmarks if (m := b.headline) and len(m.subsets) > FEW_SUBSETS]
    notes = []
    if metrics:
        notes.append(texts("result.more_metrics", count=sum(metrics)))
    if subsets:
        notes.append(texts("result.more_subsets", count=sum(subsets)))
    return [Text(text=" ".join(notes))] if notes else []


def reproduce_text(result: RunResult) -> str:
    """Return the command with the environment it needs and the versions it ran with."""
    assert result.reproduce is not None
    env = [f"{name}={value} \\" for name, value in result.reproduce.env.items()]
    versions = ", ".join(f"{name} {version}" for name, version in result.reproduce.versions.items())
    return "\n".join([*env, result.reproduce.command, f"# {versions}"])


def _plan(runs: Sequence[Run], texts: Texts) -> Fields:
    """Return what will run, in canonical form: what was understood can be checked at a glance."""
    spec = runs[0].spec
    if isinstance(spec, PerfSpec):
        return perf_plan(runs, spec, texts)
    specs = _eval_specs(runs)
    models = dict.fromkeys(spec.model.name for spec in specs)
    datasets = dict.fromkeys(name for spec in specs for name in spec.covers)
    items = [
        (texts("eval.field.model"), ", ".join(models)),
        (texts("eval.field.datasets"), ", ".join(datasets)),
    ]
    typed = dict.fromkeys(s.model.api_url for s in specs if s.model.network != "registered" and s.model.api_url)
    if typed:
        items.insert(1, (texts("eval.field.endpoint"), ", ".join(typed)))
    items.append((texts("eval.field.samples"), samples_text(specs, texts)))
    settings = _settings(specs)
    if settings:
        items.append((texts("eval.field.settings"), settings))
    return Fields(items=tuple((name, cut(value, MOST_FIELD)) for name, value in items))


def _settings(specs: Sequence[EvalSpec]) -> str:
    """Return the settings of all runs; one that differs from run to run with each of its values."""
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        for name, value in _said(spec).items():
            if value is not None:
                found.setdefault(name, {})[",".join(map(str, value)) if isinstance(value, list) else str(value)] = None
    return ", ".join(f"{name}={' / '.join(values)}" for name, values in found.items())


def _said(spec: EvalSpec) -> dict[str, object]:
    return {
        "limit": spec.limit,
        "repeats": spec.repeats if spec.repeats != 1 else None,
        "eval_batch_size": spec.eval_batch_size,
        **spec.generation_config.model_dump(exclude_none=True),
        **{
            f"{dataset.name}.{name}": value
            for dataset in spec.datasets
            for name, value in dataset.args.items()
            if name in dataset.said
        },
    }


def progress_part(run: Run, progress: Progress | None, texts: Texts, place: Place | None = None) -> ProgressPart:
    """Return how far one run is."""
    if isinstance(run.spec, PerfSpec):
        return perf_progress(run, run.spec, progress, texts, place_text(place, texts))
    state = texts(f"state.{run.state}")
    if run.state is RunState.WAITING or run.state in ENDED or progress is None or progress.attempt != run.attempt:
        note = place_text(place, texts) if run.state in {RunState.WAITING, RunState.QUEUED} else ""
        if run.state is RunState.WAITING and progress is not None and progress.phase in {"checking", "checked"}:
            note += f" ({texts(f'phase.{progress.phase}')})"
        done = _done(run)
        total = run.spec.total or done or None
        return ProgressPart(label=f"{run.name} {state}", done=done, total=total, note=note, state=bar_state(run))
    notes = [] if run.state is RunState.PAUSED else _pace(progress, texts)
    if progress.errors:
        notes.append(texts("progress.errors", errors=progress.errors))
    scores = []
    for score in progress.scores:
        shown = score_with_interval(score.score, score.interval, score.scale, score.unit)
        scores.append(f"{score.benchmark} {shown}")
    return ProgressPart(
        label=f"{run.name} {state}", done=progress.done, total=progress.total, score="; ".join(scores),
        note=", ".join(notes), state=bar_state(run),
    )  # fmt: skip


def _pace(progress: Progress, texts: Texts) -> list[str]:
    """Return what a run does now, how fast, and how long it will take."""
    notes = [texts(f"phase.{progress.phase}", benchmark=progress.benchmark)]
    if progress.rate:
        notes.append(texts("progress.rate", rate=progress.rate))
    if progress.eta is not None and progress.phase == "evaluating":
        notes.append(texts("progress.eta", eta=duration_text(progress.eta)))
    return notes


def place_text(place: Place | None, texts: Texts) -> str:
    """Return where a waiting run stands, when it is taken to start, and why it waits."""
    if place is None:
        return texts("eval.queued")
    said = texts("place.position", position=place.position, reason=texts(f"place.{place.reason}"))
    if place.starts_in:
        said += texts("place.starts_in", time=duration_text(place.starts_in))
    return said


def _done(run: Run) -> int:
    return 0 if run.result is None else sum(benchmark.succeeded for benchmark in run.result.benchmarks)


def benchmark_headline(run: Run, benchmark: BenchmarkResult, texts: Texts) -> str:
    """Return a benchmark's conclusion in one line: gsm8k 62.5 % [30.0 – 86.0 %] (n = 8)."""
    metric = benchmark.headline
    if metric is None:
        return f"{benchmark.name}: {texts('result.no_headline')}"
    shown = score_with_interval(metric.score, metric.interval, metric.scale, metric.unit)
    return f"{benchmark.name} {shown} (n = {samples_of(run, benchmark, metric, texts)})"


def samples_of(run: Run, benchmark: BenchmarkResult, metric: MetricResult, texts: Texts) -> str:
    """Return the samples a score rests on; the first n of a larger set are said to be so."""
    spec = run.spec
    if not isinstance(spec, EvalSpec):
        return f"{metric.num:,}"
    dataset = next((d for d in spec.datasets if d.name == benchmark.name), None)
    everything = sum(dataset.subsets.values()) if dataset is not None else 0
    times = f" × {spec.repeats}" if spec.repeats > 1 else ""
    questions = metric.num // spec.repeats
    # a metric that counts something else (IFEval's instructions) is no share of the samples
    if spec.limit is not None and metric.num == benchmark.succeeded and questions < everything:
        return texts("result.first", num=questions, all=everything) + times
    return f"{questions:,}{times}"


def _row(subset: str, metric: MetricResult, score: float, interval: Interval | None, samples: str) -> tuple[str, ...]:
    shown = score_text(score, metric.scale, metric.unit)
    return (subset, metric.label, shown, interval_text(interval, metric.scale, metric.unit), samples)


def _facts(result: RunResult, texts: Texts) -> Fields:
    items = [(texts("result.field.time"), duration_text(result.seconds))]
    prompt = sum(benchmark.tokens.prompt for benchmark in result.benchmarks)
    completion = sum(benchmark.tokens.completion for benchmark in result.benchmarks)
    if prompt or completion:
        tokens = texts("result.tokens", prompt=prompt, completion=completion)
        items.append((texts("result.field.tokens"), tokens))
    latencies = [b.latency_mean for b in result.benchmarks if b.latency_mean is not None]
    if latencies:
        items.append((texts("result.field.latency"), f"{sum(latencies) / len(latencies):.2f} s"))
    items.append((texts("result.field.worker"), result.worker))
    return Fields(items=tuple(items))
