"""A group that is reported on, and what is said of it so far: what is still missing follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.outbox import Post
from handlers.incoming import Place
from jobs.lifecycle import ENDED, RunState
from jobs.models import Group, Run

REPORT_WITHIN = 60.0
"""Seconds after its scores in which a run's HTML report is still waited for."""


@dataclass
class Watch:
    """One group, and what is said of it so far."""

    group: Group
    runs: list[Run]
    status: Post | None = None
    results: dict[str, Post] = field(default_factory=dict)
    """By the post's key."""
    questions: dict[str, Post] = field(default_factory=dict)
    """By the post's key."""

    @property
    def place(self) -> Place:
        """Where it is reported."""
        return Place(platform=self.group.platform, channel=self.group.channel, thread=self.group.thread)

    @property
    def posts(self) -> list[Post]:
        """The status message and the results."""
        return [*self.results.values(), *([self.status] if self.status is not None else [])]

    @property
    def ended(self) -> bool:
        """All its runs have ended."""
        return all(run.state in ENDED for run in self.runs)

    @property
    def asks(self) -> bool:
        """It goes on, or ends, only once a person has answered what is posted."""
        running = [run for run in self.runs if run.state not in ENDED]
        posts = [self.questions.get(question_key(run)) for run in running if run.state is RunState.PAUSED]
        return len(posts) == len(running) > 0 and all(post is not None and post.sent for post in posts)

    @property
    def told(self) -> bool:
        """All its results are posted, and its status message will not change any more."""
        said = self.status is None or self.status.final
        posts = [self.results.get(result_key(run)) for run in self.runs]
        return self.ended and said and all(post is not None and post.sent for post in posts)

    @property
    def complete(self) -> bool:
        """Nothing more will follow: every result is posted, every report linked."""
        return self.told and all(
            self.results[result_key(run)].final or _since_end(run) > REPORT_WITHIN for run in self.runs
        )

    @property
    def age(self) -> float:
        """Seconds since it was asked for."""
        return (datetime.now(UTC) - self.group.created_at).total_seconds()


def result_key(run: Run) -> str:
    """Return the key under which a run's result is posted."""
    return f"result:{run.name}"


def question_key(run: Run) -> str:
    """Return the key under which it is asked whether a paused run goes on."""
    return f"paused:{run.name}-a{run.attempt}"


def _since_end(run: Run) -> float:
    return math.inf if run.ended_at is None else (datetime.now(UTC) - run.ended_at).total_seconds()
