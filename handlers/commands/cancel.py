"""cancel: end a run, or all of one's own, keeping what is finished."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.message import Message
from handlers.references import run_number
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

ALL = "all"


class CancelArgs(Args):
    """The `run` to end, or "all" of the person's own; without it, the conversation's request or their newest run."""

    run: str | None = None


async def handle(args: CancelArgs, context: Context) -> Reply:
    """Cancel what waits at once; have the workers end what runs."""
    texts, services = context.texts, context.services
    runs = await _meant(args, context)
    if not runs:
        return Reply(Message(text=texts("cancel.none")))
    ended = [run for run in runs if run.state in ENDED]
    if ended:
        run = ended[0]
        return Reply(Message(text=texts("cancel.ended", run=run.name, state=texts(f"state.{run.state}"))))
    now = [await services.cancel(run) for run in runs]
    names = ", ".join(run.name for run in now)
    done = all(run.state is RunState.CANCELLED for run in now)
    return Reply(Message(text=texts("cancel.done" if done else "cancel.asked", runs=names)))


async def _meant(args: CancelArgs, context: Context) -> list[Run]:
    store = context.services.store
    active = [state for state in RunState if state not in ENDED]
    if args.run is not None and args.run != ALL:
        return [await asyncio.to_thread(store.run, run_number(args.run))]
    if args.run is None and context.thread_runs:
        return [run for run in context.thread_runs if run.state not in ENDED] or list(context.thread_runs)
    runs = await asyncio.to_thread(store.runs, states=active, limit=1000)
    own = [run for run in runs if run.user == context.incoming.user]
    if args.run == ALL:
        return own
    about = [run for run in runs if run.id == context.thread_run]
    return about or own[:1]


INTENT = Intent(
    name="cancel",
    args=CancelArgs,
    handle=handle,
    slash=("/cancel", "/取消"),
    words=Words(
        en=("cancel", "stop", "abort", "kill"),
        zh=("取消", "停止", "停掉", "终止", "中止"),
    ),
    positional=("run",),
    examples={"en": ("cancel r12", "cancel all"), "zh": ("取消 r12", "取消全部")},
)
