"""results: scores of earlier runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo

from pydantic import Field

from handlers.cards import samples_of
from handlers.commands.status import reply_on
from handlers.context import Context
from handlers.figures import interval_text, moment_text, score_text
from handlers.joint import result_of
from handlers.message import Link, Message, Table, Text
from handlers.references import NamesRuns, named_runs
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.shortcuts import without_shortcuts
from handlers.texts import Texts
from jobs.lifecycle import ENDED, RunState
from jobs.models import PerfSpec, Run

LATEST = 10
"""Runs shown where no number was said."""


IN_THREAD = (Table, Text, Link)
"""What is shown of a result where the whole of it was posted before."""


class ResultsArgs(NamesRuns):
    """The runs that are named, or those of a `model` or on `datasets`; `last` n of them."""

    model: str | None = None
    datasets: tuple[str, ...] | None = None
    last: int | None = Field(None, ge=1, le=100)


async def handle(args: ResultsArgs, context: Context) -> Reply:
    """Answer from the store: one run's result, or a table of the last ones."""
    services, texts = context.services, context.texts
    if named := await named_runs(args, context):
        left = [run for run in named if run.state not in ENDED]
        if left:
            said = [texts("result.not_ended", run=run.name, state=texts(f"state.{run.state}")) for run in left]
            return Reply(Message(text=" ".join(said)))
        here = {context.thread_run, *(run.id for run in context.thread_runs)}
        if all(run.id in here for run in named):
            return await reply_on(named, context, IN_THREAD)
        result = await asyncio.to_thread(result_of, named, services.store, texts, services.links)
        # several that are named need not be all of what was asked for together, which their buttons would mean
        return Reply(result if len(named) == 1 else without_shortcuts(result))
    if context.thread_runs and not args.model_fields_set:
        return await reply_on(context.thread_runs, context, IN_THREAD)
    vocabulary = await services.vocabulary()
    datasets = [info.name if (info := vocabulary.catalog.find(name)) else name for name in args.datasets or ()]
    runs = await asyncio.to_thread(
        services.store.runs,
        states=[RunState.SUCCEEDED],
        model=args.model,
        datasets=datasets,
        limit=args.last or LATEST,
    )
    if not runs:
        asked = args.model or args.datasets
        return Reply(Message(text=texts("result.none_matching" if asked else "result.none")))
    table = _table(runs, texts, set(datasets), context.timezone)
    return Reply(Message(text=texts("result.latest", count=len(runs)), parts=(table,)))


def _table(runs: Sequence[Run], texts: Texts, only: set[str], zone: tzinfo) -> Table:
    """Return one row per run and benchmark, newest first."""
    rows = []
    for run in runs:
        ended = moment_text(run.ended_at, zone) if run.ended_at is not None else ""
        if isinstance(run.spec, PerfSpec) and run.result is not None and run.result.perf and not only:
            best = max(run.result.perf, key=lambda level: level.rps)
            score = texts("perf.progress.rate", rate=best.rps)
            rows.append((run.name, run.spec.model.name, texts("perf.name"), score, "", f"{best.requests:,}", ended))
        for benchmark in run.result.benchmarks if run.result is not None else ():
            metric = benchmark.headline
            if metric is None or (only and benchmark.name not in only):
                continue
            shown = score_text(metric.score, metric.scale, metric.unit)
            between = interval_text(metric.interval, metric.scale, metric.unit)
            samples = samples_of(run, benchmark, metric, texts)
            rows.append((run.name, run.spec.model.name, benchmark.name, shown, between, samples, ended))
    names = ("run", "model", "benchmark", "score", "interval", "samples", "ended")
    columns = tuple(texts(f"result.column.{name}", zone=zone) for name in names)
    return Table(columns=columns, rows=tuple(rows), numeric=(columns[3], columns[5]))


INTENT = Intent(
    name="results",
    args=ResultsArgs,
    handle=handle,
    slash=("/results", "/结果"),
    words=Words(
        en=(
            "results",
            "result",
            "scores",
            "show scores",
            "score of",
            "report",
            "how did",
            "what did",
            "what score",
            "which score",
            "scored",
            "outcome",
            "outcomes",
            "how well did",
            "numbers for",
            "numbers from",
        ),
        zh=("结果", "成绩", "分数", "得分", "多少分", "几分", "报告", "跑分", "战绩"),
    ),
    positional=("run",),
    examples={
        "en": ("results of r12", "last 5 results on gsm8k"),
        "zh": ("r12 的结果", "gsm8k 最近 5 次的成绩"),
    },
)
