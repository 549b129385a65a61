"""The artifact store: run folders behind fsspec, local by default, any object store by URL.

Layout: `rID/result.json`, `rID/samples.db`, `rID/logs/…`, `rID/reports/…` and the rest of EvalScope's own folder;
`shared/NAME` for what the pages of all runs load.
"""

from __future__ import annotations

import posixpath
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

log = structlog.get_logger(__name__)

LOGS_EVERY = 3.0
"""Seconds between two copies of a running run's logs."""


class Artifacts:
    """Files of runs, addressed by run id and a path inside the run's folder."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        filesystem, root = fsspec.core.url_to_fs(url)
        self._fs: Any = filesystem
        self._root: str = root

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

    def exists(self, run_id: int, name: str) -> bool:
        """Tell whether a file is there."""
        return bool(self._fs.exists(self._path(run_id, name)))

    def share(self, name: str, path: Path) -> None:
        """Keep a file that the pages of all runs load, unless it is there already."""
        target = self._inside("shared", name)
        if not (self._fs.exists(target) and self._fs.size(target) == path.stat().st_size):
            self._put(target, path.read_bytes())

    def shared(self, name: str) -> bytes:
        """Read a file that `share` kept; raises FileNotFoundError."""
        return bytes(self._fs.cat_file(self._inside("shared", name)))

    def _put(self, path: str, data: bytes) -> None:
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        if "file" in _protocols(self._fs):
            draft = f"{path}.{secrets.token_hex(4)}.part"  # two workers may share the same file at once
            self._fs.pipe_file(draft, data)
            Path(draft).replace(path)
        else:
            self._fs.pipe_file(path, data)

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
    def shipping_logs(self) -> Iterator[None]:
        """Copy the logs every few seconds while the block lasts, so that people can follow them."""
        stop = threading.Event()

        def keep_shipping() -> None:
            while not stop.wait(LOGS_EVERY):
                try:
                    self.ship("*.log")
                except OSError:
                    log.warning("logs not shipped", exc_info=True)

        thread = threading.Thread(target=keep_shipping, name="logs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def ship(self, pattern: str = "*") -> int:
        """Copy every file of this pattern whose size or time changed since the last call; return how many."""
        count = 0
        for path in sorted(self._folder.rglob(pattern)):
            if not path.is_file() or path.is_symlink() or path.name.endswith(("-wal", "-shm", "-journal", ".part")):
                continue
            name = path.relative_to(self._folder).as_posix()
            status = path.stat()
            mark = (status.st_size, status.st_mtime_ns)
            if self._shipped.get(name) != mark:
                self._artifacts.write(self._run_id, name, path.read_bytes())
                self._shipped[name] = mark
                count += 1
        return count


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
