"""Whatever is killed at whatever moment: every run comes to one end, nothing is paid or posted twice, nothing stays.

Each moment is a seed: one benchmark, two, or two models are asked for in one request, and after a random time some
processes are killed together: the bot, the workers, the light process that checks what waits, the processes that
evaluate, Redis. Some moments have a second blow while the first one heals. Where there is one worker for two models,
the second run waits, and is checked meanwhile. Several installations live through theirs side by side.
`SCOPEBOT_KILL_MOMENTS` says how many moments there are, `SCOPEBOT_KILL_SEED` which is the first.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from support.installation import Installation, Kind, Target

from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

MOMENTS = int(os.environ.get("SCOPEBOT_KILL_MOMENTS", "10"))
FIRST_SEED = int(os.environ.get("SCOPEBOT_KILL_SEED", "1"))
SIDE_BY_SIDE = 6
Asked = Literal["one", "benchmarks", "models"]
TEXTS: dict[Asked, str] = {
    "one": "/eval slow sample_mcq",
    "benchmarks": "/eval slow sample_mcq,sample_qa limit=0.5",
    "models": "evaluate slow and other on sample_mcq, 75%",
}
"""Each about fifty samples a worker."""
ANSWER_TAKES = 0.25
LASTS = 10.0
"""Seconds from the request to the end of a run that nobody disturbs, on a machine that does a few at once."""
ENDS_WITHIN = 120.0

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300 + 60 * MOMENTS)]


@dataclass
class Blow:
    """Some processes, killed together."""

    after: float
    """Seconds since the request, or since the blow before."""
    targets: list[Target]
    met: list[Target] = field(default_factory=list)
    """Of which kinds there was something to kill at that moment."""
    kept: dict[int, dict[int, str]] = field(default_factory=dict)
    """The predictions of each run on disk when the processes were dead: request and question."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """Requests that had reached each endpoint by then."""
    at: float = 0.0

    def __str__(self) -> str:
        return f"{self.after:.1f} s: " + "+".join(
            target if target in self.met else f"({target})" for target in self.targets
        )


@dataclass
class Moment:
    """What happened around the blows to one request; `wrong` is what must not."""

    seed: int
    kind: Kind
    asked: Asked
    blows: list[Blow]
    end: str = ""
    attempts: str = ""
    paid: int = 0
    """The most requests for any one sample."""
    results: int = 0
    statuses: int = 0
    leases: int = 0
    goes_on: float = 0.0
    """Seconds from the last blow until a sample was asked for again, or the runs had ended."""
    told: float = 0.0
    """Seconds from the last blow until everything was said of them."""
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int) -> Moment:
        """Return what a seed stands for."""
        rng = random.Random(seed)
        targets: list[Target] = ["bot", "worker", "light", "horse", "redis"]
        blows = [
            Blow(rng.uniform(0, LASTS), rng.sample(targets, rng.choice([1, 1, 1, 2, 2, 3, 4, 5])))
            for _ in range(rng.choice([1, 1, 1, 2]))
        ]
        asked: Asked = rng.choice(["one", "benchmarks", "models"])
        return cls(seed, "embedded" if seed % 2 else "outside", asked, blows)

    @property
    def may_be_given_up(self) -> bool:
        """Its own process died twice: a death that came with the worker's is the host's."""
        return sum("horse" in blow.met and "worker" not in blow.met for blow in self.blows) > 1

    def check(self, holds: bool, wrong: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            self.wrong.append(wrong)

    def row(self) -> list[str]:
        return [
            str(self.seed), self.kind, self.asked, ", then after ".join(str(blow) for blow in self.blows), self.end,
            self.attempts, ", ".join("+".join(str(len(kept)) for kept in blow.kept.values()) for blow in self.blows),
            str(self.paid),
            str(self.results), str(self.statuses), str(self.leases), f"{self.goes_on:.1f}", f"{self.told:.1f}",
            "; ".join(self.wrong) or "ok",
        ]  # fmt: skip


HEADS = [
    "seed", "kind", "asked", "killed after", "end", "attempts", "kept", "paid max", "results", "statuses", "leases",
    "goes on s", "told s", "",
]  # fmt: skip


def live_through(installation: Installation, moment: Moment) -> None:
    """Make a request, kill, wait for the end, and look at what came of it."""
    installation.wait_until_whole()
    before, thread = installation.asked(), installation.say(moment.seed, TEXTS[moment.asked])
    since = time.monotonic()
    for blow in moment.blows:
        time.sleep(max(0.0, since + blow.after - time.monotonic()))
        strike(installation, blow, thread)
        since = blow.at
    runs = wait_for_the_end(installation, moment, thread)
    moment.end = "+".join(f"{run.state}{f': {run.failure.code}' if run.failure else ''}" for run in runs)
    moment.attempts = "+".join(str(run.attempt) for run in runs)
    moment.check(len(runs) == (2 if moment.asked == "models" else 1), f"{len(runs)} runs")
    for run in runs:
        check_end(moment, run)
        check_samples(installation, moment, run, before)
    try:  # a lease whose holder was killed lapses by itself
        installation.until(lambda: not installation.leases(), 20, "no lease is left")
        installation.wait_until_gone("horse")
    except AssertionError as error:
        moment.wrong.append(str(error))
    moment.leases = len(installation.leases())


def strike(installation: Installation, blow: Blow, thread: str) -> None:
    """Kill, and note what there is of the runs."""
    blow.met = installation.kill(*blow.targets)
    blow.at = time.monotonic()
    time.sleep(0.1)  # what was on its way to the endpoint has arrived there
    runs = runs_of(installation, thread)
    blow.asked = installation.asked()
    blow.kept = {run.id: installation.kept(run) for run in runs}


def runs_of(installation: Installation, thread: str) -> Sequence[Run]:
    newest = installation.store.newest_run(installation.platform, "c", thread)
    return [] if newest is None else installation.store.group_runs(installation.store.run(newest).group_id)


def wait_for_the_end(installation: Installation, moment: Moment, thread: str) -> Sequence[Run]:
    """Wait until the runs ended and that was told; note how long it took."""
    last = moment.blows[-1]

    def goes_on() -> bool:
        return installation.asked() != last.asked or ended()

    def ended() -> bool:
        runs = runs_of(installation, thread)
        return bool(runs) and all(run.state in ENDED for run in runs)

    def told() -> bool:
        posts, final = in_thread(installation, thread)
        status = [post for post in posts if post["live"]]
        return len(posts) > len(status) and all(post["id"] in final for post in status)

    installation.until(goes_on, ENDS_WITHIN, "a run goes on")
    moment.goes_on = time.monotonic() - last.at
    installation.until(ended, ENDS_WITHIN, "the runs end")
    installation.until(told, 30, "their end is told")
    moment.told = time.monotonic() - last.at
    return runs_of(installation, thread)


def check_end(moment: Moment, run: Run) -> None:
    """No loss of its host ends a run, nor one of its own process; two of that without a sample between them may."""
    given_up = run.failure is not None and run.failure.code == "run_killed" and moment.may_be_given_up
    moment.check(run.state is RunState.SUCCEEDED or given_up, f"{run.name} ended as {moment.end}")
    if run.state is RunState.SUCCEEDED:
        scored = sum(benchmark.succeeded for benchmark in run.result.benchmarks) if run.result is not None else 0
        moment.check(scored == run.spec.total, f"{run.name} scored {scored} samples")


def check_samples(installation: Installation, moment: Moment, run: Run, before: Mapping[str, int]) -> None:
    """What was on disk is there and was not asked again; only what was on its way may be paid once an attempt."""
    model = run.spec.model.name
    requests = installation.requests(model, before)
    paid = max(requests.values(), default=0)
    moment.paid = max(moment.paid, paid)
    moment.check(paid <= run.attempt, f"a sample of {run.name} was asked {paid} times")
    kept = installation.kept(run)
    for blow in moment.blows:
        then = blow.kept.get(run.id, {})
        again = set(installation.requests(model, blow.asked)) & set(then.values())
        moment.check(not again, f"{len(again)} kept samples of {run.name} were asked again")
        moment.check(then.items() <= kept.items(), f"a prediction of {run.name} is gone")
    questions = list(kept.values())
    moment.check(len(questions) == len(set(questions)), f"a prediction of {run.name} is there twice")
    if run.state is RunState.SUCCEEDED:
        whole = len(requests) == len(questions) == run.spec.total
        moment.check(whole, f"{run.name}: {len(requests)} asked, {len(questions)} kept")


def in_thread(installation: Installation, thread: str) -> tuple[list[dict[str, Any]], set[str]]:
    """Return a thread's posts, and the ids of the messages that were edited for the last time."""
    state = installation.recorder.state()
    posts = [post for post in state["posts"] if post["place"]["thread"] == thread]
    return posts, {edit["id"] for edit in state["edits"] if edit["final"]}


