"""The wiring of the one asyncio process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self, cast

import structlog
from aiohttp import web
from pydantic import ValidationError
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bot.alive import Alive
from bot.attached import AttachedPlatform
from bot.background import cancel, keep_going
from bot.dispatcher import Dispatcher
from bot.outbox import Outbox
from bot.platforms.base import Platform, Posted
from bot.reporter import Reporter
from bot.services import BotServices
from bot.settings import BotSettings
from bot.wakeups import Wakeups
from bot.web.links import Links
from bot.web.server import Site, make_app
from handlers.incoming import Incoming
from handlers.texts import Texts
from jobs.artifacts import Artifacts
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer
from jobs.events import EVENTS, Event
from jobs.ledger import Ledger
from jobs.store import Store

log = structlog.get_logger(__name__)

TAKE_OVER_EVERY = 1.0
READ_FOR_MS = 2000
Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]
WORKER_LEAVES_WITHIN = 60.0
"""Seconds a local worker has to finish what it is writing when the bot ends."""


@dataclass(frozen=True)
class Bot:
    """Everything one process has; made by `open_bot`."""

    settings: BotSettings
    services: BotServices
    reporter: Reporter
    ledger: Ledger
    redis: AsyncRedis
    url: str
    alive: Alive
    attached: dict[tuple[str, str], AttachedPlatform] = field(default_factory=dict)
    """By the platform's name and session."""
    attaching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def accept(self, platform: Platform, incoming: Incoming) -> bool:
        """Keep one message or click, so that it is handled whatever happens; False for a copy of an earlier one."""
        return await (await self.attach(platform)).accept(incoming)

    async def receive(self, platform: Platform, incoming: Incoming) -> list[Posted]:
        """Handle one message or click and return what is said to it, once that is posted."""
        return await (await self.attach(platform)).receive(incoming)

    async def serve(self, platform: Platform) -> None:
        """Hear what people say on a platform, until there is nobody left to hear, or cancelled."""
        attached = await self.attach(platform)

        async def keep(incoming: Incoming) -> list[Posted]:
            if platform.session:
                return await attached.receive(incoming)
            await attached.accept(incoming)
            return []

        try:
            await platform.run(keep)
        finally:
            await platform.close()

    async def attach(self, platform: Platform) -> AttachedPlatform:
        """Begin to answer and to report on a platform; what an earlier process left undone there is done first."""
        async with self.attaching:
            address = (platform.name, platform.session)
            attached = self.attached.get(address)
            if attached is None or attached.platform is not platform:
                if attached is not None:
                    await attached.close()
                attached = self.attached[address] = AttachedPlatform(platform, self.redis, self.alive, self.reporter)
                await attached.open()
            return attached

    async def leave(self) -> None:
        """Detach from all platforms."""
        await asyncio.gather(*(attached.close() for attached in self.attached.values()))
        self.attached.clear()

    async def follow_events(self) -> None:
        """Apply the workers' transitions as they come, until cancelled."""
        position = await asyncio.to_thread(self.ledger.position)
        while True:
            read = await self.redis.xread({EVENTS: position}, block=READ_FOR_MS, count=500)
            for _, entries in cast("Sequence[tuple[bytes, Entries]]", read or ()):
                events = [(key.decode(), _event(fields)) for key, fields in entries]
                await asyncio.to_thread(self.ledger.apply, events)
                position = events[-1][0]
                self.reporter.wake()


def _event(fields: dict[bytes, bytes]) -> Event | None:
    """Read a transition; None for one that cannot be read, such as another version's: it must not hold up the rest."""
    try:
        return Event.model_validate_json(fields[b"event"])
    except (ValidationError, KeyError):
        log.exception("a transition cannot be read")
        return None


