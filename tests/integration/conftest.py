"""What the tests of the bot's parts share."""

from collections.abc import AsyncIterator

import pytest_asyncio
from redis import Redis
from redis.asyncio import Redis as AsyncRedis


@pytest_asyncio.fixture
async def client(redis_client: Redis) -> AsyncIterator[AsyncRedis]:
    known = redis_client.connection_pool.connection_kwargs
    client = AsyncRedis(**{name: known[name] for name in ("host", "port", "db", "password") if name in known})
    yield client
    await client.aclose()
