"""The wiring of the one asyncio process."""

from __future__ import annotations

import asyncio
import fcntl
import functools
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
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from sqlalchemy import Engine

from bot.alive import Alive, Lease
from bot.attached import AttachedPlatform
from bot.background import cancel, keep_going
from bot.beside import Beside
from bot.dispatcher import Dispatcher
from bot.outbox import Outbox
from bot.pauses import import_beside
from bot.platforms.base import Platform, Posted
from bot.reporter import Reporter
from bot.services import BotServices
from bot.settings import BotSettings
from bot.upkeep import Upkeep
from bot.wakeups import Wakeups
from bot.web.links import Links
from bot.web.server import Hooks, Site, make_app
from handlers.incoming import Incoming
from handlers.presets import check_presets
from handlers.texts import Texts
from handlers.understand import warm_up
from jobs.artifacts import Artifacts
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer
from jobs.errors import CannotListen
from jobs.events import EVENTS, Event
from jobs.ledger import Ledger
from jobs.patience import LOOK_EVERY, Absence
from jobs.same_store import open_artifacts, publish, say_again
from jobs.space import telling_of_redis
from jobs.store import Store

log = structlog.get_logger(__name__)

TAKE_OVER_EVERY = 1.0
SAY_AGAIN_EVERY = 10.0
READ_FOR_MS = 2000
REVIVE_EVERY = 0.5
RETRIES = (ExponentialBackoff(cap=0.2, base=0.02), 3)
"""How often a command is tried again at once: whoever asked tries again later, and waits for nothing meanwhile."""
Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]


@dataclass(frozen=True)
class Bot:
    """Everything one process has; made by `open_bot`."""

    settings: BotSettings
    services: BotServices
    reporter: Reporter
    ledger: Ledger
    redis: AsyncRedis
    queue: Redis
    links: Links
    hooks: Hooks
    """What platforms have the web server serve."""
    alive: Alive
    attached: dict[tuple[str, str], AttachedPlatform] = field(default_factory=dict)
    """By the platform's name and session."""
    attaching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def url(self) -> str:
        """Where people reach the web server."""
        return self.links.public_url

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

        await platform.run(keep)

    async def attach(self, platform: Platform) -> AttachedPlatform:
        """Begin to answer and to report on a platform; what an earlier process left undone there is done first."""
        async with self.attaching:
            address = (platform.name, platform.session)
            attached = self.attached.get(address)
            if attached is None or attached.platform is not platform:
                if attached is not None:
                    await attached.close()
                attached = self.attached[address] = AttachedPlatform(
                    platform, self.redis, self.queue, self.alive, self.reporter
                )
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


async def serve_platforms(bot: Bot) -> None:
    """Hear what people say on every platform that is configured, until cancelled."""
    used = {"slack": bot.settings.uses_slack, "feishu": bot.settings.uses_feishu}
    await asyncio.gather(*(_serve_platform(bot, name) for name, is_used in used.items() if is_used))
    await asyncio.Event().wait()


async def _serve_platform(bot: Bot, name: str) -> None:
    """Hear what people say on one platform; its SDK is imported only then, beside all else: Feishu's takes seconds."""
    module = await import_beside(f"bot.platforms.{name}")
    platform: Platform = module.make(bot)
    await keep_going(functools.partial(bot.serve, platform))


async def redis_answers(settings: BotSettings) -> None:
    """Wait until an outside Redis answers."""
    if settings.redis_url is not None:
        absence = Absence(settings.redis_url)
        while await asyncio.to_thread(absence.lasts):  # noqa: ASYNC110 - nothing tells that it is back
            await asyncio.sleep(LOOK_EVERY)


@asynccontextmanager
async def open_bot(settings: BotSettings, *, workers: int, port_may_move: bool = False) -> AsyncIterator[Bot]:
    """Start what the process needs, once Redis answers, and stop it at the end.

    Raises `CannotListen`, `ArtifactsDiffer`, `ArtifactsAway` and `RedisFull`, and `ConfigInvalid` for a wrong preset.

    The first process on a data folder also runs the web server and, with the embedded server, `workers` workers;
    a second one (a console beside `serve`) uses those of the first, and takes its place when it ends.
    """
    check_presets(settings.config, settings.config_path or settings.folder / "scopebot.toml")
    await redis_answers(settings)
    async with AsyncExitStack() as stack:
        parts = await _open_parts(stack, settings)
        owner = stack.enter_context(_Ownership(settings.folder))
        leader = _Leader(stack, parts, owner, workers=workers, port_may_move=port_may_move)
        if owner.owned:
            await leader.lead()
        await parts.alive.renew()
        bot = Bot(
            settings=parts.settings,
            services=leader.services,
            reporter=Reporter(leader.services, Outbox(parts.engine), Wakeups()),
            ledger=Ledger(parts.engine),
            redis=parts.redis,
            queue=parts.queue,
            links=leader.links,
            hooks=leader.hooks,
            alive=parts.alive,
        )
        dispatcher = Dispatcher(
            settings=parts.settings, store=parts.store, redis=parts.redis, queue=parts.queue,
            lease=Lease(parts.redis, parts.alive, "dispatch"),
        )  # fmt: skip
        upkeep = Upkeep(
            retention=parts.settings.config.retention, store=parts.store, outbox=Outbox(parts.engine),
            ledger=bot.ledger, artifacts=parts.artifacts, redis=parts.queue,
        )  # fmt: skip
        duties = [dispatcher.run, bot.follow_events, parts.alive.run, parts.keep_mark, upkeep.run]
        if not owner.owned:
            duties.append(leader.take_over)
        tasks = [asyncio.create_task(keep_going(duty)) for duty in duties]
        tasks.append(asyncio.create_task(_warm_up(bot)))
        stack.push_async_callback(bot.services.classifier.close)
        stack.push_async_callback(cancel, tasks)
        stack.push_async_callback(bot.leave)
        log.info("ready", url=bot.url)
        yield bot


