"""The lease on a run: who may speak for it. Its value is the attempt; whoever finds another one there is too late."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

log = structlog.get_logger(__name__)

TTL = 15
"""Seconds after which a lease that is not renewed lapses."""
RENEW_EVERY = 4.0
LETS_GO_WITHIN = 1.0
"""Seconds that letting go waits for a renewal that is under way, which would take the lease again after it."""

_RENEW = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


def lease_key(run_id: int) -> str:
    """Return the key of a run's lease."""
    return f"scopebot:run:{run_id}:lease"


class RunLease:
    """The lease of one attempt, renewed by a thread of its own while it is held."""

    def __init__(
        self, redis: Redis, run_id: int, attempt: int, *, lost: Callable[[], None], renewed: Callable[[], None]
    ) -> None:
        self._redis = redis
        self._key = lease_key(run_id)
        self._attempt = attempt
        self._lost = lost
        self._renewed = renewed
        self._stop = threading.Event()
        self._renewing = threading.Lock()
        self._thread = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)

    def take(self) -> bool:
        """Take the lease and keep it; False where a newer attempt has it."""
        if not self.renew():
            return False
        self._thread.start()
        return True

    def renew(self) -> bool:
        """Hold the lease for another `TTL`; False where a newer attempt has it."""
        return bool(self._redis.eval(_RENEW, 1, self._key, str(self._attempt), str(TTL)))

    def release(self, redis: Redis | None = None) -> None:
        """Let go of the lease, if it is still ours; over another connection where ours may be in use."""
        self._stop.set()
        idle = self._renewing.acquire(timeout=LETS_GO_WITHIN)
        try:
            (redis or self._redis).eval(_RELEASE, 1, self._key, str(self._attempt))
        finally:
            if idle:
                self._renewing.release()

    def _keep_renewing(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            try:
                with self._renewing:
                    if self._stop.is_set():
                        return
                    held = self.renew()
                if held:
                    self._renewed()
            except Exception:  # Redis away: the lease may lapse, and then the next renewal says so
                log.warning("lease not renewed", exc_info=True)
                continue
            if not held:
                self._lost()
                return


def holder(redis: Redis, run_id: int) -> int | None:
    """Return the attempt that holds a run's lease, None where nobody does."""
    held = redis.get(lease_key(run_id))
    return None if held is None else int(held)
