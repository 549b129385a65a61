"""Buttons under what is said of runs, for what could be said in words as well. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from handlers.message import Button, Buttons, Message, Part
from handlers.registry import intents
from handlers.texts import Texts
from jobs.lifecycle import ENDED, RunState
from jobs.models import EvalSpec, Run

INTENT_OF: Mapping[str, str] = {
    "cancel": "cancel",
    "logs": "logs",
    "rerun": "rerun",
    "full": "rerun",
    "resume": "resume",
    "cli": "results",
}
"""What a button does → the intent that does it."""
_ID = re.compile(rf"do:({'|'.join(INTENT_OF)}):([rg])(\d{{1,9}})")


@dataclass(frozen=True)
class Shortcut:
    """What a press asks for: an action on a run, or on all runs of a request (`group`)."""

    action: str
    number: int
    group: bool


def read_shortcut(button: str) -> Shortcut | None:
    """Return what a button's id says; None where it is none of these buttons."""
    found = _ID.fullmatch(button)
    return None if found is None else Shortcut(found[1], int(found[3]), group=found[2] == "g")


def running_shortcuts(runs: Sequence[Run], texts: Texts) -> list[Part]:
    """Return the buttons under a request that goes on: end it; and of a single run its log."""
    going = [run for run in runs if run.state not in ENDED]
    actions = ["cancel"] if any(not run.cancel_asked for run in going) else []
    if going and len(runs) == 1:
        actions.append("logs")
    return _buttons(actions, runs, texts)


def ended_shortcuts(runs: Sequence[Run], texts: Texts, gone_on: Collection[int] = ()) -> list[Part]:
    """Return the buttons under a result; `gone_on` are the runs that another one goes on from already."""
    actions: list[str] = []
    unfinished = {RunState.FAILED, RunState.CANCELLED}
    if len(runs) == 1:
        actions += ["rerun", *(["full"] if is_part(runs[0]) else [])]
    if any(run.state in unfinished and run.files_gone_at is None and run.id not in gone_on for run in runs):
        actions.append("resume")
    if len(runs) == 1 and runs[0].result is not None and runs[0].result.reproduce is not None:
        actions.append("cli")
    return _buttons(actions, runs, texts)


def is_part(run: Run) -> bool:
    """Tell whether a limit kept a run from the whole of its benchmarks."""
    spec = run.spec
    if not isinstance(spec, EvalSpec) or spec.limit is None:
        return False
    whole = spec.model_copy(update={"limit": None}).total
    return whole is None or spec.total != whole


def without_shortcuts(message: Message) -> Message:
    """Return a message without these buttons."""
    parts = tuple(part for part in message.parts if not (isinstance(part, Buttons) and part.shortcuts))
    return message.model_copy(update={"parts": parts})


def _buttons(actions: Sequence[str], runs: Sequence[Run], texts: Texts) -> list[Part]:
    target = runs[0].name if len(runs) == 1 else f"g{runs[0].group_id}"
    items = tuple(
        Button(id=f"do:{action}:{target}", label=texts(f"button.do.{action}"))
        for action in actions
        if INTENT_OF[action] in intents()
    )
    return [Buttons(items=items, shortcuts=True)] if items else []
