"""What came in and must be handled: a stream in Redis for each platform. An entry goes when its effect is committed.

One script keeps a message: it sets the key by which copies are known, appends the message to the stream, and notes
its turn in the place it was said in. Each bot process is a consumer; what a dead one had in hand is taken over.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from pydantic import ValidationError
from redis import ResponseError

from bot.alive import Peers
from handlers.incoming import Incoming, Place

if TYPE_CHECKING:
    from redis import Redis as Keeper
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

SEEN_FOR = 7 * 24 * 3600
SESSION_KEPT_FOR = 24 * 3600
"""Seconds after which what a killed console leaves in Redis is gone."""
GROUP = "bot"
READ_FOR_MS = 2000
UNHEARD_AFTER_MS = 2000
"""Age from which an entry that was given to us, and of which we know nothing, was lost on its way."""

_ACCEPT = """
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return 0 end
local id = redis.call('XADD', KEYS[2], '*', 'incoming', ARGV[2])
redis.call('RPUSH', KEYS[3], id)
if ARGV[3] ~= '0' then
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return 1
"""
_DONE = """
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('LREM', KEYS[2], 0, ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
"""
_TAKE_OVER = """
local taken = 0
for _, entry in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, entry[1], 'JUSTID')
  taken = taken + 1
end
if taken < 1000 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
return taken
"""
_TURN = """
while true do
  local first = redis.call('LINDEX', KEYS[2], 0)
  if not first or first == ARGV[1] then return 1 end
  if #redis.call('XRANGE', KEYS[1], first, first) > 0 then return 0 end
  redis.call('LPOP', KEYS[2])
end
"""

Raw = tuple[bytes, dict[bytes, bytes] | None]


@dataclass(frozen=True)
class Entry:
    """A message in the stream."""

    id: str
    incoming: Incoming


class Inbox:
    """One platform's inbox, as one process sees it. With a `session` it is that process's alone."""

    def __init__(self, redis: Redis, keeper: Keeper, peers: Peers, platform: str, session: str = "") -> None:
        self._redis = redis
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="inbox")  # one: what comes first is kept first
        self._peers = peers
        self._platform = platform
        self._session = session
        self.address = f"{platform}:{session}" if session else platform
        self.stream = f"scopebot:inbox:{self.address}"
        self._accept = keeper.register_script(_ACCEPT)
        self._done = redis.register_script(_DONE)
        self._take_over = redis.register_script(_TAKE_OVER)
        self._turn = redis.register_script(_TURN)
        self._begun = f"{self.stream}:begun"
        """A hash: how often the handling of an entry was begun and did not end, since the process died."""

    async def accept(self, incoming: Incoming) -> bool:
        """Keep a message; False for a copy of one that was kept before. Acknowledge it only after this.

        It has a thread of its own: a platform waits for it, and with the loop's client it would wait for everything
        else that goes on there, several times.
        """
        keep = functools.partial(
            self._accept,
            keys=[f"scopebot:seen:{self._platform}:{incoming.id}", self.stream, self._turns(incoming.place)],
            args=[SEEN_FOR, incoming.model_dump_json(), SESSION_KEPT_FOR if self._session else 0],
        )
        return bool(await asyncio.get_running_loop().run_in_executor(self._keeping, keep))

    async def open(self) -> None:
        """Make sure that there is a stream to read."""
        try:
            await self._redis.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def read(self, count: int) -> list[Entry]:
        """Wait a while for new entries; they are this process's from then on."""
        read = await self._read(">", count=count, block=READ_FOR_MS)
        return await self._entries(read)

    async def leftovers(self, known: int) -> list[Entry]:
        """Take over what dead processes had in hand; return all that this one has, if it is more than it knows of."""
        pending = await self._redis.xpending(self.stream, GROUP)
        taken, ours = 0, 0
        for consumer in pending["consumers"]:
            name = cast("bytes", consumer["name"]).decode()
            if name == self._peers.id:
                ours = int(consumer["pending"])
            elif await self._peers.dead(name):
                taken += await self._take_over(keys=[self.stream], args=[GROUP, name, self._peers.id])
        if taken:
            log.info("took over what a dead process had in hand", stream=self.stream, entries=taken)
            return await self._entries(await self._read("0", count=10_000))
        if ours > known:
            lost = await self._redis.xpending_range(
                self.stream, GROUP, min="-", max="+", count=1000, consumername=self._peers.id, idle=UNHEARD_AFTER_MS
            )
            old = {cast("bytes", entry["message_id"]) for entry in lost}
            return await self._entries([raw for raw in await self._read("0", count=10_000) if raw[0] in old])
        return []

    async def is_next(self, entry: Entry) -> bool:
        """Tell whether nothing that was said in the same place before is still unhandled."""
        return bool(await self._turn(keys=[self.stream, self._turns(entry.incoming.place)], args=[entry.id]))

    async def deaths(self, entry: Entry) -> int:
        """Return how many processes died while they handled an entry."""
        begun = await cast("Awaitable[bytes | None]", self._redis.hget(self._begun, entry.id))
        return 0 if begun is None else int(begun)

    async def begin(self, entry: Entry, deaths: int) -> None:
        """Take note that an entry of which so many processes died is handled from now on."""
        await self._redis.hset(self._begun, entry.id, str(deaths + 1))
        if self._session:
            await self._redis.expire(self._begun, SESSION_KEPT_FOR)

    async def survived(self, entry: Entry, deaths: int) -> None:
        """Take note that handling an entry, well or not, has not killed this process."""
        await self._redis.hset(self._begun, entry.id, str(deaths))

    async def done(self, entry: Entry) -> None:
        """Take an entry off the stream: its effect is committed."""
        keys = [self.stream, self._turns(entry.incoming.place), self._begun]
        await self._done(keys=keys, args=[GROUP, entry.id])

    async def close(self) -> None:
        """Let go of the thread, and leave nothing behind of a session that ends."""
        self._keeping.shutdown(wait=False, cancel_futures=True)
        if self._session:
            await self._redis.delete(self.stream, self._begun)

    async def _read(self, position: str, *, count: int, block: int | None = None) -> Sequence[Raw]:
        read = cast(
            "Sequence[tuple[bytes, Sequence[Raw]]] | None",
            await self._redis.xreadgroup(GROUP, self._peers.id, {self.stream: position}, count=count, block=block),
        )
        return [raw for _, entries in read or () for raw in entries]

    async def _entries(self, raws: Sequence[Raw]) -> list[Entry]:
        """Read what Redis gave; what is no message of ours is logged and dropped."""
        entries = []
        for raw_id, fields in raws:
            entry_id = raw_id.decode()
            try:
                incoming = Incoming.model_validate_json((fields or {})[b"incoming"])
            except (ValidationError, KeyError):
                log.exception("an entry is no message; dropped", stream=self.stream, entry=entry_id)
                await self._redis.xack(self.stream, GROUP, entry_id)
                await self._redis.xdel(self.stream, entry_id)
            else:
                entries.append(Entry(entry_id, incoming))
        return entries

    def _turns(self, place: Place) -> str:
        """Return the list of a place's unhandled entries, oldest first."""
        where = hashlib.sha256(f"{place.channel}\0{place.thread}".encode()).hexdigest()[:24]
        return f"{self.stream}:turns:{where}"
