"""From planned runs to runs that wait for a worker, directly or after a question was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from handlers.cards import status_message
from handlers.context import Context, Services
from handlers.incoming import Incoming, Language
from handlers.message import Button, Buttons, Message, Text
from handlers.policy import may_stop
from handlers.questions import CANCEL, CHANGED, WITHDRAWN, Asking, Option, Questions
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.lifecycle import ENDED
from jobs.models import EvalSpec, Spec
from jobs.store import Store

FEW_SAMPLES = 5
"""A run of no more than these is over before anybody could have stopped it."""


@dataclass(frozen=True)
class Choice:
    """One answer a person can give: a button's label and the runs it starts."""

    id: str
    label: str
    specs: tuple[Spec, ...]
    replaces: str = ""
    """A run that is cancelled when these start."""


async def submit(context: Context, specs: Sequence[Spec], notes: Sequence[str] = ()) -> Reply:
    """Record the runs and send them to the workers; the reply is their status message."""
    incoming = context.incoming
    return await start(context.services, incoming, specs, language=context.language, text=incoming.text, notes=notes)


async def start(
    services: Services,
    incoming: Incoming,
    specs: Sequence[Spec],
    *,
    language: Language,
    text: str,
    notes: Sequence[str] = (),
) -> Reply:
    """Record a group of runs asked for by `text`, keyed by the incoming message, and send it to the workers."""
    texts = Texts(language)
    place = incoming.place
    specs = await asyncio.to_thread(with_first_looks, specs, services.store)
    group, runs = await asyncio.to_thread(
        services.store.add_group,
        source=incoming.id, platform=place.platform, channel=place.channel, thread=place.thread,
        user=incoming.user, language=language, text=text, specs=specs,
    )  # fmt: skip
    await services.submit(runs)
    message = status_message(runs, {}, texts, services.links)
    extra = list(notes)
    if not await services.workers():
        extra.append(texts("eval.worker_starting" if services.workers_starting() else "eval.no_worker"))
    parts = (*message.parts, *(Text(text=note) for note in extra))
    return Reply(message.model_copy(update={"parts": parts}), group=group.id)


def with_first_looks(specs: Sequence[Spec], store: Store) -> list[Spec]:
    """Have each run show its first verdicts of benchmarks that its model has no score of yet."""
    looked: list[Spec] = []
    for spec in specs:
        if isinstance(spec, EvalSpec):
            known = store.evaluated(spec.model.name, spec.covers)
            new = tuple(name for name in spec.covers if name not in known)
            few = spec.total is not None and spec.total <= FEW_SAMPLES
            asks = bool(new) and not few and spec.model.eval_type != "mock_llm" and spec.resumes is None
            looked.append(spec.model_copy(update={"first_look": new, "pause_if_unreadable": asks}))
        else:
            looked.append(spec)
    return looked


async def ask(context: Context, question: str, choices: Sequence[Choice]) -> Reply:
    """Ask, with what was planned frozen beside the question; the first choice is the primary one."""
    options = [
        Option(id=choice.id, label=choice.label, specs=choice.specs, replaces=choice.replaces) for choice in choices
    ]
    options.append(Option(id=CANCEL, label=context.texts("button.cancel")))
    questions = Questions(context.services.store.engine)
    asked = await asyncio.to_thread(questions.ask, context.incoming, context.language, options, _asking(context))
    buttons = tuple(
        Button(id=f"q{asked.id}:{option.id}", label=option.label, primary=index == 0)
        for index, option in enumerate(options)
    )
    return Reply(Message(text=question, parts=(Buttons(items=buttons),)), waits=True)


def _asking(context: Context) -> Asking:
    """Return the request that is asked about, with the run that it takes from its conversation."""
    args = dict(context.parsed.args)
    if context.parsed.intent == "rerun" and context.thread_run is not None:
        args.setdefault("run", f"r{context.thread_run}")
    return Asking(intent=context.parsed.intent, args=args, doubt=context.parsed.doubt)


async def answer(incoming: Incoming, services: Services) -> Reply:
    """Take the press of a question's button: checked against who was asked, taken once."""
    question_id, _, option_id = incoming.button.removeprefix("q").partition(":")
    questions = Questions(services.store.engine)
    number = int(question_id) if question_id.isdecimal() and len(question_id) < 10 else 0
    question = await asyncio.to_thread(questions.get, number)
    option = None if question is None else next((o for o in question.options if o.id == option_id), None)
    if question is None or option is None or question.place != incoming.place:
        return not_taken("question.unknown", incoming.speaks)
    if question.user != incoming.user:
        return not_taken("question.not_yours", question.language)
    if not await asyncio.to_thread(questions.answer, number, option_id, incoming.id):
        why = {WITHDRAWN: "question.withdrawn", CHANGED: "question.changed"}.get(question.answer or "")
        return not_taken(why or "question.answered", question.language)
    if not option.specs:
        return Reply(Message(text=Texts(question.language)("question.cancelled")), refused=True)
    reply = await start(services, incoming, option.specs, language=question.language, text=question.text)
    if option.replaces:
        await _cancel_replaced(option.replaces, incoming, services)
    return reply


async def _cancel_replaced(name: str, incoming: Incoming, services: Services) -> None:
    """Cancel the run that another one was started instead of, where it goes on and is the person's to stop."""
    run = await asyncio.to_thread(services.store.run, int(name.removeprefix("r")))
    if run.state not in ENDED and may_stop(run, incoming, services.config):
        await services.cancel(run)


def not_taken(text: str, language: Language) -> Reply:
    """Return what is said to the person alone whose press does nothing."""
    return Reply(Message(text=Texts(language)(text)), refused=True, private=True)
