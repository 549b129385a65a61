"""RQ on Redis: how a run becomes a job, signed so that a worker runs only what the bot asked for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import ValidationError

from jobs.models import Frozen, Run, Spec

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue
    from rq.job import Job

RUNS = "scopebot-runs-"
"""What the name of each worker's own queue begins with."""
CHECKS = "scopebot-checks"
"""The one queue of the light processes: checks of runs that wait."""
EVAL_TASK = "jobs.tasks.evaluate"
CHECK_TASK = "jobs.tasks.check"
CHECK_TAKES = 120
"""Seconds after which a check is given up, without a verdict: a data set may take long to come."""
RESULT_TTL = 3600
FAILURE_TTL = 7 * 24 * 3600


class JobRefused(Exception):
    """A job that was not signed with this installation's key, or asks for something else."""


class JobPayload(Frozen):
    """All that a worker is told: which attempt of which run, and what it does."""

    run_id: int
    attempt: int
    spec: Spec

    @property
    def job_id(self) -> str:
        """The job's id in RQ: r12-a1."""
        return f"r{self.run_id}-a{self.attempt}"


def parse_job_id(job_id: str) -> tuple[int, int]:
    """Return run and attempt of a job's id; raises `JobRefused` for an id that is none of ours."""
    found = re.fullmatch(r"r(\d{1,9})-a(\d{1,6})", job_id)
    if found is None:
        raise JobRefused(job_id)
    return int(found[1]), int(found[2])


def sign(payload: JobPayload, key: str) -> str:
    """Return the payload as text that only the holder of `key` can have made."""
    return str(URLSafeSerializer(key, salt="job").dumps(payload.model_dump(mode="json")))


def unsign(text: str, key: str) -> JobPayload:
    """Check the signature and read the payload; raises `JobRefused`."""
    try:
        return JobPayload.model_validate(URLSafeSerializer(key, salt="job").loads(text))
    except (BadSignature, ValidationError) as error:
        raise JobRefused("the job is not signed with this worker's SCOPEBOT_JOB_KEY") from error


def check_job(job: Job, tasks: AbstractSet[str]) -> None:
    """Raise `JobRefused` for a job that is none of `tasks`, or brings functions of its own to be called."""
    # the names alone: RQ's own properties would import them
    callbacks = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name)
    if job.func_name not in tasks or any(callbacks):
        raise JobRefused(job.func_name)


def open_queue(redis: Redis, worker: str) -> Queue:
    """Return a worker's own queue."""
    return _open(redis, f"{RUNS}{worker}")


def open_checks(redis: Redis) -> Queue:
    """Return the queue of the checks."""
    return _open(redis, CHECKS)


def _open(redis: Redis, name: str) -> Queue:
    from rq import Queue
    from rq.serializers import JSONSerializer

    return Queue(name, connection=redis, serializer=JSONSerializer)  # never pickle


def stop(redis: Redis, run: Run) -> bool:
    """Stop a run's job: take it off the queue, or have its worker end it. False where there is none any more."""
    from rq.command import send_stop_job_command
    from rq.exceptions import InvalidJobOperation, NoSuchJobError
    from rq.job import Job, JobStatus
    from rq.serializers import JSONSerializer

    try:
        job = Job.fetch(f"r{run.id}-a{run.attempt}", connection=redis, serializer=JSONSerializer)
        if job.get_status(refresh=True) is JobStatus.QUEUED:
            job.delete()
            return False
        send_stop_job_command(redis, job.id, serializer=JSONSerializer)
    except (NoSuchJobError, InvalidJobOperation):
        return False
    return True


def enqueue(redis: Redis, run: Run, *, key: str, timeout: float) -> str:
    """Put the run's current attempt on its worker's queue; return the job's id. A second call for it does nothing."""
    return _enqueue(open_queue(redis, run.worker), EVAL_TASK, run, key=key, timeout=timeout)


def enqueue_check(redis: Redis, run: Run, *, key: str) -> str:
    """Have a run checked that was never sent to a worker (attempt 0); return the job's id."""
    return _enqueue(open_checks(redis), CHECK_TASK, run, key=key, timeout=CHECK_TAKES)


def _enqueue(queue: Queue, task: str, run: Run, *, key: str, timeout: float) -> str:
    from rq.exceptions import DuplicateJobError

    payload = JobPayload(run_id=run.id, attempt=run.attempt, spec=run.spec)
    with contextlib.suppress(DuplicateJobError):
        queue.enqueue_call(
            task,
            args=(sign(payload, key),),
            job_id=payload.job_id,
            unique=True,
            timeout=int(timeout),
            result_ttl=RESULT_TTL,
            failure_ttl=FAILURE_TTL,
            description=run.name,
        )
    return payload.job_id
