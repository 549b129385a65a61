"""One request → its intent's handler, and what is said where it cannot be done."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping

import structlog
from pydantic import ValidationError

from handlers.context import Context
from handlers.described import with_its_run
from handlers.intents.flags import COMMANDS
from handlers.intents.parsed import Parsed
from handlers.message import Message
from handlers.policy import invalid
from handlers.proposals import picks
from handlers.readings import to_be_confirmed
from handlers.registry import understood
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.errors import NotAllowed, ScopebotError, UnknownBenchmark, UnknownModel
from jobs.outages import is_outage

log = structlog.get_logger(__name__)

_ASKED_BY: Mapping[type[ScopebotError], tuple[str, str]] = {
    UnknownModel: ("model", "models"), UnknownBenchmark: ("datasets", "nearest"),
}  # fmt: skip
"""Errors that a better name answers: what it is the name of, and the fact that has those that are near."""


async def perform(parsed: Parsed, context: Context) -> Reply:
    """Have a request handled by its intent; raises what `guarded` tells."""
    intent = understood().get(parsed.intent)
    if intent is None:
        return _not_understood(parsed, context.texts)
    unsure = to_be_confirmed(parsed, context)
    if unsure is not None:
        return unsure
    parsed = await with_its_run(parsed, context)
    try:
        args = intent.args.model_validate(parsed.args)
    except ValidationError as error:
        raise invalid(error) from error
    not_yet = [name for name in intent.args.model_fields if name in args.model_fields_set & intent.not_yet]
    if not_yet:
        lines = [context.texts("refused.not_yet", name=name) for name in not_yet]
        return Reply(Message(text=" ".join(lines)), refused=True)
    return await intent.handle(args, context)


def _not_understood(parsed: Parsed, texts: Texts) -> Reply:
    unknown = next((refused for refused in parsed.refused if refused.reason == "refused.unknown_command"), None)
    if unknown is not None:
        return Reply(Message(text=texts(unknown.reason, name=unknown.name, known=", ".join(COMMANDS))), refused=True)
    return Reply(Message(text=texts(parsed.question or "none.sorry")), refused=True)


async def guarded(reply: Awaitable[Reply], texts: Texts) -> Reply:
    """Await a reply; what a person can act on is told in their language, anything else by an id."""
    try:
        return await reply
    except ScopebotError as error:
        missing, near = _ASKED_BY.get(type(error), ("", ""))
        name = str(error.params.get("name", "")) if missing else ""
        parts = picks(str(error.params.get(near, "")).split(", ")) if missing else ()
        return Reply(
            Message(text=texts.error(error), parts=parts), refused=True, missing=missing, instead_of=name,
            private=isinstance(error, NotAllowed),
        )  # fmt: skip
    except Exception as error:
        if is_outage(error):
            raise  # the message is handled again when what is away is back
        bug = secrets.token_hex(4)
        log.exception("bug while answering", bug=bug)
        return bug_reply(texts, bug)


def bug_reply(texts: Texts, bug: str, text: str = "bug") -> Reply:
    """Return what is said where something failed that no person can mend; the log has the same id."""
    return Reply(Message(text=texts(text, id=bug)), refused=True)
