"""One message in, what is said to it out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from handlers.actions import press
from handlers.answers import answer_in_words, at, open_question
from handlers.changes import changed
from handlers.context import Context, Services
from handlers.forms import FORMS
from handlers.incoming import Incoming, Language, Request
from handlers.intents.admit import settle
from handlers.intents.change import merged, read_change
from handlers.intents.combine import combine
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.secrets import REDACTED, find_secrets, redact
from handlers.intents.slash import named_intent
from handlers.message import Form, Message
from handlers.open_requests import Asked, OpenRequest, OpenRequests, complete
from handlers.overheard import is_command, is_for_others, is_plain_answer
from handlers.perform import bug_reply, guarded, perform
from handlers.proposals import PICK
from handlers.questions import CHANGED, Questions
from handlers.registry import intents
from handlers.reply import Reply
from handlers.submit import not_taken
from handlers.texts import Texts
from handlers.typed import as_command, to_be_typed_again
from handlers.understand import understand
from jobs.models import Run
from jobs.store import Store

__all__ = ["bug_reply", "converse"]


async def converse(
    incoming: Incoming, services: Services, thread_run: int | None = None, *, was_refused: bool = False
) -> list[Reply]:
    """Return the replies to a message, a click, a form or an edit; a bug is told as one, by an id in the log.

    `thread_run` is the newest run of the conversation. `was_refused` says of an edited message that all it had been
    answered with was a refusal, or that it was not understood.
    """
    if incoming.button.startswith(PICK):
        return await Hearing(services, thread_run).take_pick(incoming)
    if incoming.button:
        return [await guarded(press(incoming, services), Texts(incoming.speaks))]
    heard = Hearing(services, thread_run)
    if incoming.kind != "said":
        return await changed(incoming, services, heard.hear, was_refused=was_refused)
    return await heard.hear(incoming)


@dataclass(frozen=True)
class Understood:
    """What a message asks for: `parsed` of `incoming`, which is completed and placed by what it answers."""

    incoming: Incoming
    parsed: Parsed
    language: Language


@dataclass(frozen=True)
class Hearing:
    """What is said in one conversation, whose newest run is `thread_run`."""

    services: Services
    thread_run: int | None

    async def take_pick(self, incoming: Incoming) -> list[Reply]:
        """Return the replies to a press that says a word, as an answer to what the person was asked."""
        said = incoming.model_copy(update={"button": "", "text": incoming.button.removeprefix(PICK)})
        asked = await asyncio.to_thread(OpenRequests(self.services.store.engine).of, said)
        return [not_taken("question.unknown", incoming.speaks)] if asked is None else await self.hear(said)

    async def hear(self, incoming: Incoming) -> list[Reply]:
        """Return the replies to what was said in words, or in a form."""
        replies: list[Reply] = []
        if incoming.request is None:
            if not incoming.addressed and (is_for_others(incoming.text) or find_secrets(incoming.text)):
                return []
            incoming, replies = _without_secrets(incoming)
            form = _form_of(incoming)
            if form is not None:
                return [form]
            answered = await answer_in_words(incoming, self.services)
            if answered is not None:
                return [*replies, *answered]
        together: tuple[Run, ...] = ()
        if self.thread_run is not None:
            together = await asyncio.to_thread(_asked_together, self.services.store, self.thread_run)
        understood = await self._understand(incoming, together)
        if understood is None:
            return []
        return [*replies, *await self._handle_each(understood, together, incoming)]

    async def _understand(self, incoming: Incoming, together: Sequence[Run]) -> Understood | None:
        """Return what a message asks for, by itself or as an answer; None where it was not meant for us."""
        vocabulary = await self.services.vocabulary()
        if incoming.request is not None:
            parsed = _form(incoming.request)
            text = redact(incoming.text or as_command(incoming.request))
            incoming = incoming.model_copy(update={"text": text})
            asked, completed = None, None
        else:
            thread = f"r{self.thread_run}" if self.thread_run is not None and not together else None
            parsed = understand(incoming.text, vocabulary, thread_run=thread)
            asked = await asyncio.to_thread(OpenRequests(self.services.store.engine).of, incoming)
            completed = None if asked is None else complete(parsed, asked.request, incoming.text, vocabulary)
            if completed is None:
                changed_request = await self._change(incoming, parsed, asked, together, vocabulary)
                if changed_request is not None:
                    return changed_request
            if completed is None and incoming.addressed and parsed.by == "grammar" and REDACTED not in incoming.text:
                last = await asyncio.to_thread(self._last_request, asked)
                parsed = combine(parsed, await self.services.classify(incoming.text, vocabulary, thread, last))
        if not incoming.addressed:
            answers = completed is not None and is_plain_answer(incoming.text, vocabulary)
            completed = completed if answers else None
            if not answers and not self._is_overheard(incoming.text, parsed, together, vocabulary):
                return None
        if asked is not None and (completed or parsed).intent != "none":
            await asyncio.to_thread(OpenRequests(self.services.store.engine).close, incoming)
        if asked is None or completed is None:
            return Understood(incoming, parsed, incoming.speaks)
        return _completed(incoming, asked, completed)

    async def _change(
        self, incoming: Incoming, parsed: Parsed, asked: Asked | None, together: Sequence[Run], vocabulary: Vocabulary
    ) -> Understood | None:
        """Return the request before with what a message changes of it; None for one that changes nothing.

        It is what a question is open about, or what lacks something, or (said to us) the conversation's run.
        """
        engine = self.services.store.engine
        question = await asyncio.to_thread(open_question, incoming, self.services.store)
        if question is not None and question.request is not None:
            args = _change_of(question.request.intent, parsed, incoming.text, vocabulary)
            taken = args is not None and await asyncio.to_thread(
                Questions(engine).answer, question.id, CHANGED, incoming.id
            )
            if args is None or not taken:
                return None
            before = question.request
            request = Parsed(intent=before.intent, args=merged(before.args, args), doubt=before.doubt)
            said = incoming.model_copy(update={"place": question.place, "text": f"{question.text}\n{incoming.text}"})
            return Understood(said, request, question.language)
        if asked is not None:
            args = _change_of(asked.request.intent, parsed, incoming.text, vocabulary)
            if args is None:
                return None
            await asyncio.to_thread(OpenRequests(engine).close, incoming)
            request = Parsed(intent=asked.request.intent, args=merged(asked.request.args, args))
            return _completed(incoming, asked, request)
        if self.thread_run is None or together or not incoming.addressed or parsed.intent != "none":
            return None
        args = _change_of("rerun", parsed, incoming.text, vocabulary)
        if args is None:
            return None
        request = Parsed(intent="rerun", args={"run": f"r{self.thread_run}", **args}, doubt="guessed")
        return Understood(incoming, request, incoming.speaks)

    def _last_request(self, asked: Asked | None) -> str:
        """Return what was asked for last in this conversation, in the person's words, without its secrets."""
        if asked is not None:
            return redact(asked.request.text)
        if self.thread_run is None:
            return ""
        store = self.services.store
        return redact(store.group(store.run(self.thread_run).group_id).text)

    def _is_overheard(self, text: str, parsed: Parsed, together: Sequence[Run], vocabulary: Vocabulary) -> bool:
        """Tell whether what was not said to us is a complete command all the same, about a run that is known."""
        named = {"run", "runs"} & parsed.args.keys()
        if not named and (self.thread_run is None or (together and parsed.intent in {"logs", "rerun"})):
            return False
        return is_command(text, parsed, vocabulary)

    async def _handle_each(self, understood: Understood, together: tuple[Run, ...], said: Incoming) -> list[Reply]:
        """Handle each request of a message; what one lacks stays open."""
        incoming, parsed = understood.incoming, understood.parsed
        replies = []
        for index, request in enumerate([parsed, *parsed.more]):
            # each request of a message is an effect of its own
            own = incoming if index == 0 else incoming.model_copy(update={"id": f"{incoming.id}#{index}"})
            context = Context(
                incoming=own, parsed=request, language=understood.language, services=self.services,
                thread_run=None if together else self.thread_run, thread_runs=together,
            )  # fmt: skip
            reply = await guarded(perform(request, context), context.texts)
            if reply.missing and own.alone:
                reply = to_be_typed_again(reply, context)
            elif reply.missing:
                left = OpenRequest(
                    intent=request.intent, args=request.args, missing=reply.missing, instead_of=reply.instead_of,
                    language=understood.language, text=own.text,
                )  # fmt: skip
                await asyncio.to_thread(OpenRequests(self.services.store.engine).keep, own, left)
            replies.append(at(reply, incoming.place, said))
        return replies


