"""What is said of stress tests: their plan, their progress, their figures per level. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from handlers.figures import duration_text, run_names
from handlers.message import Fields, Table
from handlers.message import Progress as ProgressPart
from handlers.texts import Texts
from jobs.lifecycle import ENDED, RunState
from jobs.models import PerfLevel, PerfSpec, Progress, Run, RunResult, Spread

SETTINGS = (
    "stream", "max_tokens", "min_tokens", "min_prompt_length", "max_prompt_length", "prefix_length", "temperature",
    "top_p", "top_k", "frequency_penalty", "repetition_penalty", "n_choices", "stop", "seed", "warmup_num",
    "sleep_interval", "tokenizer_path", "extra_args", "connect_timeout", "read_timeout", "total_timeout",
)  # fmt: skip
"""What is listed of a plan where the person said it."""

BarState = Literal["waiting", "running", "paused", "succeeded", "failed", "cancelled"]
BAR_STATES: dict[RunState, BarState] = {
    RunState.WAITING: "waiting",
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "running",
    RunState.PAUSED: "paused",
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
}


def load_text(spec: PerfSpec, texts: Texts) -> str:
    """Return the levels: concurrency 1, 2, 4."""
    levels = ", ".join(f"{load:g}" for load, _ in spec.levels)
    if spec.open_loop:
        return texts("perf.load.rate", levels=levels)
    brake = texts("perf.load.brake", rate=f"{spec.rate[0]:g}") if spec.rate else ""
    return texts("perf.load.parallel", levels=levels) + brake


def requests_text(spec: PerfSpec, texts: Texts) -> str:
    """Return how many requests each level has, or how long it lasts."""
    if spec.duration is not None:
        return texts.count("perf.requests.timed", len(spec.levels), seconds=f"{spec.duration:g}")
    if len(spec.number) == 1:
        return texts("perf.requests.one", total=spec.number[0])
    if len(set(spec.number)) == 1:
        return texts("perf.requests.equal", levels=len(spec.number), each=spec.number[0], total=sum(spec.number))
    each = ", ".join(f"{number:,}" for number in spec.number)
    return texts("perf.requests.each", levels=len(spec.number), each=each, total=sum(spec.number))


def perf_headline(runs: Sequence[Run], spec: PerfSpec, texts: Texts) -> str:
    """Return one line on what a group tests."""
    facts = {"load": load_text(spec, texts), "requests": requests_text(spec, texts)}
    if len(runs) == 1:
        return texts("perf.accepted", run=runs[0].name, model=spec.model.name, **facts)
    return texts("perf.accepted.many", count=len(runs), runs=run_names(runs), **facts)


def perf_plan(runs: Sequence[Run], spec: PerfSpec, texts: Texts) -> Fields:
    """Return what will run, in canonical form."""
    models = list(dict.fromkeys(run.spec.model.name for run in runs))
    items = [(texts("eval.field.model"), ", ".join(models))]
    if spec.model.network != "registered" and spec.model.api_url:
        items.append((texts("eval.field.endpoint"), spec.model.api_url))
    items += [
        (texts("perf.field.load"), load_text(spec, texts)),
        (texts("perf.field.requests"), requests_text(spec, texts)),
        (texts("perf.field.prompts"), prompts_text(spec, texts)),
    ]
    settings = settings_text(spec)
    if settings:
        items.append((texts("eval.field.settings"), settings))
    return Fields(items=tuple(items))


def prompts_text(spec: PerfSpec, texts: Texts) -> str:
    """Return what is sent."""
    return texts("perf.prompts.one", prompt=spec.prompt[:80]) if spec.prompt is not None else spec.dataset


def settings_text(spec: PerfSpec) -> str:
    """Return the settings the person said."""
    found = []
    for name in SETTINGS:
        value = getattr(spec, name)
        if name in spec.said and value not in (None, (), {}):
            shown = "-".join(map(str, value)) if isinstance(value, tuple) else value
            found.append(f"{name}={shown:g}" if isinstance(shown, float) else f"{name}={shown}")
    return ", ".join(found)


def bar_state(run: Run) -> BarState:
    """Return what a run's bar says of it: one that a worker has but has not begun waits."""
    return BAR_STATES[run.state]


