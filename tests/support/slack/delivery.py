"""How payloads reach the app: over Socket Mode or HTTP, acknowledged in time or delivered again."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from support.slack.api import Call, handles
from support.slack.chance import token
from support.slack.posting import Delivery, Poster
from support.slack.workspace import Workspace
from support.slack.world import KEPT, Refused, World

KINDS = {
    "assistant_thread_started": "assistant:write", "app_mention": "app_mentions:read", "link_shared": "links:read",
    "message.channels": "channels:history", "message.groups": "groups:history", "message.im": "im:history",
    "message.mpim": "mpim:history", "reaction_added": "reactions:read", "reaction_removed": "reactions:read",
    "member_joined_channel": "channels:read", "member_left_channel": "channels:read", "channel_left": "channels:read",
    "channel_archive": "channels:read", "channel_unarchive": "channels:read", "channel_rename": "channels:read",
    "group_archive": "groups:read", "group_left": "groups:read", "app_home_opened": "", "app_uninstalled": "",
    "tokens_revoked": "", "app_rate_limited": "", "assistant_thread_context_changed": "assistant:write",
    "file_shared": "files:read", "file_created": "files:read", "file_deleted": "files:read", "function_executed": "",
    "group_unarchive": "groups:read", "group_rename": "groups:read", "emoji_changed": "emoji:read",
    "message_metadata_posted": "", "team_join": "users:read", "user_change": "users:read",
}  # fmt: skip
"""The bot events an app may subscribe to, and the scope each needs."""


@dataclass(eq=False)
class Socket:
    """One connection of the app."""

    number: int
    ws: web.WebSocketResponse
    dead: bool = False


class Hub:
    """The app's connections, and what is on its way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sockets: list[Socket] = []
        self.opened = 0
        self.refused_links = 0
        """How many of the next connections are refused."""
        self.log: deque[Delivery] = deque(maxlen=KEPT)
        self.unacked: deque[Delivery] = deque(maxlen=KEPT)
        self._by_envelope: dict[str, list[Delivery]] = {}
        self._turn = 0
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.poster = Poster(world)
        world.tell = self.tell

    async def close(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        await self.poster.close()
        for socket in list(self.sockets):
            await socket.ws.close()

    # what is delivered

    def tell(self, team: Workspace, name: str, event: dict[str, Any]) -> None:
        """Deliver an event, if the app subscribes to it and may see it."""
        app = self.world.app
        needs_scope = KINDS.get(name, "")
        if (app.events is not None and name not in app.events) or (needs_scope and needs_scope not in team.scopes):
            return
        if team.token_state and name not in {"app_uninstalled", "tokens_revoked"}:
            return
        authorization = {
            "enterprise_id": None, "team_id": team.id, "user_id": team.bot.id, "is_bot": True,
            "is_enterprise_install": False,
        }  # fmt: skip
        payload = {
            "token": app.verification_token, "team_id": team.id, "context_team_id": team.id,
            "context_enterprise_id": None, "api_app_id": app.id, "event": event, "type": "event_callback",
            "event_id": "", "event_time": int(time.time()), "authorizations": [authorization],
            "is_ext_shared_channel": False, "event_context": f"4-{token(16)}",
        }  # fmt: skip
        settings, event_id, envelope = self.world.settings, self._event_id(), self._envelope()
        for copy in range(settings.copies if "events_api" in settings.copied else 1):
            if copy and not settings.same_event:
                event_id = self._event_id()
            self.start(self._event(name, payload | {"event_id": event_id}, envelope))

    def _event_id(self) -> str:
        return f"Ev{next(self.world.numbers):09d}"

    def _envelope(self) -> str:
        return f"{next(self.world.numbers):08d}-{token(8)}"

    def start(self, coroutine: Any) -> None:
        """Have something done beside."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _event(self, name: str, payload: dict[str, Any], envelope: str) -> None:
        """Deliver an event until it is acknowledged, or too often."""
        reason, delays = "", (0.0, *self.world.settings.retry_delays)
        for attempt, delay in enumerate(delays):
            await asyncio.sleep(delay)
            same = self.world.settings.same_envelope
            delivery = Delivery(
                "events_api", name, payload["event_id"], envelope if same else self._envelope(), attempt
            )
            await self._send(delivery, payload, reason=reason, wait_for_socket=True)
            if delivery.acked_at and not delivery.late:
                return
            reason = delivery.problem
            if delivery.problem == "no retry":
                break
        self.unacked.append(delivery)

    def ask(self, kind: str, what: str, payload: dict[str, Any]) -> Delivery:
        """Deliver a command or an interaction, once; its answer comes in the delivery returned."""
        settings = self.world.settings
        first = Delivery(kind, what, "", self._envelope())
        self.start(self._once(first, payload))
        for _ in range(settings.copies - 1 if kind in settings.copied else 0):
            envelope = first.envelope if settings.same_envelope else self._envelope()
            self.start(self._once(Delivery(kind, what, "", envelope), payload))
        return first

    async def _once(self, delivery: Delivery, payload: dict[str, Any]) -> None:
        await self._send(delivery, payload)
        if not delivery.acked_at or delivery.late:
            self.unacked.append(delivery)

    async def _send(
        self, delivery: Delivery, payload: dict[str, Any], *, reason: str = "", wait_for_socket: bool = False
    ) -> None:
        self.log.append(delivery)
        if self.world.app.request_url:
            await self.poster.post(delivery, payload, reason)
            delivery.done.set()
            return
        socket = await self._next_socket(wait=wait_for_socket)
        if socket is None:
            delivery.problem = "no socket"
            delivery.done.set()
            return
        accepts = delivery.kind == "slash_commands" or payload.get("type") in {"view_submission", "block_suggestion"}
        envelope: dict[str, Any] = {
            "envelope_id": delivery.envelope, "payload": payload, "type": delivery.kind,
            "accepts_response_payload": accepts,
        }  # fmt: skip
        if delivery.kind == "events_api":
            envelope |= {"retry_attempt": delivery.attempt, "retry_reason": reason}
        self._by_envelope.setdefault(delivery.envelope, []).append(delivery)
        delivery.sent_at, delivery.socket = time.time(), socket.number
        if not self.world.faults.dark and not socket.dead:
            try:
                await socket.ws.send_str(json.dumps(envelope))
            except ConnectionError:
                delivery.problem = "timeout"
        try:
            await asyncio.wait_for(delivery.done.wait(), self.world.settings.ack_within)
        except TimeoutError:
            delivery.problem = "timeout"
        if delivery.acked_at and delivery.answer is not None and not accepts:
            self.world.violate("unexpected_ack_payload", delivery.answer, what=delivery.what)
        delivery.done.set()

    async def _next_socket(self, *, wait: bool) -> Socket | None:
        while not self.sockets:
            if not wait:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._turn += 1
        return self.sockets[self._turn % len(self.sockets)]

    # sockets

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Take a connection of the app."""
        issued = self.world.tickets.pop(request.query.get("ticket", ""), None)
        if self.refused_links:
            self.refused_links -= 1
            issued = None
        if issued is None or time.monotonic() > issued + self.world.settings.ticket_life:
            self.world.stats["refused links"] += 1
            return web.Response(status=401, text="invalid ticket")
        ws = web.WebSocketResponse(autoping=False, compress=False)
        await ws.prepare(request)
        if len(self.sockets) >= self.world.settings.sockets:
            await ws.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await ws.close()
            return ws
        self.opened += 1
        socket = Socket(self.opened, ws)
        self.sockets.append(socket)
        await ws.send_json({
            "type": "hello", "num_connections": len(self.sockets), "connection_info": {"app_id": self.world.app.id},
            "debug_info": {"host": "applink-1", "approximate_connection_time": 18060, "build_number": 1},
        })  # fmt: skip
        self._arrived.set()
        try:
            async for message in ws:
                if not self.world.faults.dark and not socket.dead:
                    await self._heard(socket, message)
        finally:
            self._gone(socket)
        return ws

    def _gone(self, socket: Socket) -> None:
        if socket in self.sockets:
            self.sockets.remove(socket)
        for delivery in (delivery for copies in self._by_envelope.values() for delivery in copies):
            if delivery.socket == socket.number and not delivery.done.is_set():
                delivery.problem = "timeout"
                delivery.done.set()

    async def _heard(self, socket: Socket, message: aiohttp.WSMessage) -> None:
        if message.type == WSMsgType.PING:
            await socket.ws.pong(message.data)
        if message.type != WSMsgType.TEXT:
            return
        try:
            heard = json.loads(message.data)
        except ValueError:
            heard = None
        copies = self._by_envelope.get(heard.get("envelope_id", "")) if isinstance(heard, dict) else None
        if not copies or set(heard) - {"envelope_id", "payload"}:
            self.world.violate("unknown_frame", str(message.data)[:200])
            return
        delivery = next((copy for copy in copies if not copy.acked_at), None)
        if delivery is None:
            self.world.stats["acked twice"] += 1
            return
        delivery.acked_at = time.time()
        delivery.late = delivery.done.is_set()
        delivery.answer = heard.get("payload")
        delivery.done.set()
        if len(self._by_envelope) > 5000:
            for envelope, old in list(self._by_envelope.items())[:2500]:
                if all(copy.done.is_set() for copy in old):
                    del self._by_envelope[envelope]

    async def disconnect(self, reason: str, count: int | None, grace: float) -> int:
        """Send sockets away, the oldest first, and close them a little later."""
        leaving = self.sockets[: count or None]
        for socket in leaving:
            self.sockets.remove(socket)
            await socket.ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})

        async def close() -> None:
            await asyncio.sleep(grace)
            for socket in leaving:
                await socket.ws.close()

        self.start(close())
        return len(leaving)

    def cut(self) -> int:
        """Break all connections without a word."""
        cut = list(self.sockets)
        for socket in cut:
            transport = socket.ws._req.transport if socket.ws._req else None
            if transport is not None:
                transport.abort()
        return len(cut)

    def sever(self) -> None:
        """Let all connections lie half open: nothing ever comes through them again, and nobody closes them."""
        for socket in self.sockets:
            socket.dead = True
        self.sockets.clear()


@handles("apps.connections.open")
async def connections_open(call: Call) -> dict[str, Any]:
    """Return a URL for one connection."""
    world = call.world
    if time.monotonic() < world.closed_until:
        raise Refused("internal_error")
    ticket = token(16)
    world.tickets[ticket] = time.monotonic()
    return {"url": f"{world.url.replace('http', 'ws', 1)}/link?ticket={ticket}&app_id={world.app.id}"}
