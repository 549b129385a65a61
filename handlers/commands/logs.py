"""logs: the end of a run's log."""

from __future__ import annotations

import asyncio
import re

from handlers.context import Context
from handlers.figures import date_text
from handlers.intents.secrets import redact
from handlers.message import Link, Log, Message
from handlers.references import NamesRun, run_number, which_run
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.verdicts import has_closed

LINES = 40
"""Lines shown in a chat; the run page has more."""
_DRAWN = re.compile(r"[\s\u2500-\u259f=_+|*-]*")
"""A line that is empty, or drawn: the frame of a table."""


class LogsArgs(NamesRun):
    """The `run` whose log is wanted; without it, the newest one here."""


async def handle(args: LogsArgs, context: Context) -> Reply:
    """Answer from the artifact store."""
    services, texts = context.services, context.texts
    if args.run is None and context.thread_runs:
        return which_run(context, INTENT.name)
    number = run_number(args.run) if args.run is not None else context.thread_run
    if number is None:
        newest = await asyncio.to_thread(services.store.runs, limit=1)
        number = newest[0].id if newest else None
    if number is None:
        return Reply(Message(text=texts("logs.no_run")))
    run = await asyncio.to_thread(services.store.run, number)
    tail = await services.log_tail(run.id)
    page = Link(label=texts("result.page"), url=services.links.run_url(run.id))
    if run.files_gone_at is not None:
        date = date_text(run.files_gone_at, context.timezone)
        return Reply(Message(text=texts("logs.files_gone", run=run.name, date=date), parts=(page,)))
    if has_closed(run):
        return Reply(Message(text=texts("logs.closed", run=run.name), parts=(page,)))  # it may hold samples
    said = [line for line in redact(tail).splitlines() if not _DRAWN.fullmatch(line)]
    if not said:
        return Reply(Message(text=texts("logs.none", run=run.name), parts=(page,)))
    log = Log(title="", text="\n".join(said[-LINES:]))
    return Reply(Message(text=texts("logs.title", run=run.name), parts=(log, page)))


INTENT = Intent(
    name="logs",
    args=LogsArgs,
    handle=handle,
    slash=("/logs", "/日志"),
    words=Words(en=("logs", "log", "show the log", "output of", "stdout", "stderr"), zh=("日志", "输出", "log")),
    positional=("run",),
    examples={"en": ("logs of r12",), "zh": ("r12 的日志",)},
)
