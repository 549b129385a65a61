"""What the benchmarks share: a bot in this process, a platform that records, medians side by side."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app import Bot, open_bot
from bot.platforms.base import EVERYONE, Audience, Platform, Receive
from bot.settings import BotSettings
from handlers.incoming import Incoming, Place
from handlers.message import Message
from jobs.models import Run

if TYPE_CHECKING:
    from support.bot_process import BotProcess

ROUNDS = 5
PLACE = Place(platform="recorder", channel="bench", thread="bench")


class Recorder(Platform):
    """A platform that keeps what is posted."""

    name = "recorder"
    edit_every = 0.25
    run_threads = False

    def __init__(self) -> None:
        self.posts: asyncio.Queue[Message] = asyncio.Queue()
        self._ids = itertools.count(1)

    async def run(self, receive: Receive) -> None:
        """Nobody speaks but the benchmark."""

    async def send(
        self,
        place: Place,  # noqa: ARG002
        message: Message,
        *,
        key: str,  # noqa: ARG002
        live: bool = False,  # noqa: ARG002
        audience: Audience = EVERYONE,  # noqa: ARG002
    ) -> str:
        """Keep a post."""
        await self.posts.put(message)
        return f"m{next(self._ids)}"

    async def find(self, place: Place, key: str, since: datetime) -> str | None:  # noqa: ARG002
        """Find nothing: no process dies here."""
        return None

    async def edit(self, place: Place, message_id: str, message: Message, *, key: str, final: bool = False) -> None:
        """Pass over edits."""

    async def close(self) -> None:
        """Nothing to let go of."""


def incoming(text: str, number: int) -> Incoming:
    """Return a message of the machine's owner."""
    return Incoming(id=f"bench:{number}:{text}", place=PLACE, user="recorder:bench", text=text, owns_machine=True)


@asynccontextmanager
async def warm_bot(config: str = "") -> AsyncIterator[Bot]:
    """Yield a bot in a fresh data folder, once its worker lives."""
    with tempfile.TemporaryDirectory(prefix="scopebot-bench-") as folder:
        Path(folder, "scopebot.toml").write_text(config, encoding="utf-8")
        for name in ("REDIS_URL", "DATABASE_URL", "SCOPEBOT_ARTIFACTS_URL", "SCOPEBOT_CONFIG"):
            os.environ.pop(name, None)
        os.environ |= {"SCOPEBOT_DATA_DIR": folder, "SCOPEBOT_PORT": "0"}
        async with open_bot(BotSettings(), workers=1) as bot:
            while not await bot.services.workers():
                await asyncio.sleep(0.1)
            yield bot


def report(name: str, ours: list[float], bare: list[float], *, bound: float | None, bare_name: str) -> bool:
    """Print medians and their ratio; tell whether the ratio is within its bound."""
    mine, theirs = statistics.median(ours), statistics.median(bare)
    ratio = mine / theirs
    verdict = "" if bound is None else f"  bound {bound}: {'ok' if ratio <= bound else 'MISSED'}"
    print(f"{name:32} {mine:8.3f} s   {bare_name} {theirs:8.3f} s   ratio {ratio:.3f}{verdict}")
    return bound is None or ratio <= bound


def check(name: str, value: float, unit: str, bound: float) -> bool:
    """Print a figure with its absolute bound; tell whether it is within."""
    print(f"{name:32} {value:8.3f} {unit}  bound {bound} {unit}: {'ok' if value <= bound else 'MISSED'}")
    return value <= bound


def finish(results: list[bool], say: Callable[[str], None] = print) -> int:
    """Return the exit status of a benchmark."""
    say("all bounds held" if all(results) else "a bound was missed")
    return 0 if all(results) else 1


class Feeder:
    """Has the running runs say how far they are, each second, as their workers would."""

    def __init__(self, bot: BotProcess, runs: list[Run]) -> None:
        self._bot, self._runs = bot, runs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        done = 0
        while not self._over.wait(1.0):
            done += 1
            for run in self._runs:
                self._bot.progress(run, done, 10_000, rate=1.0, eta=10_000.0 - done)

    def end(self) -> None:
        """Say nothing more."""
        self._over.set()
        self._thread.join()
