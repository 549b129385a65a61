"""The services handlers ask for, without Redis and workers: a real store, and what a test says of the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.services import make_vocabulary
from handlers.conversation import converse
from handlers.incoming import Incoming
from handlers.incoming import Place as Where
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.presets import Presets
from handlers.reply import Reply
from jobs.catalog import Catalog, snapshot
from jobs.config import Config
from jobs.dispatch import Place
from jobs.models import Progress, Run
from jobs.store import Store


class FixedLinks:
    def run_url(self, run_id: int) -> str:
        return f"http://bot/runs/r{run_id}"

    def report_url(self, run_id: int) -> str:
        return f"http://bot/runs/r{run_id}/report"


class FakeServices:
    """Implements `handlers.context.Services`; what was submitted is in `submitted`."""

    def __init__(self, store: Store, config: Config | None = None, catalog: Catalog | None = None) -> None:
        self.store = store
        self.config = config or Config()
        self.links = FixedLinks()
        self.catalog = catalog or snapshot()
        self.submitted: list[Run] = []
        self.cancelled: list[int] = []
        self.progresses: dict[int, Progress] = {}
        self.logs: dict[int, str] = {}
        self.alive: list[dict[str, str]] = [{"name": "w1", "evalscope": "1.14.1", "seen": "now"}]
        self.starting = False
        self.dashboard_url: str | None = None
        self.read: list[str] = []
        """What the language model was given to read."""
        self.told: list[tuple[str | None, str]] = []
        """What it was told beside it: the conversation's run, and what was asked for last."""
        self.reads: Callable[[str, Vocabulary, str | None], Parsed | None] = lambda *_: None
        """What it reads in it; nothing unless a test says so."""
        self._ids = itertools.count(1)

    async def vocabulary(self) -> Vocabulary:
        made = make_vocabulary(self.catalog, self.config)
        saved = frozenset(preset.name for preset in Presets(self.store.engine).saved())
        return replace(made, presets=made.presets | saved)

    async def classify(
        self, text: str, vocabulary: Vocabulary, thread_run: str | None, last_request: str = ""
    ) -> Parsed | None:
        self.read.append(text)
        self.told.append((thread_run, last_request))
        return self.reads(text, vocabulary, thread_run)

    async def submit(self, runs: list[Run]) -> None:
        self.submitted += runs

    async def cancel(self, run: Run) -> Run:
        self.cancelled.append(run.id)
        return self.store.ask_to_cancel(run.id)

    async def places(self) -> dict[int, Place]:
        return {}

    async def progress(self, run_id: int) -> Progress | None:
        return self.progresses.get(run_id)

    async def progress_of(self, run_ids: Sequence[int]) -> dict[int, Progress]:
        return {run_id: self.progresses[run_id] for run_id in run_ids if run_id in self.progresses}

    async def log_tail(self, run_id: int) -> str:
        return self.logs.get(run_id, "")

    async def workers(self) -> list[dict[str, str]]:
        return self.alive

    def workers_starting(self) -> bool:
        return self.starting

    async def say(self, text: str, *, thread_run: int | None = None, **changes: object) -> list[Reply]:
        """Say something as the owner of the machine, in a thread whose newest run is `thread_run`.

        `changes` are fields of the Incoming.
        """
        incoming = Incoming(
            id=f"t:{next(self._ids)}", place=Where(platform="console", channel="c", thread="t"), user="u", text=text,
            owns_machine=True,
        )  # fmt: skip
        return await converse(incoming.model_copy(update=changes), self, thread_run)

    async def press(self, button: str, **changes: object) -> Reply:
        """Press a button."""
        return (await self.say("", button=button, **changes))[0]
