"""Which run a description means: the newest that fits it, of the person's own where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from handlers.context import Context
from handlers.intents.parsed import Parsed
from handlers.intents.run_words import LAST
from handlers.references import RunFilter
from jobs.errors import NoSuchRun
from jobs.lifecycle import ENDED
from jobs.models import Run

MOST_LOOKED_AT = 500
"""Runs among which one is looked for, newest first."""
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


async def with_its_run(parsed: Parsed, context: Context) -> Parsed:
    """Return a request about a run that is described with that run's name. Raises `NoSuchRun`."""
    which = parsed.args.get("which")
    if which is None and parsed.args.get("run") != LAST:
        return parsed
    wanted = RunFilter.model_validate(which or {})
    run = await _find(wanted, context, going=parsed.intent == "cancel")
    if run is None:
        raise NoSuchRun(what=_told(wanted))
    rest: dict[str, Any] = {name: value for name, value in parsed.args.items() if name != "which"}
    return parsed.model_copy(update={"args": {**rest, "run": run.name}})


async def _find(wanted: RunFilter, context: Context, *, going: bool) -> Run | None:
    """Return the newest run that fits, of this conversation, else of the person's own, else of anybody's."""
    store = context.services.store
    runs = await asyncio.to_thread(
        store.runs, model=wanted.model, datasets=list(wanted.datasets or ()), limit=MOST_LOOKED_AT
    )
    if wanted.day is not None:
        day, zone = day_of(wanted.day, context.timezone), context.timezone
        runs = [run for run in runs if run.created_at.astimezone(zone).date() == day]
    if going:
        runs = [run for run in runs if run.state not in ENDED] or runs
    here = {run.id for run in context.thread_runs} | {context.thread_run}
    own = [run for run in runs if run.user == context.incoming.user]
    among: Sequence[Sequence[Run]] = ([run for run in runs if run.id in here], own, () if wanted.mine else runs)
    return next((found[0] for found in among if found), None)


def day_of(said: str, zone: tzinfo, now: datetime | None = None) -> date:
    """Return the day that a word means in a zone; a weekday is the last one that was."""
    today = (now or datetime.now(zone)).astimezone(zone).date()
    back = {"today": 0, "yesterday": 1, "before_yesterday": 2}.get(said)
    if back is None:
        back = (today.weekday() - _WEEKDAYS.index(said)) % 7 or 7
    return today - timedelta(days=back)


def _told(wanted: RunFilter) -> str:
    """Return the facts that a run was looked for by."""
    said = [wanted.model or "", *(wanted.datasets or ()), wanted.day or ""]
    return ", ".join(fact for fact in said if fact)
