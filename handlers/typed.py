"""Requests as commands that can be typed: what a form asks for, and what a command lacked, with a stand-in for it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from pydantic import JsonValue

from handlers.context import Context
from handlers.incoming import Request
from handlers.proposals import without_picks
from handlers.registry import intents
from handlers.reply import Reply


def as_command(request: Request) -> str:
    """Return a request as it could have been typed, which shows what was asked for."""
    intent = intents().get(request.intent)
    command = f"/{request.intent}" if intent is None else intent.slash[0]
    values = [f"{name}={_typed(value)}" for name, value in request.args.items() if value is not None]
    return " ".join([command, *values])


def _typed(value: JsonValue) -> str:
    """Return a value as one types it after a `name=`."""
    if isinstance(value, list):
        return ",".join(map(_typed, value))
    plain = isinstance(value, str) and not re.search(r"[\s\"']", value)
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def to_be_typed_again(reply: Reply, context: Context) -> Reply:
    """Return the question what a command lacks, with the whole of it to type: nothing is kept open for an answer."""
    said = reply.message.model_copy(update={"parts": without_picks(reply.message.parts)})
    alone = replace(reply, waits=False, missing="", instead_of="", message=said)
    if not reply.waits or reply.missing == "run":  # "which run?" has its example
        return alone
    lacks = context.parsed.missing
    lacks = lacks[lacks.index(reply.missing) :] if reply.missing in lacks else (reply.missing,)
    command = " ".join([context.incoming.text, *(_stand_in(name, context) for name in lacks)])
    text = f"{said.text} {context.texts('ask.type_again', command=command)}"
    return replace(alone, message=said.model_copy(update={"text": text}))


def _stand_in(name: str, context: Context) -> str:
    """Return a value for what a command lacks, such as could be meant."""
    if name == "datasets":
        return "sample_qa"
    if context.services.config.models:
        return next(iter(context.services.config.models))
    return "mock" if context.parsed.intent == "eval" else "NAME url=https://host/v1"
