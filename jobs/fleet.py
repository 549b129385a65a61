"""Which workers live, as each of them says every few seconds: one Redis hash."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from redis import Redis

WORKERS = "scopebot:workers"
HEARTBEAT = 2
"""Seconds between two signs of life."""
ALIVE_FOR = 4 * HEARTBEAT
"""Seconds after which a worker that says nothing counts as gone."""


WAKE = "scopebot:wake"
"""A list that the dispatcher waits on: whoever has news pushes to it."""


def wake_dispatcher(redis: Redis) -> None:
    """Say that something changed that may let a run start."""
    redis.lpush(WAKE, "1")
    redis.ltrim(WAKE, 0, 9)


def beat(redis: Redis, name: str, evalscope: str, gpus: str = "") -> None:
    """Say that a worker is alive, and which GPUs it has, as people read it."""
    facts = {
        "evalscope": evalscope, "host": socket.gethostname(), "pid": str(os.getpid()), "gpus": gpus,
        "seen": str(time.time()),
    }  # fmt: skip
    redis.hset(WORKERS, name, json.dumps(facts))


def leave(redis: Redis, name: str) -> None:
    """Say that a worker is gone."""
    redis.hdel(WORKERS, name)


def living_workers(redis: Redis) -> list[dict[str, str]]:
    """Return what each living worker says of itself: name, evalscope, host, pid, gpus, seen (UTC, ISO)."""
    found = []
    for name, raw in sorted(cast("dict[bytes, bytes]", redis.hgetall(WORKERS)).items()):
        facts: dict[str, str] = {"gpus": ""} | json.loads(raw)  # an older worker does not say which it has
        if time.time() - float(facts["seen"]) <= ALIVE_FOR:
            seen = datetime.fromtimestamp(float(facts["seen"]), UTC).isoformat(timespec="seconds")
            found.append(facts | {"name": name.decode(), "seen": seen})
    return found
