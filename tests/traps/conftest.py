"""Attempts as a worker runs them: EvalScope imported once, a process forked for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from horses import Horses, Stable
from redis import Redis

from jobs.embedded import EmbeddedServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the traps among the faults: each waits for an endpoint or a hub that fails."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.fault)


@pytest.fixture(scope="session")
def horses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Horses]:
    """A Redis of its own and the process that forks."""
    folder = tmp_path_factory.mktemp("horses")
    with EmbeddedServer(folder) as server, Redis.from_url(server.url) as redis:
        stable = Stable(folder, server.url)
        yield Horses(stable, redis, folder)
        stable.close()
