"""status: what runs and what waits."""

from __future__ import annotations

import asyncio

from handlers.cards import progress_part, result_message, status_message
from handlers.context import Context
from handlers.message import Message, Part, Text
from handlers.references import run_number
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from jobs.lifecycle import ENDED, RunState


class StatusArgs(Args):
    """One `run` by its id (r12), or all that is running and waiting."""

    run: str | None = None


async def handle(args: StatusArgs, context: Context) -> Reply:
    """Answer from the store and the runs' progress."""
    services, texts = context.services, context.texts
    if args.run is not None:
        run = await asyncio.to_thread(services.store.run, run_number(args.run))
        if run.state in ENDED:
            return Reply(result_message(run, texts, services.links))
        progress = await services.progress(run.id)
        known = {run.id: progress} if progress is not None else {}
        return Reply(status_message([run], known, texts, services.links))
    active = [state for state in RunState if state not in ENDED]
    runs = await asyncio.to_thread(services.store.runs, states=active, limit=50)
    workers = await services.workers()
    who = texts("status.workers", count=len(workers)) if workers else texts("status.no_workers")
    if not runs:
        return Reply(Message(text=texts("status.none"), parts=(Text(text=who),)))
    found = {run.id: await services.progress(run.id) for run in runs}
    parts: list[Part] = [progress_part(run, found[run.id], texts) for run in reversed(runs)]
    return Reply(Message(text=texts("status.running", count=len(runs)), parts=(*parts, Text(text=who))))


INTENT = Intent(
    name="status",
    args=StatusArgs,
    handle=handle,
    slash=("/status", "/状态"),
    words=Words(
        en=(
            "status",
            "progress",
            "what is running",
            "what's running",
            "how far",
            "still running",
            "eta",
            "finished",
            "done yet",
            "how is it going",
            "queue",
        ),
        zh=(
            "状态",
            "进度",
            "跑到哪",
            "在跑什么",
            "正在跑",
            "跑完了吗",
            "还要多久",
            "还有多久",
            "好了吗",
            "完成了吗",
            "队列",
        ),
    ),
    positional=("run",),
    examples={"en": ("status", "how far is r12?"), "zh": ("状态", "r12 跑到哪了？")},
)
