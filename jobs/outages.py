"""What is raised while Redis or the database is away or full: what was asked for is good, so it is tried again."""

from __future__ import annotations

import redis
import sqlalchemy.exc

from jobs.space import is_full

OUTAGES: tuple[type[Exception], ...] = (
    redis.ConnectionError,  # also while it loads, or refuses for its memory's sake
    redis.TimeoutError,
    sqlalchemy.exc.OperationalError,  # also of a full disk
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)


def is_outage(error: BaseException) -> bool:
    """Tell whether something failed for what will pass: one of `OUTAGES`, or a full disk of any of ours."""
    return isinstance(error, OUTAGES) or is_full(error)
