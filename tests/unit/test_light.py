"""The light process of a host: what keeps it alive never spins, nor does it where Redis takes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from redis import Redis, ResponseError
from rq import Worker
from rq.serializers import JSONSerializer

import bot.light
from jobs import guarded
from jobs.light import CheckWorker
from jobs.queue import open_checks


def test_a_light_process_that_ends_again_and_again_is_started_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = tmp_path / "starts"
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho start >> {starts}\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr("bot.light.sys.executable", str(script))
    monkeypatch.setattr(bot.light, "AGAIN_AFTER", 0.1)
    with bot.light.light_process():
        time.sleep(2.5)
    assert 2 <= len(starts.read_text(encoding="utf-8").splitlines()) <= 5


def test_a_light_process_waits_while_redis_takes_nothing(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def full(*_: object, **__: object) -> None:
        asked.append(time.monotonic())
        if len(asked) < 3:
            raise ResponseError("MISCONF Errors writing to the AOF file: No space left on device")

    monkeypatch.setattr(guarded, "LOOK_FOR_ROOM_EVERY", 0.2)
    monkeypatch.setattr(Worker, "dequeue_job_and_maintain_ttl", full)
    worker = CheckWorker([open_checks(redis_client)], connection=redis_client, serializer=JSONSerializer)
    assert worker.dequeue_job_and_maintain_ttl(None) is None
    assert len(asked) == 3
    assert asked[-1] - asked[0] >= 0.4
