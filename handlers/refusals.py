"""Parameters that a message asked for and that are not taken from chat."""

from __future__ import annotations

from handlers.context import Context
from handlers.intents.flags import COMMANDS
from handlers.intents.parsed import Refused
from handlers.message import Message
from handlers.registry import intents
from handlers.reply import Reply
from jobs.catalog import snapshot

HARMLESS = "refused.managed"
"""Parameters that Scopebot sees to itself: leaving them out changes no score."""


def refusal(context: Context) -> Reply | None:
    """Return the refusal of a request with a parameter that would change its scores; None where there is none.

    Running something else than what was asked for would be worse than not running.
    """
    serious = [refused for refused in context.parsed.refused if refused.reason != HARMLESS]
    if not serious:
        return None
    lines = [_line(refused, context) for refused in serious]
    return Reply(Message(text=" ".join(dict.fromkeys(lines))), refused=True)


def _line(entry: Refused, context: Context) -> str:
    """Return why one parameter is not taken, and what to do instead."""
    texts, intent = context.texts, context.parsed.intent
    if entry.reason != "refused.unknown_flag":
        return texts(entry.reason, name=entry.name)
    command = next((command for command, asked in COMMANDS.items() if asked == intent), None)
    near = snapshot().nearest_parameters(entry.name, command)
    asks = f"{context.call(intents()['help'])} {command or 'eval'}"
    return texts(entry.reason, name=entry.name, nearest=", ".join(near), command=asks)


def left_out(context: Context) -> list[str]:
    """Return the flags that were left out because they change nothing."""
    names = [refused.name for refused in context.parsed.refused if refused.reason == HARMLESS]
    return [f"--{name.replace('_', '-')}" for name in names]
