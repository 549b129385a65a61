"""What a handler answers with."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.incoming import Place
from handlers.message import Message


@dataclass(frozen=True)
class Reply:
    """A message, and what it stands for.

    With `group`, the message is that group's status message and is edited as its runs go on. `refused` says that
    what was asked for will not happen; `waits` that an answer is needed first: a button, or the arg that is `missing`
    (instead of an unknown name that was said: `instead_of`). `private` is for the person alone who said it. `place` is
    where it belongs, if that is not where it was said: an answer belongs to its question.
    """

    message: Message
    group: int | None = None
    refused: bool = False
    waits: bool = False
    missing: str = ""
    instead_of: str = ""
    private: bool = False
    place: Place | None = None
