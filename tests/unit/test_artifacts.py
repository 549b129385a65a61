"""The artifact store: files stay in their run's folder, readers never see a part, only what changed is copied."""

from __future__ import annotations

import errno
import os
import threading
import warnings
from pathlib import Path

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import artifacts as module
from jobs.artifacts import Artifacts, Shipper
from jobs.space import StoreFull
from tests.support.endpoint import wait_until

PART = st.sampled_from(["..", ".", "", "a", "b.txt", "...", "..a", " ", "\\..\\", "%2e%2e", "é"])
NAMES = st.lists(PART, min_size=1, max_size=6).map("/".join) | st.text(min_size=1, max_size=20)
anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["file", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    """A local store, and one that is no file system."""
    if request.param == "file":
        return Artifacts(f"file://{tmp_path / 'artifacts'}")
    return Artifacts(f"memory://{tmp_path.name}")


def test_what_was_written_is_read(artifacts: Artifacts) -> None:
    artifacts.write(1, "logs/eval.log", b"one\ntwo\n")
    assert artifacts.read(1, "logs/eval.log") == b"one\ntwo\n"
    assert artifacts.exists(1, "logs/eval.log")
    artifacts.write(1, "logs/eval.log", b"three")
    assert artifacts.read(1, "logs/eval.log") == b"three"


def test_a_run_does_not_see_anothers_files(artifacts: Artifacts) -> None:
    artifacts.write(1, "result.json", b"1")
    assert not artifacts.exists(11, "result.json")
    assert not artifacts.exists(2, "result.json")
    for read in (artifacts.read, lambda run, name: artifacts.tail(run, name, 5)):
        with pytest.raises(FileNotFoundError):
            read(2, "result.json")


@pytest.mark.parametrize(("size", "tail"), [(0, b""), (3, b"456"), (6, b"123456"), (99, b"123456")])
def test_a_tail_is_the_last_bytes_and_no_more_than_there_are(artifacts: Artifacts, size: int, tail: bytes) -> None:
    artifacts.write(1, "log", b"123456")
    assert artifacts.tail(1, "log", size) == tail


@pytest.mark.parametrize(
    "name", ["../r2/result.json", "..", "a/../../x", "/etc/passwd", "//etc/passwd", "a/..", "a/b/../../../x"]
)
def test_a_name_that_leaves_the_runs_folder_is_refused_by_every_method(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(ValueError, match="not inside r1"):
        artifacts.write(1, name, b"x")
    with pytest.raises(ValueError, match="not inside r1"):
        artifacts.read(1, name)
    with pytest.raises(ValueError, match="not inside r1"):
        artifacts.tail(1, name, 5)
    with pytest.raises(ValueError, match="not inside r1"):
        artifacts.exists(1, name)
    with pytest.raises(ValueError, match="not inside shared"):
        artifacts.shared(name)


@anywhere
@given(name=NAMES)
def test_no_name_reaches_a_file_outside_the_runs_folder(tmp_path: Path, name: str) -> None:
    artifacts = Artifacts(f"file://{tmp_path / 'artifacts'}")
    try:
        path = artifacts._path(1, name)
    except ValueError:
        return
    folder = tmp_path / "artifacts" / "r1"
    assert Path(os.path.normpath(path)).is_relative_to(folder)


@anywhere
@given(name=NAMES)
def test_a_name_with_a_way_up_is_always_refused(tmp_path: Path, name: str) -> None:
    artifacts = Artifacts(f"file://{tmp_path / 'artifacts'}")
    if ".." in name.split("/") or name.startswith("/"):
        with pytest.raises(ValueError, match="not inside"):
            artifacts._path(1, name)


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_a_part(tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path}")
    whole = [bytes([letter]) * 300_000 for letter in b"ab"]
    artifacts.write(1, "result.json", whole[0])
    over = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not over.is_set():
            seen.append(artifacts.read(1, "result.json"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        artifacts.write(1, "result.json", whole[number % 2])
    over.set()
    reader.join()
    assert seen
    assert all(data in whole for data in seen)
    assert [path.name for path in (tmp_path / "r1").iterdir()] == ["result.json"]


def test_a_shared_file_is_kept_once_and_again_when_it_changed(artifacts: Artifacts, tmp_path: Path) -> None:
    script = tmp_path / "plotly.js"
    script.write_bytes(b"one")
    artifacts.share("plotly.js", script)
    assert artifacts.shared("plotly.js") == b"one"
    script.write_bytes(b"other")
    artifacts.share("plotly.js", script)
    assert artifacts.shared("plotly.js") == b"other"
    with pytest.raises(FileNotFoundError):
        artifacts.shared("none.js")


def test_a_shared_file_that_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path / 'a'}")
    script = tmp_path / "plotly.js"
    script.write_bytes(b"one")
    artifacts.share("plotly.js", script)
    before = (tmp_path / "a/shared/plotly.js").stat().st_ino
    artifacts.share("plotly.js", script)
    assert (tmp_path / "a/shared/plotly.js").stat().st_ino == before


def test_shipping_copies_what_is_new_or_changed_and_nothing_else(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs/eval.log").write_bytes(b"one")
    (folder / "samples.db").write_bytes(b"rows")
    shipper = Shipper(artifacts, 7, folder)
    assert shipper.ship() == 2
    assert artifacts.read(7, "logs/eval.log") == b"one"
    assert shipper.ship() == 0
    (folder / "logs/eval.log").write_bytes(b"one two")
    assert shipper.ship() == 1
    assert artifacts.read(7, "logs/eval.log") == b"one two"
    assert artifacts.read(7, "samples.db") == b"rows"


def test_shipping_leaves_links_and_half_written_files_behind(artifacts: Artifacts, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    (folder / "folder-link").symlink_to(tmp_path, target_is_directory=True)
    for name in ("samples.db-wal", "samples.db-shm", "samples.db-journal", "x.part"):
        (folder / name).write_text("x")
    assert Shipper(artifacts, 7, folder).ship() == 0
    assert not artifacts.exists(7, "link")
    assert not artifacts.exists(7, "folder-link/secret")


def test_a_store_that_keeps_a_thread_works_in_a_forked_process_too(tmp_path: Path) -> None:
    """fsspec's asynchronous stores (S3, GCS, …) refuse to be used in another process than they were opened in."""

    class Remote(AsyncFileSystem):  # type: ignore[misc]
        protocol = "remote"

        async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
            return (tmp_path / path.removeprefix("/")).read_bytes()[start:end]

    fsspec.register_implementation("remote", Remote, clobber=True)
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/x").write_bytes(b"kept")
    artifacts = Artifacts("remote:///")
    assert artifacts.read(1, "x") == b"kept"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads forks: as a worker does
        child = os.fork()
    if child == 0:
        os._exit(0 if artifacts.read(1, "x") == b"kept" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# a store that is full or away


def full(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_store_is_named_by_its_own_path_and_keeps_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = Artifacts(f"file://{tmp_path}")
    artifacts.write(1, "result.json", b"old")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreFull) as told:
        artifacts.write(1, "result.json", b"new")
    assert told.value.filename == str(tmp_path / "r1" / "result.json")
    assert artifacts.read(1, "result.json") == b"old"
    assert [path.name for path in (tmp_path / "r1").iterdir()] == ["result.json"], "no part is left behind"


def test_another_error_of_a_store_is_not_taken_for_a_full_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        Artifacts(f"file://{tmp_path}").write(1, "result.json", b"new")


def test_what_could_not_be_shipped_is_shipped_the_next_time_while_the_run_goes_on(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHIP_EVERY", 0.02)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "log").write_text("one")
    shipper, tried = Shipper(artifacts, 1, folder), []
    ship = shipper.ship

    def sometimes() -> int:
        tried.append(1)
        if len(tried) < 3:
            full()
        return ship()

    monkeypatch.setattr(shipper, "ship", sometimes)
    with shipper.shipping():
        wait_until(lambda: artifacts.exists(1, "log"))
    assert len(tried) >= 3


def test_a_run_without_a_file_in_the_store_gives_another_worker_nothing(artifacts: Artifacts, tmp_path: Path) -> None:
    assert artifacts.restore(1, tmp_path / "new") == 0
