"""What all our RQ workers share.

They run the functions they are meant to, wait while Redis takes nothing, and leave with who started them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, ClassVar

import structlog
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.job import Job, JobStatus

from jobs.queue import check_job
from jobs.space import says_full

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

log = structlog.get_logger(__name__)

LOOK_FOR_ROOM_EVERY = 2.0


class GuardedWorker(Worker):
    """Runs the functions of `tasks` and nothing else; while Redis takes nothing, it waits."""

    tasks: ClassVar[AbstractSet[str]] = frozenset()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in a work-horse, if it is one of ours; anything else is marked as failed, and nothing is called."""
        try:
            check_job(job, self.tasks)
        except Exception as error:  # whatever a stranger's job makes RQ or us raise
            log.warning("job refused", job=job.id, reason=str(error))
            job.set_status(JobStatus.FAILED)
            self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
            return
        try:
            super().execute_job(job, queue)
        except ResponseError as error:
            self._wait_for_room(error)

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except ResponseError as error:
                self._wait_for_room(error)

    def run_maintenance_tasks(self) -> None:
        """Do what RQ does now and then."""
        try:
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        except ResponseError as error:
            self._wait_for_room(error)

    def _wait_for_room(self, error: ResponseError) -> None:
        """Wait until Redis takes something again; raise any other error."""
        while says_full(error):  # what another refusal follows on is no reason to wait for it
            log.warning("Redis takes nothing: its disk is full", reason=str(error))
            time.sleep(LOOK_FOR_ROOM_EVERY)
            try:
                self.connection.set("scopebot:room", "1", ex=1)
            except ResponseError as again:
                error = again
            else:
                return
        raise error


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, and go at once if it is gone already."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() == 1:
            sys.exit(0)
