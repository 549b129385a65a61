"""Calls of Feishu's OpenAPI: the SDK's requests over one session, what each may do, and what an answer means for us.

The SDK's own transport opens a session for each call, waits on the loop for a token, and knows no limits.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import structlog
from lark_oapi import JSON, BaseRequest

from bot.budgets import Posts, Rate, Window
from bot.platforms.base import Denied, MessageGone, PlaceClosed, PlatformError, RateLimited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.feishu.tokens import Tokens

log = structlog.get_logger(__name__)

ANSWER_WITHIN = 20.0
"""Seconds after which it is open what became of a call."""
POSTS_IN_CHAT = Rate(4, 1.05)
"""Of the five in a second that all bots of a group share."""
POSTS_TOGETHER = (Rate(40, 1.05), Rate(900, 61.0))
"""Of the 50 in a second and 1,000 in a minute that Feishu allows for each of creating and replying."""
CALLS_TOGETHER = (Rate(45, 1.05), Rate(950, 61.0))
"""The same for any other method."""
LONGEST_PAUSE = 60.0
RATE_LIMITED = frozenset({99991400, 230020, 11232, 230049})
"""Errors that say to ask again later; the last one that the message is on its way."""
BAD_TOKEN = frozenset({99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677})
DENIED = frozenset({99991672, 99991679, 230006, 230027, 99991401, 99991403, 99991662, 99991673, 10003, 10014, 10012})
"""Errors that an admin has to mend: a scope, the bot's ability, the app's state."""
CLOSED = frozenset({
    230002, 230013, 230018, 230029, 230034, 230035, 230038, 230053, 230075, 232009, 232011, 230015, 232033,
})  # fmt: skip
"""Errors that say that we cannot post in a place."""
GONE = frozenset({230011, 230012, 230017, 230019, 230031, 230050, 230054, 230073, 230110, 230111})
"""Errors that say that a message is not there, or not ours."""
CARD_REFUSED = frozenset({230001, 230025, 230099})
NO_THREADS = frozenset({230071, 230072})


class CardRefused(PlatformError):
    """Feishu does not take a card; nothing was posted."""


class NoThreads(PlatformError):
    """Nobody can answer in a thread there."""


class Answered(NamedTuple):
    """An answer: its status, its headers, and what it says."""

    status: int
    headers: Mapping[str, str]
    said: dict[str, Any]

    @property
    def code(self) -> int:
        """Feishu's own word for what happened; 0 is well."""
        code = self.said.get("code")
        return code if isinstance(code, int) else -1


class Calls:
    """The OpenAPI as the app may use it. Raises `PlatformError` where something is known not to be done."""

    def __init__(self, domain: str, session: aiohttp.ClientSession, tokens: Tokens) -> None:
        self._domain, self._session, self._tokens = domain, session, tokens
        self._posts = Posts(channel=POSTS_IN_CHAT, together=POSTS_TOGETHER)
        self._windows: dict[str, list[Window]] = {}
        self._paused: dict[str, float] = {}
        """Until when a method is not to be called."""

    async def turn(self, chat: str, *, urgent: bool = False) -> None:
        """Wait until one more post may be made in a chat; an urgent one goes before others."""
        await self._posts.turn(chat, urgent=urgent)

    async def call(self, request: BaseRequest, *, form: aiohttp.FormData | None = None) -> dict[str, Any]:
        """Make a request and return the `data` of its answer; `form` in place of a body uploads a file."""
        method = f"{request.http_method.name} {request.uri}"
        left = self._paused.get(method, -math.inf) - time.monotonic()
        if left > 0:
            raise RateLimited(left)
        await self._room(method)
        token = await self._tokens.get()
        answered = await self._ask(request, token, form)
        if answered.code in BAD_TOKEN:
            self._tokens.spurn(token)
            if form is None:  # a form can be sent once
                answered = await self._ask(request, await self._tokens.get(), form)
        if answered.code == 0 and answered.status < 400:
            data = answered.said.get("data")
            return data if isinstance(data, dict) else answered.said
        raise self._meaning(method, answered)

    async def _room(self, method: str) -> None:
        """Wait until a method may be called; posts wait for their turn before."""
        windows = self._windows.setdefault(method, [Window(*rate) for rate in CALLS_TOGETHER])
        while (wait := max(window.wait(time.monotonic()) for window in windows)) > 0:  # noqa: ASYNC110 - others call too
            await asyncio.sleep(wait)
        for window in windows:
            window.count(time.monotonic())

    async def _ask(self, request: BaseRequest, token: str, form: aiohttp.FormData | None) -> Answered:
        """Make one request. Raises what the network does, and for an answer that says nothing, `ClientError`."""
        path = str(request.uri)
        for name, value in request.paths.items():
            path = path.replace(f":{name}", urllib.parse.quote(str(value), safe=""))
        headers = {"Authorization": f"Bearer {token}"}
        body = form
        if form is None and request.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            body = JSON.marshal(request.body).encode()
        async with (
            asyncio.timeout(ANSWER_WITHIN),
            self._session.request(
                request.http_method.name, f"{self._domain}{path}", params=request.queries, headers=headers, data=body,
                allow_redirects=False,
            ) as answer,
        ):  # fmt: skip
            text = await answer.text()
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            if answer.status == 429:
                said = {"code": 99991400}
            else:
                raise aiohttp.ClientPayloadError(f"{request.uri}: HTTP {answer.status} without JSON")
        return Answered(answer.status, answer.headers, said)

    def _meaning(self, method: str, answered: Answered) -> Exception:
        """Return what a refusal means; an error of the network where it is open what was done."""
        code = answered.code
        said = f"{method}: {code} {answered.said.get('msg', '')}".strip()
        if answered.status == 429 or code in RATE_LIMITED:
            wait = _reset_of(answered)
            self._paused[method] = time.monotonic() + wait
            if method.startswith("POST /open-apis/im/v1/messages"):
                self._posts.pause(wait)
            return RateLimited(wait)
        if answered.status >= 500:
            return aiohttp.ClientPayloadError(said)
        if code in BAD_TOKEN or code in DENIED:
            log.error("Feishu does not let the bot do something; see `scopebot doctor`", reason=said)
            return Denied(said)
        if code in NO_THREADS:
            return NoThreads(said)
        kinds = ((CLOSED, PlaceClosed), (GONE, MessageGone), (CARD_REFUSED, CardRefused))
        for codes, kind in kinds:
            if code in codes:
                return kind(said)
        return PlatformError(said)


def _reset_of(answered: Answered) -> float:
    """Return the seconds after which a refusal says that it may be asked again, one where it does not say."""
    try:
        return min(LONGEST_PAUSE, max(1.0, float(answered.headers.get("x-ogw-ratelimit-reset", ""))))
    except ValueError:
        return 1.0
