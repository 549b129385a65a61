"""App Home: published when a person opens it, and again when something changes while they may be looking."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, cast

import structlog

from bot.background import keep_going
from bot.budgets import Window
from bot.platforms.base import PlatformError
from bot.render.slack import render_home
from bot.slack.address import NAME
from bot.slack.workspaces import NotOurs
from bot.wakeups import woken
from handlers.home import home
from handlers.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bot.app import Bot
    from bot.signed import Signer
    from bot.slack.people import People
    from bot.slack.workspaces import Workspaces

log = structlog.get_logger(__name__)

OPEN_FOR = 600
"""Seconds after which nobody is taken to look at their home still: Slack does not say when it is left."""
LOOK_EVERY, RESTS = 3.0, 2.0
"""Seconds for which a change is waited for, and those after a look until the next one, however much changes."""
PUBLISHED_PER_MINUTE = 60
"""Homes that are published again in a workspace; one that was just opened comes before them."""
OPEN_HOMES = "scopebot:slack:homes"
"""A sorted set in Redis: who has opened their home, as TEAM:USER, by when."""


class Homes:
    """The homes of all workspaces."""

    def __init__(self, bot: Bot, workspaces: Workspaces, people: People, signer: Signer) -> None:
        self._bot, self._workspaces, self._people, self._signer = bot, workspaces, people, signer
        self._shown: dict[tuple[str, str], str] = {}
        """A digest of what each home shows now."""
        self._windows: dict[str, Window] = {}

    async def opened(self, team: str, user: str) -> None:
        """Publish a home that is being looked at, and keep it current for a while."""
        await self._bot.redis.zadd(OPEN_HOMES, {f"{team}:{user}": time.time()})
        await self._publish(team, user, at_once=True)

    async def keep(self) -> None:
        """Publish again what has changed, until cancelled."""
        await keep_going(self._keep)

    async def _keep(self) -> None:
        with self._bot.reporter.wakeups.runs.listening() as changed:
            while True:
                await woken(changed, LOOK_EVERY)
                for team, user in await self._open():
                    try:
                        await self._publish(team, user)
                    except Exception:  # one home's trouble must not keep the others from being shown
                        log.exception("a home was not published", team=team, user=user)
                await asyncio.sleep(RESTS)

    async def _open(self) -> list[tuple[str, str]]:
        """Return who may be looking at their home."""
        redis = self._bot.redis
        await redis.zremrangebyscore(OPEN_HOMES, "-inf", time.time() - OPEN_FOR)
        members = await cast("Awaitable[list[bytes]]", redis.zrange(OPEN_HOMES, 0, -1))
        found = [cast("tuple[str, str]", tuple(member.decode().split(":", 1))) for member in members]
        self._shown = {who: shown for who, shown in self._shown.items() if who in set(found)}
        return found

    async def _publish(self, team: str, user: str, *, at_once: bool = False) -> None:
        """Show a person their home, if it is not as it is shown already."""
        person = await self._people.get(team, user)
        language = person.language or "en"
        message = await home(f"{NAME}:{user}", language, person.timezone, self._bot.services)
        digest = _digest(message.model_dump(mode="json"))
        shown = self._shown.get((team, user))
        if not at_once and shown == digest:
            return
        if not self._windows.setdefault(team, Window(PUBLISHED_PER_MINUTE, 60.0)).free() and not at_once:
            return
        view = render_home(
            message,
            value=lambda button: self._signer.value(button.id, post=f"home:{user}:{time.time_ns()}", team=team),
            texts=Texts(language),
        )
        try:
            workspace = await self._workspaces.get(team)
            await workspace.calls.call("views.publish", user_id=user, view=view)
        except NotOurs:
            await self._bot.redis.zrem(OPEN_HOMES, f"{team}:{user}")
            return
        except PlatformError as error:
            log.warning("a home was not published", team=team, user=user, reason=str(error))
            return
        self._shown[team, user] = digest


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
