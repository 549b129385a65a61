"""A full disk is known by what is raised, whoever raises it, and told with where it is and which setting moves it."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.exc
from redis import ResponseError

from jobs import space
from jobs.errors import DiskLow, RedisFull
from jobs.space import ARTIFACTS, CACHES, DATA, StoreFull, chain, is_full, require, telling_of_redis, told

MISCONF = "MISCONF Errors writing to the AOF file: No space left on device"


def no_room(path: str | None = None, kind: type[OSError] = OSError) -> OSError:
    return kind(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def full_sqlite() -> sqlite3.Error:
    """What SQLite raises where it has no room."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.Error) as raised:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    return raised.value


class PostgresError(Exception):
    """Has its state where psycopg's have it."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def wrapped(error: Exception) -> Exception:
    """As SQLAlchemy hands on what a driver raised."""
    outer = sqlalchemy.exc.OperationalError("INSERT", {}, error)
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    "error",
    [
        no_room(), OSError(errno.EDQUOT, "quota"), full_sqlite(), wrapped(full_sqlite()), PostgresError("53100"),
        wrapped(PostgresError("53100")), ResponseError(MISCONF), ResponseError(f"user_script:1: {MISCONF}"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_want_of_room_is_known_of_disk_quota_database_and_redis(error: Exception) -> None:
    assert is_full(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "no"), sqlite3.OperationalError("database is locked"), PostgresError("40001"),
        ResponseError("WRONGTYPE"), ValueError("No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_no_other_error_counts_as_want_of_room(error: Exception) -> None:
    assert not is_full(error)
    assert not is_full(wrapped(error))


def test_a_chain_of_errors_that_bites_its_tail_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__ = other, one
    assert list(chain(one)) == [one, other]


def test_what_redis_refuses_for_want_of_room_is_told_and_other_refusals_are_not_hidden() -> None:
    with pytest.raises(RedisFull), telling_of_redis():
        raise ResponseError(MISCONF)
    with pytest.raises(ResponseError, match="WRONGTYPE"), telling_of_redis():
        raise ResponseError("WRONGTYPE")


@pytest.mark.parametrize(
    ("raised", "place", "setting"),
    [
        (lambda folder: no_room(str(folder / "work/r7/predictions/p.jsonl")), "data/work", DATA),
        (lambda folder: no_room(str(folder.parent / "cache/hub/x"), OSError), "cache", CACHES),
        (lambda folder: no_room(str(folder.parent / "store/r7/result.json"), StoreFull), "store", ARTIFACTS),
        (lambda _folder: no_room(), "data", DATA),
        (lambda folder: wrapped(no_room(str(folder.parent / "cache/x"))), "cache", CACHES),
    ],
    ids=["data folder", "a hub's cache", "artifact store", "no file named", "wrapped"],
)
def test_a_full_disk_is_told_by_the_nearest_folder_and_the_setting_that_moves_it(
    tmp_path: Path, raised: Any, place: str, setting: str
) -> None:
    for name in ("data/work", "cache", "store"):
        (tmp_path / name).mkdir(parents=True)
    found = told(raised(tmp_path / "data"), tmp_path / "data")
    assert (found.params["folder"], found.params["setting"]) == (str(tmp_path / place), setting)
    assert float(str(found.params["free"])) >= 0


def test_too_little_room_is_said_with_how_much_there_is_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free", lambda _folder: 0.75)
    require(tmp_path / "not/there/yet", DATA, 0.5)
    with pytest.raises(DiskLow) as low:
        require(tmp_path / "not/there/yet", DATA, 1.0)
    facts = {name: low.value.params[name] for name in ("folder", "free", "least", "setting")}
    assert facts == {"folder": f"{tmp_path}/not/there/yet", "free": "0.8", "least": "1", "setting": DATA}


@pytest.mark.parametrize(("gigabytes", "said"), [(12.34, "12.3"), (0.1, "0.1"), (0.0, "0.0"), (0.0123, "0.012")])
def test_little_room_is_never_shown_as_none(gigabytes: float, said: str) -> None:
    assert space._shown(gigabytes) == said
