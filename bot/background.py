"""Tasks that should never end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

log = structlog.get_logger(__name__)

RETRY_AFTER = 1.0


async def keep_going(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task that should never end, again after a failure: Redis or the database may be away for a while."""
    while True:
        try:
            await task()
        except Exception:
            log.exception("a task of the bot failed; trying again")
            await asyncio.sleep(RETRY_AFTER)


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks."""
    pending = set(tasks)
    while pending:  # redis-py swallows a cancellation that comes while it connects: ask again
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the bot had failed", error=repr(task.exception()))
