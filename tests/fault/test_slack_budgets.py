"""Many runs at once stay within what Slack allows a workspace, and those that end are told in time."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot

from jobs.events import write_progress
from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import Progress, Run

RUNS, CHANNELS, SECONDS = 50, 5, 62


@contextmanager
def reporting(bot: SlackBot, runs: Sequence[Run]) -> Iterator[None]:
    """Have every run say something new each second."""
    over = threading.Event()

    def report() -> None:
        with bot.redis() as redis:
            for done in itertools.count(1):
                for run in runs:
                    said = {"attempt": 1, "phase": "evaluating", "benchmark": "gsm8k", "updated_at": datetime.now(UTC)}
                    write_progress(redis, run.id, Progress(done=done, total=1000, **said))
                if over.wait(1.0):
                    return

    thread = threading.Thread(target=report)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _most_in_a_minute(times: list[float]) -> int:
    times = sorted(times)
    return max(sum(one <= other < one + 60.0 for other in times) for one in times)


def _shortest(events: list[dict[str, Any]], count: int, *by: str) -> float:
    """Return the least time in which so many followed one of the same place: one alone may be late on its way."""
    times = defaultdict(list)
    for event in events:
        times[tuple(event[name] for name in by)].append(event["at"])
    return min(after - at for where in times.values() for at, after in zip(where, where[count:], strict=False))


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_fifty_runs_that_report_each_second_and_half_of_them_end_at_once(tmp_path: Path) -> None:
    with Slack() as slack, SlackBot(tmp_path, slack) as bot:
        channels = [slack.add_channel(f"many-{number}") for number in range(CHANNELS)]
        asked = [
            {"user": "ann", "channel": channels[number % CHANNELS],
             "text": f"<@{slack.bot_user()}> evaluate prod on gsm8k, 1000 samples"}
            for number in range(RUNS)
        ]  # fmt: skip
        said = slack.say_many(asked)
        bot.until(lambda: len(slack.posts()) == RUNS, 60, "status messages")
        runs = bot.runs()
        with bot.redis() as redis:
            for run in runs:
                bot.begin(run)
                redis.set(lease_key(run.id), 1)
        places = [message["channel"] for message in asked]

        def results() -> list[dict[str, Any]]:
            return [post for post in slack.posts() if post["at"] > ended_at and post["thread_ts"]]

        def finals() -> int:
            threads = (slack.thread(channel, ts) for channel, ts in zip(places, said, strict=True))
            return sum("error" in str([b.get("status") for b in thread[1]["blocks"]]) for thread in threads)

        began = time.time()
        with reporting(bot, runs):
            time.sleep(SECONDS)
            edited = Counter(edit["ts"] for edit in slack.edits() if edit["at"] > began)
            shares = [edited[message["ts"]] for message in slack.posts()]
            print(f"{sum(shares)} edits in {SECONDS} s: {Counter(shares)}")  # noqa: T201
            assert max(shares) - min(shares) <= 1, "none is shown at the cost of others"
            ended, ended_at = runs[: RUNS // 2], time.time()
            for run in ended:
                bot.store.move(run.id, RunState.FAILED)
            bot.until(lambda: len(results()) == len(ended), 60, "results")
            told_in = time.time() - ended_at
            bot.until(lambda: finals() == len(ended), max(1.0, 60 - told_in), "final states")
            final_in = time.time() - ended_at
        time.sleep(3)
        print(f"results in {told_in:.0f} s, final states in {final_in:.0f} s, {len(slack.edits())} edits")  # noqa: T201
        calls = [call["at"] for call in slack.calls("chat.update")]
        assert _most_in_a_minute(calls) <= 50
        assert _shortest(slack.edits(), 1, "channel", "ts") >= 2.9
        assert _shortest(slack.posts(), 5, "channel") >= 4.9
        assert len(results()) == len(ended)
        assert not slack.violations()
