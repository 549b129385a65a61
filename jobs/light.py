"""The light process of a host: checks runs that wait, so that nobody waits for hours to hear of a wrong model name.

Each worker starts one; the one that holds the host's lock works, the others stand by. It imports EvalScope only in
the process of a check that loads data.
"""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

import structlog
from rq.serializers import JSONSerializer

from jobs.artifacts import Artifacts
from jobs.catalog import CATALOG_KEY, Catalog, snapshot
from jobs.config import Settings
from jobs.errors import ConfigInvalid
from jobs.guarded import GuardedWorker, die_with_parent
from jobs.patience import patient_redis, wait_for_redis
from jobs.queue import CHECK_TASK, open_checks
from jobs.workspace import Workspace, enter

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)


NICENESS = 5
"""Runs go first: a check must not spoil what a stress test measures."""


class CheckWorker(GuardedWorker):
    """Runs checks."""

    tasks = frozenset({CHECK_TASK})


def run_light(settings: Settings) -> None:
    """Serve the checks' queue for as long as the parent lives; wait while another process of this host does."""
    die_with_parent()
    os.nice(NICENESS)
    if settings.redis_url is None:
        raise ConfigInvalid(file="REDIS_URL", reason="a worker needs it")
    with (settings.folder / "checks.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = f"checks-{socket.gethostname()}-{os.getpid()}"
        wait_for_redis(settings.redis_url)
        redis = patient_redis(settings.redis_url)
        enter(
            Workspace(
                name=name, settings=settings, redis=redis,
                artifacts=Artifacts(settings.effective_artifacts_url), catalog=_catalog(redis),
            )
        )  # fmt: skip
        worker = CheckWorker(
            [open_checks(redis)], name=name, connection=redis, serializer=JSONSerializer, worker_ttl=30
        )
        log.info("checks ready", worker=name)
        worker.work(with_scheduler=False, logging_level="WARNING")


def _catalog(redis: Redis) -> Catalog:
    """Return what the workers published; before the first one, what is shipped."""
    published = redis.get(CATALOG_KEY)
    return snapshot() if published is None else Catalog.model_validate_json(bytes(published))  # type: ignore[arg-type]
