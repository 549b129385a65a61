"""One message in, what is said to it out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Mapping

import structlog
from pydantic import ValidationError

from handlers.context import Context, Services
from handlers.incoming import Incoming, language_of
from handlers.intents.flags import COMMANDS
from handlers.intents.parsed import Parsed
from handlers.intents.secrets import find_secrets, redact
from handlers.message import Message
from handlers.open_requests import OpenRequest, OpenRequests, complete
from handlers.paused import decide, is_decision
from handlers.policy import invalid
from handlers.registry import intents
from handlers.reply import Reply
from handlers.submit import answer
from handlers.texts import Texts
from handlers.understand import understand
from jobs.errors import ScopebotError, UnknownBenchmark, UnknownModel
from jobs.models import Run
from jobs.outages import is_outage
from jobs.store import Store

log = structlog.get_logger(__name__)

NOT_YET = "refused.not_yet"
_ASKED_BY: Mapping[type[ScopebotError], str] = {UnknownModel: "model", UnknownBenchmark: "datasets"}
"""Errors that a better name answers."""


async def converse(incoming: Incoming, services: Services, thread_run: int | None = None) -> list[Reply]:
    """Return the replies to a message or a click; a bug is told as one, with an id that the log has too."""
    if incoming.button:
        pressed = decide if is_decision(incoming.button) else answer
        return [await _guarded(pressed(incoming, services), Texts("en"))]
    language = language_of(incoming.text)
    texts = Texts(language)
    replies = []
    kinds = find_secrets(incoming.text)
    if kinds:
        replies.append(Reply(Message(text=texts("secret.seen", kinds=", ".join(dict.fromkeys(kinds))))))
        incoming = incoming.model_copy(update={"text": redact(incoming.text)})
    vocabulary = await services.vocabulary()
    together = () if thread_run is None else await asyncio.to_thread(_asked_together, services.store, thread_run)
    if together:
        thread_run = None
    parsed = understand(incoming.text, vocabulary, thread_run=f"r{thread_run}" if thread_run is not None else None)
    open_requests = OpenRequests(services.store.engine)
    asked = await asyncio.to_thread(open_requests.of, incoming)
    answered = None if asked is None else complete(parsed, asked, incoming.text, vocabulary)
    if asked is not None and answered is not None:
        parsed, language = answered, asked.language if language == "en" else language
        incoming = incoming.model_copy(update={"text": f"{asked.text}\n{incoming.text}"})
        texts = Texts(language)
    if asked is not None and parsed.intent != "none":
        await asyncio.to_thread(open_requests.close, incoming)
    for index, request in enumerate([parsed, *parsed.more]):
        # each request of a message is an effect of its own
        own = incoming if index == 0 else incoming.model_copy(update={"id": f"{incoming.id}#{index}"})
        context = Context(
            incoming=own, parsed=request, language=language, services=services, thread_run=thread_run,
            thread_runs=together,
        )  # fmt: skip
        reply = await _guarded(_handle(request, context), texts)
        if reply.missing:
            left = OpenRequest(
                intent=request.intent, args=request.args, missing=reply.missing, instead_of=reply.instead_of,
                language=language, text=own.text,
            )  # fmt: skip
            await asyncio.to_thread(open_requests.keep, own, left)
        replies.append(reply)
    return replies


def _asked_together(store: Store, run_id: int) -> tuple[Run, ...]:
    """Return the runs of the request that a run belongs to, none where it is the only one."""
    runs = store.group_runs(store.run(run_id).group_id)
    return tuple(runs) if len(runs) > 1 else ()


async def _handle(parsed: Parsed, context: Context) -> Reply:
    intent = intents().get(parsed.intent)
    if intent is None:
        return _not_understood(parsed, context.texts)
    try:
        args = intent.args.model_validate(parsed.args)
    except ValidationError as error:
        raise invalid(error) from error
    return await intent.handle(args, context)


def _not_understood(parsed: Parsed, texts: Texts) -> Reply:
    unknown = next((refused for refused in parsed.refused if refused.reason == "refused.unknown_command"), None)
    if unknown is not None:
        return Reply(Message(text=texts(unknown.reason, name=unknown.name, known=", ".join(COMMANDS))), refused=True)
    not_yet = next((refused for refused in parsed.refused if refused.reason == NOT_YET), None)
    if not_yet is not None and parsed.question is None:
        return Reply(Message(text=texts("none.not_yet", name=not_yet.name)), refused=True)
    return Reply(Message(text=texts(parsed.question or "none.sorry")), refused=True)


async def _guarded(reply: Awaitable[Reply], texts: Texts) -> Reply:
    """Await a reply; what a person can act on is told in their language, anything else by an id."""
    try:
        return await reply
    except ScopebotError as error:
        missing = _ASKED_BY.get(type(error), "")
        name = str(error.params.get("name", "")) if missing else ""
        return Reply(Message(text=texts.error(error)), refused=True, missing=missing, instead_of=name)
    except Exception as error:
        if is_outage(error):
            raise  # the message is handled again when what is away is back
        bug = secrets.token_hex(4)
        log.exception("bug while answering", bug=bug)
        return bug_reply(texts, bug)


def bug_reply(texts: Texts, bug: str, text: str = "bug") -> Reply:
    """Return what is said where something failed that no person can mend; the log has the same id."""
    return Reply(Message(text=texts(text, id=bug)), refused=True)
