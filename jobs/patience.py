"""Redis as a worker needs it: away for a while, it is waited for, since what is to be said must not be lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import structlog
from redis import AuthenticationError, Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisLate
from redis.retry import Retry

PATIENCE = 60.0
"""Seconds for which a command is tried again; a restart of Redis takes a few."""
LOOK_EVERY = 1.0
SAY_EVERY = 30.0
"""Seconds between two looks at a Redis that is away when a process starts, and between two lines about it."""
ANSWERS_WITHIN = 5.0
T = TypeVar("T")
P = ParamSpec("P")
log = structlog.get_logger(__name__)


class Patience(Retry):
    """Tries again for so many seconds in all, also where a command's tries have a connection's tries inside them."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        super().__init__(ExponentialBackoff(cap=0.5, base=0.02), retries=-1)
        self._seconds = seconds

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[[Exception], Any] | Callable[[Exception, int], Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,  # noqa: FBT001, FBT002 - the library's signature
    ) -> T:
        """See `Retry`."""
        deadline = time.monotonic() + self._seconds

        def worth_it(error: Exception) -> bool:
            passing = not isinstance(error, AuthenticationError) and (is_retryable is None or is_retryable(error))
            return passing and time.monotonic() < deadline

        return super().call_with_retry(do, fail, worth_it, with_failure_count)


def patient_redis(url: str) -> Redis:
    """Return a client that waits for Redis."""
    return Redis.from_url(url, health_check_interval=30, retry=Patience())


class Absence:
    """Looks whether Redis answers a process that starts, and says now and then that it is waited for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._said_at = -SAY_EVERY

    def lasts(self) -> bool:
        """Tell whether Redis is away right now; raises `AuthenticationError`, which does not pass."""
        try:
            with Redis.from_url(
                self._url, socket_timeout=ANSWERS_WITHIN, socket_connect_timeout=ANSWERS_WITHIN,
                retry=Retry(NoBackoff(), 0),
            ) as redis:  # fmt: skip
                redis.ping()
        except AuthenticationError:
            raise
        except ResponseError:  # its disk is full: it is there
            return False
        except (RedisAway, RedisLate) as error:
            if time.monotonic() - self._said_at >= SAY_EVERY:
                self._said_at = time.monotonic()
                log.warning("waiting for Redis: check that it runs, and REDIS_URL", reason=str(error))
            return True
        return False


def wait_for_redis(url: str) -> None:
    """Wait until Redis answers. Raises `AuthenticationError`."""
    absence = Absence(url)
    while absence.lasts():
        time.sleep(LOOK_EVERY)


def patiently(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do what must not be lost to Redis or a store that is full or away for a moment; raise what it raises at last."""
    wait, deadline = 0.5, time.monotonic() + PATIENCE
    while True:
        try:
            act(*args, **kwargs)
        except (OSError, RedisError) as error:
            if time.monotonic() + wait > deadline:
                raise
            log.warning("not possible now; trying again", what=getattr(act, "__name__", ""), reason=repr(error))
            time.sleep(wait)
            wait = min(2 * wait, 10.0)
        else:
            return
