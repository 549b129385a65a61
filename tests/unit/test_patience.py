"""Redis away for a while is waited for, and not for longer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from support.endpoint import refusing_url

from jobs import patience
from jobs.embedded import EmbeddedServer, living_server
from jobs.patience import PATIENCE, Absence, Patience, patiently


def test_a_server_that_stays_away_is_given_up_after_so_many_seconds_in_all() -> None:
    with refusing_url() as url:
        port = int(url.removesuffix("/v1").rpartition(":")[2])
        begun = time.monotonic()
        with redis.Redis(port=port, retry=Patience(0.6)) as client, pytest.raises(redis.ConnectionError):
            client.ping()
    assert 0.6 <= time.monotonic() - begun < 10


def test_what_is_said_while_a_server_is_killed_arrives_when_it_is_back(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url, retry=Patience(20)) as client:
        client.rpush("said", "before")
        state = living_server(tmp_path)
        assert state is not None
        os.kill(state.pid, signal.SIGKILL)
        back = threading.Timer(1.0, server.revive)
        back.start()
        client.rpush("said", "meanwhile")
        back.join()
        assert client.lrange("said", 0, -1) == [b"before", b"meanwhile"]


def test_a_wrong_password_is_not_waited_for(redis_server: EmbeddedServer) -> None:
    url = redis_server.url.replace("redis://:", "redis://:wrong")
    begun = time.monotonic()
    with redis.Redis.from_url(url, retry=Patience(20)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert time.monotonic() - begun < 15


def test_a_redis_that_takes_nothing_is_there(redis_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device")

    monkeypatch.setattr(redis.Redis, "ping", full)  # refused then, too
    assert not Absence(redis_server.url).lasts()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, on a clock that passes with nothing else."""
    waits: list[float] = []
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append))
    return waits


def failing(times: int, error: Exception) -> Callable[[], None]:
    left = iter([error] * times)

    def act() -> None:
        found = next(left, None)
        if found is not None:
            raise found

    return act


@pytest.mark.parametrize("error", [OSError("full"), redis.ConnectionError("away")])
def test_what_fails_for_a_moment_is_done_in_the_end_with_longer_and_longer_pauses(
    waits: list[float], error: Exception
) -> None:
    patiently(failing(6, error))
    assert waits == [0.5, 1, 2, 4, 8, 10]


def test_what_fails_for_longer_is_raised_within_the_time_it_has(waits: list[float]) -> None:
    with pytest.raises(OSError, match="full"):
        patiently(failing(1000, OSError("full")))
    assert PATIENCE - 10 < sum(waits) <= PATIENCE


def test_a_bug_is_not_waited_for(waits: list[float]) -> None:
    with pytest.raises(KeyError):
        patiently(failing(1, KeyError("x")))
    assert waits == []
