"""What is said at the end of several runs that were asked for together: one comparison. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from handlers.cards import benchmark_headline, reason_text, reproduce_text, result_card
from handlers.charts import few_charts
from handlers.comparison import comparison
from handlers.context import Links
from handlers.figures import cut, duration_text, run_names
from handlers.group_status import page_parts
from handlers.message import Fields, Log, Message, Part, Text
from handlers.perf_cards import perf_conclusion, perf_warnings
from handlers.shortcuts import ended_shortcuts
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import PerfSpec, Run

FEW_SCORES = 4
"""Scores that the message's first line has, so that a notification tells them."""
MOST_NOTES = 5
MOST_REASON = 300
MOST_COMMANDS = 1_500
"""Characters of the commands that reproduce a group's runs; the first may be longer by itself."""
MOST_FIRST = 2_500


def joint_result(
    runs: Sequence[Run],
    texts: Texts,
    links: Links,
    *,
    followed: Mapping[int, Run] | None = None,
    beside: Sequence[Run] = (),
) -> Message:
    """Return the result of runs that were asked for together, all of them ended.

    `followed` has the newest run that goes on from each of them; `beside` the runs whose scores belong into the
    comparison too, because these go on from others that were asked for together with them.
    """
    shortcuts = ended_shortcuts(runs, texts, followed or {})
    if len(runs) == 1:
        alone = _single(runs[0], texts, links, beside)
        return alone.model_copy(update={"parts": (*alone.parts, *shortcuts)})
    parts = [*comparison(_in_order(runs, beside), texts), *_unfinished(runs, texts), *_warnings(runs, texts)]
    parts += [*_facts(runs, texts), *page_parts(runs, texts, links, reports=True), *_reproduce(runs, texts)]
    parts += [*_ways_on(runs, texts, followed or {}), *shortcuts]
    return Message(text=_summary(runs, texts), parts=tuple(parts))


def _single(run: Run, texts: Texts, links: Links, beside: Sequence[Run]) -> Message:
    """Return one run's own card; below it what it completes, if it does."""
    message = result_card(run, texts, links)
    if run.state is not RunState.SUCCEEDED or not beside:
        return message
    said = Text(text=texts("group.beside", runs=run_names(beside)))
    parts = few_charts([*message.parts, said, *comparison(_in_order([run], beside), texts)])
    return message.model_copy(update={"parts": parts})


def _in_order(runs: Sequence[Run], beside: Sequence[Run]) -> list[Run]:
    return sorted([*runs, *beside], key=lambda run: run.id)


def _summary(runs: Sequence[Run], texts: Texts) -> str:
    """Return how many ended how, and their scores while these are few."""
    states = Counter(run.state for run in runs)
    names = run_names(runs)
    said = ", ".join(f"{count} {texts(f'state.{state}')}" for state, count in states.items())
    lead = texts("group.done", runs=names, states=said)
    found = _conclusions(runs, texts)
    few = 0 < sum(map(len, found.values())) <= FEW_SCORES
    return " ".join([lead, "; ".join(f"{model}: {', '.join(each)}" for model, each in found.items())]) if few else lead


def _conclusions(runs: Sequence[Run], texts: Texts) -> dict[str, list[str]]:
    """Return what is said of each model's scores or figures."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.result is None:
            continue
        said = [benchmark_headline(run, benchmark, texts) for benchmark in run.result.benchmarks]
        if isinstance(run.spec, PerfSpec) and run.result.perf:
            said.append(perf_conclusion(run.spec, run.result.perf, texts))
        found.setdefault(run.spec.model.name, []).extend(said)
    return {model: said for model, said in found.items() if said}


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(f"{run.name} ({run.spec.model.name})" for run in runs)


def _unfinished(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return what failed and why, runs with one reason together, and what was cancelled."""
    by_reason: dict[str, list[Run]] = {}
    for run in runs:
        if run.state is RunState.FAILED:
            by_reason.setdefault(reason_text(run, texts), []).append(run)
    said = [
        texts("group.failed", runs=cut(_named(failed), MOST_REASON), reason=cut(reason, MOST_REASON))
        for reason, failed in list(by_reason.items())[:MOST_NOTES]
    ]
    rest = [run for failed in list(by_reason.values())[MOST_NOTES:] for run in failed]
    if rest:
        said.append(texts("group.more_failed", runs=run_names(rest)))
    cancelled = [run for run in runs if run.state is RunState.CANCELLED]
    if cancelled:
        said.append(texts("group.cancelled", runs=cut(_named(cancelled), MOST_REASON)))
    return [Text(text=text) for text in said]


