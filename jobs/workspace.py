"""What a worker process has at hand; its work-horses inherit it when they are forked."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from jobs.addresses import AddressRule, guard_sockets, resolve
from jobs.artifacts import Artifacts
from jobs.catalog import Catalog
from jobs.config import Settings

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True)
class Workspace:
    """One worker's own."""

    name: str
    settings: Settings
    redis: Redis
    artifacts: Artifacts
    catalog: Catalog

    def guard_sockets(self, network: Literal["registered", "console", "checked"]) -> None:
        """Hold this process to the run's address rule from now on."""
        spare = []
        for url, port in ((self.settings.redis_url, 6379), (self.settings.effective_artifacts_url, 443)):
            parts = urlsplit(url or "")
            if parts.hostname:
                spare += resolve(parts.hostname, parts.port or port)
        guard_sockets(AddressRule(network, self.settings.config.access.allow_hosts), spare)


_current: Workspace | None = None


def enter(workspace: Workspace) -> None:
    """Make this the process's workspace."""
    global _current  # noqa: PLW0603 - RQ imports a task by name and hands it plain arguments only
    _current = workspace


def current() -> Workspace:
    """Return the process's workspace."""
    if _current is None:
        raise RuntimeError("jobs run inside `scopebot worker` only")
    return _current


def worker_name() -> str:
    """Return a name no other living worker has: host and process id."""
    return f"{socket.gethostname()}-{os.getpid()}"
