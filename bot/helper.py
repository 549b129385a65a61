"""A process beside the bot for what the bot must not hold in memory or wait for, such as drawing pictures.

It starts with the first call, ends when it is idle for a while, and never outlives the bot. What it imports is gone
when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
IDLE_SECONDS = 60.0
CALL_SECONDS = 60.0


class HelperFailed(Exception):
    """The helper's process died in a call, or did not get done in time; the next call has a new one."""


class Helper:
    """One process, one call at a time. It belongs to one event loop."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS, call_seconds: float = CALL_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._call_seconds = call_seconds
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._pid = 0
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return None if self._pool is None else self._pid

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function of a module returns in the helper's process; raises what it raises there."""
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await asyncio.wrap_future(await self._submitted(function, *args, **kwargs))
            except (BrokenExecutor, TimeoutError, asyncio.CancelledError) as error:
                self._end(kill=True)
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise HelperFailed(f"{function.__name__}: {error!r}") from error
            finally:
                self._idle = loop.call_later(self._idle_seconds, self._end)

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self._idle is not None:
            self._idle.cancel()
        self._end(kill=True)

    async def _submitted(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        try:
            return (await self._started()).submit(function, *args, **kwargs)
        except BrokenExecutor:  # it died while it was idle: no call is lost
            self._end()
            return (await self._started()).submit(function, *args, **kwargs)

    async def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_prepare)
            self._pid = 0
            self._pid = await asyncio.wrap_future(self._pool.submit(os.getpid))
        return self._pool

    def _end(self, *, kill: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if kill and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    """Make the process end with the bot, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
