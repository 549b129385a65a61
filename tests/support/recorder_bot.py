"""The bot on the recorder's platform: `python -m support.recorder_bot URL NAME [WORKERS]`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from datetime import datetime
from typing import Any

import aiohttp

from bot.app import open_bot
from bot.logs import set_up_logging
from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from bot.settings import BotSettings
from handlers.incoming import Incoming, Place
from handlers.message import Message
from jobs.errors import RedisFull
from jobs.outages import OUTAGES


class RecorderPlatform(Platform):
    """Speaks to `support.recorder`."""

    edit_every = 0.1
    edits_per_minute = 600.0

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def run(self, receive: Receive) -> None:
        while True:
            try:
                messages = (await self._call("next", {}))["messages"]
                await asyncio.gather(*(self._hear(message, receive) for message in messages))
            except (aiohttp.ClientError, TimeoutError):
                messages = []
            if not messages:
                await asyncio.sleep(0.05)

    async def send(
        self, place: Place, message: Message, *, key: str, live: bool = False, audience: Audience = EVERYONE
    ) -> str:
        body = {"place": place.model_dump(), "message": message.model_dump(mode="json"), "key": key, "live": live}
        return str((await self._call("send", body))["id"])

    async def find(self, place: Place, key: str, since: datetime) -> str | None:
        found = (await self._call("find", {"key": key}))["id"]
        return None if found is None else str(found)

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None:
        await self._call("edit", {"id": message_id, "message": message.model_dump(mode="json"), "final": final})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _hear(self, message: dict[str, Any], receive: Receive) -> None:
        incoming = Incoming.model_validate(message["incoming"])
        try:
            await receive(incoming)
        except (*OUTAGES, RedisFull):  # not kept, so not acknowledged: it is delivered again
            return
        await self._call("ack", {"id": incoming.id, "n": message["n"]})

    async def _call(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10), raise_for_status=True)
        async with self._session.post(f"{self._url}/{what}", json=body) as answer:
            return dict(await answer.json(content_type=None))


async def main(url: str, name: str, workers: str = "0") -> None:
    set_up_logging("info")
    async with open_bot(BotSettings(), workers=int(workers)) as bot:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        serving = asyncio.create_task(bot.serve(RecorderPlatform(url, name)))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
