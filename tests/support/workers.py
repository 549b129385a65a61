"""Starting and ending a real worker process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from redis import Redis

from jobs.config import Settings
from jobs.fleet import living_workers

ROOT = Path(__file__).resolve().parents[2]
OWN_VARIABLES = ("REDIS_URL", "DATABASE_URL", *(name for name in os.environ if name.startswith("SCOPEBOT_")))


def start_worker(settings: Settings, redis: Redis) -> subprocess.Popen[bytes]:
    """Start `scopebot worker` on settings and wait until it says that it lives."""
    before = {worker["name"] for worker in living_workers(redis)}
    environment: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if name not in OWN_VARIABLES},
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",  # a work-horse ends without flushing
        "REDIS_URL": settings.redis_url or "",
        "SCOPEBOT_DATA_DIR": str(settings.folder),
    }
    log = settings.folder / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "worker"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while not {worker["name"] for worker in living_workers(redis)} - before:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"the worker did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(0.05)
    return process


def end_worker(process: subprocess.Popen[bytes], within: float = 30) -> int:
    """Ask a worker to end and return its exit status; kill it if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"the worker did not end within {within} s of SIGTERM")
