"""What a worker does with the folders of runs that are over: copies what is not in the store yet, then removes them."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from jobs.artifacts import ATTEMPT, UNSHIPPED, Artifacts, Shipper
from jobs.lease import holder

if TYPE_CHECKING:
    from redis import Redis

    from jobs.workspace import Workspace

log = structlog.get_logger(__name__)

DAY = 24 * 3600.0


def tend(workspace: Workspace) -> None:
    """Copy and remove what can be; a run that any worker evaluates right now is left alone."""
    retention = workspace.settings.config.retention
    for run_id, folder in folders(workspace.settings.folder / "work"):
        try:
            if holder(workspace.redis, run_id) is not None:
                continue
            shipped = ship_late(workspace.artifacts, workspace.redis, run_id, folder)
            age = (time.time() - _touched(folder)) / DAY
            forgotten = bool(retention.days) and age > retention.days  # the store would have let go of it, too
            if (shipped and age > retention.worker_days) or forgotten:
                shutil.rmtree(folder)
                log.info("removed a run's folder", run=f"r{run_id}", days=round(age, 1), shipped=shipped)
        except Exception:  # Redis or the store away, a file that cannot be removed: the next time
            log.warning("a run's folder was not tended", run=f"r{run_id}", exc_info=True)


def folders(work: Path) -> Iterator[tuple[int, Path]]:
    """Yield the runs whose folders lie on this worker."""
    for folder in sorted(work.glob("r*")):
        if re.fullmatch(r"r\d{1,9}", folder.name) and folder.is_dir():
            yield int(folder.name[1:]), folder


def ship_late(artifacts: Artifacts, redis: Redis, run_id: int, folder: Path) -> bool:
    """Copy what an attempt left that could not copy it itself; tell whether nothing is left to be copied.

    Where a newer attempt has written to the store, what lies here is older than what lies there, and of no use.
    """
    mark = folder / UNSHIPPED
    if not mark.exists():
        return True
    if holder(redis, run_id) is not None:
        return False
    if _attempt(artifacts, run_id) <= int(mark.read_text() or 0):
        try:
            count = Shipper(artifacts, run_id, folder).ship()
        except Exception as error:  # still full, still away
            log.warning("not shipped yet", run=f"r{run_id}", reason=repr(error))
            return False
        log.info("shipped what an attempt could not", run=f"r{run_id}", files=count)
    mark.unlink()
    return True


def _attempt(artifacts: Artifacts, run_id: int) -> int:
    """Return which attempt wrote last to a run's folder in the store, 0 where none did."""
    try:
        return int(artifacts.read(run_id, ATTEMPT))
    except (FileNotFoundError, ValueError):
        return 0


def _touched(folder: Path) -> float:
    """Return when something in a folder was last written."""
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
