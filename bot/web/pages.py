"""What a run's page shows: a run, its progress and its log become texts that the templates only lay out."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bot.web.words import WORDS, Language, Problem, Words
from handlers.figures import interval_text, score_text
from handlers.perf_cards import (
    load_text,
    perf_warnings,
    phase_text,
    prompts_text,
    requests_text,
    settings_text,
    throughput_table,
    times_table,
)
from handlers.texts import Texts
from handlers.verdicts import verdicts_table
from jobs.lifecycle import ENDED, RunState
from jobs.models import VERDICTS, PerfSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handlers.message import Table
    from jobs.models import BenchmarkResult, EvalSpec, Failure, Group, MetricResult, Progress, Run, Verdict

HERE = Path(__file__).parent
STATIC: dict[str, tuple[bytes, str]] = {
    "run.css": ((HERE / "static" / "run.css").read_bytes(), "text/css"),
    "run.js": ((HERE / "static" / "run.js").read_bytes(), "text/javascript"),
    "icon.svg": ((HERE / "static" / "icon.svg").read_bytes(), "image/svg+xml"),
}
"""Our own files below /static/, with their types."""
STALE = 30.0
"""Seconds of silence after which the page says that the worker says nothing."""
FEW = 2
"""Metrics beside the headline that a table shows at once."""
TERMINAL_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")

_version = hashlib.sha256(b"".join(data for data, _ in STATIC.values())).hexdigest()[:12]
_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_templates.globals["version"] = _version
_templates.filters["breakable"] = lambda name: Markup("<wbr>").join(map(escape, re.split(r"(?<=[\[,=_/-])", name)))


@dataclass(frozen=True)
class ScoreLine:
    """A row of a score table."""

    name: str
    score: str
    interval: str
    samples: str
    direction: str
    arrow: str
    kind: str
    """`primary`, `metric` or `subset`."""


@dataclass(frozen=True)
class Meter:
    """A bounded score as a bar, in percent of its range."""

    score: float
    low: float
    width: float


@dataclass(frozen=True)
class BenchmarkView:
    """A benchmark's part of the page."""

    name: str
    benchmark: str
    headline: ScoreLine | None
    meter: Meter | None
    lines: tuple[ScoreLine, ...]
    """The headline's, and where there are few others theirs too."""
    others: tuple[ScoreLine, ...]
    """The lines of further metrics, which are folded away where there are many."""
    other_metrics: int
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PerfView:
    """A stress test's part of the page."""

    tables: tuple[Table, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class FailureView:
    """Why a run failed."""

    code: str
    text: str
    detail: str


@dataclass(frozen=True)
class RunView:
    """All that one page or one refresh needs."""

    run: Run
    group: Group
    progress: Progress | None
    verdicts: Mapping[str, list[Verdict]]
    """The first ones of each benchmark that had a first look."""
    log: str
    report_url: str
    describe: Callable[[Failure, Language], str]

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.run.state in ENDED

    @property
    def version(self) -> str:
        """Changes when the page must be drawn anew, not only its live numbers."""
        live = "live" if self.progress is not None else "still"
        looked = sum(len(verdicts) for verdicts in self.verdicts.values()) // VERDICTS
        return f"{self.run.state}-{self.run.attempt}-{int(self.run.report_ready)}-{live}-{looked}"

    @property
    def awaits_report(self) -> bool:
        """Whether the report may still come: it follows the scores within seconds."""
        run = self.run
        if run.state is not RunState.SUCCEEDED or run.report_ready or run.ended_at is None or run.files_gone_at:
            return False
        return (datetime.now(UTC) - run.ended_at).total_seconds() < 5 * 60


def render_run(view: RunView, base: str) -> str:
    """Return the run's page; `base` is the path below which the bot is reached."""
    words = WORDS[view.group.language]
    run = view.run
    result = run.result
    failure = run.failure or (result.failure if result else None)
    return _templates.get_template("run.html").render(
        words=words,
        base=base,
        view=view,
        run=run,
        group=view.group,
        facts=_facts(view, words),
        live=live(view),
        failure=None if failure is None else _failure_view(failure, view),
        benchmarks=[_benchmark_view(item, words) for item in result.benchmarks] if result else [],
        perf=_perf_view(view),
        first=_first_view(view),
        reproduce=result.reproduce if result else None,
    )


def render_problem(problem: Problem, language: Language, base: str) -> str:
    """Return the page that says why there is nothing to see and what to do."""
    words = WORDS[language]
    title, text = words.problems[problem]
    return _templates.get_template("problem.html").render(words=words, base=base, title=title, text=text)


def data(view: RunView) -> dict[str, Any]:
    """Return what the page's own refresh reads: facts for programs, and the page's live texts."""
    run = view.run
    return {
        "run": run.name,
        "state": str(run.state),
        "attempt": run.attempt,
        "ended": view.ended,
        "report": run.report_ready,
        "progress": None if view.progress is None else view.progress.model_dump(mode="json"),
        "version": view.version,
        "again": not view.ended or view.awaits_report,
        "live": live(view),
    }


def live(view: RunView) -> dict[str, Any]:
    """Return the texts that change while a run goes on."""
    words, run, progress = WORDS[view.group.language], view.run, view.progress
    now = datetime.now(UTC)
    seconds = None if run.started_at is None else ((run.ended_at or now) - run.started_at).total_seconds()
    done, total = (progress.done, progress.total) if progress else (0, None)
    total = total if total is not None else run.spec.total
    phase = _phase(view, words)
    silent = 0.0 if progress is None else (now - progress.updated_at).total_seconds()
    return {
        "value": done,
        "max": total,
        "texts": {
            "now": f"{phase} · {progress.benchmark}" if progress and progress.benchmark else phase,
            "done": count(done),
            "total": words.total_unknown if total is None else count(total),
            "percent": "" if not total else f"{math.floor(100 * min(done, total) / total)} %",
            "rate": "–" if progress is None or progress.rate is None else pace(progress.rate, words),
            "eta": "–" if progress is None or progress.eta is None else duration(progress.eta, words),
            "errors": count(progress.errors if progress else 0),
            "took": "–" if seconds is None else duration(seconds, words),
            "silent": words.no_news.format(time=duration(silent, words)) if silent > STALE else "",
        },
        "scores": [
            [
                f"{score.benchmark} · {score.metric}",
                score_text(score.score, score.scale, score.unit),
                interval_text(score.interval, score.scale, score.unit),
                count(score.num),
            ]
            for score in (progress.scores if progress else ())
        ],
    }


def _phase(view: RunView, words: Words) -> str:
    spec, progress = view.run.spec, view.progress
    if progress is None:
        return ""
    if isinstance(spec, PerfSpec):
        return phase_text(spec, progress, Texts(view.group.language))
    return words.phases[progress.phase]


def _perf_view(view: RunView) -> PerfView | None:
    spec, result = view.run.spec, view.run.result
    if not isinstance(spec, PerfSpec) or result is None or not result.perf:
        return None
    texts = Texts(view.group.language)
    return PerfView(
        tables=(throughput_table(spec, result.perf, texts), times_table(spec, result.perf, texts)),
        warnings=tuple(perf_warnings(spec, result, texts)),
    )


def _first_view(view: RunView) -> list[tuple[str, Table]]:
    """Return the first verdicts as tables; the page is signed, so those of private sets are among them."""
    texts = Texts(view.group.language)
    return [
        (texts("verdicts.title", dataset=name), verdicts_table(verdicts, texts))
        for name, verdicts in view.verdicts.items()
    ]


def _facts(view: RunView, words: Words) -> list[tuple[str, str]]:
    run, spec = view.run, view.run.spec
    what = _perf_facts(spec, view) if isinstance(spec, PerfSpec) else _eval_facts(spec, words)
    facts = [
        (words.model, spec.model.name),
        (words.model_id, spec.model.model if spec.model.model != spec.model.name else ""),
        (words.endpoint, spec.model.api_url or ""),
        *what,
        (words.worker, run.worker),
        (words.attempt, str(run.attempt) if run.attempt > 1 else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _perf_facts(spec: PerfSpec, view: RunView) -> list[tuple[str, str]]:
    texts = Texts(view.group.language)
    return [
        (texts("perf.field.load"), load_text(spec, texts)),
        (texts("perf.field.requests"), requests_text(spec, texts)),
        (texts("perf.field.prompts"), prompts_text(spec, texts)),
        (texts("eval.field.settings"), settings_text(spec)),
    ]


def _eval_facts(spec: EvalSpec, words: Words) -> list[tuple[str, str]]:
    generation = spec.generation_config.model_dump(exclude_none=True)
    datasets = [(dataset.name, spec.samples(dataset)) for dataset in spec.datasets]
    return [
        (words.eval_type, spec.model.eval_type),
        (words.benchmarks, ", ".join(name if n is None else f"{name} ({count(n)})" for name, n in datasets)),
        (words.limit, _limit(spec.limit, words)),
        (words.repeats, str(spec.repeats) if spec.repeats > 1 else ""),
        (words.seed, "" if spec.seed is None else str(spec.seed)),
        (words.generation, ", ".join(f"{name} {value}" for name, value in generation.items())),
        (words.batch_size, "" if spec.eval_batch_size is None else str(spec.eval_batch_size)),
    ]


def _limit(limit: float | None, words: Words) -> str:
    if limit is None:
        return words.limit_all
    if isinstance(limit, int):
        return words.limit_number.format(number=count(limit))
    return words.limit_fraction.format(percent=f"{100 * limit:.4g} %")


def _failure_view(failure: Failure, view: RunView) -> FailureView:
    text = view.describe(failure, view.group.language)
    detail = failure.detail if failure.detail not in text else ""
    return FailureView(code=failure.code, text=text, detail=detail)


def _benchmark_view(result: BenchmarkResult, words: Words) -> BenchmarkView:
    headline = result.headline
    used = result.tokens
    tokens = words.tokens_value.format(prompt=count(used.prompt), completion=count(used.completion))
    facts = (
        (words.requested, count(result.requested)),
        (words.succeeded, count(result.succeeded)),
        (words.errored, count(result.errored)),
        (words.tokens, tokens if used.prompt or used.completion else "–"),
        (words.latency, "–" if result.latency_mean is None else f"{result.latency_mean:.3g} s"),
    )
    first = tuple(metric for metric in result.metrics if metric is headline)
    rest = tuple(metric for metric in result.metrics if metric is not headline)
    if not first or len(rest) <= FEW:
        first, rest = first + rest, ()
    return BenchmarkView(
        name=result.name,
        benchmark=result.benchmark if result.benchmark != result.name else "",
        headline=None if headline is None else _metric_line(headline, words),
        meter=None if headline is None else _meter(headline),
        lines=tuple(line for metric in first for line in _metric_lines(metric, words)),
        others=tuple(line for metric in rest for line in _metric_lines(metric, words)),
        other_metrics=len(rest),
        facts=facts,
    )


def _metric_lines(metric: MetricResult, words: Words) -> list[ScoreLine]:
    subsets = [
        ScoreLine(
            name=subset.name, score=score_text(subset.score, metric.scale, metric.unit), interval="",
            samples=count(subset.num), direction="", arrow="", kind="subset",
        )
        for subset in metric.subsets
    ]  # fmt: skip
    return [_metric_line(metric, words), *subsets]


def _metric_line(metric: MetricResult, words: Words) -> ScoreLine:
    arrow = {"higher_is_better": "↑", "lower_is_better": "↓", "none": ""}[metric.direction]
    return ScoreLine(
        name=metric.label,
        score=score_text(metric.score, metric.scale, metric.unit),
        interval=interval_text(metric.interval, metric.scale, metric.unit),
        samples=count(metric.num),
        direction=f"{arrow} {words.directions[metric.direction]}".strip(),
        arrow=arrow,
        kind="primary" if metric.primary else "metric",
    )


def _meter(metric: MetricResult) -> Meter | None:
    """Return the bar of a score that is a fraction of 1; others have no natural end."""
    score, interval = metric.score, metric.interval
    low, high = (interval.low, interval.high) if interval else (score, score)
    if metric.direction != "higher_is_better" or not 0 <= min(low, score) <= max(high, score) <= 1:
        return None
    return Meter(score=round(100 * score, 2), low=round(100 * low, 2), width=round(100 * (high - low), 2))


def count(number: int) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,}"


def pace(rate: float, words: Words) -> str:
    """Return samples per second, or per minute where they are slow."""
    if rate >= 1:
        return words.per_second.format(number=f"{rate:.3g}")
    return words.per_minute.format(number=f"{rate * 60:.3g}")


def duration(seconds: float, words: Words) -> str:
    """Return a time span in its two largest units."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return words.seconds.format(s=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return words.minutes.format(m=minutes, s=rest)
    return words.hours.format(h=minutes // 60, m=minutes % 60)


def readable_log(tail: bytes, *, whole: bool) -> str:
    """Return a log's last lines without terminal codes and without the piece of a line it begins with."""
    text = tail.decode("utf-8", errors="replace")
    if not whole:
        text = text.partition("\n")[2]
    return TERMINAL_CODES.sub("", text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
