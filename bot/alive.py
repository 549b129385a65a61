"""Which bot processes live, and which of them holds a lease.

A process says that it lives with a key that lapses; one on the same machine is also known to be dead at once when
its process id is gone, so that a restarted bot need not wait for the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import structlog
from redis import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

TTL = 5.0
RENEW_EVERY = 1.0
SURE_FOR = 3.0
"""Seconds after a renewal in which a process may act on being alive: less than TTL by what an act may take."""

_HOLD = """
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] or owner == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  return ''
end
return owner
"""
_LET_GO = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Peers(Protocol):
    """The bot processes, as one of them sees them."""

    id: str

    def sure(self) -> bool:
        """Tell whether no other process can take this one for dead right now."""

    async def dead(self, process: str) -> bool:
        """Tell whether another process is gone."""


class Alive:
    """This process's sign of life, and what is known of the others'."""

    def __init__(self, redis: Redis) -> None:
        self.id = f"{_machine()}.{os.getpid()}.{_started(os.getpid())}.{secrets.token_hex(4)}"
        self._redis = redis
        self._renewed = -SURE_FOR

    async def run(self) -> None:
        """Renew the sign of life until cancelled."""
        while True:
            try:
                await self.renew()
            except RedisError as error:
                log.warning("Redis does not answer", reason=str(error))
            await asyncio.sleep(RENEW_EVERY)

    async def renew(self) -> None:
        """Say that this process lives."""
        begun = time.monotonic()
        await self._redis.set(_alive(self.id), 1, px=int(TTL * 1000))
        self._renewed = begun

    def sure(self) -> bool:
        """See `Peers.sure`."""
        return time.monotonic() - self._renewed < SURE_FOR

    async def dead(self, process: str) -> bool:
        """See `Peers.dead`."""
        if process == self.id:
            return False
        return _gone(process) or not await self._redis.exists(_alive(process))

    async def alone(self) -> bool:
        """Tell whether no other bot process lives."""
        prefix = _alive("")
        async for key in self._redis.scan_iter(f"{prefix}*", count=1000):
            other = cast("bytes", key).decode().removeprefix(prefix)
            if other != self.id and not await self.dead(other):
                return False
        return True

    async def end(self) -> None:
        """Say that this process ends."""
        self._renewed = -SURE_FOR
        with contextlib.suppress(RedisError):  # it lapses by itself
            await self._redis.delete(_alive(self.id))


class Lease:
    """Something that only one of the processes does at a time."""

    def __init__(self, redis: Redis, alive: Alive, name: str) -> None:
        self._redis = redis
        self._alive = alive
        self._key = f"scopebot:lease:{name}"
        self._hold = redis.register_script(_HOLD)
        self._let_go = redis.register_script(_LET_GO)
        self._held_at = -SURE_FOR

    @property
    def held(self) -> bool:
        """Tell whether this process holds it, and nobody else can."""
        return time.monotonic() - self._held_at < SURE_FOR

    async def run(self) -> None:
        """Take it as soon as it is free and renew it, until cancelled."""
        while True:
            await self.hold()
            await asyncio.sleep(RENEW_EVERY)

    async def hold(self) -> bool:
        """Take or renew it; False where another living process has it."""
        begun = time.monotonic()
        owner = await self._try("")
        if owner and await self._alive.dead(owner):
            begun = time.monotonic()
            owner = await self._try(owner)
        self._held_at = -SURE_FOR if owner else begun
        return not owner

    async def let_go(self) -> None:
        """Leave it to others."""
        self._held_at = -SURE_FOR
        with contextlib.suppress(RedisError):  # it lapses by itself
            await self._let_go(keys=[self._key], args=[self._alive.id])

    async def _try(self, dead: str) -> str:
        """Take it where it is free, ours or the dead one's; return who has it otherwise."""
        owner = await self._hold(keys=[self._key], args=[self._alive.id, dead, int(TTL * 1000)])
        return cast("bytes", owner).decode()


def _alive(process: str) -> str:
    return f"scopebot:alive:{process}"


def _machine() -> str:
    """Return what stands for this boot of this machine and this namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        seen = boot + str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux: only the key tells
        seen = secrets.token_hex(8)
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Return when a process started, in ticks since boot; empty where there is none, or only what is left of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _gone(process: str) -> bool:
    """Tell whether a process of this machine is no more; False also where that cannot be known."""
    machine, _, rest = process.partition(".")
    pid, _, started = rest.rpartition(".")[0].partition(".")
    return machine == _machine() and bool(started) and _started(int(pid)) != started
