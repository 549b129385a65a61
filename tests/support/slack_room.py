"""A channel of its own in the Slack double: what people do there, what the bot shows there, and what its runs do."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text as sql

from bot.settings import BotSettings
from bot.slack.manifest import manifest
from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import BenchmarkResult, Interval, MetricResult, Reproduce, Run, RunResult
from support.slack.control import Slack
from support.slack_bot import SlackBot

Json = dict[str, Any]
SOON = 15.0
"""Seconds within which what is due is to be seen."""
URL = "https://scopebot.example.com"
_numbers = itertools.count(1)


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[SlackBot]:
    """Have a bot without workers serve a workspace, which knows of it what its manifest says."""
    with Slack() as slack:
        slack.use_manifest(manifest(BotSettings(public_url=URL)))
        with SlackBot(folder, slack, SCOPEBOT_PUBLIC_URL=URL, **variables) as bot:
            yield bot


class Room:
    """One channel. People are ann, bob and chen, and all of them are in it."""

    def __init__(self, bot: SlackBot, kind: str = "channel") -> None:
        self.slack, self.bot = bot.slack, bot
        self.channel = self.slack.add_channel(f"room-{next(_numbers)}", kind)

    def __enter__(self) -> Self:
        self.slack.forget()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            wrong, lost = self.slack.violations(), self.slack.unacked()
            assert not wrong, wrong
            assert not lost, lost

    # what people do

    def ask(self, user: str, text: str, thread: str | None = None) -> str:
        """Say something to the bot, and wait until it has answered; return the message's ts."""
        ts = self.slack.mention(user, self.channel, text, thread)
        self.settle()
        return ts

    def say(self, user: str, text: str, thread: str) -> str:
        """Say something in a thread, to nobody in particular."""
        ts = self.slack.say(user, self.channel, text, thread)
        self.settle()
        return ts

    def edit(self, user: str, ts: str, text: str, *, mention: bool = True) -> None:
        """Change what was said, to the bot or, without the mention, to nobody."""
        said = f"<@{self.slack.bot_user()}> {text}" if mention else text
        self.slack.edit(user, self.channel, ts, said)
        self.settle()

    def delete(self, user: str, ts: str) -> None:
        """Delete what was said."""
        self.slack.delete(user, self.channel, ts)
        self.settle()

    def press(self, user: str, message: Json, label: str) -> None:
        """Press a button as it stands in the channel now."""
        self.slack.ack(self.slack.press(user, self.channel, message["ts"], button(self.now(message), label)))
        self.settle()

    # what is seen

    def thread(self, ts: str) -> list[Json]:
        """Return what the bot posted in a thread."""
        return [message for message in self.slack.thread(self.channel, ts) if message.get("bot_id")]

    def headlines(self) -> list[Json]:
        """Return what the bot posted into the channel itself."""
        return [m for m in self.slack.messages(self.channel) if m.get("bot_id") and "thread_ts" not in m]

    def posts(self) -> list[Json]:
        """Return all that the bot posted here."""
        return [message for message in self.slack.messages(self.channel) if message.get("bot_id")]

    def whispers(self, user: str) -> list[str]:
        """Return what one person alone was told here."""
        return [shown(message) for message in self.slack.ephemerals(user, self.channel)]

    def now(self, message: Json) -> Json:
        """Return a message as it stands now."""
        found = self.slack.message(self.channel, message["ts"])
        assert found is not None
        return found

    def until(self, true: Any, what: str) -> Any:
        """Wait for something that is due."""
        return self.bot.until(true, SOON, what)

    def answer(self, ts: str, count: int = 1) -> Json:
        """Wait until a thread has so many posts of the bot, and return the last of them."""
        found: list[Json] = self.until(lambda: len(got := self.thread(ts)) >= count and got, f"{count} posts")
        assert len(found) == count, [shown(message) for message in found]
        return found[-1]

    def settle(self) -> None:
        """Wait until the bot has heard all that was said, and said all that it had to."""

        def settled() -> bool:
            if not self._heard():
                return False
            with self.bot.redis() as redis:
                return not redis.xlen("scopebot:inbox:slack") and not self._due()

        self.bot.until(settled, SOON, "an end of it", every=0.03)

    def heard(self) -> None:
        """Wait until the bot has heard all that was said."""
        self.bot.until(self._heard, SOON, "acknowledgements", every=0.01)

    def _heard(self) -> bool:
        return all(one["acked_at"] for one in self.slack.deliveries())

    def _due(self) -> int:
        """Return how many posts are due here; direct messages count as well."""
        query = sql(
            "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending') "
            "AND (channel LIKE '%/' || :channel OR channel LIKE '%/@%')"
        )
        with self.bot.engine.connect() as connection:
            return int(connection.execute(query, {"channel": self.channel}).scalar_one())

    def told(self, *runs: Run) -> None:
        """Wait until all is said of runs that have ended, of all in this channel unless some are given."""
        groups = {run.group_id for run in runs or self.runs}
        self.until(
            lambda: not groups & {group.id for group, _ in self.bot.store.unsettled("slack")}, "all that is to be said"
        )
        self.settle()

    # the runs

    @property
    def runs(self) -> list[Run]:
        """The runs that were asked for here, the first one first."""
        store = self.bot.store
        where = f"{self.slack.team_id()}/{self.channel}"
        return [run for run in self.bot.runs() if store.group(run.group_id).channel == where]

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

    def api(self, method: str, **arguments: Any) -> Json:
        """Call Slack's Web API as the app: an admin's deletion of its posts reaches it like one of its own."""
        return call(self.slack, method, channel=self.channel, **arguments)