async def _use_embedded(stack: AsyncExitStack, folder: Path) -> str:
    """Use the folder's embedded server until the stack is left, and keep it alive; return its address."""
    server = await asyncio.to_thread(EmbeddedServer, folder)
    stack.push_async_callback(asyncio.to_thread, server.close)

    async def keep_alive() -> None:
        while True:
            if await asyncio.to_thread(server.revive):
                log.warning("the embedded Valkey had ended and was started again")
            await asyncio.sleep(REVIVE_EVERY)

    stack.push_async_callback(cancel, [asyncio.create_task(keep_going(keep_alive))])
    return server.url


@dataclass(frozen=True)
class _Parts:
    """What a process stands on."""

    settings: BotSettings
    """Redis is named in them, the embedded one too."""
    embedded: bool
    redis: AsyncRedis
    queue: Redis
    engine: Engine
    store: Store
    artifacts: Artifacts
    mark: str
    """The artifact store's."""
    alive: Alive

    async def ready(self) -> dict[str, bool]:
        """Tell what works, by name."""
        return {
            "redis": bool(await self.redis.ping()),
            "database": bool(await asyncio.to_thread(self.store.answers)),
        }

    async def keep_mark(self) -> None:
        """Say again which artifact store is ours, should Redis lose it, until cancelled."""
        while True:
            await asyncio.to_thread(say_again, self.queue, self.mark)
            await asyncio.sleep(SAY_AGAIN_EVERY)


async def _open_parts(stack: AsyncExitStack, settings: BotSettings) -> _Parts:
    """Open Redis, the database and the artifact store until the stack is left."""
    embedded = settings.redis_url is None
    if embedded:
        settings = settings.model_copy(update={"redis_url": await _use_embedded(stack, settings.folder)})
    assert settings.redis_url is not None
    redis = AsyncRedis.from_url(settings.redis_url, health_check_interval=30, retry=AsyncRetry(*RETRIES))
    stack.push_async_callback(redis.aclose)
    queue = Redis.from_url(settings.redis_url, health_check_interval=30, retry=Retry(*RETRIES))
    stack.callback(queue.close)
    engine = open_engine(settings.effective_database_url)
    stack.callback(engine.dispose)
    await asyncio.to_thread(migrate, engine)
    artifacts = open_artifacts(settings.effective_artifacts_url)
    alive = Alive(redis)
    with telling_of_redis():
        others = not await alive.alone()
        await alive.renew()
        stack.push_async_callback(alive.end)
        mark = await asyncio.to_thread(publish, artifacts, queue, others=others)
    return _Parts(
        settings=settings, embedded=embedded, redis=redis, queue=queue, engine=engine, store=Store(engine),
        artifacts=artifacts, mark=mark, alive=alive,
    )  # fmt: skip


class _Leader:
    """What one process of a data folder runs: the web server, and the local workers."""

    def __init__(
        self, stack: AsyncExitStack, parts: _Parts, owner: _Ownership, *, workers: int, port_may_move: bool
    ) -> None:
        self._stack = stack
        self._parts = parts
        self._owner = owner
        self._workers = workers
        self._port_may_move = port_may_move
        settings = parts.settings
        self.hooks: Hooks = {}
        self.links = Links(settings.effective_secret_key, settings.public_url or owner.web_url())
        self.services = BotServices(
            settings=settings, store=parts.store, artifacts=parts.artifacts, links=self.links, redis=parts.redis,
            queue=parts.queue, dashboard_url=settings.dashboard_url,
        )  # fmt: skip

    async def lead(self) -> None:
        """Begin. Raises `CannotListen`."""
        parts, settings = self._parts, self._parts.settings
        listening = _listen(settings.host, settings.port, may_move=self._port_may_move)
        self.links.public_url = settings.public_url or _url_of(listening)
        site = Site(
            store=parts.store, artifacts=parts.artifacts, redis=parts.redis, links=self.links, ready=parts.ready,
            describe=lambda failure, language: Texts(language).error(failure), hooks=self.hooks,
        )  # fmt: skip
        await _serve_web(self._stack, site, listening)
        self._owner.tell_web_url(self.links.public_url)
        if parts.embedded:
            _start_workers(self._stack, settings, self._workers)
            self.services.expect_workers()

    async def take_over(self) -> None:
        """Lead once the process that does so has ended."""
        while not self._owner.take():  # noqa: ASYNC110 - another process holds the lock
            await asyncio.sleep(TAKE_OVER_EVERY)
        await self.lead()
        await asyncio.Event().wait()


async def _warm_up(bot: Bot) -> None:
    """Have the grammar ready for the first message, beside everything else."""
    await asyncio.to_thread(warm_up, await bot.services.vocabulary())


async def _serve_web(stack: AsyncExitStack, site: Site, listening: socket.socket) -> None:
    """Serve the pages until the stack is left."""
    runner = web.AppRunner(make_app(site), access_log=None)  # addresses hold tokens
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening).start()


def _start_workers(stack: AsyncExitStack, settings: BotSettings, count: int) -> None:
    """Keep workers going that end when the stack is left."""
    for number in range(count):
        worker = Beside(f"worker-{number}", functools.partial(start_worker, settings, number))
        stack.push_async_callback(worker.end)


def _listen(host: str, port: int, *, may_move: bool) -> socket.socket:
    """Open the web server's socket; where it `may_move`, a port that another program has is passed over for a free one.

    Raises `CannotListen`: a server whose address people were given must not turn up at another one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if not may_move:
            raise CannotListen(host=host, port=port, reason=error.strerror or str(error)) from error
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
