"""The app's access token, renewed beside everything else well before it is over, so that no call waits for it.

While more than half an hour of one is left, Feishu gives out the same again; a new one leaves the old one good.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import aiohttp
import structlog

from bot.platforms.base import Denied

if TYPE_CHECKING:
    from bot.settings import BotSettings

log = structlog.get_logger(__name__)

PATH = "/open-apis/auth/v3/tenant_access_token/internal"
RENEWED_BEFORE = 20 * 60.0
"""Seconds before its end at which a token is renewed."""
ANSWER_WITHIN = 10.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
DENIED_FOR = 20.0
"""Seconds for which credentials that were refused are not tried again."""


class Tokens:
    """Gives out the token that is good now."""

    def __init__(self, settings: BotSettings, session: aiohttp.ClientSession) -> None:
        self._url = f"{settings.feishu_domain}{PATH}"
        self._credentials = {"app_id": settings.feishu_app_id, "app_secret": settings.feishu_app_secret}
        self._session = session
        self._token = ""
        self._ends_at = 0.0
        self._asking = asyncio.Lock()
        self._refused: Denied | None = None
        self._refused_until = 0.0

    async def get(self) -> str:
        """Return a token; it is asked for only where there is none yet. Raises `Denied`, and what the network does."""
        if time.monotonic() >= self._ends_at:
            async with self._asking:
                if time.monotonic() >= self._ends_at:
                    await self._renew()
        return self._token

    def spurn(self, token: str) -> None:
        """Take note that Feishu does not take a token any more."""
        if token == self._token:
            self._ends_at = 0.0

    async def keep_fresh(self) -> None:
        """Renew the token in time, until cancelled."""
        wait = FIRST_WAIT
        while True:
            left = self._ends_at - RENEWED_BEFORE - time.monotonic()
            if left > 0:
                await asyncio.sleep(min(left, LONGEST_WAIT))  # a process that was paused looks again soon
                continue
            try:
                async with self._asking:
                    before = self._ends_at
                    await self._renew()
            except (Denied, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("Feishu gives no token now", reason=str(error) or repr(error), wait=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                wait = FIRST_WAIT
                if self._ends_at - before < LONGEST_WAIT:  # the same one: too much of it is left
                    await asyncio.sleep(LONGEST_WAIT)

    async def _renew(self) -> None:
        """Ask for a token. Raises `Denied` where the credentials are wrong, which is not asked again and again."""
        if self._refused is not None and time.monotonic() < self._refused_until:
            raise self._refused
        asked_at = time.monotonic()
        async with asyncio.timeout(ANSWER_WITHIN):
            async with self._session.post(self._url, json=self._credentials) as answer:
                if answer.status >= 500:
                    raise aiohttp.ClientConnectionError(f"no token: HTTP {answer.status}")
                said = await answer.json(content_type=None)
        token = said.get("tenant_access_token") if isinstance(said, dict) else None
        if not token:
            code, reason = said.get("code"), said.get("msg")
            self._refused = Denied(f"FEISHU_APP_ID and FEISHU_APP_SECRET give no token: {code} {reason}")
            self._refused_until = time.monotonic() + DENIED_FOR
            raise self._refused
        self._refused = None
        self._token, self._ends_at = str(token), asked_at + _seconds(said.get("expire"))


def _seconds(expire: object) -> float:
    """Return how long a token is good, a little less than Feishu says."""
    with contextlib.suppress(TypeError, ValueError):
        return max(1.0, float(str(expire)) - 5.0)
    return 60.0