def _without_secrets(incoming: Incoming) -> tuple[Incoming, list[Reply]]:
    """Return a message without its secrets, and the warning about them."""
    kinds = find_secrets(incoming.text)
    if not kinds:
        return incoming, []
    warning = Texts(incoming.speaks)("secret.seen", kinds=", ".join(dict.fromkeys(kinds)))
    return incoming.model_copy(update={"text": redact(incoming.text)}), [Reply(Message(text=warning))]


def _completed(incoming: Incoming, asked: Asked, completed: Parsed) -> Understood:
    """Return an open request with what a message adds to it; it belongs where it was asked for."""
    text = f"{asked.request.text}\n{incoming.text}"
    language = asked.request.language if incoming.speaks == "en" else incoming.speaks
    return Understood(incoming.model_copy(update={"text": text, "place": asked.place}), completed, language)


def _form_of(incoming: Incoming) -> Reply | None:
    """Return the form of a command that says nothing more, for who can fill one in where they are."""
    intent = named_intent(incoming.text) if incoming.fills_forms and incoming.addressed else None
    if intent not in FORMS:
        return None
    return Reply(Message(text=Texts(incoming.speaks)(f"forms.title.{intent}"), parts=(Form(intent=intent),)))


def _asked_together(store: Store, run_id: int) -> tuple[Run, ...]:
    """Return the runs of the request that a run belongs to, none where it is the only one."""
    runs = store.group_runs(store.run(run_id).group_id)
    return tuple(runs) if len(runs) > 1 else ()


def _change_of(intent: str, parsed: Parsed, text: str, vocabulary: Vocabulary) -> dict[str, JsonValue] | None:
    """Return what a message changes of a request; None for one that is a request of its own."""
    known = intents().get(intent)
    own = parsed.intent != "none" and not (parsed.intent == intent and parsed.missing)
    if known is None or own or parsed.question is not None or parsed.by != "grammar":
        return None
    return read_change(known, text, vocabulary)


def _form(request: Request) -> Parsed:
    """Return what a form asks for; its values are held to the same rules as what is written."""
    intent = intents().get(request.intent)
    return Parsed(intent="none") if intent is None else settle(intent, request.args)
