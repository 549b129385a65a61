"""The artifact store: run folders behind fsspec, local by default, any object store by URL.

Layout: `rID/result.json`, `rID/samples.db`, `rID/logs/…`, `rID/reports/…` and the rest of EvalScope's own folder;
`shared/NAME` for what the pages of all runs load.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from jobs.space import StoreFull, is_full

log = structlog.get_logger(__name__)

SQLITE = b"SQLite format 3\x00"
"""What a database's file begins with."""
LEFT_BEHIND = ("-wal", "-shm", "-journal", ".part")
"""Ends of the names of files that are halves of others."""
UNSHIPPED = "unshipped"
"""A file in a run's folder on a worker, as long as not all that lies there is known to be in the store."""
ATTEMPT = "attempt"
"""A file that says which attempt wrote the rest of the folder, here and in the store."""
SHIP_EVERY = 3.0
"""Seconds between two copies of what a running run wrote."""


class Artifacts:
    """Files of runs, addressed by run id and a path inside the run's folder."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        self._opened: Any
        self._opened, self._root = fsspec.core.url_to_fs(url)
        self._opened_by = os.getpid()

    @property
    def _fs(self) -> Any:
        """The file system, opened anew in a forked process: those of object stores keep a thread that is not there."""
        import fsspec

        if self._opened_by != os.getpid():
            self._opened, self._root = fsspec.core.url_to_fs(self.url)
            self._opened_by = os.getpid()
        return self._opened

    @property
    def local(self) -> Path | None:
        """The store's folder; None where it is no folder of this machine."""
        return Path(self._root) if "file" in _protocols(self._fs) else None

    def write(self, run_id: int, name: str, data: bytes) -> None:
        """Write one file; readers see the old one or the new one, never a part."""
        self._put(self._path(run_id, name), data)

    def read(self, run_id: int, name: str) -> bytes:
        """Read one file; raises FileNotFoundError."""
        return bytes(self._fs.cat_file(self._path(run_id, name)))

    def tail(self, run_id: int, name: str, size: int) -> bytes:
        """Read the last `size` bytes of one file; raises FileNotFoundError."""
        path = self._path(run_id, name)
        length = int(self._fs.size(path) or 0)
        return bytes(self._fs.cat_file(path, start=max(0, length - size), end=length))

    def restore(self, run_id: int, folder: Path) -> int:
        """Copy a run's files from the store into an empty folder; return how many."""
        root = posixpath.join(self._root, f"r{run_id}")
        if not self._fs.exists(root):
            return 0
        names = [posixpath.relpath(found, root) for found in self._fs.find(root)]
        for name in names:
            data = self.read(run_id, name)  # refuses a name that leaves the run's folder
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return len(names)

    def run_ids(self) -> set[int]:
        """Return the runs that have files here."""
        self._fs.invalidate_cache()
        if not self._fs.exists(self._root):
            return set()
        names = (posixpath.basename(path.rstrip("/")) for path in self._fs.ls(self._root, detail=False))
        return {int(name[1:]) for name in names if re.fullmatch(r"r[1-9]\d{0,8}", name)}

    def remove(self, run_id: int) -> None:
        """Remove all files of a run; without any, do nothing."""
        with suppress(FileNotFoundError):
            self._fs.rm(posixpath.join(self._root, f"r{run_id}"), recursive=True)

    def exists(self, run_id: int, name: str) -> bool:
        """Tell whether a file is there."""
        return bool(self._fs.exists(self._path(run_id, name)))

    def share(self, name: str, path: Path) -> None:
        """Keep a file that the pages of all runs load, unless it is there already."""
        target = self._inside("shared", name)
        if not (self._fs.exists(target) and self._fs.size(target) == path.stat().st_size):
            self._put(target, path.read_bytes())

    def share_bytes(self, name: str, data: bytes) -> None:
        """Keep what belongs to no run."""
        self._put(self._inside("shared", name), data)

    def shared(self, name: str) -> bytes:
        """Read a file that belongs to no run; raises FileNotFoundError."""
        return bytes(self._fs.cat_file(self._inside("shared", name)))

    def _put(self, path: str, data: bytes) -> None:
        with _naming_the_store(path):
            self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
            if self.local is None:
                self._fs.pipe_file(path, data)
                return
            draft = Path(f"{path}.{secrets.token_hex(4)}.part")  # two workers may share the same file at once
            try:
                self._fs.pipe_file(str(draft), data)
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise

    def _path(self, run_id: int, name: str) -> str:
        return self._inside(f"r{run_id}", name)

    def _inside(self, folder: str, name: str) -> str:
        """Return the full path; a name that leaves the folder raises ValueError."""
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise ValueError(f"not inside {folder}: {name!r}")
        return posixpath.join(self._root, folder, str(inside))


class Shipper:
    """Copies what is new or changed in a run's folder to the artifact store."""

    def __init__(self, artifacts: Artifacts, run_id: int, folder: Path) -> None:
        self._artifacts = artifacts
        self._run_id = run_id
        self._folder = folder
        self._shipped: dict[str, tuple[int, int]] = {}

    @contextmanager
    def shipping(self) -> Iterator[None]:
        """Copy what is new every few seconds while the block lasts.

        People follow the log, and another worker can go on from there.
        """
        stop = threading.Event()

        def keep_shipping() -> None:
            pause = SHIP_EVERY
            while not stop.wait(pause):
                begun = time.monotonic()
                try:
                    self.ship()
                except Exception as error:  # the store is full or away: the next time, or at the end
                    log.warning("not shipped yet", reason=repr(error))
                # files are copied whole: never spend more than a tenth of the time on it
                pause = max(SHIP_EVERY, 9 * (time.monotonic() - begun))

        thread = threading.Thread(target=keep_shipping, name="shipper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def ship(self) -> int:
        """Copy every file whose size or time changed since the last call; return how many."""
        count = 0
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if not path.is_file() or path.is_symlink() or name.endswith(LEFT_BEHIND) or name == UNSHIPPED:
                continue
            status = path.stat()
            mark = (status.st_size, status.st_mtime_ns)
            if self._shipped.get(name) != mark:
                self._artifacts.write(self._run_id, name, _content(path))
                self._shipped[name] = mark
                count += 1
        return count


@contextmanager
def _naming_the_store(path: str) -> Iterator[None]:
    """Say of a full disk that it is the store's."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StoreFull(error.errno, error.strerror, path) from error
        raise


def _content(path: Path) -> bytes:
    """Return a file's content; a database's as of one moment, also while it is written to."""
    data = path.read_bytes()
    if not data.startswith(SQLITE):
        return data
    with closing(sqlite3.connect(path)) as database:
        return bytes(database.serialize())


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
