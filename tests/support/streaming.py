"""A real OpenAI-compatible server that streams tokens at a fixed pace; also a process of its own for the benchmarks.

`python tests/support/streaming.py '{"first": 0.05, "each": 0.01}'` prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from aiohttp import web

MODEL = "tiny"


@dataclass(frozen=True)
class Pace:
    """How it answers. Delays are seconds; `tokens` caps an answer."""

    first: float = 0.02
    each: float = 0.005
    tokens: int = 8
    fails: int = 0
    """Every so many-th request is refused with 503."""
    dies_after: int | None = None
    """From this request on, each is refused with 500."""
    hangs_after: int | None = None
    streams: bool = True
    """False: it answers in one piece whatever was asked."""
    denies: bool = False


class Streaming:
    """The server, for as long as the block lasts."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.bodies: list[dict[str, Any]] = []
        """The requests of the load; the one-token question that checks the endpoint is left out."""
        self.keys: set[str] = set()
        self.most_at_once = 0
        self.port = 0
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.serve(lambda _port: self._ready.set()))
        self._loop.close()

    async def serve(self, ready: Callable[[int], None]) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        ready(self.port)
        await self._over.wait()
        await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        pace = self.pace
        self.keys.add(request.headers.get("Authorization", ""))
        if pace.denies:
            return error(401, "Incorrect API key provided.")
        check = body["messages"] == [{"role": "user", "content": "Hi"}]
        if not check:
            self.bodies.append(body)
        number = len(self.bodies)
        if not check and pace.dies_after is not None and number > pace.dies_after:
            return error(500, "the engine is gone")
        if not check and pace.hangs_after is not None and number > pace.hangs_after:
            await self._over.wait()
        if not check and pace.fails and number % pace.fails == 0:
            return error(503, "overloaded")
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._answer(request, body)
        finally:
            self._at_once -= 1

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        pace = self.pace
        count = min(pace.tokens, body.get("max_tokens") or pace.tokens)
        prompt = len(body["messages"][-1]["content"].split())
        usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
        if not (body.get("stream") and pace.streams):
            await asyncio.sleep(pace.first + pace.each * (count - 1))
            message = {"role": "assistant", "content": "word " * count}
            return web.json_response({
                "id": "c", "object": "chat.completion", "model": MODEL, "usage": usage,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            })  # fmt: skip
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        due = loop.time() + pace.first
        for _ in range(count):
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += pace.each
            choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            await response.write(event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}))
        await response.write(event({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response


def event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "error", "code": None}}, status=status)


if __name__ == "__main__":
    asked = asdict(Pace()) | (json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    asyncio.run(Streaming(Pace(**asked)).serve(lambda port: print(port, flush=True)))  # noqa: T201 - its one word
