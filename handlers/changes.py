"""Messages that people edit or delete: what has not begun follows them, what has goes on as first asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from handlers.answers import chosen
from handlers.context import Services
from handlers.figures import run_names
from handlers.incoming import Incoming, Language
from handlers.intents.clean import clean
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.secrets import find_secrets, redact
from handlers.message import Message
from handlers.open_requests import Asked, OpenRequests, complete
from handlers.questions import CHANGED, Question, Questions
from handlers.reply import Reply
from handlers.sources import edit_of, group_of, groups_of, is_led_to
from handlers.texts import Texts
from handlers.understand import understand
from jobs.lifecycle import ENDED, RunState
from jobs.models import Group, Run
from jobs.store import Store

Hear = Callable[[Incoming], Awaitable[list[Reply]]]
DOES = frozenset({"eval", "perf", "rerun", "resume", "cancel", "headlines", "defaults", "save", "forget"})
"""Intents that change something; the others only tell, which an edit need not repeat."""


@dataclass(frozen=True)
class Effects:
    """What a message and its edits led to."""

    groups: tuple[tuple[Group, tuple[Run, ...]], ...]
    questions: tuple[Question, ...]
    """Those that it was asked."""
    requests: tuple[Asked, ...]
    """Those of it that lacked something."""
    answered: Question | None
    """The question that it answered."""
    completed: tuple[Asked, ...]
    """The requests that it completed."""

    @property
    def runs(self) -> list[Run]:
        """All runs that it started."""
        return [run for _, runs in self.groups for run in runs]

    @property
    def any(self) -> bool:
        """Whether it led to anything that is kept."""
        return bool(self.groups or self.questions or self.requests or self.answered or self.completed)

    @property
    def text(self) -> str | None:
        """What it said when it last led to something; None where it is not known."""
        said = [(group.created_at, group.text) for group, _ in self.groups]
        said += [(question.asked_at, question.text) for question in self.questions]
        said += [(asked.asked_at, asked.request.text) for asked in self.requests]
        text = max(said)[1] if said else None
        for asked in self.completed:
            if text is not None:
                text = text.removeprefix(f"{asked.request.text}\n")
        return text

    @property
    def language(self) -> Language:
        """The language it was answered in."""
        said: list[Language] = [group.language for group, _ in self.groups]
        said += [question.language for question in self.questions]
        return said[-1] if said else "en"


async def changed(incoming: Incoming, services: Services, hear: Hear, *, was_refused: bool) -> list[Reply]:
    """Return what is said to an edit or a deletion of the message `incoming.about`."""
    own = edit_of(incoming.about, incoming.id)
    effects = await asyncio.to_thread(effects_of, services.store, incoming.about, own)
    if incoming.kind == "deleted":
        return await _deleted(incoming, effects, services)
    vocabulary = await services.vocabulary()
    anew = incoming.model_copy(update={"kind": "said", "about": "", "id": own})
    if not effects.any:
        asks = understand(redact(incoming.text), vocabulary).intent in DOES or bool(find_secrets(incoming.text))
        matters = incoming.newly_addressed or was_refused or asks
        return await hear(anew) if incoming.text and matters else []
    taken = effects.answered is not None and is_led_to(effects.answered.answered_by, own)
    if not taken and _says_the_same(effects, redact(incoming.text), vocabulary):
        return []
    texts = Texts(incoming.speaks)
    if begun := [run for run in effects.runs if has_begun(run)]:
        going = [run for run in begun if run.state not in ENDED]
        said = "edited.goes_on" if going else "edited.ended"
        named = going or begun
        return [Reply(Message(text=texts.count(said, len(named), runs=run_names(named), run=named[0].name)))]
    await _withdraw(effects, incoming, services)
    if effects.answered is not None:
        await asyncio.to_thread(Questions(services.store.engine).reopen, effects.answered.id)
    completed = [asked.id for asked in effects.completed]
    await asyncio.to_thread(OpenRequests(services.store.engine).reopen, completed)
    replies = await hear(anew) if incoming.text else []
    if not effects.groups:
        return replies
    newest = effects.groups[-1][1]  # those of the others had been withdrawn by an earlier edit
    said = texts("edited.withdrawn" if replies else "edited.taken_back", runs=run_names(newest))
    return [Reply(Message(text=said)), *replies]


def effects_of(store: Store, source: str, own: str) -> Effects:
    """Return what a message led to, but for its edit `own`, which may be handled again. It reads the database."""
    questions, requests = Questions(store.engine), OpenRequests(store.engine)
    asked = [question for question in questions.of_message(source) if not is_led_to(question.source, own)]
    left = [request for request in requests.of_message(source) if not is_led_to(request.source, own)]
    found = {group: None for group in groups_of(store, source) if not is_led_to(store.group(group).source, own)}
    for question in asked:  # what an answer started, it was asked for by this message
        if question.answered_by is not None and (group := group_of(store, question.answered_by)) is not None:
            found[group] = None
    for open_request in left:
        if open_request.answered_by is None:
            continue
        group = group_of(store, open_request.answered_by)
        if group is not None and store.group(group).text.startswith(f"{open_request.request.text}\n"):
            found[group] = None
    groups = tuple((store.group(group), tuple(store.group_runs(group))) for group in sorted(found))
    texts = [group.text for group, _ in groups] + [q.text for q in asked] + [request.request.text for request in left]
    completed = [
        request
        for request in requests.answered_by(source)
        if request not in left and any(text.startswith(f"{request.request.text}\n") for text in texts)
    ]
    return Effects(groups, tuple(asked), tuple(left), questions.answered_by(source), tuple(completed))


def has_begun(run: Run) -> bool:
    """Tell whether a run is past the point where it could be taken back."""
    if run.started_at is not None or run.state in {RunState.RUNNING, RunState.PAUSED}:
        return True
    return run.state in {RunState.SUCCEEDED, RunState.FAILED}


async def _deleted(incoming: Incoming, effects: Effects, services: Services) -> list[Reply]:
    """Take back what has not begun; tell of what goes on."""
    await _withdraw(effects, incoming, services)
    if effects.answered is not None and effects.answered.answer == CHANGED:  # what it changed is as it was
        await asyncio.to_thread(Questions(services.store.engine).reopen, effects.answered.id)
    going = [run for run in effects.runs if has_begun(run) and run.state not in ENDED and not run.cancel_asked]
    if not going:
        return []
    texts = Texts(effects.language)
    text = texts.count("deleted.goes_on", len(going), runs=run_names(going), run=going[0].name)
    return [Reply(Message(text=text))]


async def _withdraw(effects: Effects, incoming: Incoming, services: Services) -> None:
    """Close what the message left open, and cancel its runs that have not begun."""
    engine = services.store.engine
    open_requests = [asked.id for asked in effects.requests]
    await asyncio.to_thread(OpenRequests(engine).withdraw, open_requests, incoming.id)
    await asyncio.to_thread(Questions(engine).withdraw, [question.id for question in effects.questions], incoming.id)
    for run in effects.runs:
        if not has_begun(run) and run.state not in ENDED:
            await services.cancel(run)


def _says_the_same(effects: Effects, text: str, vocabulary: Vocabulary) -> bool:
    """Tell whether an edited message asks for what it asked for before."""
    if effects.answered is not None:
        option = chosen(text, effects.answered)
        return option is not None and option.id == effects.answered.answer
    before = effects.text
    if before is None:
        return False
    if clean(before) == clean(text):
        return True
    then, now = (_read(said, effects, vocabulary) for said in (before, text))
    return then is not None and then.intent != "none" and now is not None and _asks(then) == _asks(now)


def _read(text: str, effects: Effects, vocabulary: Vocabulary) -> Parsed | None:
    """Return what a text asks for; of one that completed a request, that request completed by it."""
    parsed = understand(text, vocabulary)
    return complete(parsed, effects.completed[-1].request, text, vocabulary) if effects.completed else parsed


def _asks(parsed: Parsed) -> Sequence[object]:
    return [(request.intent, request.args, request.refused) for request in (parsed, *parsed.more)]
