"""What every chat platform does: receive, send, edit.

PlatformError            what was asked of the platform was not done
├── RateLimited          too much was asked; after `retry_after` seconds it may be asked again
├── Denied               the platform does not let us in (token revoked, scope missing)
├── PlaceClosed          nobody can post there any more, or we cannot
└── MessageGone          the message is not there any more
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from handlers.incoming import Incoming, Language, Place
from handlers.message import Message
from handlers.reply import Reply


class PlatformError(Exception):
    """What was asked of the platform was not done, and is known not to have been."""


class RateLimited(PlatformError):
    """Too much was asked; after `retry_after` seconds it may be asked again."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"rate limited for {retry_after:g} s")


class Denied(PlatformError):
    """The platform does not let us in: a person has to mend it. What is due is tried again now and then."""


class PlaceClosed(PlatformError):
    """Nothing can be posted there, now or later."""


class MessageGone(PlatformError):
    """The message is not there any more, or not ours to edit."""


@dataclass(frozen=True)
class Posted:
    """A reply and the id its message got on the platform."""

    reply: Reply
    message_id: str


@dataclass(frozen=True)
class Audience:
    """Who is to read a post: everyone where it is posted, or `private`ly the person alone.

    `reply_url` is where the platform takes such a private post; `user` is also who hears of a post that its place
    does not take any more.
    """

    user: str = ""
    private: bool = False
    reply_url: str = ""


EVERYONE = Audience()


@dataclass(frozen=True)
class Person:
    """What a platform knows of a person."""

    language: Language | None = None
    timezone: str = ""


Receive = Callable[[Incoming], Awaitable[list[Posted]]]
"""Takes one message or click. Returns once it is kept, whatever happens to this process: acknowledge it then.
For a platform that is bound to its process it returns what it led to, once that is posted (answered or queued)."""
Mark = Literal["seen", "good", "bad"]


class Platform(ABC):
    """One chat platform. Adding one is a file that implements this and passes the contract tests.

    Errors that are no `PlatformError` leave open whether something was done: it is looked up before it is done again.
    """

    name: str
    edit_every: float
    """Seconds that have to lie between two edits of one message."""
    edits_per_minute: float = math.inf
    """How many edits a workspace of the platform allows, over all messages."""
    session: str = ""
    """For a platform that is bound to its process: the one thread it has. No other process speaks there."""
    run_threads: bool = True
    """A thread belongs to the runs that were asked for in it; a console has one thread for everything."""
    mention_after: float = 60.0
    """Seconds after which a result mentions who asked for it: by then they look elsewhere."""

    @abstractmethod
    async def run(self, receive: Receive) -> None:
        """Hear people until cancelled, or until there is nobody left to hear."""

    @abstractmethod
    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        """Post a message under a key; return its id, by which threads under it are known too.

        A `live` one will be edited as things go on. A place without a thread is the channel itself.
        """

    @abstractmethod
    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        """Return the id of what was posted under a key, also by a process that died; None where nothing was.

        It must see what an earlier `send` has put there, also one that ended in an error or a timeout. Nothing was
        posted under the key before `since`.
        """

    @abstractmethod
    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None:
        """Replace the content of what was posted under a key; after the `final` edit nothing live is left in it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections; called after `run` has ended and the last post was made."""

    async def turn(self, place: Place, audience: Audience, *, urgent: bool) -> None:  # noqa: B027 - few need to wait
        """Wait until one more post may be made in a place; an urgent one goes before others."""

    def workspace(self, place: Place) -> str:  # noqa: ARG002
        """Return what shares a budget of edits with a place."""
        return ""

    def headline_place(self, place: Place) -> Place | None:  # noqa: ARG002
        """Return where a line on a thread's result is posted as well; None where there is no such place."""
        return None

    async def person(self, place: Place, user: str) -> Person:  # noqa: ARG002
        """Return what the platform knows of a person; nothing where it cannot be asked now."""
        return Person()

    async def link(self, place: Place, message_id: str) -> str | None:  # noqa: ARG002
        """Return an address at which a post is seen."""
        return None

    async def mark(self, source: str, mark: Mark) -> None:  # noqa: B027 - not every platform has such a thing
        """Put a light mark on the message that was said with this id; best effort."""
