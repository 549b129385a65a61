"""A group of its own in the Feishu double: what people do there, what the bot shows there, and what its runs do."""

from __future__ import annotations

import itertools
from typing import Any, Self

from sqlalchemy import text as sql

from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import Run
from support.feishu_bot import FeishuBot
from support.slack_room import result

Json = dict[str, Any]
SOON = 15.0
"""Seconds within which what is due is to be seen."""
_numbers = itertools.count(1)


class Group:
    """One chat. People are ann, bob, chen and wang, and all of them are in it."""

    def __init__(self, bot: FeishuBot, mode: str = "group") -> None:
        self.feishu, self.bot = bot.feishu, bot
        self.chat = self.feishu.add_chat(f"room-{next(_numbers)}", mode)

    def __enter__(self) -> Self:
        self.feishu.forget()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            wrong, lost = self.feishu.violations(), self.feishu.unacked()
            assert not wrong, wrong
            assert not lost, lost

    # what people do

    def ask(self, user: str, text: str, reply_to: str | None = None) -> str:
        """Say something to the bot, and wait until it has answered; return the message's id."""
        said = self.feishu.mention(user, self.chat, text, reply_to)
        self.settle()
        return said

    def say(self, user: str, text: str, reply_to: str | None = None, **more: Any) -> str:
        """Say something to nobody in particular."""
        said = self.feishu.say(user, self.chat, text, reply_to, **more)
        self.settle()
        return said

    def press(self, user: str, message: Json, label: str, copies: int = 1) -> Json:
        """Press a button; return what it is answered with."""
        answer = self.feishu.press(user, message["message_id"], label, copies)
        self.settle()
        return answer

    # what is seen

    def thread(self, root: str) -> list[Json]:
        """Return what the bot posted under a message."""
        return self.feishu.ours(self.chat, root)

    def answer(self, root: str, count: int = 1) -> Json:
        """Wait until a message has so many answers of the bot, and return the last of them."""
        found: list[Json] = self.until(lambda: len(got := self.thread(root)) >= count and got, f"{count} posts")
        assert len(found) == count, [self.shown(message) for message in found]
        return found[-1]

    def headlines(self) -> list[str]:
        """Return what the bot posted into the group itself."""
        return [self.shown(message) for message in self.feishu.ours(self.chat) if not message.get("root_id")]

    def shown(self, message: Json) -> str:
        """Return what people read of a message as it stands now."""
        return self.feishu.shown(self.feishu.message(message["message_id"]))

    def until(self, true: Any, what: str) -> Any:
        """Wait for something that is due."""
        return self.bot.until(true, SOON, what)

    def settle(self) -> None:
        """Wait until the bot has heard all that was said, and said all that it had to."""

        def settled() -> bool:
            if self.feishu.unacked():
                return False
            with self.bot.redis() as redis:
                return not redis.xlen("scopebot:inbox:feishu") and not self._due()

        self.bot.until(settled, SOON, "an end of it", every=0.03)

    def _due(self) -> int:
        query = sql("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending') AND platform = 'feishu'")
        with self.bot.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def told(self, *runs: Run) -> None:
        """Wait until all is said of runs that have ended."""
        groups = {run.group_id for run in runs or self.runs}
        self.until(
            lambda: not groups & {group.id for group, _ in self.bot.store.unsettled("feishu")}, "all that is to be said"
        )
        self.settle()

    # the runs

    @property
    def runs(self) -> list[Run]:
        """The runs that were asked for here, the first one first."""
        store = self.bot.store
        return [run for run in self.bot.runs() if store.group(run.group_id).channel == self.chat]

    @property
    def run(self) -> Run:
        """The last run that was asked for here."""
        return self.runs[-1]

    def begin(self, run: Run, **progress: Any) -> None:
        """Have a run begin, and go on for as long as the test does not end it."""
        self.bot.begin(run)
        with self.bot.redis() as redis:
            redis.set(lease_key(run.id), 1)
        self.bot.progress(run, **({"done": 7, "total": 20} | progress))

    def end(self, run: Run, state: RunState = RunState.SUCCEEDED) -> None:
        """Have a run end, begun or not, with a score where it succeeds."""
        if self.bot.store.run(run.id).state is RunState.WAITING:
            self.begin(run)
        if state is RunState.SUCCEEDED:
            with self.bot.engine.begin() as connection:  # or the result waits a minute for it
                connection.execute(sql("UPDATE runs SET report_ready = 1 WHERE id = :run"), {"run": run.id})
        self.bot.store.move(run.id, state, result=result(run) if state is RunState.SUCCEEDED else None)
