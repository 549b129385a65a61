"""The RQ worker on a GPU host: EvalScope imported once, a work-horse forked for each job."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.artifacts import Artifacts
from jobs.catalog import CATALOG_KEY, Catalog
from jobs.config import Settings
from jobs.errors import ConfigInvalid, RunKilled
from jobs.fleet import HEARTBEAT, beat, leave, wake_dispatcher
from jobs.guarded import GuardedWorker
from jobs.guarded import die_with_parent as leave_with_parent
from jobs.queue import EVAL_TASK, open_queue
from jobs.tasks import announce_loss
from jobs.workspace import Workspace, current, enter, worker_name

if TYPE_CHECKING:
    from resource import struct_rusage

    from rq.executions import Execution

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
PRELOAD_PERF = (
    "uvloop", "evalscope.perf.main", "evalscope.perf.utils.report.perf_charts", "evalscope.perf.utils.report.perf_data",
    "jobs.evalscope.perf", "jobs.evalscope.load",
)  # fmt: skip
"""The same for a first stress test; a worker without EvalScope's `perf` extra evaluates all the same."""


GRACE = 1.5
"""Seconds a run has to say its partial score when it is cancelled."""


class ScopebotWorker(GuardedWorker):
    """Runs attempts, and says of each how it ended where that could not say so itself."""

    tasks = frozenset({EVAL_TASK})

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the run's process: let it say its partial score, then end it and all it started."""
        horse = self.horse_pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(horse, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline:
                os.getpgid(horse)  # gone, once the parent has waited for it
                time.sleep(0.02)
            os.killpg(horse, sig)

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Wait for the run's process to end, then end whatever it left behind in its group."""
        horse = self.horse_pid
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(horse, signal.SIGKILL)
            wake_dispatcher(current().redis)

    def _handle_stopped_job(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Say that a run was ended on request, in case it was too busy to say so itself."""
        super()._handle_stopped_job(job, queue, execution)
        announce_loss(current(), job.id, RunKilled(worker=current().name, signal=int(signal.SIGKILL)))

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: struct_rusage) -> None:
        """Say that a run ended with its process, which could not say so itself."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]
        signal_number = os.WTERMSIG(ret_val) if os.WIFSIGNALED(ret_val) else 0
        if signal_number:
            announce_loss(current(), job.id, RunKilled(worker=current().name, signal=signal_number))


def run_worker(settings: Settings, *, die_with_parent: bool = False) -> None:
    """Serve the queue until told to stop; with `die_with_parent`, also when the process that started it dies."""
    if die_with_parent:
        leave_with_parent()
    if settings.redis_url is None:
        raise ConfigInvalid(file="REDIS_URL", reason="a worker needs it")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that would not survive the fork
    redis = Redis.from_url(settings.redis_url, health_check_interval=30)
    workspace = Workspace(
        name=worker_name(), settings=settings, redis=redis,
        artifacts=Artifacts(settings.effective_artifacts_url), catalog=_preload(),
    )  # fmt: skip
    enter(workspace)
    redis.set(CATALOG_KEY, workspace.catalog.model_dump_json())
    threading.Thread(target=_keep_beating, args=(workspace,), name="heartbeat", daemon=True).start()
    worker = ScopebotWorker(
        [open_queue(redis, workspace.name)],
        name=workspace.name,
        connection=redis,
        serializer=JSONSerializer,
        maintenance_interval=30,
        worker_ttl=30,
        job_monitoring_interval=10,
    )
    log.info("worker ready", worker=workspace.name, evalscope=workspace.catalog.evalscope_version)
    try:
        worker.work(with_scheduler=False, logging_level="WARNING")
    finally:
        leave(redis, workspace.name)


def _keep_beating(workspace: Workspace) -> None:
    """Say every few seconds that this worker is alive, over a connection of its own."""
    assert workspace.settings.redis_url is not None
    redis = Redis.from_url(workspace.settings.redis_url, socket_timeout=HEARTBEAT)
    announced = False
    while True:
        try:
            beat(redis, workspace.name, workspace.catalog.evalscope_version)
            if not announced:
                wake_dispatcher(redis)
                announced = True
        except RedisError:
            log.warning("heartbeat not sent", exc_info=True)
        time.sleep(HEARTBEAT)


def _preload() -> Catalog:
    from jobs.evalscope.discover import read_catalog

    tqdm = importlib.import_module("tqdm")
    tqdm.tqdm.monitor_interval = 0  # its thread would not survive the fork
    for module in PRELOAD:
        importlib.import_module(module)
    with contextlib.suppress(ImportError):
        for module in PRELOAD_PERF:
            importlib.import_module(module)
    return read_catalog()
