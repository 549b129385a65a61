"""A run whose first answers could not be read: what is asked about it, and the press that decides."""

from __future__ import annotations

import asyncio
import contextlib
import re

from handlers.context import Links, Services
from handlers.incoming import Incoming, Place
from handlers.message import Button, Buttons, Link, Message, Part
from handlers.presses import Presses
from handlers.reply import Reply
from handlers.submit import not_taken
from handlers.texts import Texts
from handlers.verdicts import verdicts_part
from jobs.errors import UnknownRun
from jobs.lifecycle import ENDED, IllegalMove, RunState
from jobs.models import Group, Progress, Run

GO_ON, STOP = "go_on", "stop"
_BUTTON = re.compile(rf"r(\d{{1,9}})-a(\d{{1,6}}):({GO_ON}|{STOP})")


def button_id(run: Run, decision: str) -> str:
    """Return the id of a decision's button; the attempt is in it, so that an old question decides nothing."""
    return f"{run.name}-a{run.attempt}:{decision}"


def is_decision(button: str) -> bool:
    """Tell whether a press decides about a paused run."""
    return _BUTTON.fullmatch(button) is not None


def is_at(group: Group, place: Place) -> bool:
    """Tell whether a group is reported in this place."""
    return (group.platform, group.channel, group.thread) == (place.platform, place.channel, place.thread)


def paused_message(run: Run, progress: Progress | None, texts: Texts, links: Links) -> Message:
    """Return the question whether a run goes on, with the answers that could not be read."""
    parts: list[Part] = list(verdicts_part(run, progress, texts, links))
    parts.append(Link(label=texts("result.page"), url=links.run_url(run.id)))
    choices = (
        Button(id=button_id(run, GO_ON), label=texts("button.go_on"), primary=True),
        Button(id=button_id(run, STOP), label=texts("button.stop")),
    )
    parts.append(Buttons(items=choices))
    return Message(text=texts("paused.ask", run=run.name, model=run.spec.model.name), parts=tuple(parts))


async def decide(incoming: Incoming, services: Services) -> Reply:
    """Take the press of Go on or Stop: only of who asked for the run, and only while it waits for it."""
    found = _BUTTON.fullmatch(incoming.button)
    assert found is not None
    try:
        run = await asyncio.to_thread(services.store.run, int(found[1]))
    except UnknownRun:
        return not_taken("question.unknown", incoming.speaks)
    group = await asyncio.to_thread(services.store.group, run.group_id)
    texts = Texts(group.language)
    if not is_at(group, incoming.place):
        return not_taken("question.unknown", incoming.speaks)
    if run.user != incoming.user:
        return not_taken("question.not_yours", group.language)
    paused = run.state is RunState.PAUSED and run.attempt == int(found[2])
    # a press that is handled again after a crash has had its effect; wherever it is said, a decision is made once
    anywhere = incoming.model_copy(update={"post": ""})
    first = await asyncio.to_thread(Presses(services.store.engine).claim, anywhere)
    if found[3] == STOP and (paused or (first and run.state is RunState.CANCELLED)):
        stopped = await services.cancel(run)
        return Reply(Message(text=texts("cancel.done", runs=stopped.name)))
    if found[3] == GO_ON and (paused or (first and run.state not in ENDED)):
        return await go_on(run, services, texts)
    return not_taken("question.answered", group.language)


async def go_on(run: Run, services: Services, texts: Texts) -> Reply:
    """Let a paused run wait for a worker again."""
    with contextlib.suppress(IllegalMove):  # it goes on already
        await services.submit([await asyncio.to_thread(services.store.go_on, run.id)])
    return Reply(Message(text=texts("paused.goes_on", run=run.name)))
