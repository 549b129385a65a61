"""The word to cancel a run, on its way to the process that evaluates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis

KEPT_FOR = 24 * 3600


def ask(redis: Redis, run_id: int) -> None:
    """Say that a run's process, when it is told to end, ends for good."""
    redis.set(_key(run_id), "1", ex=KEPT_FOR)


def cancel_asked(redis: Redis, run_id: int) -> bool:
    """Tell whether a run is to be cancelled."""
    return bool(redis.exists(_key(run_id)))


def _key(run_id: int) -> str:
    return f"scopebot:run:{run_id}:cancel"
