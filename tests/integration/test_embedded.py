"""The embedded Valkey: one per data folder, never two; it outlives who started it and ends with the last user."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.embedded import EmbeddedServer, ServerState, living_server

ROOT = Path(__file__).resolve().parents[2]
USER = """
import pathlib, sys
from jobs.embedded import EmbeddedServer
sys.stdin.readline()
server = EmbeddedServer(pathlib.Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
server.close()
"""


def servers(folder: Path) -> list[psutil.Process]:
    """Find the servers that run on a data folder, by their command line."""
    config = str(folder / "valkey" / "valkey.conf")
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            # Valkey shows its port in the place of its configuration
            if config in line or ("valkey" in line and process.cwd() == str(folder / "valkey")):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def until(true: Callable[[], bool], within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def state_of(folder: Path) -> ServerState:
    state = living_server(folder)
    assert state is not None
    return state


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder; whatever still serves it in the end is killed."""
    yield tmp_path
    for process in servers(tmp_path):
        process.kill()


@contextmanager
def user(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the folder's server; it attaches at its first line of input and leaves at its second."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_users_attach_to_one_server_and_the_last_one_out_stops_it(folder: Path) -> None:
    with EmbeddedServer(folder) as first:
        with EmbeddedServer(folder) as second:
            assert second.url == first.url
            assert len(servers(folder)) == 1
        assert living_server(folder) is not None
        with Redis.from_url(first.url) as client:
            assert client.ping()
    assert until(lambda: servers(folder) == [])
    assert living_server(folder) is None
    assert not (folder / "valkey" / "server.json").exists()


def test_the_one_who_started_it_may_leave_first(folder: Path) -> None:
    first = EmbeddedServer(folder)
    with EmbeddedServer(folder) as second:
        first.close()
        with Redis.from_url(second.url) as client:
            assert client.ping()
    assert living_server(folder) is None


def test_leaving_twice_is_leaving_once(folder: Path) -> None:
    with EmbeddedServer(folder):
        other = EmbeddedServer(folder)
        other.close()
        other.close()
        assert living_server(folder) is not None


def test_each_data_folder_has_a_server_of_its_own(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "a") as one, EmbeddedServer(tmp_path / "b") as other:
        assert one.url != other.url


def test_data_survives_the_end_of_the_server(folder: Path) -> None:
    for number in range(3):
        with EmbeddedServer(folder) as server, Redis.from_url(server.url) as client:
            assert client.incr("starts") == number + 1


def test_server_and_data_survive_sigkill_of_the_one_who_started_it(folder: Path) -> None:
    with user(folder) as process:
        tell(process)
        url = said(process)
        with Redis.from_url(url) as client:
            client.set("key", "still there")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = state_of(folder)
    with EmbeddedServer(folder) as server, Redis.from_url(server.url) as client:
        assert server.url == url
        assert state_of(folder).pid == before.pid
        assert client.get("key") == b"still there"
        assert len(servers(folder)) == 1
    assert until(lambda: servers(folder) == [])


def test_a_ctrl_c_meant_for_the_bot_does_not_reach_the_server(folder: Path) -> None:
    with EmbeddedServer(folder):
        pid = state_of(folder).pid
        assert os.getsid(pid) == pid != os.getsid(0)


def test_a_server_that_was_killed_is_started_again_with_its_data(folder: Path) -> None:
    with EmbeddedServer(folder) as first:
        with Redis.from_url(first.url) as client:
            client.set("key", "there")
        time.sleep(1.1)  # the AOF is synced every second
        pid = state_of(folder).pid
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: living_server(folder) is None)
        with EmbeddedServer(folder) as second, Redis.from_url(second.url) as client:
            assert client.get("key") == b"there"
            assert state_of(folder).pid != pid
            assert second.url == first.url  # who still waits for it finds it again
        os.waitpid(pid, 0)


def test_a_server_that_was_killed_is_revived_where_it_was_once_whoever_sees_it_first(folder: Path) -> None:
    with EmbeddedServer(folder) as first, EmbeddedServer(folder) as second:
        assert not first.revive()
        with Redis.from_url(first.url) as client:
            client.set("key", "there")
        pid = state_of(folder).pid
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: living_server(folder) is None)
        assert [second.revive(), first.revive()] == [True, False]
        assert len(servers(folder)) == 1
        with Redis.from_url(first.url) as client:
            assert client.get("key") == b"there"
        first.close()
        assert living_server(folder) is not None
    assert until(lambda: servers(folder) == [])
    assert not psutil.pid_exists(pid), "nothing is left of the one that was killed"


