"""Two readings of one message, the grammar's and the language model's → the request, and whether it is in doubt.

The grammar is exact where it understands; the model understands more, and makes things up. Nothing starts, stops or
changes on the word of one of them against the other: then the person is asked.
"""

from __future__ import annotations

import structlog
from pydantic import JsonValue

from handlers.intents.admit import settle
from handlers.intents.parsed import Parsed
from handlers.registry import understood

log = structlog.get_logger(__name__)

CHANGES = frozenset({"eval", "perf", "rerun", "resume", "cancel", "headlines", "defaults", "save", "forget"})
"""Intents that start, stop or change something; the others only tell."""
TOLD = frozenset({
    "model", "models", "datasets", "limit", "api_url", "url", "parallel", "number", "rate", "duration", "run", "runs",
})  # fmt: skip
"""What is asked about where the readings differ in it."""
SURE = frozenset({"none.not_me", "none.not_ours", "none.hello", "none.thanks"})
"""Answers to what asks for nothing of ours (training, serving, orders about the bot itself, a greeting), of which the
grammar is sure whatever a model makes of it."""


def combine(grammar: Parsed, llm: Parsed | None) -> Parsed:
    """Return the request of a message; `llm` is None where no model read it."""
    if llm is None:
        return grammar
    combined = _combine(grammar, llm)
    log.info(
        "read twice", grammar=grammar.intent, llm=llm.intent, by=combined.by, doubt=combined.doubt or "none",
        intent=combined.intent,
    )  # fmt: skip
    return combined


def _combine(grammar: Parsed, llm: Parsed) -> Parsed:
    if grammar.question in SURE:
        return grammar
    if llm.intent == "none":
        if grammar.intent == "none":
            return grammar.model_copy(update={"by": "both"})
        doubt = "guessed" if grammar.intent in CHANGES else ""
        return grammar.model_copy(update={"doubt": doubt})
    if grammar.intent == "none":
        return llm.model_copy(update={"doubt": "guessed" if _changes(llm) else ""})
    if grammar.intent == llm.intent:
        return _merged(grammar, llm)
    if grammar.intent in CHANGES:
        return grammar.model_copy(update={"doubt": "differs"})
    if grammar.args or llm.intent not in CHANGES:  # what only tells, and was understood to its end, harms nobody
        return grammar
    return llm.model_copy(update={"doubt": "differs"})


def _merged(grammar: Parsed, llm: Parsed) -> Parsed:
    """Return one intent with what both say of it; what only the model says is taken where the grammar lacks it."""
    args, differs, used = dict(grammar.args), False, _scalars(grammar.args)
    refused = {entry.name for entry in grammar.refused}
    for name, value in llm.args.items():
        known = _said(name, args)
        if known is None:
            asked_for = name in grammar.missing or (name == "models" and "model" in grammar.missing)
            if not asked_for and _scalars(value) <= used:
                continue  # said once, it is one setting: the grammar has it under its name
            if name in refused or (name in TOLD and not asked_for and grammar.intent in CHANGES):
                differs = differs or name in TOLD
            else:
                args[name] = value
        elif name in TOLD and _folded(known) != _folded(value):
            differs = True
    settled = settle(understood()[grammar.intent], args, grammar.refused).model_copy(
        update={"by": "both", "more": grammar.more, "question": grammar.question, "per_subset": grammar.per_subset}
    )
    if len(llm.more) != len(grammar.more) and _changes(llm):
        differs = True
    if not differs or grammar.intent not in CHANGES:
        return settled
    return settled.model_copy(update={"doubt": "differs", "instead": (llm.model_copy(update={"more": ()}),)})


def _said(name: str, args: dict[str, JsonValue]) -> JsonValue | None:
    """Return what a request says under a name, or under the one that it has for several of it."""
    other = {"model": "models", "models": "model", "run": "runs", "runs": "run"}.get(name)
    return args.get(name) if name in args else args.get(other) if other is not None else None


def _scalars(value: JsonValue) -> set[str]:
    """Return the single values in a value, each in one form; flags say nothing that could be said elsewhere."""
    if isinstance(value, dict):
        return set().union(*(_scalars(inner) for inner in value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*(_scalars(inner) for inner in value)) if value else set()
    return set() if isinstance(value, bool) or value is None else set(_folded(value))


def _folded(value: JsonValue) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted(f"{each:g}" if isinstance(each, int | float) else str(each).casefold() for each in values)


def _changes(parsed: Parsed) -> bool:
    return any(request.intent in CHANGES for request in (parsed, *parsed.more))
