"""The Socket Mode connection, and what is done about one that does not come back by itself.

slack_sdk's client reconnects in most cases, but asks for no new address where the one it has is refused (after an
outage its ticket is stale), and can be left with no task that would try. So it is watched from outside: first it is
made to ask for a new address, and where that does not help it is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

log = structlog.get_logger(__name__)

PING_EVERY = 5.0
"""Seconds between two pings; a socket on which four were not answered is given up."""
LOOK_EVERY = 1.0
NEW_ADDRESS_AFTER = 8.0
"""Seconds without a connection after which the client has to ask for a new address."""
REPLACED_AFTER = 40.0
"""Seconds without a connection after which the client is replaced."""


class Connection:
    """Keeps one socket open until cancelled."""

    def __init__(self, app: AsyncApp, app_token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._app_token = app_token
        self._clock = clock
        self._handler: AsyncSocketModeHandler | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost."""
        try:
            while True:
                await self._open()
                await self._watch()
                log.warning("Slack cannot be reached; starting the connection anew")
                await self.close()
        finally:
            await self.close()

    async def connected(self) -> bool:
        """Tell whether we hear what people say."""
        return self._handler is not None and await self._handler.client.is_connected()

    async def close(self) -> None:
        """Let go of the socket."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        handler, self._handler, self._connecting = self._handler, None, None
        if handler is not None:
            with contextlib.suppress(Exception):  # it is thrown away, in whatever state it is
                async with asyncio.timeout(5):
                    await handler.client.close()

    async def _open(self) -> None:
        quiet = logging.getLogger("slack_bolt.socket")
        self._handler = AsyncSocketModeHandler(self._app, self._app_token, logger=quiet, ping_interval=PING_EVERY)
        # it comes back only once it is connected, which may be never
        self._connecting = asyncio.create_task(self._handler.connect_async())

    async def _watch(self) -> None:
        """Come back when the client has been without a connection for too long."""
        assert self._handler is not None
        lost_at: float | None = self._clock()
        asked = 0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if await self.connected():
                if lost_at is not None:
                    log.info("connected to Slack")
                lost_at, asked = None, 0
                continue
            lost_at = self._clock() if lost_at is None else lost_at
            away = self._clock() - lost_at
            if away > REPLACED_AFTER:
                return
            if away > NEW_ADDRESS_AFTER * (asked + 1):
                asked += 1
                log.warning("no connection to Slack; asking for a new address", seconds=round(away))
                self._handler.client.wss_uri = None
