"""How people name a run, and what is said where they name none of several."""

from __future__ import annotations

from handlers.context import Context
from handlers.figures import run_names
from handlers.message import Message
from handlers.reply import Reply
from jobs.errors import UnknownRun


def run_number(said: str) -> int:
    """Return the number in a run's id; raises `UnknownRun` for what is no run id."""
    digits = said.strip().lower().removeprefix("r")
    if not digits.isdecimal() or len(digits) > 9:
        raise UnknownRun(run=said)
    return int(digits)


def which_run(context: Context, verb: str) -> Reply:
    """Return the question which run is meant, as in `rerun r12`; where the conversation has none, that it has none."""
    texts, runs = context.texts, context.thread_runs
    if not runs:
        return Reply(Message(text=texts("ask.which_run", verb=verb)), waits=True, missing="run")
    question = texts("group.which", runs=run_names(runs), example=f"{verb} {runs[0].name}")
    return Reply(Message(text=question), waits=True, missing="run")
