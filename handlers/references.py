"""How people name a run, and what is said where they name none of several."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from handlers.context import Context
from handlers.figures import run_names
from handlers.message import Message
from handlers.registry import MOST_RUNS, Args
from handlers.reply import Reply
from jobs.errors import InvalidValue, UnknownRun
from jobs.models import Run


class RunFilter(BaseModel):
    """A run by what it is: `mine`, of a model, on data sets, of a `day` (today, yesterday, monday)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mine: bool = False
    model: str | None = None
    datasets: tuple[str, ...] | None = None
    day: Literal[
        "today", "yesterday", "before_yesterday",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    ] | None = None  # fmt: skip


class NamesRun(Args):
    """A request about a run: by its id (r12), as the "last" one, or by what it is (`which`).

    A handler gets it by its id alone.
    """

    run: str | None = None
    which: RunFilter | None = None


class NamesRuns(NamesRun):
    """A request about one `run`, or about several `runs`."""

    runs: tuple[str, ...] | None = Field(None, max_length=MOST_RUNS)


def run_number(said: str) -> int:
    """Return the number in a run's id; raises `UnknownRun` for what is no run id."""
    digits = said.strip().lower().removeprefix("r")
    if not digits.isdecimal() or len(digits) > 9:
        raise UnknownRun(run=said)
    return int(digits)


async def named_runs(args: NamesRuns, context: Context) -> list[Run]:
    """Return the runs a request names, none where it names none.

    Raises `UnknownRun` where one of them is not there, `InvalidValue` where they were too many to be taken.
    """
    if any(refused.name == "runs" for refused in context.parsed.refused):
        raise InvalidValue(field="runs", value=f"> {MOST_RUNS}", reason="range")
    store = context.services.store
    said = args.runs or (() if args.run is None else (args.run,))
    numbers = dict.fromkeys(run_number(name) for name in said)
    return [await asyncio.to_thread(store.run, number) for number in numbers]


def which_run(context: Context, verb: str) -> Reply:
    """Return the question which run is meant, as in `rerun r12`; where the conversation has none, that it has none."""
    texts, runs = context.texts, context.thread_runs
    if not runs:
        verb = context.incoming.text if context.incoming.alone else verb
        return Reply(Message(text=texts("ask.which_run", verb=verb)), waits=True, missing="run")
    question = texts("group.which", runs=run_names(runs), example=f"{verb} {runs[0].name}")
    return Reply(Message(text=question), waits=True, missing="run")