def test_a_server_that_left_is_not_revived(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.close()
    assert not server.revive()
    assert servers(folder) == []


def test_a_killed_server_whose_port_somebody_took_comes_back_elsewhere(folder: Path) -> None:
    with EmbeddedServer(folder) as first:
        state = state_of(folder)
        os.kill(state.pid, signal.SIGKILL)
        assert until(lambda: living_server(folder) is None)
        os.waitpid(state.pid, 0)
        with socket.create_server(("127.0.0.1", state.port)), EmbeddedServer(folder) as second:
            assert second.url != first.url
            with Redis.from_url(second.url) as client:
                assert client.ping()


def test_the_password_is_required_and_only_the_owner_can_read_it(folder: Path) -> None:
    with EmbeddedServer(folder):
        state = state_of(folder)
        assert len(state.password) == 32
        once = Retry(NoBackoff(), 0)
        for password in (None, "wrong"):
            with (
                Redis(port=state.port, password=password, retry=once) as client,
                pytest.raises(AuthenticationError),
            ):
                client.ping()
        for name in ("server.json", "valkey.conf"):
            assert stat.S_IMODE((folder / "valkey" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "valkey").stat().st_mode) == 0o700
        assert state.password not in " ".join(psutil.Process(state.pid).cmdline())


def test_the_server_listens_on_loopback_only(folder: Path) -> None:
    with EmbeddedServer(folder):
        state = state_of(folder)
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(state.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]


def test_four_processes_at_once_start_one_server(folder: Path) -> None:
    with user(folder) as a, user(folder) as b, user(folder) as c, user(folder) as d:
        users = (a, b, c, d)
        for process in users:
            tell(process)
        assert len({said(process) for process in users}) == 1
        assert len(servers(folder)) == 1
        for process in users[:3]:
            tell(process)
            assert process.wait(15) == 0
        assert living_server(folder) is not None
        tell(d)
        assert d.wait(15) == 0
        assert servers(folder) == []


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": 1, "port": "x", "password": ""}'])
def test_a_broken_server_file_counts_as_no_server(folder: Path, text: str) -> None:
    (folder / "valkey").mkdir()
    (folder / "valkey" / "server.json").write_text(text, encoding="utf-8")
    assert living_server(folder) is None


def test_somebody_elses_service_on_a_remembered_port_is_not_taken_for_ours(folder: Path) -> None:
    (folder / "valkey").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        state = ServerState(pid=1, port=other.getsockname()[1], password="p")  # it says nothing for two seconds
        (folder / "valkey" / "server.json").write_text(state.model_dump_json(), encoding="utf-8")
        assert living_server(folder) is None


def test_a_starter_that_is_killed_while_it_starts_leads_to_no_second_server(folder: Path) -> None:
    script = (
        "import os, signal, sys, pathlib, jobs.embedded as embedded\n"
        "answers = embedded._answers\n"
        "def dying(state):\n"
        "    while not answers(state): pass\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "embedded._answers = dying\n"
        "embedded.EmbeddedServer(pathlib.Path(sys.argv[1]))\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, check=False, timeout=30)
    assert died.returncode == -signal.SIGKILL
    assert len(servers(folder)) == 1
    with EmbeddedServer(folder):
        assert len(servers(folder)) == 1


@pytest.mark.slow
def test_a_server_that_does_not_answer_for_a_while_leads_to_no_second_server(folder: Path) -> None:
    with EmbeddedServer(folder):
        pid = state_of(folder).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            try:
                second = EmbeddedServer(folder)
            except RuntimeError:
                second = None  # to say so and give up is as good
            count = len(servers(folder))
        finally:
            os.kill(pid, signal.SIGCONT)
        if second is not None:
            second.close()
        assert count == 1
