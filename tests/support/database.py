"""A migrated database for each test: a copy of one that was migrated once, which takes a moment."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import Engine

from jobs.db import migrate, open_engine


def migrated(path: Path) -> Engine:
    """Return a new, migrated SQLite database that stands at a path."""
    shutil.copyfile(_template(), path)
    return open_engine(f"sqlite:///{path}")


@functools.cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="scopebot-tests-")) / "template.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path
