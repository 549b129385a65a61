"""status: what runs and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from handlers.cards import progress_part, status_message
from handlers.context import Context
from handlers.group_status import group_parts
from handlers.joint import result_of
from handlers.message import Fields, Link, Message, Part, Text
from handlers.references import NamesRuns, named_runs
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.shortcuts import without_shortcuts
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

FEW = 10
"""Runs that are shown with a bar each."""


class StatusArgs(NamesRuns):
    """Runs by their ids (r12), or all that is running and waiting."""


async def handle(args: StatusArgs, context: Context) -> Reply:
    """Answer from the store and the runs' progress."""
    services, texts = context.services, context.texts
    if named := await named_runs(args, context):
        reply = await reply_on(named, context)
        # several that are named need not be all of what was asked for together, which their buttons would mean
        return reply if len(named) == 1 else replace(reply, message=without_shortcuts(reply.message))
    if context.thread_runs:
        return await reply_on(context.thread_runs, context)
    active = [state for state in RunState if state not in ENDED]
    runs = await asyncio.to_thread(services.store.runs, states=active, limit=50)
    workers = await services.workers()
    said = texts.count("status.workers", len(workers)) if workers else texts("status.no_workers")
    gpus = tuple((worker["name"], worker["gpus"]) for worker in workers if worker.get("gpus"))
    who: list[Part] = [Text(text=said), *([Fields(items=gpus)] if gpus else [])]
    if not runs:
        return Reply(Message(text=texts("status.none"), parts=tuple(who)))
    found = await services.progress_of([run.id for run in runs])
    runs.reverse()
    bars = [progress_part(run, found.get(run.id), texts) for run in runs]
    parts: Sequence[Part] = bars if len(runs) <= FEW else group_parts(runs, bars, texts)
    return Reply(Message(text=texts("status.running", count=len(runs)), parts=(*parts, *who)))


async def reply_on(runs: Sequence[Run], context: Context, shown: tuple[type, ...] = (Link,)) -> Reply:
    """Return the status of runs; of such as have ended their result, with only those parts that are `shown`."""
    services, texts = context.services, context.texts
    if all(run.state in ENDED for run in runs):
        result = await asyncio.to_thread(result_of, runs, services.store, texts, services.links)
        parts = tuple(part for part in result.parts if isinstance(part, shown))
        return Reply(result.model_copy(update={"parts": parts}))
    known = await services.progress_of([run.id for run in runs])
    waiting = any(run.state is RunState.WAITING for run in runs)
    places = await services.places() if waiting else {}
    return Reply(status_message(runs, known, texts, services.links, places))


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
            "how's it going",
            "how it is going",
            "how it's going",
            "queue",
            "queued",
            "anything running",
            "how much longer",
            "what is happening",
            "what's happening",
            "what's currently happening",
            "how are things going",
            "how are we doing",
            "what is going on",
            "what's going on",
            "what is still going",
            "currently running",
            "running right now",
            "running now",
            "in the queue",
            "in progress",
        ),
        zh=(
            "状态",
            "进度",
            "跑到哪",
            "跑到了哪",
            "任务在运行",
            "任务在进行",
            "任务正在",
            "在运行",
            "在排队",
            "还剩多少",
            "剩多少",
            "到哪一步",
            "到哪了",
            "在跑什么",
            "任务在跑",
            "还在跑",
            "跑得怎么样",
            "进展",
            "正在跑",
            "跑完了吗",
            "跑完没",
            "跑完了没",
            "完成没",
            "结束没",
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
