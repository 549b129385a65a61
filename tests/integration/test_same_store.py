"""A worker works on the bot's artifact store or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.workers import OWN_VARIABLES, ROOT, end_worker, start_worker

from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.embedded import EmbeddedServer
from jobs.errors import ArtifactsAway, ArtifactsDiffer
from jobs.fleet import living_workers
from jobs.same_store import MARK_KEY, compare, open_artifacts, publish, published, read_mark, say_again


@pytest.fixture
def redis(redis_server: EmbeddedServer) -> Iterator[Redis]:
    """A database that no other test uses."""
    with Redis.from_url(redis_server.url.removesuffix("/0") + "/3") as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def url(redis_server: EmbeddedServer) -> str:
    return redis_server.url.removesuffix("/0") + "/3"


def store(folder: Path) -> Artifacts:
    return Artifacts(f"file://{folder}")


def scopebot(word: str, url: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    return subprocess.Popen(
        [sys.executable, "-m", "bot.cli", word], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=clean | {"REDIS_URL": url, "SCOPEBOT_DATA_DIR": str(folder)} | environment,
    )  # fmt: skip


def test_a_worker_on_another_store_does_not_start_and_says_which_setting_to_change(
    redis: Redis, url: str, tmp_path: Path
) -> None:
    publish(store(tmp_path / "bots"), redis, others=False)
    worker = scopebot("worker", url, tmp_path / "worker")
    said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "SCOPEBOT_ARTIFACTS_URL" in said
    assert str(tmp_path / "worker" / "artifacts") in said
    assert "Traceback" not in said
    assert living_workers(redis) == []


def test_a_worker_that_is_there_before_the_bot_waits_for_its_word(redis: Redis, url: str, tmp_path: Path) -> None:
    worker = scopebot("worker", url, tmp_path / "worker")
    assert worker.stdout is not None
    with worker.stdout:
        assert "waiting for the bot" in worker.stdout.readline()
        assert worker.poll() is None
        assert living_workers(redis) == []
        publish(store(tmp_path / "bots"), redis, others=False)
        assert worker.wait(60) == 1
        assert "SCOPEBOT_ARTIFACTS_URL" in worker.stdout.read()


@pytest.mark.slow
def test_a_worker_leaves_when_the_bot_moves_to_another_store(
    redis: Redis, url: str, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    own = make_settings(redis_url=url, data_dir=tmp_path / "worker")
    worker = start_worker(own, redis)
    try:
        publish(store(tmp_path / "moved"), redis, others=False)
        assert worker.wait(60) == 1
    finally:
        if worker.poll() is None:
            end_worker(worker)
    assert "SCOPEBOT_ARTIFACTS_URL" in (own.folder / "worker.log").read_text(encoding="utf-8")


def test_a_worker_stays_when_redis_forgets_and_the_bot_says_it_again(redis: Redis, tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    mark = publish(artifacts, redis, others=False)
    redis.delete(MARK_KEY)
    assert compare(artifacts, redis) == "unsaid"
    say_again(redis, mark)
    assert compare(artifacts, redis) == "same"
    say_again(redis, "an old bot's")
    assert published(redis) == mark


def test_a_store_keeps_its_mark_over_restarts_and_all_addresses_of_a_folder_are_one(
    redis: Redis, tmp_path: Path
) -> None:
    first = publish(store(tmp_path / "a"), redis, others=False)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert publish(Artifacts(f"file://{tmp_path / 'b'}"), redis, others=True) == first


def test_a_copy_of_an_empty_folder_is_another_store(redis: Redis, tmp_path: Path) -> None:
    publish(store(tmp_path / "a"), redis, others=False)
    (tmp_path / "b").mkdir()
    assert compare(store(tmp_path / "b"), redis) == "other"


def test_bots_that_start_at_once_on_a_new_store_agree_on_its_mark(redis: Redis, tmp_path: Path) -> None:
    marks: list[str] = []

    def start() -> None:
        marks.append(publish(store(tmp_path), redis, others=True))

    bots = [threading.Thread(target=start) for _ in range(8)]
    for bot in bots:
        bot.start()
    for bot in bots:
        bot.join()
    assert set(marks) == {read_mark(store(tmp_path))} == {published(redis)}


@pytest.mark.slow
def test_a_second_bot_on_another_store_does_not_start_beside_a_living_one(
    redis: Redis, url: str, tmp_path: Path
) -> None:
    def serve(name: str) -> subprocess.Popen[str]:
        return scopebot("serve", url, tmp_path / name, SCOPEBOT_PORT="0")

    first = serve("one")
    assert first.stdout is not None
    with first.stdout:
        while "is ready" not in first.stdout.readline():
            assert first.poll() is None
        second = serve("two")
        said, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "SCOPEBOT_ARTIFACTS_URL" in said
        assert "Traceback" not in said
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    third = serve("two")
    assert third.stdout is not None
    with third.stdout:
        while "is ready" not in third.stdout.readline():
            assert third.poll() is None, "alone, it may have moved"
        third.send_signal(signal.SIGTERM)
        third.communicate(timeout=60)


def test_a_store_that_cannot_be_read_is_told_with_its_reason_and_without_its_password(
    redis: Redis, tmp_path: Path
) -> None:
    publish(store(tmp_path / "a"), redis, others=False)
    with pytest.raises(ArtifactsAway) as told:
        open_artifacts("nonsense://me:hidden@host/x")
    assert "nonsense" in str(told.value.params["reason"])
    assert "hidden" not in str(told.value.params["url"])
    (tmp_path / "a/shared").rename(tmp_path / "kept")
    (tmp_path / "a/shared").write_text("a file")
    with pytest.raises(ArtifactsAway):
        compare(store(tmp_path / "a"), redis)


def test_a_living_bots_store_is_not_replaced_and_a_dead_ones_is(redis: Redis, tmp_path: Path) -> None:
    first = publish(store(tmp_path / "a"), redis, others=False)
    with pytest.raises(ArtifactsDiffer):
        publish(store(tmp_path / "b"), redis, others=True)
    assert published(redis) == first
    publish(store(tmp_path / "b"), redis, others=False)
    assert published(redis) != first


@pytest.mark.parametrize("folder", ["a", "b"])
def test_doctor_says_whether_the_store_is_the_bots(redis: Redis, url: str, tmp_path: Path, folder: str) -> None:
    status, said = (0, "the bot's store") if folder == "a" else (1, "SCOPEBOT_ARTIFACTS_URL")
    publish(store(tmp_path / "a"), redis, others=False)
    redis.hset("scopebot:workers", "w", f'{{"evalscope": "1", "pid": "1", "seen": "{time.time() + 60}"}}')
    doctor = scopebot("doctor", url, tmp_path / "data", SCOPEBOT_ARTIFACTS_URL=f"file://{tmp_path / folder}")
    told, _ = doctor.communicate(timeout=60)
    assert said in told
    assert doctor.returncode == status, told
