"""The lease on a run: the newest attempt has it, an older one finds out and leaves, a silent Redis ends nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from redis import Redis, RedisError

from jobs import lease as module
from jobs.embedded import EmbeddedServer
from jobs.lease import RunLease, holder
from tests.support.endpoint import wait_until

RUN = 7


@pytest.fixture
def redis(redis_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.02)
    with Redis.from_url(redis_server.url.removesuffix("/0") + "/1") as client:
        client.flushdb()
        yield client


class Held:
    """A lease, and what it told its attempt."""

    def __init__(self, redis: Redis, attempt: int) -> None:
        self.lost = threading.Event()
        self.renewals = 0
        self.lease = RunLease(redis, RUN, attempt, lost=self.lost.set, renewed=self._renewed)

    def _renewed(self) -> None:
        self.renewals += 1


def test_a_newer_attempt_takes_it_from_an_older_one_which_is_told_and_renews_no_more(redis: Redis) -> None:
    old, new = Held(redis, 1), Held(redis, 2)
    assert old.lease.take()
    assert new.lease.take()
    assert old.lost.wait(10)
    assert holder(redis, RUN) == 2
    old.lease.release()
    assert holder(redis, RUN) == 2, "only its own is let go of"
    assert not new.lost.is_set()
    new.lease.release()
    assert holder(redis, RUN) is None


def test_an_attempt_that_comes_too_late_does_not_get_it(redis: Redis) -> None:
    new = Held(redis, 3)
    assert new.lease.take()
    assert not Held(redis, 2).lease.take()
    assert holder(redis, RUN) == 3
    new.lease.release()


def test_while_redis_is_away_it_is_tried_again_and_nobody_is_told_of_a_loss(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(redis, 1)
    assert held.lease.take()
    renew, failures = held.lease.renew, []

    def away() -> bool:
        if len(failures) < 3:
            failures.append("away")
            raise RedisError("away")
        return renew()

    monkeypatch.setattr(held.lease, "renew", away)
    wait_until(lambda: len(failures) == 3)
    before = held.renewals
    wait_until(lambda: held.renewals > before)
    assert not held.lost.is_set()
    held.lease.release()
