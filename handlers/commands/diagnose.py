"""diagnose: why a run waits, goes slowly, failed or ended; what an error that a person pastes means."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from pydantic import Field

from handlers.cards import benchmark_headline, place_text, progress_part, reason_text
from handlers.context import Context
from handlers.figures import cut
from handlers.intents.secrets import redact
from handlers.message import Buttons, Link, Log, Message, Part, Text
from handlers.pasted_errors import explain
from handlers.paused import is_at, paused_message
from handlers.perf_cards import perf_conclusion, perf_warnings
from handlers.references import NamesRuns, named_runs, which_run
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.shortcuts import ended_shortcuts, running_shortcuts
from handlers.verdicts import first_verdicts, has_closed
from jobs.lifecycle import ENDED, RunState
from jobs.models import PerfSpec, Progress, Run

LINES = 15
"""Lines of a log that are shown."""
LOOK_BACK = 200
"""Lines from its end in which an error is looked for."""
MOST_LINE = 300
MOST_RUNS = 5
"""Runs that are diagnosed in one answer."""
MOST_ERROR = 4_000
_LOOKS_WRONG = re.compile(
    r"\b(?:ERROR|CRITICAL|FATAL)\b|Traceback \(most recent|\b\w*(?:Error|Exception)\b|\bfailed\b|\brefused\b", re.ASCII
)
_TRACEBACK = "Traceback (most recent"


class DiagnoseArgs(NamesRuns):
    """The runs that are meant, else the conversation's; or an `error` that the person pastes."""

    error: str | None = Field(None, max_length=MOST_ERROR)


async def handle(args: DiagnoseArgs, context: Context) -> Reply:
    """Answer from the store, the runs' progress and their logs."""
    named = await named_runs(args, context)
    if not named and args.error is not None:
        catalog = (await context.services.vocabulary()).catalog
        explained = explain(args.error, context.texts, catalog)
        if explained is not None:
            return Reply(Message(text=explained))
        if context.thread_run is None and not context.thread_runs:
            return Reply(Message(text=context.texts("diagnose.unknown_error")))
    runs = named or await _of_conversation(context)
    if not runs:
        return which_run(context, "why")
    if len(runs) == 1:
        return Reply(await _diagnosis(runs[0], context))
    shown = runs[:MOST_RUNS]
    told = [await _diagnosis(run, context) for run in shown]
    parts = tuple(Text(text=message.text) for message in told[1:])
    left = [] if len(runs) == len(shown) else [Text(text=context.texts("diagnose.more", count=len(runs) - len(shown)))]
    return Reply(Message(text=told[0].text, parts=(*parts, *left)))


async def _of_conversation(context: Context) -> list[Run]:
    """Return the run a conversation is about; of several what needs a reason: the failed, else those that wait."""
    if context.thread_run is not None:
        return [await asyncio.to_thread(context.services.store.run, context.thread_run)]
    for states in ({RunState.FAILED}, {RunState.PAUSED}, {RunState.WAITING, RunState.QUEUED}):
        if found := [run for run in context.thread_runs if run.state in states]:
            return found
    return []


async def _diagnosis(run: Run, context: Context) -> Message:
    """Return what is to be said of one run."""
    texts, services = context.texts, context.services
    progress = await services.progress(run.id)
    page = Link(label=texts("result.page"), url=services.links.run_url(run.id))
    if run.state is RunState.PAUSED:
        return await _paused(run, progress, context)
    if run.state not in ENDED:
        return await _going(run, progress, context, page)
    if run.state is RunState.FAILED:
        return await _failed(run, context, page)
    if run.state is RunState.CANCELLED:
        parts = (Text(text=_kept(run, context)), page, *ended_shortcuts([run], texts))
        return Message(text=texts("diagnose.cancelled", run=run.name), parts=parts)
    return _succeeded(run, progress, context, page)


async def _going(run: Run, progress: Progress | None, context: Context, page: Link) -> Message:
    """Say why a run waits, or what it does."""
    texts, services = context.texts, context.services
    buttons = running_shortcuts([run], texts)
    if run.cancel_asked:
        return Message(text=texts("diagnose.being_cancelled", run=run.name), parts=(page,))
    if run.state is RunState.RUNNING:
        bar = progress_part(run, progress, texts)
        return Message(text=texts("diagnose.running", run=run.name), parts=(bar, page, *buttons))
    place = (await services.places()).get(run.id)
    why = place_text(place, texts) if await services.workers() else texts("status.no_workers")
    return Message(text=texts("diagnose.waits", run=run.name, why=why), parts=(page, *buttons))


async def _paused(run: Run, progress: Progress | None, context: Context) -> Message:
    """Ask again what the pause asks; its buttons are where the run is reported alone."""
    message = paused_message(run, progress, context.texts, context.services.links)
    group = await asyncio.to_thread(context.services.store.group, run.group_id)
    if is_at(group, context.incoming.place):
        return message
    return message.model_copy(update={"parts": tuple(p for p in message.parts if not isinstance(p, Buttons))})


