"""One conversation that goes the same way on every platform: what a person says, and what has to come of it.

A platform takes part with a `Driver`; see `drivers.py`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import text as sql

from bot.outbox import Outbox
from jobs.lifecycle import ENDED, RunState
from jobs.models import Run
from jobs.store import Store

SOON = 20.0
RUNS_WITHIN = 60.0
"""Seconds for a run of the mock model, the start of its worker included."""
KEY = "sk-abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Seen:
    """A message of the bot as a person sees it now."""

    text: str
    """All of it that can be read, a line for each part."""
    columns: tuple[tuple[str, ...], ...] = ()
    """Of each of its tables."""
    buttons: tuple[str, ...] = ()


class Driver(ABC):
    """One person in one conversation with the bot, on some platform. The bot has a worker, and the model `slow`."""

    store: Store
    where: tuple[str, str]
    """The platform and the channel of the conversation."""
    delivers_copies = False
    """The platform may deliver what is said more than once."""

    @abstractmethod
    def say(self, text: str, copies: int = 1) -> None:
        """Say something to the bot."""

    @abstractmethod
    def press(self, label: str) -> None:
        """Press the newest button that says this."""

    @abstractmethod
    def seen(self) -> Sequence[Seen]:
        """Return what the person sees of the bot's messages, the oldest first, as they stand now."""

    @abstractmethod
    def heard(self) -> bool:
        """Tell whether the bot has handled all that was said."""

    @abstractmethod
    def trouble(self) -> str:
        """Return what the bot's log tells, for a test that fails."""

    def settle(self) -> None:
        """Wait until the bot has said all that it has to say by now."""
        self.until(lambda: self.heard() and self._said(), SOON, "all that the bot has to say")

    def until(self, true: Callable[[], object], within: float, what: str) -> None:
        """Wait for something."""
        deadline = time.monotonic() + within
        while not true():
            seen = "\n".join(f"– {message}" for message in self.seen()[-3:])
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{seen}\n{self.trouble()[-2000:]}"
            time.sleep(0.1)

    def runs(self) -> list[Run]:
        """Return the runs that were asked for in the conversation, the first one first."""
        return list(reversed(self.store.runs(channel=self.where, limit=10_000)))

    def stored(self) -> str:
        """Return all that the database holds."""
        with self.store.engine.connect() as connection:
            tables = connection.execute(sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
            return str([connection.execute(sql(f"SELECT * FROM {table}")).all() for table in tables])

    def _said(self) -> bool:
        """Tell whether nothing is due, and the result of all that has ended is posted."""
        with self.store.engine.connect() as connection:
            due = sql("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending') AND channel = :channel")
            if connection.execute(due, {"channel": self.where[1]}).scalar_one():
                return False
        runs = self.runs()
        posts = Outbox(self.store.engine).of_groups({run.group_id for run in runs})
        told = {post.group for post in posts if post.role == "result"}
        final = {post.group for post in posts if post.role == "status" and post.final}
        going = {run.group_id for run in runs if run.state not in ENDED}
        return {run.group_id for run in runs} - going <= told & final


@dataclass(frozen=True)
class Step:
    """One thing that a person does, and what is to be seen of it; `{run}` is the newest run, `{first}` the first."""

    name: str
    says: str = ""
    presses: str = ""
    """Or the button that is pressed, by what it begins with."""
    words: tuple[str, ...] = ()
    """What is said then; on one message, or on several."""
    columns: tuple[str, ...] = ()
    """Columns of one of its tables."""
    buttons: tuple[str, ...] = ()
    """What the buttons begin with, in their order; what is said of runs has others where a platform shows shortcuts."""
    more_runs: int = 0
    state: RunState | None = None
    """What the newest run comes to."""
    samples: int | None = None
    """How many samples the newest run has."""
    copies: int = 1
    secret: str = ""
    """What is kept nowhere."""


SCRIPT = (
    Step(
        "help",
        says="help",
        words=("I evaluate models with EvalScope", "I never train", "evaluate a model on benchmarks"),
        columns=("Command", "What it does", "For example"),
    ),
    Step(
        "which benchmarks there are",
        says="which benchmarks test coding?",
        words=("Benchmarks tagged Coding", "humaneval"),
        columns=("Name", "Title", "Tags", "Samples"),
    ),
    Step("an unknown model", says="evaluate gpt-7 on sample_qa", words=("gpt-7", "https://host/v1")),
    Step("an unknown benchmark", says="evaluate mock on gsm9k", words=("no benchmark “gsm9k”", "Did you mean: gsm8k")),
    Step("training", says="train my model on gsm8k", words=("I do not train", "I can measure it")),
    Step(
        "two readings",
        says="evaluate mock on sample_qa, 4 samples",
        words=("sample_qa has 2 subsets", "which do you mean?"),
        buttons=("About 4 in all", "4 per subset", "Cancel"),
    ),
    Step(
        "the answer by its button, and a run to its score",
        presses="4 per subset",
        words=("evaluating mock_llm on sample_qa, 8 samples", "mock_llm — sample_qa", "%", "Reproduce", "{run}"),
        columns=("Benchmark", "Subset", "Metric", "Score", "95 % interval", "Samples"),
        more_runs=1,
        state=RunState.SUCCEEDED,
        samples=8,
    ),
    Step("results", says="results", words=("{run}", "mock_llm", "%"), columns=("Score",)),
    Step(
        "again with fewer samples",
        says="rerun {run} with 2 samples",
        words=("sample_qa has 2 subsets", "which do you mean?"),
        buttons=("About 2 in all", "2 per subset", "Cancel"),
    ),
    Step(
        "the answer to that",
        presses="About 2 in all",
        words=("evaluating mock_llm on sample_qa, 2 samples", "{run}: mock_llm — sample_qa"),
        more_runs=1,
        state=RunState.SUCCEEDED,
        samples=2,
    ),
    Step(
        "in Chinese",
        says="用 mock 评测 sample_mcq",
        words=("{run}：用 sample_mcq 评测 mock_llm，52 条样本。", "样本数", "复现命令"),
        columns=("评测集", "子集", "指标", "分数", "95% 区间", "样本数"),
        more_runs=1,
        state=RunState.SUCCEEDED,
        samples=52,
    ),
    Step("logs", says="logs of {first}", words=("The end of {first}'s log",)),
    Step(
        "a run that takes its time",
        says="evaluate slow on sample_mcq",
        words=("{run}: evaluating slow on sample_mcq", "{run} running"),
        more_runs=1,
        state=RunState.RUNNING,
    ),
    Step(
        "cancel",
        says="cancel {run}",
        words=("Cancelling {run}", "{run} was cancelled"),
        state=RunState.CANCELLED,
    ),
    Step("why", says="why did {run} end?", words=("{run} was cancelled", "nothing went wrong", "`resume {run}`")),
    Step("what lacks its benchmark", says="evaluate mock", words=("On which benchmark?",)),
    Step(
        "the benchmark alone",
        says="sample_qa",
        words=("{run}: evaluating mock_llm on sample_qa, 56 samples",),
        more_runs=1,
        state=RunState.SUCCEEDED,
        samples=56,
    ),
    Step(
        "a secret",
        says=f"status, and my key is {KEY}",
        words=("looks like a secret", "I did not store it"),
        secret=KEY,
    ),
    Step(
        "eleven copies",
        says="evaluate mock on sample_mcq",
        copies=11,
        words=("{run}: evaluating mock_llm on sample_mcq",),
        more_runs=1,
        state=RunState.SUCCEEDED,
        samples=52,
    ),
)
"""The conversation. `mock` and the samples need neither a network nor a model."""


def hold(driver: Driver, script: Sequence[Step] = SCRIPT) -> None:
    """Hold the conversation; a step that goes another way is named in the error."""
    for step in script:
        if step.copies > 1 and not driver.delivers_copies:
            continue
        try:
            _take(step, driver)
        except AssertionError as error:
            error.add_note(f"in the step “{step.name}”")
            raise


def _take(step: Step, driver: Driver) -> None:
    seen, runs = len(driver.seen()), len(driver.runs())

    def named(text: str) -> str:
        known = driver.runs()
        return text.format(run=known[-1].name, first=known[0].name) if known else text

    if step.presses:
        driver.press(next(b for m in reversed(driver.seen()) for b in m.buttons if b.startswith(step.presses)))
    else:
        driver.say(named(step.says), step.copies)
    driver.settle()
    if step.state is not None:
        driver.until(lambda: driver.runs()[-1].state is step.state, RUNS_WITHIN, f"{step.state}")
        driver.settle()
    words = [named(word) for word in step.words]

    def missing() -> list[str]:
        text = "\n".join(message.text for message in driver.seen()[seen:])
        return [word for word in words if word not in text]

    driver.until(lambda: not missing(), SOON, f"all of these words: {words}")
    new = driver.seen()[seen:]
    if step.columns:
        shown = [columns for message in new for columns in message.columns]
        assert any(set(step.columns) <= set(columns) for columns in shown), shown
    if step.buttons:
        labels = [label for message in new for label in message.buttons]
        assert len(labels) == len(step.buttons)
        assert all(map(str.startswith, labels, step.buttons)), labels
    assert len(driver.runs()) == runs + step.more_runs
    if step.samples is not None:
        assert driver.runs()[-1].spec.total == step.samples
    if step.secret:
        assert step.secret not in driver.stored()
        assert not any(step.secret in message.text for message in driver.seen())
