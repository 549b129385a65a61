"""How a worker knows that its artifact store is the bot's: by a mark that lies in the store, and in Redis.

The bot marks its store once and says in Redis which mark that is. A worker that finds another mark in its own store,
or none, would evaluate for hours and leave the files where nobody looks: it does not start.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Literal, cast

import structlog

from jobs.artifacts import Artifacts
from jobs.errors import ArtifactsAway, ArtifactsDiffer

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

MARK_KEY = "scopebot:artifacts"
MARK = "store-id"
"""The name of the mark among the store's shared files."""
LOOK_EVERY = 1.0
SAY_EVERY = 60.0
"""Seconds between two lines of a worker that waits for the bot."""

Sameness = Literal["same", "other", "unsaid"]


def open_artifacts(url: str) -> Artifacts:
    """Open an artifact store; raises `ArtifactsAway` where there is no such kind of store."""
    try:
        return Artifacts(url)
    except Exception as error:
        raise _away(url, error) from error


def publish(artifacts: Artifacts, redis: Redis, *, others: bool) -> str:
    """Mark the bot's store, unless it is marked, say so in Redis, and return the mark.

    Raises `ArtifactsDiffer` where `others`, which live, said that another store is theirs, and `ArtifactsAway`.
    """
    with redis.lock(f"{MARK_KEY}:lock", timeout=15):  # two bots that start at once on a new store
        mark = read_mark(artifacts)
        if mark is None:
            mark = secrets.token_hex(16)
            try:
                artifacts.share_bytes(MARK, mark.encode())
            except Exception as error:
                raise _away(artifacts.url, error) from error
        said = published(redis)
        if others and said not in {None, mark}:
            raise ArtifactsDiffer(url=_shown(artifacts.url))
        redis.set(MARK_KEY, mark)
    return mark


def say_again(redis: Redis, mark: str) -> None:
    """Say which store is the bot's where Redis has lost it."""
    redis.set(MARK_KEY, mark, nx=True)


def published(redis: Redis) -> str | None:
    """Return the mark of the bot's store; None where no bot has said it."""
    said = cast("bytes | None", redis.get(MARK_KEY))
    return None if said is None else said.decode()


def read_mark(artifacts: Artifacts) -> str | None:
    """Return the mark that lies in a store; None where there is none. Raises `ArtifactsAway`."""
    try:
        return artifacts.shared(MARK).decode("ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a library raises: wrong keys, no such bucket, no network
        raise _away(artifacts.url, error) from error


def compare(artifacts: Artifacts, redis: Redis) -> Sameness:
    """Tell whether a store is the one the bot said; `unsaid` where it said none. Raises `ArtifactsAway`."""
    said = published(redis)
    if said is None:
        return "unsaid"
    return "same" if read_mark(artifacts) == said else "other"


def wait_for_bot(artifacts: Artifacts, redis: Redis) -> str:
    """Wait until the bot says which store is its own, and return its mark. Raises `ArtifactsDiffer`, `ArtifactsAway`.

    There is nothing for a worker to do before: it is the bot that sends runs.
    """
    said_at = -SAY_EVERY
    while (found := compare(artifacts, redis)) == "unsaid":
        if time.monotonic() - said_at >= SAY_EVERY:
            said_at = time.monotonic()
            log.warning("waiting for the bot to say which artifact store is its own: `scopebot serve` on this Redis")
        time.sleep(LOOK_EVERY)
    if found == "other":
        raise ArtifactsDiffer(url=_shown(artifacts.url))
    return published(redis) or ""


def _away(url: str, error: Exception) -> ArtifactsAway:
    return ArtifactsAway(url=_shown(url), reason=f"{type(error).__name__}: {error}".splitlines()[0][:200])


def _shown(url: str) -> str:
    """Return an address without the credentials that it may hold."""
    return re.sub(r"//[^/@]*@", "//…@", url)
