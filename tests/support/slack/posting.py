"""Payloads on their way to the app, and how they are posted to it over HTTP, signed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import urllib.parse
from dataclasses import dataclass, field, fields
from typing import Any

import aiohttp

from support.slack.chance import token
from support.slack.world import World


@dataclass
class Delivery:
    """One copy of one payload on its way to the app."""

    kind: str
    what: str
    event_id: str
    envelope: str
    attempt: int = 0
    sent_at: float = 0.0
    acked_at: float = 0.0
    late: bool = False
    answer: Any = None
    problem: str = ""
    socket: int = 0
    status: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def shown(self) -> dict[str, Any]:
        """Return it for a test."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "done"}


class Poster:
    """Posts to the app's request URL."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def post(self, delivery: Delivery, payload: dict[str, Any], reason: str) -> None:
        """Post a payload; what comes of it is noted in its delivery."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if delivery.kind == "events_api":
            headers["Content-Type"] = "application/json"
            body = json.dumps(payload)
            if delivery.attempt:
                headers |= {
                    "x-slack-retry-num": str(delivery.attempt),
                    "x-slack-retry-reason": reason or "http_timeout",
                }
        elif delivery.kind == "slash_commands":
            body = urllib.parse.urlencode(payload)
        else:
            body = urllib.parse.urlencode({"payload": json.dumps(payload)})
        delivery.sent_at = time.time()
        if self.world.faults.dark:
            await asyncio.sleep(self.world.settings.ack_within)
            delivery.problem = "http_timeout"
            return
        try:
            delivery.status, text, no_retry = await self.fetch(body, headers)
        except TimeoutError:
            delivery.problem = "http_timeout"
        except (aiohttp.ClientError, OSError):
            delivery.problem = "connection_failed"
        else:
            if delivery.status // 100 == 2:
                delivery.acked_at = time.time()
                delivery.answer = _answer(text)
            else:
                delivery.problem = "no retry" if no_retry else "http_error"

    async def fetch(self, body: str, headers: dict[str, str]) -> tuple[int, str, bool]:
        """Post to the app, signed; return the status, the text, and whether it wants no retry."""
        app = self.world.app
        stamp = str(int(time.time()) - (3600 if app.signs == "old" else 0))
        secret = app.signing_secret if app.signs != "bad" else token(16)
        digest = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = headers | {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=self.world.settings.ack_within)
        assert app.request_url is not None
        request = self._session.post(app.request_url, data=body.encode(), headers=headers, timeout=timeout)
        async with request as response:
            return response.status, await response.text(), response.headers.get("x-slack-no-retry") == "1"


def _answer(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text}
