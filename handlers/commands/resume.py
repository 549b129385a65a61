"""resume: go on with a run that failed or was cancelled, from the samples it finished."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.figures import run_names
from handlers.message import Message
from handlers.paused import go_on, is_at
from handlers.policy import resolve_again
from handlers.references import run_number, which_run
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.submit import submit
from jobs.lifecycle import ENDED, RunState


class ResumeArgs(Args):
    """The `run` to go on with; without it, what did not finish of the request that the conversation is about."""

    run: str | None = None


async def handle(args: ResumeArgs, context: Context) -> Reply:
    """Start a new run with the frozen configuration of the old one, on top of what that kept."""
    texts, store = context.texts, context.services.store
    if args.run is None and context.thread_runs:
        return await _resume_all(context)
    number = run_number(args.run) if args.run is not None else context.thread_run
    if number is None:
        return which_run(context, INTENT.name)
    run = await asyncio.to_thread(store.run, number)
    if run.state is RunState.PAUSED:
        group = await asyncio.to_thread(store.group, run.group_id)
        if is_at(group, context.incoming.place):
            return await go_on(run, context.services, texts)
        run = await context.services.cancel(run)  # its result would be posted where it was asked for, not here
    if run.state not in ENDED:
        return Reply(Message(text=texts("resume.running", run=run.name)))
    if run.state is RunState.SUCCEEDED:
        return Reply(Message(text=texts("resume.succeeded", run=run.name)))
    if run.files_gone_at is not None:
        date = run.files_gone_at.strftime("%Y-%m-%d")
        return Reply(Message(text=texts("resume.files_gone", run=run.name, date=date)), refused=True)
    model = await resolve_again(run.spec.model, incoming=context.incoming, config=context.services.config)
    return await submit(context, [run.spec.model_copy(update={"model": model, "resumes": run.id})])


async def _resume_all(context: Context) -> Reply:
    """Go on with every run of the conversation's request that is paused, or did not finish and was not resumed yet."""
    services, texts, runs = context.services, context.texts, context.thread_runs
    paused = [run for run in runs if run.state is RunState.PAUSED]
    for run in paused:
        await go_on(run, services, texts)
    gone_on = await asyncio.to_thread(services.store.followers, runs)
    left = [run for run in runs if run.state in ENDED - {RunState.SUCCEEDED} and run.id not in gone_on]
    said = texts("paused.goes_on", run=run_names(paused)) if paused else ""
    if not left:
        return Reply(Message(text=said or texts("resume.nothing", runs=run_names(runs))))
    models = [await resolve_again(run.spec.model, incoming=context.incoming, config=services.config) for run in left]
    specs = [
        run.spec.model_copy(update={"model": model, "resumes": run.id}) for run, model in zip(left, models, strict=True)
    ]
    return await submit(context, specs, [said] if said else [])


INTENT = Intent(
    name="resume",
    args=ResumeArgs,
    handle=handle,
    slash=("/resume", "/继续"),
    words=Words(en=("resume", "continue", "go on with", "pick up"), zh=("继续", "恢复", "接着跑")),
    positional=("run",),
    examples={"en": ("resume r12",), "zh": ("继续 r12",)},
)