def perf_progress(run: Run, spec: PerfSpec, progress: Progress | None, texts: Texts, waits: str) -> ProgressPart:
    """Return how far a stress test is: level k of n, requests, throughput; `waits` is said of one that waits."""
    label = f"{run.name} {texts(f'state.{run.state}')}"
    if run.state in ENDED or progress is None or progress.attempt != run.attempt:
        note = waits if run.state in {RunState.WAITING, RunState.QUEUED} else ""
        done = sum(level.requests for level in run.result.perf) if run.result is not None else 0
        return ProgressPart(label=label, done=done, total=spec.total or done or None, note=note, state=bar_state(run))
    notes = [phase_text(spec, progress, texts)]
    if progress.rate:
        notes.append(texts("perf.progress.rate", rate=progress.rate))
    if progress.eta is not None and progress.phase == "evaluating":
        notes.append(texts("progress.eta", eta=duration_text(progress.eta)))
    if progress.errors:
        notes.append(texts("progress.errors", errors=progress.errors))
    return ProgressPart(
        label=label, done=progress.done, total=progress.total, note=", ".join(notes), state=bar_state(run)
    )


def phase_text(spec: PerfSpec, progress: Progress, texts: Texts) -> str:
    """Return what a stress test does now: level 2 of 4, concurrency 8."""
    if progress.phase != "evaluating" or not 0 < progress.level <= len(spec.levels):
        return texts(f"perf.phase.{progress.phase}")
    load = spec.levels[progress.level - 1][0]
    key = "perf.phase.rate" if spec.open_loop else "perf.phase.level"
    return texts(key, level=progress.level, levels=progress.levels, load=f"{load:g}")


def perf_conclusion(spec: PerfSpec, levels: Sequence[PerfLevel], texts: Texts) -> str:
    """Return the figures people look for first: the highest throughput, and what it costs in waiting."""
    best = max(levels, key=lambda level: level.rps)
    key = "perf.best.rate" if spec.open_loop else "perf.best.parallel"
    said = texts(
        key, rps=figure(best.rps), load=load_of(best), tokens=figure(best.output_tokens_per_second),
        latency=figure(best.latency_s.p99),
    )  # fmt: skip
    return said + (texts("perf.best.ttft", ttft=figure(best.ttft_ms.p99)) if best.ttft_ms.p99 is not None else "")


def throughput_table(spec: PerfSpec, levels: Sequence[PerfLevel], texts: Texts) -> Table:
    """Return one row per level: requests, success, throughput."""
    columns = _columns(spec, ("requests", "success", "rps", "output", "total"), texts)
    rows = tuple(
        (
            load_of(level), f"{level.requests:,}", f"{100 * level.success:.4g} %", figure(level.rps),
            figure(level.output_tokens_per_second), figure(level.total_tokens_per_second),
        )
        for level in levels
    )  # fmt: skip
    return Table(columns=columns, rows=rows, numeric=columns)


def times_table(spec: PerfSpec, levels: Sequence[PerfLevel], texts: Texts) -> Table:
    """Return one row per level: the mean of each time, and its 50th, 90th and 99th percentile."""
    columns = _columns(spec, ("ttft", "tpot", "itl", "latency"), texts)
    rows = tuple(
        (
            load_of(level), spread_text(level.ttft_ms), spread_text(level.tpot_ms), spread_text(level.itl_ms),
            spread_text(level.latency_s),
        )
        for level in levels
    )  # fmt: skip
    return Table(columns=columns, rows=rows, numeric=columns)


def perf_warnings(spec: PerfSpec, result: RunResult, texts: Texts) -> list[str]:
    """Return what keeps the figures from being taken as they stand."""
    warnings = []
    for level in result.perf:
        if level.failed:
            why = f" {texts.error(level.failure)}" if level.failure is not None else ""
            warnings.append(
                texts("perf.warning.failed", load=load_of(level), failed=level.failed, requests=level.requests) + why
            )
        if not level.complete:
            facts = {"load": load_of(level), "requests": level.requests, "planned": level.planned}
            warnings.append(texts("perf.warning.cut", **facts))
    if spec.stream and any(level.succeeded and not level.streamed for level in result.perf):
        warnings.append(texts("perf.warning.not_streamed"))
    left = len(spec.levels) - len(result.perf)
    if left:
        warnings.append(texts("perf.warning.left", left=left, levels=len(spec.levels)))
    return warnings


def load_of(level: PerfLevel) -> str:
    """Return a level's concurrency, or its rate."""
    return f"{level.concurrency}" if level.concurrency is not None else f"{level.rate:g}"


def spread_text(spread: Spread) -> str:
    """Return mean and percentiles: 45.1 (44 / 60 / 98)."""
    if spread.avg is None:
        return "–"
    return f"{figure(spread.avg)} ({figure(spread.p50)} / {figure(spread.p90)} / {figure(spread.p99)})"


def figure(value: float | None) -> str:
    """Return a figure with three digits that matter."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _columns(spec: PerfSpec, names: Sequence[str], texts: Texts) -> tuple[str, ...]:
    first = texts("perf.column.rate" if spec.open_loop else "perf.column.parallel")
    return (first, *(texts(f"perf.column.{name}") for name in names))
