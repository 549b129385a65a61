"""What Slack knows of a person: their language and time zone, asked for once an hour."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from bot.platforms.base import Person
from handlers.incoming import Language

if TYPE_CHECKING:
    from bot.slack.workspaces import Workspaces

log = structlog.get_logger(__name__)

KNOWN_FOR, UNKNOWN_FOR = 3600.0, 60.0
"""Seconds after which Slack is asked again, after an answer and after none."""
ANSWER_WITHIN = 2.0
MOST = 10_000


class People:
    """The people of all workspaces."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._known: dict[tuple[str, str], tuple[Person, float]] = {}

    def known(self, team: str, user: str) -> Person | None:
        """Return a person without asking Slack."""
        person, until = self._known.get((team, user), (None, 0.0))
        return person if time.monotonic() < until else None

    async def get(self, team: str, user: str) -> Person:
        """Return a person; one of whom nothing is known where Slack does not answer soon."""
        person = self.known(team, user)
        if person is None:
            person, kept_for = await self._ask(team, user)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[team, user] = (person, time.monotonic() + kept_for)
        return person

    async def _ask(self, team: str, user: str) -> tuple[Person, float]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                workspace = await self._workspaces.get(team)
                answer = await workspace.calls.ask("users.info", user=user, include_locale="true")
        except Exception as error:  # what is not known of them costs nobody an answer
            log.info("a person is not known", user=user, reason=repr(error))
            return Person(), UNKNOWN_FOR
        facts = answer.get("user") or {}
        locale = str(facts.get("locale") or "")
        language: Language | None = None
        if locale:
            language = "zh" if locale.lower().startswith("zh") else "en"
        return Person(language=language, timezone=str(facts.get("tz") or "")), KNOWN_FOR