@asynccontextmanager
async def open_bot(settings: BotSettings, *, workers: int) -> AsyncIterator[Bot]:
    """Start what the process needs and stop it at the end.

    The first process on a data folder also runs the web server and, with the embedded server, `workers` workers;
    a second one (a console beside `serve`) uses those of the first, and takes its place when it ends.
    """
    async with AsyncExitStack() as stack:
        embedded = settings.redis_url is None
        if embedded:
            server = await asyncio.to_thread(EmbeddedServer, settings.folder)
            stack.push_async_callback(asyncio.to_thread, server.close)
            settings = settings.model_copy(update={"redis_url": server.url})
        assert settings.redis_url is not None
        owner = stack.enter_context(_Ownership(settings.folder))
        redis = AsyncRedis.from_url(settings.redis_url, health_check_interval=30)
        stack.push_async_callback(redis.aclose)
        queue = Redis.from_url(settings.redis_url, health_check_interval=30)
        stack.callback(queue.close)
        engine = open_engine(settings.effective_database_url)
        stack.callback(engine.dispose)
        await asyncio.to_thread(migrate, engine)
        store, artifacts = Store(engine), Artifacts(settings.effective_artifacts_url)

        async def ready() -> dict[str, bool]:
            return {
                "redis": bool(await redis.ping()),
                "database": bool(await asyncio.to_thread(store.answers)),
            }

        links = Links(settings.effective_secret_key, settings.public_url or owner.web_url())
        services = BotServices(
            settings=settings, store=store, artifacts=artifacts, links=links, redis=redis, queue=queue,
            dashboard_url=settings.dashboard_url,
        )  # fmt: skip

        async def lead() -> None:
            """Run what one process of a data folder runs: the web server, and the local workers."""
            listening = _listen(settings.host, settings.port)
            links.public_url = settings.public_url or _url_of(listening)
            site = Site(
                store=store, artifacts=artifacts, redis=redis, links=links, ready=ready,
                describe=lambda failure, language: Texts(language).error(failure),
            )  # fmt: skip
            await _serve_web(stack, site, listening)
            owner.tell_web_url(links.public_url)
            if embedded:
                _start_workers(stack, settings, workers)
                services.expect_workers()

        async def take_over() -> None:
            """Lead once the process that does so has ended."""
            while not owner.take():  # noqa: ASYNC110 - another process holds the lock
                await asyncio.sleep(TAKE_OVER_EVERY)
            await lead()
            await asyncio.Event().wait()

        if owner.owned:
            await lead()
        alive = Alive(redis)
        await alive.renew()
        stack.push_async_callback(alive.end)
        bot = Bot(
            settings=settings,
            services=services,
            reporter=Reporter(services, Outbox(engine), Wakeups()),
            ledger=Ledger(engine),
            redis=redis,
            url=links.public_url,
            alive=alive,
        )
        dispatcher = Dispatcher(settings=settings, store=store, redis=redis, queue=queue)
        tasks = [
            asyncio.create_task(keep_going(dispatcher.run)),
            asyncio.create_task(keep_going(bot.follow_events)),
            asyncio.create_task(keep_going(alive.run)),
        ]
        if not owner.owned:
            tasks.append(asyncio.create_task(keep_going(take_over)))
        stack.push_async_callback(cancel, tasks)
        stack.push_async_callback(bot.leave)
        log.info("ready", url=bot.url)
        yield bot


async def _serve_web(stack: AsyncExitStack, site: Site, listening: socket.socket) -> None:
    """Serve the pages until the stack is left."""
    runner = web.AppRunner(make_app(site), access_log=None)  # addresses hold tokens
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening).start()


def _start_workers(stack: AsyncExitStack, settings: BotSettings, count: int) -> None:
    """Start workers that end when the stack is left."""
    for number in range(count):
        process = start_worker(settings, number)
        stack.push_async_callback(asyncio.to_thread, _end_worker, process)


def _listen(host: str, port: int) -> socket.socket:
    """Open the web server's socket; a port that another program has is passed over for a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        log.warning("the web server's port is taken", host=host, port=port, reason=error.strerror)
        return socket.create_server((host, 0), family=family)


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104 - compared, not bound


def start_worker(settings: BotSettings, number: int) -> subprocess.Popen[bytes]:
    """Start a worker beside the bot; it leaves when the bot does."""
    assert settings.redis_url is not None
    logs = settings.folder / "logs"
    logs.mkdir(exist_ok=True)
    environment = os.environ | {"REDIS_URL": settings.redis_url, "SCOPEBOT_DATA_DIR": str(settings.folder)}
    with (logs / f"worker-{number}.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "worker", "--with-parent"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
        )  # fmt: skip


def _end_worker(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(WORKER_LEAVES_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Ownership:
    """Which process on a data folder runs the web server and the local workers: whoever holds `bot.lock`."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] = (folder / "bot.lock").open("a+")
        self._url = folder / "web_url"
        self.owned = self.take()

    def take(self) -> bool:
        """Lead, if no other process does; tell whether this one does now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def web_url(self) -> str:
        """Return where the owner's web server is, as the owner said."""
        try:
            return self._url.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def tell_web_url(self, url: str) -> None:
        """Say where this process's web server is."""
        self._url.write_text(url, encoding="utf-8")
