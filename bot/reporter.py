"""Keeps status messages true: edits each group's as it goes on, and posts its result when all its runs have ended.

What there is to watch stands in the database, so a restarted bot goes on where the dead one stopped.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence

import structlog

from bot.alive import Lease
from bot.edits import Edits
from bot.outbox import Outbox, Post
from bot.platforms.base import Mark, MessageGone, PlaceClosed, Platform, RateLimited
from bot.services import BotServices
from bot.wakeups import Wakeups, woken
from bot.watch import Watch, question_key
from handlers.cards import status_message
from handlers.channel_settings import ChannelSettings
from handlers.joint import result_of
from handlers.message import Link, Message
from handlers.paused import paused_message
from handlers.texts import Texts
from jobs.dispatch import Place
from jobs.lifecycle import ENDED, RunState
from jobs.models import Group, Progress, Run
from jobs.outages import OUTAGES

log = structlog.get_logger(__name__)

TICK = 0.25
LOOKED_AT = 4
"""Groups that go on of which it is looked at once, in each workspace, whether they have news."""
LOOK_EVERY = 1.0
"""Seconds after which the database is looked at again where this process was told of no change."""
STATUS_WITHIN = 60.0
"""Seconds after which a group's result is posted although it never got a status message."""
RESTS = 4.0
"""How much longer than a look at the database takes the next one is away, however much changes."""
EDIT_WITHIN = 30.0
FINAL_EDIT_FIRST = 0.5
"""Seconds that a result waits for the final edit of the status message above them."""


class Reporter:
    """What every process knows of the reports, whichever process makes them."""

    def __init__(self, services: BotServices, outbox: Outbox, wakeups: Wakeups) -> None:
        self.services = services
        self.outbox = outbox
        self.wakeups = wakeups

    def wake(self) -> None:
        """Look now rather than at the next tick."""
        self.wakeups.runs.wake()

    async def settled(self, group_ids: list[int]) -> None:
        """Wait until the result of each of these groups is posted, or nothing goes on before a question is answered."""
        with self.wakeups.said.listening() as said:
            for group_id in group_ids:
                while not await asyncio.to_thread(self._told, group_id):
                    await woken(said, LOOK_EVERY)

    def watches(self, groups: Sequence[tuple[Group, list[Run]]]) -> dict[int, Watch]:
        """Return what is said of groups so far."""
        watches = {group.id: Watch(group, runs) for group, runs in groups}
        for post in self.outbox.of_groups(watches) if watches else ():
            watch = watches[post.group or 0]
            if post.role == "status":
                watch.status = post
            elif post.role == "question":
                watch.questions[post.key] = post
            elif post.role == "headline":
                watch.headline = post
            else:
                watch.result = post
        return watches

    def _told(self, group_id: int) -> bool:
        store = self.services.store
        watch = self.watches([(store.group(group_id), store.group_runs(group_id))])[group_id]
        return watch.told or watch.asks


