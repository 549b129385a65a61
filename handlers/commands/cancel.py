"""cancel: end a run, or all of one's own, keeping what is finished."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.figures import run_names
from handlers.message import Message
from handlers.policy import may_stop
from handlers.references import NamesRuns, named_runs
from handlers.registry import Intent, Words
from handlers.reply import Reply
from jobs.errors import NotAllowed
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

ALL = "all"


class CancelArgs(NamesRuns):
    """The runs to end, or "all" of the person's own; without them, the conversation's request or their newest run."""


async def handle(args: CancelArgs, context: Context) -> Reply:
    """Cancel what waits at once; have the workers end what runs."""
    texts, services = context.texts, context.services
    runs = await _meant(args, context)
    if not runs:
        return Reply(Message(text=texts("cancel.none")))
    going = [run for run in runs if run.state not in ENDED]
    others = [run for run in going if not may_stop(run, context.incoming, services.config)]
    if others:
        raise NotAllowed(runs=run_names(others))
    now = [await services.cancel(run) for run in going]
    said = []
    if now:
        done = all(run.state is RunState.CANCELLED for run in now)
        said.append(texts("cancel.done" if done else "cancel.asked", runs=run_names(now)))
    for state in dict.fromkeys(run.state for run in runs if run.state in ENDED):
        ended = [run for run in runs if run.state is state]
        said.append(texts("cancel.ended", runs=run_names(ended), state=texts(f"state.{state}")))
    return Reply(Message(text=" ".join(said)))


async def _meant(args: CancelArgs, context: Context) -> list[Run]:
    store = context.services.store
    active = [state for state in RunState if state not in ENDED]
    if args.run != ALL and (named := await named_runs(args, context)):
        return named
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
        en=(
            "cancel",
            "stop",
            "abort",
            "kill",
            "terminate",
            "disable",
            "shut down",
            "call off",
            "get rid of",
            "halt",
            "pull the plug on",
        ),
        zh=("取消", "停止", "停掉", "停下", "停了", "终止", "中止", "杀掉", "掐掉", "撤掉"),
    ),
    positional=("run",),
    examples={"en": ("cancel r12", "cancel all"), "zh": ("取消 r12", "取消全部")},
)
