"""`scopebot serve` in a process of its own: its database, its Redis, and runs that a test moves itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from redis import Redis
from sqlalchemy import Engine

from jobs.db import migrate, open_engine
from jobs.embedded import living_server
from jobs.events import write_progress
from jobs.lifecycle import RunState
from jobs.models import Progress, Run
from jobs.store import Store

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 60.0
STRANGERS = ("SCOPEBOT", "REDIS_", "DATABASE_", "SLACK_", "FEISHU_", "OPENAI_", "NLTK_", "MODELSCOPE_")
CONFIG = """\
[models.prod]
model = "qwen-plus"
api_url = "http://127.0.0.1:9/v1"
[models.other]
model = "qwen-turbo"
api_url = "http://127.0.0.1:9/v1"
"""


class BotProcess:
    """The bot's process, its database and its Redis; without workers, a test moves the runs itself."""

    def __init__(self, folder: Path, *, workers: int = 0, config: str = CONFIG, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._workers = workers
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scopebot.toml").write_text(config, encoding="utf-8")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)
        } | {
            "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SCOPEBOT_DATA_DIR": str(folder), "SCOPEBOT_PORT": "0",
        } | variables  # fmt: skip
        self._environment = {name: value for name, value in environment.items() if value}
        self.engine: Engine = open_engine(f"sqlite:///{folder / 'scopebot.db'}")
        migrate(self.engine)
        self.store = Store(self.engine)
        self.process: subprocess.Popen[bytes] | None = None

    def connected(self) -> bool:
        """Tell whether the process hears what people say."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.engine.dispose()

    @property
    def log(self) -> str:
        """What the bot has logged."""
        path = self.folder / "bot.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def url(self) -> str:
        """Where its web server is."""
        return (self.folder / "web_url").read_text(encoding="utf-8")

    def start(self, *, connects: bool = True) -> None:
        """Start the process, and wait until it hears what people say."""
        with (self.folder / "bot.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "serve", "--workers", str(self._workers)], env=self._environment,
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        if connects:
            self.until(self.connected, STARTS_WITHIN, "a connection")

    def stop(self) -> None:
        """Have the process end as it does when it is told to."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def kill(self) -> None:
        """End the process as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def redis(self) -> Redis:
        """Return a client of the bot's own Valkey."""
        server = living_server(self.folder)
        assert server is not None
        return Redis.from_url(server.url)

    def runs(self) -> list[Run]:
        """Return all runs, the first one first."""
        return list(reversed(self.store.runs(limit=10_000)))

    def begin(self, run: Run, attempt: int = 1) -> None:
        """Have a run begin, as a worker would."""
        self.store.move(run.id, RunState.QUEUED, attempt=attempt, worker="w1")
        self.store.move(run.id, RunState.RUNNING, attempt=attempt, worker="w1")

    def progress(self, run: Run, done: int, total: int, **facts: Any) -> None:
        """Have a run say how far it is, as a worker would."""
        said: dict[str, Any] = {"attempt": 1, "phase": "evaluating", "benchmark": "gsm8k"} | facts
        with self.redis() as redis:
            progress = Progress(done=done, total=total, updated_at=datetime.now(UTC), **said)
            write_progress(redis, run.id, progress)

    def until(self, true: Any, within: float, what: str, every: float = 0.1) -> Any:
        """Wait for something; the bot's log tells why it did not come."""
        deadline = time.monotonic() + within
        while not (found := true()):
            if time.monotonic() > deadline or (self.process is not None and self.process.poll() is not None):
                raise AssertionError(f"not within {within:g} s: {what}\n{self.log[-4000:]}")
            time.sleep(every)
        return found
