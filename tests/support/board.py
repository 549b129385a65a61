"""A platform that keeps what is posted in a list that outlives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from handlers.incoming import Incoming, Place
from handlers.message import Message
from handlers.reply import Reply


class Board(Platform):
    """A platform that keeps what is posted under its key. `before` and `after` stand at the post's two sides."""

    name = "p"
    edit_every = 0.0

    def __init__(self, wall: list[tuple[Place, str]]) -> None:
        self.wall = wall
        self.before: Callable[[str], Awaitable[None]] = self._nothing
        self.after: Callable[[str], Awaitable[None]] = self._nothing

    async def _nothing(self, key: str) -> None: ...

    async def run(self, receive: Receive) -> None: ...

    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        await self.before(key)
        self.wall.append((place, key))
        await self.after(key)
        return f"id of {key}"

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        return f"id of {key}" if (place, key) in self.wall else None

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None: ...

    async def close(self) -> None: ...

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.wall]


def place(thread: str = "t") -> Place:
    return Place(platform="p", channel="c", thread=thread)


def reply(text: str = "x", **facts: Any) -> Reply:
    return Reply(Message(text=text), **facts)


def heard(message_id: str, where: Place | None = None) -> Incoming:
    return Incoming(id=message_id, place=where or place(), user="u", text="x")
