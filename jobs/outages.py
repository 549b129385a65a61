"""What is raised while Redis or the database is away: what was asked for is good, so it is tried again."""

from __future__ import annotations

import redis
import sqlalchemy.exc

OUTAGES: tuple[type[Exception], ...] = (
    redis.ConnectionError,  # also while it loads, or refuses for its memory's sake
    redis.TimeoutError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