class PlatformReporter:
    """Reports on one platform, while this process holds the lease to."""

    def __init__(self, reporter: Reporter, platform: Platform, lease: Lease) -> None:
        self._reporter = reporter
        self._services, self._outbox, self._wakeups = reporter.services, reporter.outbox, reporter.wakeups
        self._platform = platform
        self._lease = lease
        self._edits = Edits(every=platform.edit_every, per_minute=platform.edits_per_minute)
        self._watches: dict[int, Watch] = {}
        self._shown: dict[int, Message] = {}
        self._finals: set[int] = set()
        """What was edited for the last time, which a look that began before may not know."""
        self._quiet: dict[int, float] = {}
        """When it was seen last of a post that it has nothing new to say."""
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._recorded: set[int] = set()
        """Groups whose result was recorded, which a look that began before may not know."""
        self._channels = ChannelSettings(reporter.services.store.engine)
        self._placing = asyncio.Lock()
        self._known_places: dict[int, Place] = {}
        self._placed_at = -math.inf

    async def run(self) -> None:
        """Report until cancelled."""
        looked_at, took, news = -math.inf, 0.0, False
        try:
            with self._wakeups.runs.listening() as changed, self._wakeups.said.listening(changed):
                while True:
                    something_changed = await woken(changed, TICK)
                    if not self._lease.held:
                        continue
                    news = news or something_changed
                    since = time.monotonic() - looked_at
                    if since > LOOK_EVERY or (news and since > RESTS * took):
                        news, looked_at = False, time.monotonic()
                        self._watches = await asyncio.to_thread(self._look)
                        took = time.monotonic() - looked_at
                        self._forget_others()
                    self._begin_updates()
        finally:
            for task in (*self._busy.values(), *self._beside):
                task.cancel()
            await asyncio.gather(*self._busy.values(), *self._beside, return_exceptions=True)

    def _look(self) -> dict[int, Watch]:
        return self._reporter.watches(
            self._services.store.unsettled(self._platform.name, self._platform.session or None)
        )

    def _begin_updates(self) -> None:
        """Update every group that has something to be said: those that ended first, then whose edit is the oldest.

        Of those that only go on, a few at a time are looked at: the next edit is for the first that has news.
        """
        looked_at = Counter[str]()
        for watch in sorted(self._watches.values(), key=self._turn):
            if watch.group.id in self._busy or not self._may_change(watch):
                continue
            if self._edits.limited and not (watch.ended or self._must_ask(watch)):
                workspace = self._platform.workspace(watch.place)
                looked_at[workspace] += 1
                if looked_at[workspace] > LOOKED_AT:
                    continue
            self._busy[watch.group.id] = asyncio.create_task(self._update(watch))

    def _turn(self, watch: Watch) -> tuple[bool, float]:
        post = 0 if watch.status is None else watch.status.id
        return not watch.ended, max(self._edits.edited_at(post), self._quiet.get(post, -math.inf))

    def _may_change(self, watch: Watch) -> bool:
        """Tell whether something may be said of a group now: most of those that go on wait for their next edit."""
        return watch.ended or self._must_ask(watch) or self._may_edit(watch)

    @staticmethod
    def _must_ask(watch: Watch) -> bool:
        return any(run.state is RunState.PAUSED and question_key(run) not in watch.questions for run in watch.runs)

    def _may_edit(self, watch: Watch) -> bool:
        """Tell whether the status message may be edited now."""
        post = watch.status
        if post is None or post.message_id is None or post.final:
            return False
        return self._edits.due(post.id, self._platform.workspace(post.place), final=watch.ended)

    async def _update(self, watch: Watch) -> None:
        try:
            await self._update_or_fail(watch)
        except OUTAGES as error:
            log.warning("cannot report now", group=watch.group.id, reason=repr(error))
        except Exception:  # one group's trouble must not silence the others
            log.exception("reporting failed", group=watch.group.id)
        finally:
            del self._busy[watch.group.id]

    async def _update_or_fail(self, watch: Watch) -> None:
        texts = Texts(watch.group.language)
        editing = asyncio.create_task(self._edit_status(watch, texts))
        try:
            await asyncio.wait([editing], timeout=FINAL_EDIT_FIRST)
            if watch.status is not None or watch.age > STATUS_WITHIN:
                for run in watch.runs:
                    if run.state is RunState.PAUSED:
                        await self._ask(watch, run, texts)
                if watch.ended:
                    await self._show_result(watch, texts)
                if watch.told:
                    await self._show_headline(watch, texts)
            await editing
        finally:
            editing.cancel()
        if watch.complete:
            await asyncio.to_thread(self._services.store.settle, watch.group.id)
            self._wakeups.said.wake()

    async def _edit_status(self, watch: Watch, texts: Texts) -> None:
        """Edit the status message if it says something new and it may be edited; the final state in any case."""
        post, final = watch.status, watch.ended
        if post is None or not self._may_edit(watch):
            return
        waiting = any(run.state is RunState.WAITING for run in watch.runs)
        places = await self._places() if waiting else {}
        progress = await self._progress(watch.runs)
        message = status_message(watch.runs, progress, texts, self._services.links, places)
        if final or message != self._shown.get(post.id, post.message):
            await self._edit(post, message, final=final, urgent=final)
        else:
            self._quiet[post.id] = time.monotonic()

    async def _show_result(self, watch: Watch, texts: Texts) -> None:
        """Record a group's result, once; edit its message when the reports have followed."""
        post = watch.result
        if post is None and watch.group.id not in self._recorded:
            message = await self._result(watch, texts)
            new = await asyncio.to_thread(
                self._outbox.record_result, watch.group, watch.place, message, final=watch.reported
            )
            self._recorded.add(watch.group.id)
            if new:
                self._wakeups.due.wake()
                self._mark(watch.group.source, "good" if watch.succeeded else "bad")
        elif post is not None and watch.reported and not post.final and post.message_id is not None:
            await self._edit(post, await self._result(watch, texts), final=True)

    def _mark(self, source: str, mark: Mark) -> None:
        """Show lightly how a request ended, without waiting for it."""
        marking = asyncio.create_task(self._platform.mark(source, mark))
        self._beside.add(marking)
        marking.add_done_callback(self._beside.discard)

    async def close_question(self, post: Post, message: Message) -> None:
        """Show what a question was answered with in place of its buttons, as soon as an edit may be made."""
        workspace = self._platform.workspace(post.place)
        while not self._edits.may(post.id, workspace, final=True):  # noqa: ASYNC110 - time alone makes room
            await asyncio.sleep(TICK)
        try:
            async with asyncio.timeout(EDIT_WITHIN):
                await self._platform.edit(post.place, post.message_id or "", message, key=post.key, final=True)
        except Exception as error:
            log.warning("an answered question keeps its buttons", key=post.key, reason=repr(error))
        else:
            await asyncio.to_thread(self._outbox.edited, post.id, message, final=True)

    async def _result(self, watch: Watch, texts: Texts) -> Message:
        message = await asyncio.to_thread(result_of, watch.runs, self._services.store, texts, self._services.links)
        return message.model_copy(update={"mention": watch.mention(self._platform.mention_after)})

    async def _show_headline(self, watch: Watch, texts: Texts) -> None:
        """Have the channel read, once, what came of a group and where to see it, unless it does not want to."""
        place, result = self._platform.headline_place(watch.place), watch.result
        if place is None or result is None or watch.headline is not None or watch.cancelled:
            return
        if not await asyncio.to_thread(self._channels.headlines, place.platform, place.channel):
            return
        message = Message(text=result.message.text)
        if result.message_id and (url := await self._platform.link(result.place, result.message_id)):
            message = message.model_copy(update={"parts": (Link(label=texts("headline.thread"), url=url),)})
        await asyncio.to_thread(self._outbox.record_headline, watch.group.id, place, message)
        self._wakeups.due.wake()

    async def _ask(self, watch: Watch, run: Run, texts: Texts) -> None:
        """Ask, once, whether a paused run goes on."""
        key = question_key(run)
        if key in watch.questions:
            return
        progress = await self._services.progress(run.id)
        message = paused_message(run, progress, texts, self._services.links)
        attempt = key.partition(":")[2]
        await asyncio.to_thread(self._outbox.record_question, attempt, watch.place, message, group=watch.group)
        self._wakeups.due.wake()

    async def _edit(self, post: Post, message: Message, *, final: bool, urgent: bool = False) -> None:
        """Edit a post if that may be now; a failure is tried again later, with what is true then.

        An `urgent` edit is one that people wait for: that a run has ended, and not that its report has followed.
        """
        workspace = self._platform.workspace(post.place)
        if post.id in self._finals or not self._lease.held or not self._edits.may(post.id, workspace, final=urgent):
            return
        try:
            async with asyncio.timeout(EDIT_WITHIN):
                await self._platform.edit(post.place, post.message_id or "", message, key=post.key, final=final)
        except (MessageGone, PlaceClosed) as error:
            log.warning("a message can be edited no more", key=post.key, reason=str(error))
            final = True
        except Exception as error:
            if isinstance(error, RateLimited):
                self._edits.pause(workspace, error.retry_after)
            wait = self._edits.failed(post.id)
            log.warning("an edit failed; trying again", key=post.key, wait=wait, reason=repr(error))
            return
        self._edits.done(post.id)
        self._shown[post.id] = message
        if final:
            self._finals.add(post.id)
            await asyncio.to_thread(self._outbox.edited, post.id, message, final=True)
            self._wakeups.said.wake()

    async def _places(self) -> dict[int, Place]:
        """Return where each waiting run stands; what was found just now is good for all that ask."""
        async with self._placing:
            if time.monotonic() - self._placed_at > LOOK_EVERY:
                self._known_places = await self._services.places()
                self._placed_at = time.monotonic()
            return self._known_places

    async def _progress(self, runs: list[Run]) -> dict[int, Progress]:
        return await self._services.progress_of([run.id for run in runs if run.state not in ENDED])

    def _forget_others(self) -> None:
        """Let go of what is known of posts that are not watched any more."""
        posts = {post.id for watch in self._watches.values() for post in watch.posts}
        self._edits.keep(posts)
        self._finals &= posts
        self._recorded &= self._watches.keys()
        self._quiet = {post: at for post, at in self._quiet.items() if post in posts}
        self._shown = {post: message for post, message in self._shown.items() if post in posts}
