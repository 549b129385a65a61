"""Text → typed request: pasted commands and configurations, slash commands, then the grammar."""

from __future__ import annotations

import re

from handlers.intents.clean import clean
from handlers.intents.command_line import parse_command
from handlers.intents.grammar import parse_text
from handlers.intents.not_ours import is_not_ours
from handlers.intents.parameter_question import parse_question
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.slash import parse_slash
from handlers.intents.snippet import parse_snippet
from handlers.registry import understood

_MOST_COMMANDS = 10
_PASTED = re.compile(r"[\s`$]*(?:bash|sh|python|json|yaml)?\s*(?:evalscope|python3?|/|from\s|import\s|\{)")
"""A message that is nothing but a command or a configuration, in which any words may stand as values."""


def understand(text: str, vocabulary: Vocabulary, *, thread_run: str | None = None) -> Parsed:
    """Return what `text` asks for; never raises. `thread_run` is the run whose thread it was written in."""
    said = clean(text)
    if not _PASTED.match(said) and is_not_ours(said):
        return Parsed(intent="none", question="none.not_ours")
    parsed = (
        parse_question(said, vocabulary)
        or _commands(said, vocabulary)
        or parse_snippet(said)
        or parse_slash(said, vocabulary)
        or parse_text(said, vocabulary)
    )
    if thread_run is None:
        return parsed
    more = tuple(_in_thread(request, thread_run) for request in parsed.more)
    return _in_thread(parsed, thread_run).model_copy(update={"more": more})


def warm_up(vocabulary: Vocabulary) -> None:
    """Make what is made once (patterns, indexes), which the first message would wait for half a second."""
    for text in ("evaluate mock on gsm8k every day at 9 Berlin time", "evalscope eval --model m", "用 gsm8k 评测 mock"):
        understand(text, vocabulary)


def _commands(said: str, vocabulary: Vocabulary) -> Parsed | None:
    """Read pasted commands, one after another; sentences between them are read as well."""
    requests: list[Parsed] = []
    rest = said
    while len(requests) < _MOST_COMMANDS and (found := parse_command(rest, vocabulary)) is not None:
        requests += [found.parsed.model_copy(update={"more": ()}), *found.parsed.more]
        rest = found.rest
    if not requests:
        return None
    after = parse_text(rest, vocabulary) if rest else None
    if after is not None and after.intent != "none" and after.args:
        requests += [after.model_copy(update={"more": ()}), *after.more]
    return requests[0].model_copy(update={"more": tuple(requests[1:])})


def _in_thread(parsed: Parsed, thread_run: str) -> Parsed:
    """Let a request about a run that names none mean the thread's."""
    intent = understood().get(parsed.intent)
    if intent is None or "run" not in intent.args.model_fields or parsed.args:
        return parsed
    return parsed.model_copy(update={"args": {"run": thread_run}})
