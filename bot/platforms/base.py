"""What every chat platform does: receive, send, edit."""

from __future__ import annotations

import math
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
"""Takes one message or click. Returns once it is kept, whatever happens to this process: acknowledge it then.
For a platform that is bound to its process it returns what it led to, once that is posted (answered or queued)."""


class Platform(ABC):
    """One chat platform. Adding one is a file that implements this and passes the contract tests."""

    name: str
    edit_every: float
    """Seconds that have to lie between two edits of one message."""
    edits_per_minute: float = math.inf
    """How many edits the platform allows, over all messages."""
    session: str = ""
    """For a platform that is bound to its process: the one thread it has. No other process speaks there."""
    run_threads: bool = True
    """A thread belongs to the runs that were asked for in it; a console has one thread for everything."""

    @abstractmethod
    async def run(self, receive: Receive) -> None:
        """Hear people until cancelled, or until there is nobody left to hear."""

    @abstractmethod
    async def send(self, place: Place, message: Message, *, key: str, live: bool = False) -> str:
        """Post a message under a key; return its id. A `live` one will be edited as things go on."""

    @abstractmethod
    async def find(self, place: Place, key: str) -> str | None:
        """Return the id of what was posted under a key, also by a process that died; None where nothing was.

        It must see what an earlier `send` has put there, also one that ended in an error or a timeout.
        """

    @abstractmethod
    async def edit(self, place: Place, message_id: str, message: Message, *, final: bool = False) -> None:
        """Replace a message's content; after the `final` edit nothing live is left in it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections; called once, after `run` has ended."""
