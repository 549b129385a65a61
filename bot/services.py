"""What handlers ask the bot for: the store, the queue, the workers' words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bot.classifier import Classifier
from bot.dispatcher import ACTIVE, ask_to_cancel, plan_for
from handlers.context import Links
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.presets import Presets
from jobs.artifacts import Artifacts
from jobs.catalog import CATALOG_KEY, Catalog, snapshot
from jobs.config import Config
from jobs.dispatch import Place
from jobs.events import parse_progress, progress_key
from jobs.fleet import living_workers, wake_dispatcher
from jobs.lifecycle import RunState
from jobs.models import Progress, Run
from jobs.sample import SAMPLE_DATASETS
from jobs.store import Store

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from bot.settings import BotSettings

CATALOG_AGE = 30.0
"""Seconds after which the workers' catalog is looked at again."""
WORKER_STARTS_WITHIN = 60.0
LOG_BYTES = 64 * 1024


class BotServices:
    """Implements `handlers.context.Services`."""

    def __init__(
        self,
        *,
        settings: BotSettings,
        store: Store,
        artifacts: Artifacts,
        links: Links,
        redis: AsyncRedis,
        queue: Redis,
        dashboard_url: str | None = None,
    ) -> None:
        self.store = store
        self.config: Config = settings.config
        self.links = links
        self.dashboard_url = dashboard_url
        self.artifacts = artifacts
        self.classifier = Classifier(settings)
        self._redis = redis
        self._queue = queue
        self._vocabulary: Vocabulary | None = None
        self._looked_at = 0.0
        self._workers_expected_until = 0.0

    async def vocabulary(self) -> Vocabulary:
        """See `Services.vocabulary`."""
        if self._vocabulary is None or time.monotonic() - self._looked_at > CATALOG_AGE:
            published = await self._redis.get(CATALOG_KEY)
            catalog = (
                snapshot() if published is None else await asyncio.to_thread(Catalog.model_validate_json, published)
            )
            self._vocabulary = make_vocabulary(catalog, self.config)
            self._looked_at = time.monotonic()
        saved = await asyncio.to_thread(Presets(self.store.engine).saved)
        names = frozenset(preset.name for preset in saved)
        return replace(self._vocabulary, presets=self._vocabulary.presets | names) if names else self._vocabulary

    async def classify(
        self, text: str, vocabulary: Vocabulary, thread_run: str | None, last_request: str = ""
    ) -> Parsed | None:
        """See `Services.classify`."""
        return await self.classifier.classify(text, vocabulary, thread_run=thread_run, last_request=last_request)

    async def submit(self, runs: list[Run]) -> None:
        """See `Services.submit`."""
        if any(run.state is RunState.WAITING for run in runs):
            await asyncio.to_thread(wake_dispatcher, self._queue)

    async def cancel(self, run: Run) -> Run:
        """See `Services.cancel`."""
        return await asyncio.to_thread(ask_to_cancel, self.store, self._queue, run)

    async def places(self) -> dict[int, Place]:
        """See `Services.places`."""
        return await asyncio.to_thread(self._places)

    def _places(self) -> dict[int, Place]:
        workers = sorted(facts["name"] for facts in living_workers(self._queue))
        return plan_for(self._queue, self.store.runs(states=ACTIVE, limit=10_000), workers).places

    async def progress(self, run_id: int) -> Progress | None:
        """See `Services.progress`."""
        fields = cast("dict[bytes, bytes]", await self._redis.hgetall(progress_key(run_id)))
        return parse_progress(fields)

    async def progress_of(self, run_ids: Sequence[int]) -> dict[int, Progress]:
        """See `Services.progress_of`."""
        pipe = self._redis.pipeline(transaction=False)
        for run_id in run_ids:
            pipe.hgetall(progress_key(run_id))
        answers = cast("list[dict[bytes, bytes]]", await pipe.execute())
        found = {run_id: parse_progress(fields) for run_id, fields in zip(run_ids, answers, strict=True)}
        return {run_id: progress for run_id, progress in found.items() if progress is not None}

    async def log_tail(self, run_id: int) -> str:
        """See `Services.log_tail`."""
        return await asyncio.to_thread(log_tail, self.artifacts, run_id)

    async def workers(self) -> list[dict[str, str]]:
        """See `Services.workers`."""
        return await asyncio.to_thread(living_workers, self._queue)

    def expect_workers(self) -> None:
        """Take note that workers were started just now."""
        self._workers_expected_until = time.monotonic() + WORKER_STARTS_WITHIN

    def workers_starting(self) -> bool:
        """See `Services.workers_starting`."""
        return time.monotonic() < self._workers_expected_until


def make_vocabulary(catalog: Catalog, config: Config) -> Vocabulary:
    """Return the names a message may use."""
    return Vocabulary(
        catalog=catalog,
        models=frozenset(config.models),
        datasets=frozenset(config.datasets) | frozenset(SAMPLE_DATASETS),
        keys=frozenset(config.keys),
        presets=frozenset(map(str.lower, config.presets)),
    )


def log_tail(artifacts: Artifacts, run_id: int) -> str:
    """Return the last lines of EvalScope's log of a run, else of the work-horse's; empty where there is none."""
    for name in ("logs/eval_log.log", "perf/benchmark.log", "worker.log"):
        try:
            text = artifacts.tail(run_id, name, LOG_BYTES).decode("utf-8", errors="replace")
        except FileNotFoundError:
            continue
        if text.strip():
            return text
    return ""