async def _failed(run: Run, context: Context, page: Link) -> Message:
    """Say why a run failed, with what its log says of it and how to go on."""
    texts = context.texts
    parts: list[Part] = []
    if run.files_gone_at is None:
        if has_closed(run):
            parts.append(Text(text=texts("logs.closed", run=run.name)))
        elif lines := error_lines(await context.services.log_tail(run.id)):
            parts.append(Log(title=texts("diagnose.log", run=run.name), text=lines))
    parts += [Text(text=_kept(run, context)), page, *ended_shortcuts([run], texts)]
    text = texts("result.failed", run=run.name, reason=reason_text(run, texts))
    return Message(text=text, parts=tuple(parts))


def _kept(run: Run, context: Context) -> str:
    """Say what a run that did not finish has kept, and how to go on."""
    if run.files_gone_at is not None:
        return context.texts("diagnose.nothing_kept", run=run.name)
    done = 0 if run.result is None else sum(benchmark.succeeded for benchmark in run.result.benchmarks)
    return context.texts("diagnose.kept" if done else "diagnose.go_on", run=run.name, done=done)


def _succeeded(run: Run, progress: Progress | None, context: Context, page: Link) -> Message:
    """Say what was wrong with a run that has its scores, or that nothing was."""
    texts, result = context.texts, run.result
    wrong: list[str] = []
    scores: list[str] = []
    if result is not None:
        wrong += [
            texts("result.errors", errored=b.errored, requested=b.requested, benchmark=b.name)
            for b in result.benchmarks
            if b.errored
        ]
        scores += [benchmark_headline(run, benchmark, texts) for benchmark in result.benchmarks]
        if isinstance(run.spec, PerfSpec) and result.perf:
            wrong += perf_warnings(run.spec, result, texts)
            scores.append(perf_conclusion(run.spec, result.perf, texts))
    for dataset, verdicts in first_verdicts(run, progress).items():
        if unread := sum(not verdict.extracted for verdict in verdicts):
            wrong.append(texts("diagnose.unreadable", dataset=dataset, unread=unread, count=len(verdicts)))
    said = "diagnose.succeeded_but" if wrong else "diagnose.succeeded"
    text = texts(said, run=run.name, headline="; ".join(scores))
    return Message(text=text, parts=(*(Text(text=text) for text in wrong), page, *ended_shortcuts([run], texts)))


def error_lines(log: str) -> str:
    """Return the last lines of a log that tell of an error, without secrets; empty where none do."""
    lines = [line.rstrip() for line in redact(log).splitlines()[-LOOK_BACK:]]
    wrong = [place for place, line in enumerate(lines) if _LOOKS_WRONG.search(line)]
    if not wrong:
        return ""
    end = wrong[-1] + 1
    start = _start(lines, wrong)
    shown: Sequence[str] = lines[start:end]
    if len(shown) > LINES:  # a long traceback says most at its two ends
        shown = [shown[0], "…", *shown[-(LINES - 2) :]]
    return "\n".join(cut(line, MOST_LINE) for line in shown)


def _start(lines: Sequence[str], wrong: Sequence[int]) -> int:
    """Return where the last error begins: at its traceback, else at the first of the lines in a row that tell of it."""
    traced = [place for place in wrong if _TRACEBACK in lines[place]]
    if traced and all(line[:1] in {" ", ""} for line in lines[traced[-1] + 1 : wrong[-1]]):
        return traced[-1]
    start = wrong[-1]
    while start - 1 in wrong and wrong[-1] - start + 1 < LINES:
        start -= 1
    return start


INTENT = Intent(
    name="diagnose",
    args=DiagnoseArgs,
    handle=handle,
    slash=("/why", "/为什么"),
    words=Words(
        en=(
            "why",
            "how come",
            "what went wrong",
            "what is wrong",
            "what's wrong",
            "what happened",
            "what broke",
            "any problems with",
            "any problem with",
            "any issues with",
            "anything wrong with",
            "what is the matter with",
            "what is the cause",
            "figure out why",
            "diagnose",
        ),
        zh=(
            "为什么",
            "为啥",
            "为何",
            "怎么回事",
            "失败原因",
            "什么问题",
            "有问题吗",
            "有啥问题",
            "什么原因",
            "怎么失败",
            "怎么挂了",
            "挂了",
            "排查",
            "出了什么问题",
            "哪里出错",
            "咋失败",
            "诊断",
        ),
    ),
    positional=("run",),
    examples={
        "en": ("why did r12 fail?", "what went wrong?"),
        "zh": ("r12 为什么失败了？", "怎么回事？"),
    },
)
