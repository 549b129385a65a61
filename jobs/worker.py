"""The RQ worker on a GPU host: EvalScope imported once, a work-horse forked for each job."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from jobs.artifacts import Artifacts
from jobs.catalog import CATALOG_KEY, Catalog
from jobs.config import Settings
from jobs.queue import ALLOWED_TASKS, JobRefused, open_queue
from jobs.workspace import Workspace, enter, worker_name

if TYPE_CHECKING:
    from redis import Redis
    from rq.job import Job
    from rq.queue import Queue as RqQueue

log = structlog.get_logger(__name__)

PRELOAD = (
    "evalscope.run", "evalscope.api.evaluator", "evalscope.evaluator", "evalscope.api.registry",
    "evalscope.models.mockllm", "evalscope.models.openai_compatible", "evalscope.report",
    "evalscope.report.renderer", "evalscope.report.visualization", "evalscope.report.generator",
    "evalscope.report.data_frames", "evalscope.metrics.judge.llm_judge",
    "evalscope.benchmarks.general_mcq.general_mcq_adapter", "evalscope.benchmarks.general_qa.general_qa_adapter",
    "evalscope.benchmarks.gsm8k.gsm8k_adapter", "plotly.express", "plotly.graph_objs", "jinja2", "markdown",
    "datasets", "pandas", "scipy.stats", "httpx", "yaml", "jieba", "rouge_chinese",
    "jobs.tasks", "jobs.evalscope.eval", "jobs.evalscope.evaluator",
)  # fmt: skip
"""What a first evaluation would import: in the parent it is paid for once. None of it touches CUDA."""
WORKERS = "scopebot:workers"
HEARTBEAT = 10
ALIVE_FOR = 3 * HEARTBEAT
"""Seconds after which a worker that says nothing counts as gone."""


def run_worker(settings: Settings, *, die_with_parent: bool = False) -> None:
    """Serve the queue until told to stop; with `die_with_parent`, also when the process that started it dies."""
    if die_with_parent:
        _die_with_parent()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that would not survive the fork
    redis = open_redis(settings)
    workspace = Workspace(
        name=worker_name(), settings=settings, redis=redis,
        artifacts=Artifacts(settings.effective_artifacts_url), catalog=_preload(),
    )  # fmt: skip
    enter(workspace)
    _publish(workspace)
    worker = _worker_class()([open_queue(redis)], name=workspace.name, connection=redis)
    log.info("worker ready", worker=workspace.name, evalscope=workspace.catalog.evalscope_version)
    worker.work(with_scheduler=False, logging_level="WARNING")


def open_redis(settings: Settings) -> Redis:
    """Connect to `REDIS_URL`."""
    from redis import Redis

    if settings.redis_url is None:
        raise RuntimeError("a worker needs REDIS_URL")
    return Redis.from_url(settings.redis_url, health_check_interval=30)


def living_workers(redis: Redis) -> list[dict[str, str]]:
    """Return what each living worker says of itself: name, host, evalscope, seen (UTC, ISO)."""
    found = []
    for name, raw in sorted(redis.hgetall(WORKERS).items()):
        facts = json.loads(raw)
        if time.time() - float(facts["seen"]) <= ALIVE_FOR:
            seen = datetime.fromtimestamp(float(facts["seen"]), UTC).isoformat(timespec="seconds")
            found.append(facts | {"name": name.decode(), "seen": seen})
    return found


def _preload() -> Catalog:
    from jobs.evalscope.discover import read_catalog

    tqdm = importlib.import_module("tqdm")
    tqdm.tqdm.monitor_interval = 0  # its thread would not survive the fork
    for module in PRELOAD:
        importlib.import_module(module)
    return read_catalog()


def _publish(workspace: Workspace) -> None:
    """Say what this worker can evaluate."""
    workspace.redis.set(CATALOG_KEY, workspace.catalog.model_dump_json())
    beat(workspace)


def beat(workspace: Workspace) -> None:
    """Say that this worker is alive."""
    facts = {"evalscope": workspace.catalog.evalscope_version, "pid": str(os.getpid()), "seen": str(time.time())}
    workspace.redis.hset(WORKERS, workspace.name, json.dumps(facts))


def _worker_class() -> type:
    """Return RQ's worker, held to signed jobs of known tasks; made late because the bot never imports it."""
    from rq import Worker
    from rq.serializers import JSONSerializer

    from jobs.workspace import current

    class ScopebotWorker(Worker):
        """Runs the tasks of `jobs.tasks` and nothing else."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(
                *args,
                serializer=JSONSerializer,
                maintenance_interval=30,
                worker_ttl=HEARTBEAT + 15,  # RQ waits for a job 15 s less than this, then says it is alive
                job_monitoring_interval=HEARTBEAT,
                **kwargs,
            )

        def heartbeat(self, timeout: int | None = None, pipeline: object = None) -> None:
            super().heartbeat(timeout, pipeline)
            beat(current())

        def perform_job(self, job: Job, queue: RqQueue, execution: object) -> bool:
            if job.func_name not in ALLOWED_TASKS:
                raise JobRefused(job.func_name)
            return bool(super().perform_job(job, queue, execution))

    return ScopebotWorker


def _die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, and go at once if it is gone already."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() == 1:
            sys.exit(0)
