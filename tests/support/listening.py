"""A platform in the test's own process that keeps what it was sent."""

from __future__ import annotations

import itertools
from datetime import datetime

from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from handlers.incoming import Place
from handlers.message import Message


class Recorder(Platform):
    """Each is a platform of its own: it hears and shows nothing of what the others' runs lead to."""

    edit_every = 0.05
    numbers = itertools.count()

    def __init__(self) -> None:
        self.name = f"recorder{next(self.numbers)}"
        self.posts: dict[str, Message] = {}
        self.edits: list[tuple[str, Message, bool]] = []

    @property
    def place(self) -> Place:
        return Place(platform=self.name, channel="c", thread="t")

    async def run(self, receive: Receive) -> None: ...

    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        message_id = f"m{len(self.posts)}"
        self.posts[message_id] = message
        return message_id

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        return None

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None:
        self.edits.append((message_id, message, final))

    async def close(self) -> None: ...
