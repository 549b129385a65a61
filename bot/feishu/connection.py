"""The long connection over which Feishu delivers events, kept up by itself.

The SDK's own client needs a loop to itself, asks for its address without a timeout, gives up for good where Feishu
refuses once, and does not notice a connection on which nothing comes any more. There is never more than one
connection: Feishu deals events out over all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import structlog

from bot.feishu import frames
from bot.feishu.hearing import NotReady
from jobs.errors import RedisFull
from jobs.outages import is_outage

if TYPE_CHECKING:
    from bot.settings import BotSettings

log = structlog.get_logger(__name__)

ENDPOINT = "/callback/ws/endpoint"
OPEN_WITHIN = 10.0
HEARTBEAT = 20.0
"""Seconds between two pings of the protocol's; a connection on which none is answered in half of that is dead."""
PING_EVERY = 120.0
"""Seconds between two pings of Feishu's own kind, where it does not say."""
PONG_WITHIN = 30.0
LOOK_EVERY = 5.0
ASLEEP = 20.0
"""Seconds by which the watch is late after which the process was paused, and the connection is not trusted."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
REFUSED_WAIT = 15.0
"""Seconds between two tries where Feishu refuses the app: a person is mending it."""
MOST_BYTES = 16 * 1024 * 1024
LASTS = 30.0
"""Seconds a connection has to last for the next one to be opened at once."""

Hear = Callable[[bytes], Awaitable[dict[str, Any] | None]]
"""Keeps an event and returns what is answered with the acknowledgement; raises where it could not be kept."""


class _Refused(Exception):
    """Feishu gives us no connection."""


@dataclass
class _Line:
    """One connection."""

    socket: aiohttp.ClientWebSocketResponse
    service: int
    ping_every: float
    opened_at: float
    heard_at: float


class Connection:
    """Opens a connection again whenever it ends, and acknowledges what was kept."""

    def __init__(self, settings: BotSettings, session: aiohttp.ClientSession, hear: Hear) -> None:
        self._settings, self._session, self._hear = settings, session, hear
        self._ping_every = PING_EVERY
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Hear what Feishu delivers, until cancelled."""
        wait = 0.0
        try:
            while True:
                if wait:
                    await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads tries, no secret
                try:
                    line = await self._open()
                except (_Refused, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    refused = isinstance(error, _Refused)
                    wait = REFUSED_WAIT if refused else min(LONGEST_WAIT, max(FIRST_WAIT, 2 * wait))
                    log.warning("Feishu takes no connection now", reason=str(error) or repr(error), wait=wait)
                    continue
                log.info("connected to Feishu")
                reason = await self._stay(line)
                log.warning("the connection to Feishu ended; opening another", reason=reason)
                wait = 0.0 if time.monotonic() - line.opened_at > LASTS else max(FIRST_WAIT, wait)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> _Line:
        """Ask for an address and connect to it. Raises `_Refused` where Feishu does not let the app."""
        address = await self._address()
        service = int(parse_qs(urlsplit(address).query).get("service_id", ["0"])[0])
        async with asyncio.timeout(OPEN_WITHIN):
            socket = await self._session.ws_connect(address, heartbeat=HEARTBEAT, max_msg_size=MOST_BYTES)
        now = time.monotonic()
        return _Line(socket, service, self._ping_every, now, now)

    async def _address(self) -> str:
        body = {"AppID": self._settings.feishu_app_id, "AppSecret": self._settings.feishu_app_secret}
        async with (
            asyncio.timeout(OPEN_WITHIN),
            self._session.post(f"{self._settings.feishu_domain}{ENDPOINT}", json=body) as answer,
        ):
            if answer.status >= 500:
                raise aiohttp.ClientConnectionError(f"no address: HTTP {answer.status}")
            said = await answer.json(content_type=None)
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, dict) or not data.get("URL"):
            code, reason = (said.get("code"), said.get("msg")) if isinstance(said, dict) else (answer.status, "")
            if code in {1, 1000040343}:  # Feishu's own trouble
                raise aiohttp.ClientConnectionError(f"no address: {code} {reason}")
            raise _Refused(f"{code} {reason}")
        config = data.get("ClientConfig") or {}
        self._ping_every = float(config.get("PingInterval") or PING_EVERY)
        return str(data["URL"])

    async def _stay(self, line: _Line) -> str:
        """Hear what comes over a connection to its end; return why it ended."""
        reading = asyncio.create_task(self._read(line))
        watching = asyncio.create_task(self._watch(line))
        try:
            await asyncio.wait((reading, watching), return_when=asyncio.FIRST_COMPLETED)
            ended = watching if watching.done() else reading
            return ended.result()
        except (aiohttp.ClientError, OSError) as error:
            return repr(error)
        finally:
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(1.0):
                    await line.socket.close()

    async def _read(self, line: _Line) -> str:
        parts = frames.Parts()
        async for message in line.socket:
            line.heard_at = time.monotonic()
            frame = frames.read(message.data) if message.type is aiohttp.WSMsgType.BINARY else None
            if frame is None or frame.method != frames.DATA or frames.header(frame, "type") != "event":
                continue
            payload = parts.whole(frame)
            if payload is not None:
                self._beside(self._handle(line, frame, payload))
        return f"closed with {line.socket.close_code}"

    async def _watch(self, line: _Line) -> str:
        """Ping, and return once the connection is not to be trusted any more, with the reason."""
        pinged_at = 0.0
        looked_at = time.time()
        while True:
            now = time.monotonic()
            if now - pinged_at >= line.ping_every:
                await line.socket.send_bytes(frames.ping(line.service))
                pinged_at = now
            if now - line.heard_at > line.ping_every + PONG_WITHIN:
                return "nothing is heard, not even a pong"
            await asyncio.sleep(min(LOOK_EVERY, line.ping_every))
            if time.time() - looked_at > LOOK_EVERY + ASLEEP:
                return "the process was paused"
            looked_at = time.time()

    async def _handle(self, line: _Line, frame: Any, payload: bytes) -> None:
        """Have an event kept, and acknowledge it if that went well; else Feishu delivers it again."""
        began_at = time.monotonic()
        try:
            result = await self._hear(payload)
        except Exception as error:
            if is_outage(error) or isinstance(error, RedisFull | NotReady):
                log.warning("cannot keep an event now", reason=repr(error))
            else:
                log.exception("an event is not understood")
            answer = frames.answer(frame, frames.NOT_TOLD, began_at)
        else:
            answer = frames.answer(frame, frames.TOLD, began_at, result)
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # then it comes again
            await line.socket.send_bytes(answer)

    def _beside(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