def _warnings(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return what keeps the figures from being taken as they stand."""
    found = []
    for run in runs:
        if run.result is None:
            continue
        if isinstance(run.spec, PerfSpec) and run.result.perf:
            found += [f"{run.name}: {warning}" for warning in perf_warnings(run.spec, run.result, texts)]
        found += [
            f"{run.name}: {texts('result.errors', errored=b.errored, requested=b.requested, benchmark=b.name)}"
            for b in run.result.benchmarks
            if b.errored
        ]
    said: list[Part] = [Text(text=cut(text, MOST_REASON)) for text in found[:MOST_NOTES]]
    if len(found) > MOST_NOTES:
        said.append(Text(text=texts("group.more_warnings", count=len(found) - MOST_NOTES)))
    return said


def _facts(runs: Sequence[Run], texts: Texts) -> list[Part]:
    results = [run.result for run in runs if run.result is not None]
    if not results:
        return []
    seconds = sum(result.seconds for result in results)
    if len({run.group_id for run in runs}) == 1:  # else what lies between them is nobody's time
        seconds = (max(r.ended_at for r in results) - min(r.started_at for r in results)).total_seconds()
    items = [(texts("result.field.time"), duration_text(seconds))]
    tokens = [benchmark.tokens for result in results for benchmark in result.benchmarks]
    prompt, completion = sum(t.prompt for t in tokens), sum(t.completion for t in tokens)
    if prompt or completion:
        items.append((texts("result.field.tokens"), texts("result.tokens", prompt=prompt, completion=completion)))
    workers = ", ".join(dict.fromkeys(result.worker for result in results if result.worker))
    if workers:
        items.append((texts("result.field.worker"), cut(workers, MOST_REASON)))
    return [Fields(items=tuple(items))]


def _reproduce(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return the commands that get the same again, as many as fit; each is on its run's page."""
    commands = [
        (run, f"# {run.name} {run.spec.model.name}\n{reproduce_text(run.result)}")
        for run in runs
        if run.result and run.result.reproduce
    ]
    said: list[str] = []
    for _, command in commands:
        if sum(map(len, said)) + len(command) > (MOST_COMMANDS if said else MOST_FIRST):
            break
        said.append(command)
    rest = [run for run, _ in commands[len(said) :]]
    parts: list[Part] = [Log(title=texts("result.reproduce"), text="\n".join(said))] if said else []
    if rest:
        parts.append(Text(text=texts("group.more_commands", runs=run_names(rest))))
    return parts


def _ways_on(runs: Sequence[Run], texts: Texts, followed: Mapping[int, Run]) -> list[Part]:
    """Return how to go on with what did not finish, or where that is done already."""
    open_runs = [run for run in runs if run.state in {RunState.FAILED, RunState.CANCELLED}]
    gone_on = [f"{run.name} → {followed[run.id].name}" for run in open_runs if run.id in followed]
    left = [f"`{texts('group.command.resume', run=run.name)}`" for run in open_runs if run.id not in followed]
    parts: list[Part] = []
    if gone_on:
        parts.append(Text(text=texts("group.followed", runs=", ".join(gone_on))))
    if left:
        shown = ", ".join(left[:MOST_NOTES]) + (", …" if len(left) > MOST_NOTES else "")
        parts.append(Text(text=texts("group.resume", commands=shown)))
    return parts
