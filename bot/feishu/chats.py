"""What is known of chats: which ones consist of topics, and which one is a person's conversation with us.

It is asked for, or heard, before it is needed, and kept in Redis: it hardly changes, and a restart must not lose it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import structlog
from lark_oapi.api.im.v1 import GetChatRequest

from bot.platforms.base import PlatformError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis.asyncio import Redis

    from bot.feishu.calls import Calls

log = structlog.get_logger(__name__)

KEPT, DIRECT_KEPT = "scopebot:feishu:chats", "scopebot:feishu:direct"
TOPICS = "topics"


class Chats:
    """The chats that we are in."""

    def __init__(self, redis: Redis, calls: Calls) -> None:
        self._redis, self._calls = redis, calls
        self._kinds: dict[str, str] = {}
        self._direct: dict[str, str] = {}

    async def load(self) -> None:
        """Read what is kept."""
        kinds = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(KEPT))
        direct = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(DIRECT_KEPT))
        self._kinds = {chat.decode(): kind.decode() for chat, kind in kinds.items()} | self._kinds
        self._direct = {user.decode(): chat.decode() for user, chat in direct.items()} | self._direct

    def has_topics(self, chat: str) -> bool:
        """Tell whether each post in a chat is a topic of its own."""
        return self._kinds.get(chat) == TOPICS

    def direct(self, user: str) -> str | None:
        """Return the chat of a person and us, None while it is not known."""
        return self._direct.get(user)

    async def is_direct(self, user: str, chat: str) -> None:
        """Take note of which chat is a person's with us."""
        if chat and self._direct.get(user) != chat:
            self._direct[user] = chat
            await self._redis.hset(DIRECT_KEPT, user, chat)

    async def learn(self, chat: str) -> None:
        """Ask what kind of chat one is, unless it is known."""
        if chat in self._kinds:
            return
        self._kinds[chat] = ""
        try:
            facts = await self._calls.call(GetChatRequest.builder().chat_id(chat).build())
        except PlatformError as error:
            log.info("a chat is taken for an ordinary one", chat=chat, reason=str(error))
            return
        except Exception:
            del self._kinds[chat]
            raise
        topics = facts.get("chat_mode") == "topic" or facts.get("group_message_type") == "thread"
        kind = self._kinds[chat] = TOPICS if topics else "chat"
        await self._redis.hset(KEPT, chat, kind)
