"""The RQ worker on a GPU host: EvalScope imported once, a work-horse forked for each job."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisLate
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.catalog import CATALOG_KEY, Catalog
from jobs.config import Settings
from jobs.errors import ConfigInvalid, RunCrashed, RunKilled, ScopebotError
from jobs.fleet import HEARTBEAT, beat, leave, wake_dispatcher
from jobs.gpus import described, inventory
from jobs.guarded import GuardedWorker
from jobs.guarded import die_with_parent as leave_with_parent
from jobs.patience import patient_redis, wait_for_redis
from jobs.queue import EVAL_TASK, open_queue
from jobs.same_store import open_artifacts, published, wait_for_bot
from jobs.space import telling_of_redis
from jobs.tasks import announce_loss
from jobs.upkeep import tend
from jobs.workspace import Workspace, current, enter, worker_name

if TYPE_CHECKING:
    from resource import struct_rusage

    from redis.client import PubSub, PubSubWorkerThread
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


TEND_EVERY = 300.0
"""Seconds between two looks at the folders of runs that are over."""
GRACE = 1.5
"""Seconds a run has to say its partial score when it is cancelled."""


class ScopebotWorker(GuardedWorker):
    """Runs attempts, and says of each how it ended where that could not say so itself."""

    tasks = frozenset({EVAL_TASK})

    _tended = -math.inf

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

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Tell RQ that worker and job live; a run does not end because Redis is away for long."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError:
            log.warning("RQ's heartbeat not sent", job=job.id, exc_info=True)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: PubSub, pubsub_thread: PubSubWorkerThread) -> None:
        """Listen on for the word to stop: RQ gives up when Redis answers too late, and nothing would say so."""
        if isinstance(exc, RedisLate):
            exc = RedisAway(str(exc))
        super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)

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
        announce_loss(current(), job.id, RunKilled(worker=current().name, signal=int(signal.SIGKILL)), own=False)

    def run_maintenance_tasks(self) -> None:
        """See `GuardedWorker`; look after the folders too: between two runs, since nothing forks meanwhile."""
        super().run_maintenance_tasks()
        if time.monotonic() - self._tended > TEND_EVERY:
            self._tended = time.monotonic()
            tend(current())

    def handle_work_horse_killed(
        self, job: Job, retpid: int | None, ret_val: int | None, rusage: struct_rusage | None
    ) -> None:
        """Say that a run ended with its process, which could not say so itself."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]
        announce_loss(current(), job.id, how_it_ended(ret_val, current().name), own=True)


def how_it_ended(status: int | None, worker: str) -> ScopebotError:
    """Return what is told of a run's process by its wait status, None of one that RQ killed long after its time."""
    if status is None or os.WIFSIGNALED(status):
        return RunKilled(worker=worker, signal=int(signal.SIGKILL) if status is None else os.WTERMSIG(status))
    return RunCrashed(detail=f"its process ended with status {os.waitstatus_to_exitcode(status)}")


def run_worker(settings: Settings, *, die_with_parent: bool = False) -> None:
    """Serve the queue until told to stop; with `die_with_parent`, also when the process that started it dies."""
    if die_with_parent:
        leave_with_parent()
    if settings.redis_url is None:
        raise ConfigInvalid(file="REDIS_URL", reason="a worker needs it")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that would not survive the fork
    wait_for_redis(settings.redis_url)
    redis = patient_redis(settings.redis_url)
    artifacts = open_artifacts(settings.effective_artifacts_url)
    mark = wait_for_bot(artifacts, redis)
    workspace = Workspace(name=worker_name(), settings=settings, redis=redis, artifacts=artifacts, catalog=_preload())
    enter(workspace)
    with telling_of_redis():
        redis.set(CATALOG_KEY, workspace.catalog.model_dump_json())
    heartbeat = Heartbeat(workspace, mark, described(inventory()))
    heartbeat.start()
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
        heartbeat.stop()
        leave(redis, workspace.name)
    if heartbeat.wrong_store is not None:
        raise heartbeat.wrong_store


class Heartbeat:
    """Says every few seconds that this worker is alive, over a connection of its own.

    Where the bot has meanwhile begun to use another artifact store, the worker finishes the run it has, and leaves.
    """

    def __init__(self, workspace: Workspace, mark: str, gpus: str = "") -> None:
        self._workspace = workspace
        self._mark = mark
        self._more = {"gpus": gpus} if gpus else {}
        """What it says besides that it lives."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)
        self.wrong_store: ScopebotError | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End, so that a worker that has left is not taken for a living one."""
        self._over.set()
        self._thread.join(2 * HEARTBEAT)

    def _keep_beating(self) -> None:
        workspace = self._workspace
        assert workspace.settings.redis_url is not None
        # never patient: once Redis is back, it must hear at once that this worker lives
        redis = Redis.from_url(workspace.settings.redis_url, socket_timeout=HEARTBEAT, retry=Retry(NoBackoff(), 0))
        announced = False
        while not self._over.is_set():
            try:
                beat(redis, workspace.name, workspace.catalog.evalscope_version, **self._more)
                if not announced:
                    wake_dispatcher(redis)
                    announced = True
                self._look_at_the_store(redis)
            except RedisError:
                log.warning("heartbeat not sent", exc_info=True)
            self._over.wait(HEARTBEAT)

    def _look_at_the_store(self, redis: Redis) -> None:
        """Leave where the bot's store is no longer this worker's."""
        said = published(redis)
        if said in {None, self._mark} or self.wrong_store is not None:
            return
        try:
            self._mark = wait_for_bot(self._workspace.artifacts, redis)
        except ScopebotError as error:
            self.wrong_store = error
            log.error("the bot uses another artifact store by now: leaving", store=self._workspace.artifacts.url)  # noqa: TRY400 - it is told in one line when the worker has left
            os.kill(os.getpid(), signal.SIGTERM)


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
