"""What every chat platform does: receive, send, edit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from handlers.incoming import Incoming, Place
from handlers.message import Message
from handlers.reply import Reply


@dataclass(frozen=True)
class Posted:
    """A reply and the id its message got on the platform."""

    reply: Reply
    message_id: str


Receive = Callable[[Incoming], Awaitable[list[Posted]]]
"""Takes one message or click; returns once what it led to is posted (answered or queued)."""


class Platform(ABC):
    """One chat platform. Adding one is a file that implements this and passes the contract tests."""

    name: str
    edit_every: float
    """Seconds that have to lie between two edits of one message."""
    run_threads: bool = True
    """A thread belongs to the runs that were asked for in it; a console has one thread for everything."""

    @abstractmethod
    async def run(self, receive: Receive) -> None:
        """Hear people until cancelled, or until there is nobody left to hear."""

    @abstractmethod
    async def send(self, place: Place, message: Message, *, live: bool = False) -> str:
        """Post a message; return its id. A `live` one will be edited as things go on."""

    @abstractmethod
    async def edit(self, place: Place, message_id: str, message: Message, *, final: bool = False) -> None:
        """Replace a message's content; after the `final` edit nothing live is left in it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections; called once, after `run` has ended."""
