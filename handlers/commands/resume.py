"""resume: go on with a run that failed or was cancelled, from the samples it finished."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from handlers.context import Context
from handlers.figures import date_text, run_names
from handlers.message import Message
from handlers.paused import go_on, is_at
from handlers.policy import may_stop, resolve_again
from handlers.references import NamesRuns, named_runs, which_run
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.submit import submit
from jobs.errors import NotAllowed
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run, Spec


class ResumeArgs(NamesRuns):
    """The runs to go on with; without them, what did not finish of the request that the conversation is about."""


async def handle(args: ResumeArgs, context: Context) -> Reply:
    """Start new runs with the frozen configuration of the old ones, on top of what these kept."""
    store = context.services.store
    named = await named_runs(args, context)
    if len(named) > 1:
        return await _resume_all(named, context)
    if not named and context.thread_runs:
        gone_on = await asyncio.to_thread(_gone_on, context)
        unfinished = {RunState.PAUSED, RunState.FAILED, RunState.CANCELLED}
        left = [run for run in context.thread_runs if run.state in unfinished and run.id not in gone_on]
        if not left:
            said = context.texts("resume.nothing", runs=run_names(context.thread_runs))
            return Reply(Message(text=said))
        return await _resume_all(left, context)
    if not named and context.thread_run is not None:
        named = [await asyncio.to_thread(store.run, context.thread_run)]
    if not named:
        return which_run(context, INTENT.name)
    run = named[0]
    if run.state is RunState.PAUSED and await _is_asked_here(run, context):
        return await go_on(run, context.services, context.texts)
    (run,) = await _freed([run], context)
    reason = _why_not(run, context)
    if reason is not None:
        return Reply(Message(text=reason), refused=run.files_gone_at is not None)
    return await submit(context, [await _again(run, context)])


def _gone_on(context: Context) -> set[int]:
    """Return the runs of this conversation that others go on from already; handled again, a message started none."""
    store = context.services.store
    newer = store.followers(context.thread_runs)
    return {old for old, run in newer.items() if store.group(run.group_id).source != context.incoming.id}


async def _resume_all(runs: Sequence[Run], context: Context) -> Reply:
    """Go on with each of the runs that can be gone on with, and say why the others cannot."""
    texts = context.texts
    paused = [run for run in runs if run.state is RunState.PAUSED and await _is_asked_here(run, context)]
    others = await _freed([run for run in runs if run not in paused], context)
    for run in paused:
        await go_on(run, context.services, texts)
    left = [run for run in others if _why_not(run, context) is None]
    said = [texts("paused.goes_on", run=run_names(paused))] if paused else []
    said += [reason for run in others if (reason := _why_not(run, context)) is not None]
    if not left:
        return Reply(Message(text=" ".join(said)))
    return await submit(context, [await _again(run, context) for run in left], said)


async def _is_asked_here(run: Run, context: Context) -> bool:
    """Tell whether the question about a paused run, and so its result, has its place in this conversation."""
    return is_at(await asyncio.to_thread(context.services.store.group, run.group_id), context.incoming.place)


async def _freed(runs: Sequence[Run], context: Context) -> list[Run]:
    """Return runs as they are; one that is paused in another conversation ends there, to go on in this one."""
    services = context.services
    paused = [run for run in runs if run.state is RunState.PAUSED]
    if others := [run for run in paused if not may_stop(run, context.incoming, services.config)]:
        raise NotAllowed(runs=run_names(others))
    return [await services.cancel(run) if run in paused else run for run in runs]


def _why_not(run: Run, context: Context) -> str | None:
    """Return why a run cannot be gone on with, None where it can."""
    texts = context.texts
    if run.state not in ENDED:
        return texts("resume.running", run=run.name)
    if run.state is RunState.SUCCEEDED:
        return texts("resume.succeeded", run=run.name)
    if run.files_gone_at is not None:
        date = date_text(run.files_gone_at, context.timezone)
        return texts("resume.files_gone", run=run.name, date=date)
    return None


async def _again(run: Run, context: Context) -> Spec:
    """Return what the run was to do, for who asks now, on top of what it finished."""
    model = await resolve_again(run.spec.model, incoming=context.incoming, config=context.services.config)
    return run.spec.model_copy(update={"model": model, "resumes": run.id})


INTENT = Intent(
    name="resume",
    args=ResumeArgs,
    handle=handle,
    slash=("/resume", "/继续"),
    words=Words(
        en=(
            "resume",
            "continue",
            "go on with",
            "pick up",
            "carry on with",
            "pick it up",
            "where it stopped",
            "where it left off",
            "finish it",
        ),
        zh=("继续", "恢复", "接着跑", "接着把", "把它跑完", "续跑", "接着来"),
    ),
    positional=("run",),
    examples={"en": ("resume r12",), "zh": ("继续 r12",)},
)
