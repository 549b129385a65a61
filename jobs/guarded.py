"""What all our RQ workers share: they run the functions they are meant to, and leave with who started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, ClassVar

import structlog
from rq import Queue, Worker
from rq.job import Job, JobStatus

from jobs.queue import check_job

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

log = structlog.get_logger(__name__)


class GuardedWorker(Worker):
    """Runs the functions of `tasks` and nothing else."""

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
        super().execute_job(job, queue)


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, and go at once if it is gone already."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() == 1:
            sys.exit(0)
