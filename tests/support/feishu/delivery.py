"""Events on their way to the bot: over one of its connections or as requests, again where none is acknowledged."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from Crypto.Cipher import AES

from support.feishu import frames
from support.feishu.faults import Faults
from support.feishu.world import World

Json = dict[str, Any]
FRAGMENT = 20_000
"""Bytes of an event beyond which it comes in parts."""


@dataclass
class Delivery:
    """One event."""

    id: str
    kind: str
    event: Json
    sent_at: float = 0.0
    acked_at: float | None = None
    tries: int = 0
    answer: Json | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Deliveries:
    """All events, and the connections they go over."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self.all: list[Delivery] = []
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tickets: set[str] = set()
        self.webhook: str = ""
        self.encrypted = True
        self.forged = False

    # what is delivered

    def deliver(self, kind: str, event: Json, *, event_id: str = "") -> Delivery:
        """Deliver an event, as often as the settings have it copied; return the first."""
        first: Delivery | None = None
        for copy in range(self._world.settings.copies):
            name = event_id or secrets.token_hex(16)
            if first is not None and self._world.settings.same_event:
                name = first.id
            delivery = Delivery(name, kind, event)
            self.all.append(delivery)
            self._beside(self._push(delivery, 0.0 if copy == 0 else random.uniform(0, 0.05)))
            first = first or delivery
        assert first is not None
        return first

    async def _push(self, delivery: Delivery, wait: float) -> None:
        """Deliver until it is acknowledged, or the last try was made."""
        for pause in (wait, *self._world.settings.redeliver):
            await asyncio.sleep(pause)
            delivery.tries += 1
            delivery.sent_at = time.time()
            try:
                async with asyncio.timeout(self._world.settings.ack_within):
                    answer = await (self._by_request(delivery) if self.webhook else self._by_socket(delivery))
            except (TimeoutError, ConnectionError, aiohttp.ClientError, RuntimeError):
                continue
            if answer is not None:
                delivery.acked_at, delivery.answer = time.time(), answer
                break
        delivery.done.set()

    async def _by_socket(self, delivery: Delivery) -> Json | None:
        open_ones = [socket for socket in self.sockets.values() if not socket.closed]
        if not open_ones:
            raise ConnectionError("nobody is connected")
        socket = random.choice(open_ones)
        payload = json.dumps(self._body(delivery), ensure_ascii=False).encode()
        parts = [payload[at : at + FRAGMENT] for at in range(0, len(payload), FRAGMENT)]
        name = secrets.token_hex(12)
        answered = self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            for number, part in enumerate(parts):
                headers = {
                    "type": "event", "message_id": name, "trace_id": secrets.token_hex(8), "sum": str(len(parts)),
                    "seq": str(number),
                }  # fmt: skip
                if not self._faults.half_dead:
                    await socket.send_bytes(frames.write(frames.Frame(frames.DATA, headers, part, service=33554678)))
            said = await answered
        finally:
            del self._waiting[name]
        if said.get("code") != 200:
            return None
        return dict(json.loads(base64.b64decode(said["data"]))) if said.get("data") else {}

    async def _by_request(self, delivery: Delivery) -> Json | None:
        body = self._body(delivery)
        answer = await self.post(body)
        return dict(answer[1]) if answer[0] == 200 else None

    async def post(self, body: Json) -> tuple[int, Json]:
        """Post something to where requests go, as Feishu signs and encrypts it."""
        data = json.dumps(body, ensure_ascii=False).encode()
        if self.encrypted:
            data = json.dumps({"encrypt": encrypt(data, self._world.encrypt_key)}).encode()
        stamp, nonce = str(int(time.time())), secrets.token_hex(8)
        key = "forged" if self.forged else self._world.encrypt_key
        signature = hashlib.sha256((stamp + nonce + key).encode() + data).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-Lark-Request-Timestamp": stamp, "X-Lark-Request-Nonce": nonce,
            "X-Lark-Signature": signature,
        }  # fmt: skip
        async with aiohttp.ClientSession() as session, session.post(self.webhook, data=data, headers=headers) as answer:
            text = await answer.text()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {}

    def _body(self, delivery: Delivery) -> Json:
        header = {
            "event_id": delivery.id, "event_type": delivery.kind, "create_time": str(int(time.time() * 1000)),
            "token": "forged" if self.forged else self._world.verification_token, "app_id": self._world.app_id,
            "tenant_key": "tenant",
        }  # fmt: skip
        return {"schema": "2.0", "header": header, "event": delivery.event}

    # connections

    def ticket(self) -> str:
        """Return a ticket for one connection."""
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Take a connection, and read what comes over it."""
        ticket = request.query.get("ticket", "")
        if (
            ticket not in self._tickets
            or "service_id" not in request.query
            or time.monotonic() < self._faults.dark_until
        ):
            return web.Response(status=403, headers={"handshake-status": "403", "handshake-msg": "no ticket"})
        self._tickets.discard(ticket)
        if len(self.sockets) >= self._world.settings.sockets:
            return web.Response(status=403, headers={"handshake-status": "514", "handshake-autherrcode": "1000040350"})
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.sockets[ticket] = socket
        try:
            async for message in socket:
                if self._faults.half_dead:
                    continue
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.BINARY:
                    await self._heard(socket, message.data)
                elif message.type is not WSMsgType.PONG:
                    self._world.violate(f"a {message.type.name} over the connection")
        finally:
            del self.sockets[ticket]
        return socket

    async def _heard(self, socket: web.WebSocketResponse, data: bytes) -> None:
        try:
            frame = frames.read(data)
        except ValueError as error:
            self._world.violate(f"no frame: {error}")
            return
        if frame.method == frames.CONTROL:
            if frame.headers.get("type") != "ping" or frame.service != 33554678:
                self._world.violate(f"no ping: {frame}")
            config = json.dumps({"PingInterval": self._world.settings.ping_every}).encode()
            pong = frames.Frame(frames.CONTROL, {"type": "pong"}, config, service=frame.service)
            await socket.send_bytes(frames.write(pong))
            return
        waiting = self._waiting.get(frame.headers.get("message_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(json.loads(frame.payload))

    async def close_all(self, code: int = 1001) -> int:
        """Close the bot's connections, as Feishu does; return how many."""
        sockets = list(self.sockets.values())
        for socket in sockets:
            with contextlib.suppress(Exception):
                await socket.close(code=code)
        return len(sockets)

    def cut_all(self) -> int:
        """Break the bot's connections without a word; return how many."""
        sockets = list(self.sockets.values())
        for socket in sockets:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        return len(sockets)

    def _beside(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def encrypt(data: bytes, key: str) -> str:
    """Return data as Feishu encrypts it."""
    padding = 16 - len(data) % 16
    initial = secrets.token_bytes(16)
    cipher = AES.new(hashlib.sha256(key.encode()).digest(), AES.MODE_CBC, initial)
    return base64.b64encode(initial + cipher.encrypt(data + bytes([padding]) * padding)).decode()