def count_posts(installation: Installation, moment: Moment) -> None:
    """Look at everything that was ever posted of a request."""
    posts, _ = in_thread(installation, f"t{moment.seed}")
    moment.statuses = sum(1 for post in posts if post["live"])
    moment.results = len(posts) - moment.statuses
    moment.check((moment.results, moment.statuses) == (1, 1), f"posted {[post['key'] for post in posts]}")


def live(folder: Path, moments: list[Moment]) -> None:
    """Live through moments one after another in one installation."""
    lived = []
    with Installation(folder, moments[0].kind, ANSWER_TAKES) as installation:
        for moment in moments:
            lived.append(moment)
            try:
                live_through(installation, moment)
            except AssertionError as error:
                moment.wrong.append(str(error))
                break  # its remains would spoil the next one
        for moment in lived:
            count_posts(installation, moment)
        lived[-1].wrong += installation.recorder.state()["wrong"] + installation.unasked()


def table(moments: list[Moment]) -> str:
    rows = [HEADS, *(moment.row() for moment in moments)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


@pytest.fixture
def lived(tmp_path: Path) -> list[Moment]:
    """All moments, after they were lived through."""
    moments = [Moment.of(seed) for seed in range(FIRST_SEED, FIRST_SEED + MOMENTS)]
    each = SIDE_BY_SIDE // 2
    alike = [[moment for moment in moments if moment.kind == kind] for kind in ("outside", "embedded")]
    series = [part for some in alike for number in range(each) if (part := some[number::each])]
    with ThreadPoolExecutor(len(series)) as pool:
        lives = [pool.submit(live, tmp_path / f"i{number}", part) for number, part in enumerate(series)]
    for part, life in zip(series, lives, strict=True):
        if life.exception() is not None:
            part[-1].wrong.append(repr(life.exception()))
    return moments


def test_every_run_ends_once_and_nothing_is_paid_or_posted_twice_whatever_is_killed_when(
    lived: list[Moment], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{table(lived)}\n")
    wrong = [moment for moment in lived if moment.wrong or not moment.end]
    assert not wrong, f"\n{table(wrong)}"
