"""Parameters that a message asked for and that are not taken from chat."""

from __future__ import annotations

from handlers.context import Context
from handlers.message import Message
from handlers.reply import Reply

HARMLESS = "refused.managed"
"""Parameters that Scopebot sees to itself: leaving them out changes no score."""


def refusal(context: Context) -> Reply | None:
    """Return the refusal of a request with a parameter that would change its scores; None where there is none.

    Running something else than what was asked for would be worse than not running.
    """
    texts = context.texts
    serious = [refused for refused in context.parsed.refused if refused.reason != HARMLESS]
    if not serious:
        return None
    lines = [texts(refused.reason, name=refused.name) for refused in serious]
    return Reply(Message(text=" ".join(dict.fromkeys(lines))), refused=True)


def left_out(context: Context) -> list[str]:
    """Return the flags that were left out because they change nothing."""
    names = [refused.name for refused in context.parsed.refused if refused.reason == HARMLESS]
    return [f"--{name.replace('_', '-')}" for name in names]
