"""What is known of a person: the language they wrote to us last. Feishu itself tells bots nothing of the kind."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, cast

import structlog
from redis.exceptions import RedisError

from bot.platforms.base import Person
from handlers.incoming import Language, language_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

KEPT = "scopebot:feishu:languages"
MOST = 10_000
LARK = "larksuite.com"


class People:
    """The people of the app's tenant."""

    def __init__(self, redis: Redis, domain: str) -> None:
        self._redis = redis
        self.usual: Language = "en" if LARK in domain else "zh"
        """The language of somebody who has written nothing yet."""
        self._known: OrderedDict[str, Language] = OrderedDict()

    async def get(self, user: str) -> Person:
        """Return a person; where it is not known what they speak, as most here do."""
        language = self._known.get(user)
        if language is None:
            try:
                kept = await cast("Awaitable[bytes | None]", self._redis.hget(KEPT, user))
            except RedisError as error:
                log.info("a person is not known", user=user, reason=repr(error))
                kept = None
            language = "zh" if kept == b"zh" else "en" if kept == b"en" else self.usual
            self._remember(user, language)
        return Person(language=language)

    async def heard(self, user: str, text: str) -> None:
        """Take note of the language that somebody writes; a command or a word has none."""
        language = language_of(text)
        if (language == "en" and (text.startswith("/") or len(text.split()) < 3)) or self._known.get(user) == language:
            return
        self._remember(user, language)
        try:
            await self._redis.hset(KEPT, user, language)
        except RedisError as error:  # it is said again
            log.info("a person's language is not kept", user=user, reason=repr(error))

    def _remember(self, user: str, language: Language) -> None:
        self._known[user] = language
        self._known.move_to_end(user)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
