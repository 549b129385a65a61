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
GIVE_UP_WITHIN = 2 * REPORT_WITHIN
"""Seconds after the last end in which the reports are still tried to be added to the result."""


@dataclass
class Watch:
    """One group, and what is said of it so far."""

    group: Group
    runs: list[Run]
    status: Post | None = None
    result: Post | None = None
    headline: Post | None = None
    questions: dict[str, Post] = field(default_factory=dict)
    """By the post's key."""

    @property
    def place(self) -> Place:
        """Where it is reported."""
        return Place(platform=self.group.platform, channel=self.group.channel, thread=self.group.thread)

    @property
    def posts(self) -> list[Post]:
        """The status message and the result, which are edited."""
        return [post for post in (self.status, self.result) if post is not None]

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
        """Its result is posted, and its status message will not change any more."""
        said = self.status is None or self.status.final
        return self.ended and said and self.result is not None and self.result.sent

    @property
    def reported(self) -> bool:
        """Every report is there that was to follow its run's scores, or is not waited for any more."""
        return all(
            run.report_ready or run.state is not RunState.SUCCEEDED or _since_end(run) > REPORT_WITHIN
            for run in self.runs
        )

    @property
    def complete(self) -> bool:
        """Nothing more will follow: the result is posted, every report linked."""
        if not self.told or self.result is None:
            return False
        return self.result.final or min(map(_since_end, self.runs)) > GIVE_UP_WITHIN

    @property
    def succeeded(self) -> bool:
        """All its runs have succeeded."""
        return all(run.state is RunState.SUCCEEDED for run in self.runs)

    @property
    def cancelled(self) -> bool:
        """All its runs were cancelled."""
        return all(run.state is RunState.CANCELLED for run in self.runs)

    def mention(self, after: float) -> str:
        """Return who is to be mentioned at the end; nobody where it took no longer than `after` seconds."""
        ends = [run.ended_at for run in self.runs if run.ended_at is not None]
        took = (max(ends) - self.group.created_at).total_seconds() if ends else 0.0
        return self.group.user if took > after else ""

    @property
    def age(self) -> float:
        """Seconds since it was asked for."""
        return (datetime.now(UTC) - self.group.created_at).total_seconds()


def question_key(run: Run) -> str:
    """Return the key under which it is asked whether a paused run goes on."""
    return f"paused:{run.name}-a{run.attempt}"


def _since_end(run: Run) -> float:
    return math.inf if run.ended_at is None else (datetime.now(UTC) - run.ended_at).total_seconds()