def side_by_side(bot: SlackBot, check: Callable[..., None], cases: Sequence[tuple[Any, ...]]) -> None:
    """Check several cases at once, each in a room of its own: most of the time of each is spent waiting."""

    def in_room(case: tuple[Any, ...]) -> None:
        try:
            check(Room(bot), *case)
        except AssertionError as error:
            error.add_note(f"with {case}")
            raise

    with ThreadPoolExecutor(len(cases)) as threads:
        list(threads.map(in_room, cases))


def call(slack: Slack, method: str, **arguments: Any) -> Json:
    """Call a method of Slack's Web API as the app."""
    request = urllib.request.Request(
        f"{slack.api_url}{method}", json.dumps(arguments).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {slack.bot_token()}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        found = dict(json.load(answer))
    assert found["ok"], found
    return found


def result(run: Run) -> RunResult:
    """Return a score of 50 % for each of a run's benchmarks."""
    now = datetime.now(UTC)
    metric = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100,
        score=0.5, num=20, interval=Interval(low=0.3, high=0.7, method="wilson"),
    )  # fmt: skip
    benchmarks = tuple(
        BenchmarkResult(name=name, benchmark=name, metrics=(metric,), requested=20, succeeded=20, errored=0)
        for name in run.spec.covers
    )
    return RunResult(
        run_id=run.id, attempt=1, state=RunState.SUCCEEDED, model=run.spec.model.name, benchmarks=benchmarks,
        started_at=now, ended_at=now, worker="w1",
        reproduce=Reproduce(command="evalscope eval --model tiny", versions={"evalscope": "1.14.1"}),
    )  # fmt: skip


def shown(message: Json) -> str:
    """Return the text that people see of a message."""
    return Slack.rendered_text(message)


def buttons(message: Json) -> list[str]:
    """Return what a message's buttons say."""
    return [element["text"]["text"] for element in _buttons(message)]


def button(message: Json, label: str) -> str:
    """Return the action of the button that says this."""
    found = next((element for element in _buttons(message) if element["text"]["text"].startswith(label)), None)
    assert found is not None, f"no button {label!r} among {buttons(message)}"
    return str(found["action_id"])


def _buttons(message: Json) -> Iterator[Json]:
    for block in message.get("blocks") or ():
        if block["type"] == "actions":
            yield from (element for element in block["elements"] if element["type"] == "button")


def tables(message: Json) -> list[list[list[str]]]:
    """Return a message's tables: rows of cells, the columns' names first."""
    return [
        [[str(cell["text"]) for cell in row] for row in block["rows"]]
        for block in message.get("blocks") or ()
        if block["type"] == "data_table"
    ]


def everything_in(bot: SlackBot) -> str:
    """Return all that the database holds."""
    with bot.engine.connect() as connection:
        tables_ = connection.execute(sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return str([connection.execute(sql(f"SELECT * FROM {table}")).all() for table in tables_])
