"""What an attempt says when it is told to end: in the little time it has, and whatever is slow or away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import refusing_url

from jobs import cancel
from jobs.artifacts import Artifacts
from jobs.events import EVENTS
from jobs.lease import lease_key
from jobs.models import EvalSpec
from jobs.queue import JobPayload
from jobs.tasks import Attempt, Check
from jobs.worker import GRACE
from jobs.workspace import Workspace


class Exited(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def told_to_end(
    workspace: Workspace, mock_spec: Callable[..., EvalSpec], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., float]:
    """Have an attempt of run 7 told to end; return how long it took (seconds) to its last word."""

    def exited(_status: int) -> None:
        raise Exited

    def told_to_end(workspace: Workspace = workspace) -> float:
        handler = signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr(os, "_exit", exited)
        attempt = Attempt(workspace, JobPayload(run_id=7, attempt=1, spec=mock_spec()))
        begun = time.monotonic()
        monkeypatch.setattr(attempt, "_ship_the_rest", lambda: None)
        try:
            with pytest.raises(Exited):
                attempt._on_sigterm(signal.SIGTERM, None)
        finally:
            signal.signal(signal.SIGTERM, handler)
        return time.monotonic() - begun

    return told_to_end


def said(workspace: Workspace) -> list[bytes]:
    entries: Any = workspace.redis.xrange(EVENTS)
    return [fields[b"event"] for _, fields in entries]


def test_a_cancelled_run_tells_its_score_in_its_time_of_grace_although_the_store_is_slow(
    workspace: Workspace, told_to_end: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel.ask(workspace.redis, 7)
    monkeypatch.setattr(Artifacts, "write", lambda *_: time.sleep(10))
    assert told_to_end() < GRACE
    (event,) = said(workspace)
    assert b'"cancelled"' in event
    assert b'"result":{' in event


def test_a_process_that_is_told_to_end_while_redis_is_away_ends_all_the_same(
    workspace: Workspace, told_to_end: Callable[..., float]
) -> None:
    with refusing_url() as url:
        away = workspace.settings.model_copy(update={"redis_url": url.replace("http", "redis").removesuffix("/v1")})
        here = Workspace(workspace.name, away, workspace.redis, workspace.artifacts, workspace.catalog)
        assert told_to_end(here) < 2 * GRACE
    assert said(workspace) == []


def test_a_check_that_the_runs_attempt_overtook_leaves_its_progress_alone(
    workspace: Workspace, mock_spec: Callable[..., EvalSpec], tmp_path: Path
) -> None:
    check = Check(workspace, JobPayload(run_id=7, attempt=0, spec=mock_spec()))
    check._tell("checking")
    assert workspace.redis.hget("scopebot:run:7:progress", "phase") == b"checking"
    workspace.redis.set(lease_key(7), "1")
    check._tell("checked")
    assert workspace.redis.hget("scopebot:run:7:progress", "phase") == b"checking"
