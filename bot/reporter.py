"""Keeps status messages true: edits each group's when something changed, and posts its results when they are there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import structlog

from bot.platforms.base import Platform
from bot.services import BotServices
from handlers.cards import result_message, status_message
from handlers.incoming import Place
from handlers.message import Message
from handlers.texts import Texts
from jobs.lifecycle import ENDED, RunState
from jobs.models import Group, Progress, Run

log = structlog.get_logger(__name__)

TICK = 0.25
REPORT_WITHIN = 60.0
"""Seconds after its scores in which a run's HTML report is still waited for."""


@dataclass
class Watch:
    """One group whose message is kept true."""

    group: Group
    platform: Platform
    message_id: str
    shown: Message
    edited_at: float = 0.0
    final: bool = False
    results: dict[int, tuple[str, Message]] = field(default_factory=dict)
    """Run → the id and content of its result message."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0
    complete: bool = False
    """Nothing more will follow: every result is posted, every report linked."""


class Reporter:
    """Watches groups until their results are posted and their reports linked."""

    def __init__(self, services: BotServices) -> None:
        self._services = services
        self._watches: dict[int, Watch] = {}
        self._wake = asyncio.Event()

    async def watch(self, group_id: int, platform: Platform, message_id: str, shown: Message) -> None:
        """Begin to keep a group's status message true."""
        group = await asyncio.to_thread(self._services.store.group, group_id)
        self._watches[group_id] = Watch(group=group, platform=platform, message_id=message_id, shown=shown)
        self.wake()

    def wake(self) -> None:
        """Look now rather than at the next tick."""
        self._wake.set()

    async def settled(self, group_ids: list[int]) -> None:
        """Wait until the results of these groups are posted."""
        for group_id in group_ids:
            watch = self._watches.get(group_id)
            if watch is not None:
                await watch.settled.wait()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            self._wake.clear()
            for group_id, watch in list(self._watches.items()):
                try:
                    await self._update(watch)
                except Exception:  # one group's trouble must not silence the others
                    log.exception("reporting failed", group=group_id)
                if watch.complete:
                    del self._watches[group_id]

    async def _update(self, watch: Watch) -> None:
        runs = await asyncio.to_thread(self._services.store.group_runs, watch.group.id)
        ended = all(run.state in ENDED for run in runs)
        texts = Texts(watch.group.language)
        if not watch.final:
            await self._edit_status(watch, runs, texts, final=ended)
        place = _place(watch.group)
        for run in runs:
            if run.state in ENDED:
                await self._show_result(watch, place, run, texts)
        if ended and not watch.settled.is_set():
            watch.ended_at = time.monotonic()
            watch.settled.set()
        reported = all(run.report_ready or run.state is not RunState.SUCCEEDED for run in runs)
        watch.complete = ended and (reported or time.monotonic() - watch.ended_at > REPORT_WITHIN)

    async def _edit_status(self, watch: Watch, runs: list[Run], texts: Texts, *, final: bool) -> None:
        """Edit the status message if it says something new and the last edit is long enough ago."""
        now = time.monotonic()
        if not final and now - watch.edited_at < watch.platform.edit_every:
            return
        places = await self._services.places() if any(run.state is RunState.WAITING for run in runs) else {}
        message = status_message(runs, await self._progress(runs), texts, self._services.links, places)
        if message != watch.shown or final:
            await watch.platform.edit(_place(watch.group), watch.message_id, message, final=final)
            watch.shown, watch.edited_at, watch.final = message, now, final

    async def _show_result(self, watch: Watch, place: Place, run: Run, texts: Texts) -> None:
        """Post a run's result once; edit it when the report has followed."""
        message = result_message(run, texts, self._services.links)
        posted = watch.results.get(run.id)
        if posted is None:
            message_id = await watch.platform.send(place, message)
            watch.results[run.id] = (message_id, message)
        elif posted[1] != message:
            await watch.platform.edit(place, posted[0], message, final=True)
            watch.results[run.id] = (posted[0], message)

    async def _progress(self, runs: list[Run]) -> dict[int, Progress]:
        found = {run.id: await self._services.progress(run.id) for run in runs if run.state not in ENDED}
        return {run_id: progress for run_id, progress in found.items() if progress is not None}


def _place(group: Group) -> Place:
    return Place(platform=group.platform, channel=group.channel, thread=group.thread)
