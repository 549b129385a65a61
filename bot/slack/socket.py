"""The Socket Mode connection: one socket, replaced before Slack takes it away and whenever it broke.

slack_sdk's own client asks for addresses without a pause where Slack refuses sockets, which soon asks too often, and
closes a socket before it has the next. Here the old one is read until the new one is open, whoever sends us away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.proxy_env_variable_loader import load_http_proxy_from_env

from bot.slack.calls import answer_of, retry_after

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.response import BoltResponse

log = structlog.get_logger(__name__)

PING_EVERY = 10.0
"""Seconds between two pings; a socket on which one is not answered within half of that is given up."""
OPEN_WITHIN = 10.0
"""Seconds that each step of opening a socket may take: to get an address, to connect, and to be greeted."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
"""Seconds between two tries; Slack lets few addresses be asked for in a minute."""
UNREACHED_WAIT = 3.0
"""The most seconds between two tries of which Slack hears nothing."""
LASTS = 30.0
"""Seconds after which a socket counts as good: the next one is opened at once."""
LINGERS = 2.0
"""Seconds for which a socket stays open after it was replaced, for what is acknowledged still."""


class _Refused(Exception):
    """Slack takes no socket now."""


class Connection:
    """Keeps one socket open until cancelled."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._app = app
        self._app_token = app_token
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Hear what people say, over one socket after another."""
        async with aiohttp.ClientSession() as session:
            wait = 0.0
            try:
                while True:
                    await asyncio.sleep(wait)
                    socket = await self._open(session)
                    opened_at = time.monotonic()
                    old, self._socket = self._socket, socket
                    if old is not None:
                        self._beside(_let_go(old))
                    leaving = asyncio.Event()
                    self._beside(self._read(socket, leaving))
                    await leaving.wait()
                    lasted = time.monotonic() - opened_at > LASTS
                    wait = 0.0 if lasted else min(max(FIRST_WAIT, 2 * wait), LONGEST_WAIT)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    # how a socket is opened

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        """Return a socket that Slack has greeted us on, however long that takes."""
        wait = FIRST_WAIT
        while True:
            try:
                socket = await self._try(session)
            except SlackApiError as error:
                status, data = answer_of(error)
                wait = max(wait, retry_after(error))
                reason = data.get("error") or status
                log.warning("Slack lets no connection open; see `scopebot doctor`", reason=reason, wait=wait)
                await asyncio.sleep(wait)
            except (_Refused, aiohttp.WSServerHandshakeError) as error:
                # the whole of the second holds the address, and that the ticket
                reason = error.status if isinstance(error, aiohttp.WSServerHandshakeError) else str(error)
                log.warning("Slack takes no connection now", reason=reason, wait=wait)
                await asyncio.sleep(wait)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                wait = min(wait, UNREACHED_WAIT)
                log.warning("Slack cannot be reached", reason=repr(error), wait=wait)
                await asyncio.sleep(wait)
            else:
                log.info("connected to Slack")
                return socket
            wait = min(2 * wait, LONGEST_WAIT)

    async def _try(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        """Open a socket. Raises `SlackApiError` and `_Refused` where Slack does not let us."""
        async with asyncio.timeout(OPEN_WITHIN):
            address = await self._app.client.apps_connections_open(app_token=self._app_token)
        async with asyncio.timeout(OPEN_WITHIN):
            socket = await session.ws_connect(
                str(address["url"]), heartbeat=PING_EVERY, proxy=load_http_proxy_from_env()
            )
        greeting: dict[str, Any] = {}
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                greeting = _frame(await socket.receive())
        finally:
            if greeting.get("type") != "hello":
                await _close(socket)
        if greeting.get("type") != "hello":
            raise _Refused(greeting.get("reason") or "no greeting")
        return socket

    # what is heard

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, leaving: asyncio.Event) -> None:
        """Handle what comes over a socket to its end; it is `leaving` from when another one is needed."""
        try:
            async for message in socket:
                frame = _frame(message)
                if frame.get("type") == "disconnect":
                    log.info("Slack takes the connection away", reason=frame.get("reason"))
                    leaving.set()
                elif "envelope_id" in frame:
                    self._beside(self._handle(socket, frame))
        finally:
            leaving.set()
            await _close(socket)

    async def _handle(self, socket: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
        """Have a payload handled, and acknowledge it if that went well; else Slack delivers it again."""
        request = AsyncBoltRequest(mode="socket_mode", body=frame.get("payload") or {})
        response = await self._app.async_dispatch(request)
        if response.status != 200:
            return
        answer = _payload(response) if frame.get("accepts_response_payload") else {}
        ack = json.dumps({"envelope_id": frame["envelope_id"], **answer})
        for way in (socket, self._socket):
            if way is not None and not way.closed:
                try:
                    await way.send_str(ack)
                except ConnectionError:
                    continue
                return
        log.info("a connection ended before what came over it was acknowledged; it comes again")

    def _beside(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _frame(message: aiohttp.WSMessage) -> dict[str, Any]:
    """Return what a message of Slack's says; nothing for what is no JSON object."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return {}
    try:
        frame = json.loads(message.data)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _payload(response: BoltResponse) -> dict[str, Any]:
    """Return what is answered with an acknowledgement."""
    if not response.body:
        return {}
    if response.headers.get("content-type", [""])[0].startswith("application/json"):
        return {"payload": json.loads(response.body)}
    return {"payload": {"text": response.body}}


async def _let_go(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close a socket that was replaced, once what came over it can be acknowledged."""
    await asyncio.sleep(LINGERS)
    await _close(socket)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close a socket; the session drops one on which nobody answers."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGERS):
            await socket.close()


async def _logged(doing: Coroutine[Any, Any, None]) -> None:
    try:
        await doing
    except Exception:
        log.exception("something that Slack said was not heard")
