"""Bot processes that live and die as a test says."""

from __future__ import annotations

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bot.inbox import Inbox


def inbox_of(client: AsyncRedis, peers: FakePeers, platform: str, session: str = "") -> Inbox:
    """Return an inbox on a client's server, as one process sees it."""
    known = client.connection_pool.connection_kwargs
    keeper = Redis(**{name: known[name] for name in ("host", "port", "db", "password") if name in known})
    return Inbox(client, keeper, peers, platform, session)


class FakePeers:
    """Implements `bot.alive.Peers`; `grave` is shared by the processes of a test."""

    def __init__(self, name: str, grave: set[str] | None = None) -> None:
        self.id = name
        self.grave: set[str] = set() if grave is None else grave
        self.is_sure = True

    def sure(self) -> bool:
        return self.is_sure

    async def dead(self, process: str) -> bool:
        return process != self.id and process in self.grave
