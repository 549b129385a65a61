"""Whatever is killed at whatever moment: every run comes to one end, nothing is paid or posted twice, nothing stays.

Each moment is a seed: an evaluation is asked for, and after a random time some of its processes are killed together:
the bot, the workers, the process that evaluates, Redis. Some moments have a second blow while the first one heals.
Several installations live through theirs side by side. `SCOPEBOT_KILL_MOMENTS` says how many moments there are,
`SCOPEBOT_KILL_SEED` which is the first.
"""

from __future__ import annotations

import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, Kind, Target

from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

MOMENTS = int(os.environ.get("SCOPEBOT_KILL_MOMENTS", "10"))
FIRST_SEED = int(os.environ.get("SCOPEBOT_KILL_SEED", "1"))
SIDE_BY_SIDE = 6
SAMPLES = 52
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
    kept: dict[int, str] = field(default_factory=dict)
    """The predictions on disk when the processes were dead: request and question."""
    asked: int = 0
    """Requests that had reached the endpoint by then."""
    at: float = 0.0

    def __str__(self) -> str:
        return f"{self.after:.1f} s: " + "+".join(
            target if target in self.met else f"({target})" for target in self.targets
        )


@dataclass
class Moment:
    """What happened around the blows to one run; `wrong` is what must not."""

    seed: int
    kind: Kind
    blows: list[Blow]
    end: str = ""
    attempts: int = 0
    paid: int = 0
    """The most requests for any one sample."""
    results: int = 0
    statuses: int = 0
    leases: int = 0
    goes_on: float = 0.0
    """Seconds from the last blow until a sample was asked for again, or the run had ended."""
    told: float = 0.0
    """Seconds from the last blow until everything was said of the run."""
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int) -> Moment:
        """Return what a seed stands for."""
        rng = random.Random(seed)
        targets: list[Target] = ["bot", "worker", "horse", "redis"]
        blows = [
            Blow(rng.uniform(0, LASTS), rng.sample(targets, rng.choice([1, 1, 1, 2, 2, 3, 4])))
            for _ in range(rng.choice([1, 1, 1, 2]))
        ]
        return cls(seed, "embedded" if seed % 2 else "outside", blows)

    def check(self, holds: bool, wrong: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            self.wrong.append(wrong)

    def row(self) -> list[str]:
        return [
            str(self.seed), self.kind, ", then after ".join(str(blow) for blow in self.blows), self.end,
            str(self.attempts), ", ".join(str(len(blow.kept)) for blow in self.blows), str(self.paid),
            str(self.results), str(self.statuses), str(self.leases), f"{self.goes_on:.1f}", f"{self.told:.1f}",
            "; ".join(self.wrong) or "ok",
        ]  # fmt: skip


HEADS = [
    "seed", "kind", "killed after", "end", "attempts", "kept", "paid max", "results", "statuses", "leases",
    "goes on s", "told s", "",
]  # fmt: skip


def live_through(installation: Installation, moment: Moment) -> None:
    """Ask for an evaluation, kill, wait for the end, and look at what came of it."""
    installation.wait_until_whole()
    before, thread = len(installation.endpoint.completions), installation.say(moment.seed, "/eval slow sample_mcq")
    since = time.monotonic()
    for blow in moment.blows:
        time.sleep(max(0.0, since + blow.after - time.monotonic()))
        strike(installation, blow, thread)
        since = blow.at
    run = wait_for_the_end(installation, moment, thread)
    moment.end = str(run.state) if run.failure is None else f"{run.state}: {run.failure.code}"
    moment.attempts = run.attempt
    check_end(moment, run)
    check_samples(installation, moment, run, before)
    try:  # a lease whose holder was killed lapses by itself
        installation.until(lambda: not installation.leases(), 20, "no lease is left")
        installation.wait_until_gone("horse")
    except AssertionError as error:
        moment.wrong.append(str(error))
    moment.leases = len(installation.leases())


def strike(installation: Installation, blow: Blow, thread: str) -> None:
    """Kill, and note what there is of the run."""
    blow.met = installation.kill(*blow.targets)
    blow.at = time.monotonic()
    time.sleep(0.1)  # what was on its way to the endpoint has arrived there
    run_id = run_of(installation, thread)
    blow.asked = len(installation.endpoint.completions)
    blow.kept = {} if run_id is None else installation.kept(run_id)


def run_of(installation: Installation, thread: str) -> int | None:
    return installation.store.newest_run(installation.platform, "c", thread)


def wait_for_the_end(installation: Installation, moment: Moment, thread: str) -> Run:
    """Wait until the run ended and that was told; note how long it took."""
    last = moment.blows[-1]

    def goes_on() -> bool:
        return len(installation.endpoint.completions) > last.asked or ended()

    def ended() -> bool:
        run_id = run_of(installation, thread)
        return run_id is not None and installation.store.run(run_id).state in ENDED

    def told() -> bool:
        posts, final = in_thread(installation, thread)
        status = [post for post in posts if post["live"]]
        return len(posts) > len(status) and all(post["id"] in final for post in status)

    installation.until(goes_on, ENDS_WITHIN, "the run goes on")
    moment.goes_on = time.monotonic() - last.at
    installation.until(ended, ENDS_WITHIN, "the run ends")
    installation.until(told, 30, "its end is told")
    moment.told = time.monotonic() - last.at
    run_id = run_of(installation, thread)
    assert run_id is not None
    return installation.store.run(run_id)


def check_end(moment: Moment, run: Run) -> None:
    """One loss never ends a run; two in a row without a sample between them may."""
    given_up = run.failure is not None and run.failure.code == "run_killed" and len(moment.blows) > 1
    moment.check(run.state is RunState.SUCCEEDED or given_up, f"ended as {moment.end}")
    if run.state is RunState.SUCCEEDED:
        scored = run.result.benchmarks[0].succeeded if run.result is not None else 0
        moment.check(scored == SAMPLES, f"scored {scored} samples")


def check_samples(installation: Installation, moment: Moment, run: Run, before: int) -> None:
    """What was on disk is there and was not asked again; only what was on its way may be paid once an attempt."""
    requests = installation.requests(before)
    moment.paid = max(requests.values(), default=0)
    moment.check(moment.paid <= run.attempt, f"a sample was asked {moment.paid} times")
    kept = installation.kept(run.id)
    for blow in moment.blows:
        again = set(installation.requests(blow.asked)) & set(blow.kept.values())
        moment.check(not again, f"{len(again)} kept samples were asked again")
        moment.check(blow.kept.items() <= kept.items(), "a prediction is gone")
    questions = list(kept.values())
    moment.check(len(questions) == len(set(questions)), "a prediction is there twice")
    if run.state is RunState.SUCCEEDED:
        moment.check(len(requests) == len(questions) == SAMPLES, f"{len(requests)} asked, {len(questions)} kept")


def in_thread(installation: Installation, thread: str) -> tuple[list[dict[str, Any]], set[str]]:
    """Return a thread's posts, and the ids of the messages that were edited for the last time."""
    state = installation.recorder.state()
    posts = [post for post in state["posts"] if post["place"]["thread"] == thread]
    return posts, {edit["id"] for edit in state["edits"] if edit["final"]}


def count_posts(installation: Installation, moment: Moment) -> None:
    """Look at everything that was ever posted of a run."""
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
