"""Full disks: known by what is raised, told with how much is free and where, and looked for before a run begins."""

from __future__ import annotations

import errno
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import ResponseError

from jobs.errors import DiskFull, DiskLow, RedisFull

GIGABYTE = 1e9
DATA = "SCOPEBOT_DATA_DIR"
ARTIFACTS = "SCOPEBOT_ARTIFACTS_URL"
CACHES = "MODELSCOPE_CACHE, HF_HOME"
POSTGRES_FULL = "53100"


class StoreFull(OSError):
    """The artifact store has no room; `filename` says where."""


def is_full(error: BaseException) -> bool:
    """Tell whether something failed for want of room: on a disk of ours, of the database or of Redis."""
    return any(says_full(link) for link in chain(error))


def says_full(error: BaseException) -> bool:
    """Tell the same of an error itself, whatever led to it."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(error, ResponseError):  # of a script, too: "… MISCONF Errors writing to the AOF file: …"
        return "MISCONF" in str(error)
    return getattr(error, "sqlstate", None) == POSTGRES_FULL


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, the newest first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


@contextmanager
def telling_of_redis() -> Iterator[None]:
    """Raise `RedisFull` where Redis takes nothing for want of room."""
    try:
        yield
    except ResponseError as error:
        if is_full(error):
            raise RedisFull from error
        raise


def told(error: BaseException, folder: Path) -> DiskFull:
    """Return what people are told of a full disk that was found out while working in a folder."""
    place, setting = folder, DATA
    for link in chain(error):
        if isinstance(link, OSError) and says_full(link) and isinstance(link.filename, str):
            place = _existing(Path(link.filename))
            inside = place.is_relative_to(folder)
            setting = ARTIFACTS if isinstance(link, StoreFull) else DATA if inside else CACHES
            break
    return DiskFull(host=socket.gethostname(), folder=str(place), free=_shown(free(place)), setting=setting)


def require(folder: Path, setting: str, least: float) -> None:
    """Raise `DiskLow` where less than `least` GB are free in a folder."""
    found = free(_existing(folder))
    if found < least:
        raise DiskLow(
            host=socket.gethostname(), folder=str(folder), free=_shown(found), least=f"{least:g}", setting=setting
        )


def free(folder: Path) -> float:
    """Return how many GB are free in a folder for who asks."""
    return shutil.disk_usage(folder).free / GIGABYTE


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there."""
    return next(place for place in (path, *path.parents) if place.is_dir())


def _shown(gigabytes: float) -> str:
    return f"{gigabytes:.1f}" if gigabytes >= 0.1 or gigabytes == 0 else f"{gigabytes:.3f}"
