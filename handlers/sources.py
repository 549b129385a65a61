"""What a message led to is kept under its id: with a number or an edit's mark after `#` where it led to more."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from jobs.db import reading
from jobs.store import GroupRow, Store


def led_to(column: InstrumentedAttribute[Any], source: str) -> ColumnElement[bool]:
    """Return the condition that a column has the id of a message, or of a part or an edit of it."""
    return or_(column == source, column.startswith(f"{source}#", autoescape=True))


def is_led_to(led: str | None, source: str) -> bool:
    """Tell the same of an id that is known."""
    return led is not None and (led == source or led.startswith(f"{source}#"))


def edit_of(source: str, edit: str) -> str:
    """Return the id under which an edit of a message is handled: another edit finds what this one led to."""
    return f"{source}#{hashlib.sha256(edit.encode()).hexdigest()[:12]}"


def group_of(store: Store, source: str) -> int | None:
    """Return the id of the request that has this source, None where none has."""
    with reading(store.engine) as session:
        return session.scalar(select(GroupRow.id).where(GroupRow.source == source))


def groups_of(store: Store, source: str) -> list[int]:
    """Return the ids of all that a message asked for, oldest first."""
    with reading(store.engine) as session:
        return list(session.scalars(select(GroupRow.id).where(led_to(GroupRow.source, source)).order_by(GroupRow.id)))
