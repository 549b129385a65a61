"""What a handler answers with."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.message import Message


@dataclass(frozen=True)
class Reply:
    """A message, and what it stands for.

    With `group`, the message is that group's status message and is edited as its runs go on. `refused` says that
    what was asked for will not happen; `waits` that an answer (a button) is needed first.
    """

    message: Message
    group: int | None = None
    refused: bool = False
    waits: bool = False
