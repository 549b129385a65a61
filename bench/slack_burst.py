"""A burst in Slack: 200 mentions and 200 slash commands in 10 s over 40 channels, while 50 runs report progress.

The double counts what the bot is not allowed to do, and when each delivery was acknowledged. Beside it, the same
burst against a bare Bolt app that acknowledges and does nothing else; median of 5 rounds with `--rounds 5`.

Bounds: acknowledgements p99 at most 100 ms, or 3 × the bare app's; at most 1 s; nothing lost, nothing doubled, no call
over Slack's limits; the final state of the 50 runs posted within 60 s of their end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "bench")]

from common import Feeder, check, finish  # noqa: E402 - found by the path above
from support.slack.control import Slack  # noqa: E402
from support.slack_bot import SlackBot  # noqa: E402

from jobs.lifecycle import RunState  # noqa: E402
from jobs.models import Run  # noqa: E402

CHANNELS, MENTIONS, COMMANDS, RUNNING = 40, 200, 200, 50
BURST_SECONDS = 10.0
ACK_MS, ACK_RATIO, ACK_MOST_MS, FINAL_SECONDS = 100.0, 3.0, 1000.0, 60.0
EDITED_SECONDS = 65.0
"""Fifty status messages take a minute's edits, whatever was edited before; their results do not wait for them."""
ANSWERED_WITHIN = 240.0
POSTS = "calls chat.postMessage"


def percentile(values: list[float], part: float) -> float:
    """Return the value below which a part of them lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def burst(slack: Slack, channels: list[str]) -> list[float]:
    """Have 400 things said in ten seconds; return how long each acknowledgement took, in milliseconds."""
    since = time.time()
    mention = f"<@{slack.bot_user()}>"
    said = [
        {
            "user": "ann", "channel": channels[n % CHANNELS],
            "text": f"{mention} evaluate prod on gsm8k, {20 + n} samples" if n % 2 else f"{mention} status",
        }
        for n in range(MENTIONS)
    ]  # fmt: skip
    talking = threading.Thread(target=slack.say_many, args=(said, BURST_SECONDS))
    talking.start()
    began = time.monotonic()
    for n in range(COMMANDS):
        time.sleep(max(0.0, began + BURST_SECONDS * n / COMMANDS - time.monotonic()))
        command, text = ("/eval", f"prod gsm8k limit={20 + n}") if n % 2 else ("/scopebot", "status")
        slack.command("bob", channels[(7 * n) % CHANNELS], command, text)
    talking.join()
    time.sleep(4)
    took = [
        1000 * (delivery["acked_at"] - delivery["sent_at"])
        for delivery in slack.deliveries(since=since)
        if delivery.get("acked_at") is not None
    ]
    left = len(slack.unacked())
    if left:
        print(f"{left} deliveries were not acknowledged")
    return took


def ours() -> tuple[list[float], list[bool]]:
    """Return Scopebot's acknowledgements, and which bounds held."""
    with (
        tempfile.TemporaryDirectory(prefix="scopebot-bench-") as folder,
        Slack() as slack,
        SlackBot(Path(folder), slack) as bot,
    ):
        channels = _channels(slack)
        running = _running(slack, bot, channels)
        feeder = Feeder(bot, running)
        time.sleep(5)
        took = burst(slack, channels)
        feeder.end()
        ended_at = time.time()
        for run in running:
            bot.store.move(run.id, RunState.FAILED)
        return took, _afterwards(slack, bot, running, ended_at)


def _running(slack: Slack, bot: SlackBot, channels: list[str]) -> list[Run]:
    """Have runs asked for, and begin."""
    for n in range(RUNNING):
        slack.mention("chen", channels[n % CHANNELS], f"evaluate prod on gsm8k, {1000 - n} samples")
    bot.until(lambda: len(bot.runs()) == RUNNING, 60, "runs")
    running = bot.runs()
    bot.until(lambda: slack.stats().get(POSTS, 0) >= RUNNING, 120, "status messages", 1.0)
    for run in running:
        bot.begin(run)
    return running


def _afterwards(slack: Slack, bot: SlackBot, running: list[Run], ended_at: float) -> list[bool]:
    """Wait until everything is said, and check what was."""
    expected = RUNNING + MENTIONS // 2 + COMMANDS // 2
    bot.until(lambda: len(bot.runs()) >= expected, ANSWERED_WITHIN, f"{expected} runs", 1.0)
    results = bot.until(lambda: _results(slack, running), ANSWERED_WITHIN, "their results", 2.0)
    # answers, status messages, what opens a command's thread, results and headlines
    posted = MENTIONS // 2 + expected + COMMANDS // 2 + 2 * RUNNING
    bot.until(lambda: slack.stats().get(POSTS, 0) >= posted, ANSWERED_WITHIN, f"{posted} posts", 1.0)
    bot.until(lambda: len(slack.responses()) >= COMMANDS // 2, 60, "private answers", 2.0)
    edits = bot.until(lambda: _final_edits(slack, running, ended_at), ANSWERED_WITHIN, "final edits", 2.0)
    time.sleep(2)  # for what would be too much
    doubled = [text for text, count in Counter(_keys(slack)).items() if count > 1]
    violations = slack.violations()
    for violation in violations[:5]:
        print(violation)
    return [
        check("posts beyond what was due", float(len(slack.posts()) - posted), "posts", 0.0),
        check("doubled posts", float(len(doubled)), "posts", 0.0),
        check("calls over Slack's limits", float(len(violations)), "calls", 0.0),
        check("last result after the runs' end", max(post["at"] for post in results) - ended_at, "s", FINAL_SECONDS),
        check("last status in its final state", max(edit["at"] for edit in edits) - ended_at, "s", EDITED_SECONDS),
    ]


def _channels(slack: Slack) -> list[str]:
    return [slack.add_channel(f"team-{n}", members=["ann", "bob", "chen", "scopebot"]) for n in range(CHANNELS)]


def _results(slack: Slack, runs: list[Run]) -> list[dict[str, Any]] | None:
    """Return the results of the runs that chen asked for, once all are there: nothing else mentions chen."""
    found = [post for post in slack.posts() if f"<@{slack.user('chen')}>" in post["text"]]
    return found if len(found) >= len(runs) else None


def _final_edits(slack: Slack, runs: list[Run], since: float) -> list[dict[str, Any]] | None:
    found = {
        run.name: edit
        for edit in slack.edits()
        if edit["at"] >= since
        for run in runs
        if edit["text"].startswith(f"{run.name}:")
    }
    return list(found.values()) if len(found) >= len(runs) else None


def _keys(slack: Slack) -> list[str]:
    """Return what may be posted once: the same words in the same thread."""
    return [f"{post['channel']} {post.get('thread_ts')} {post['text']}" for post in slack.posts() if post["thread_ts"]]


def bare() -> list[float]:
    """Return the bare app's acknowledgements."""
    with Slack() as slack:
        channels = _channels(slack)
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / "bare_bolt.py"), slack.api_url, slack.bot_token(), slack.app_token],
            stderr=subprocess.DEVNULL,
        )
        try:
            slack.wait_for(lambda: slack.sockets() > 0, 30, "the bare app")
            return burst(slack, channels)
        finally:
            process.kill()
            process.wait()


def measure(rounds: int) -> int:
    """Measure and print."""
    p99s, bares, most, held = [], [], 0.0, []
    for _ in range(rounds):
        their = bare()
        took, bounds = ours()
        p99s.append(percentile(took, 0.99))
        bares.append(percentile(their, 0.99))
        most = max(most, *took)
        held += bounds
        print(f"acknowledgements: {len(took)} and {len(their)}, p99 {p99s[-1]:.1f} ms beside {bares[-1]:.1f} ms bare")
    p99, bare_p99 = statistics.median(p99s), statistics.median(bares)
    print(f"p99 {p99:.1f} ms, bare {bare_p99:.1f} ms, ratio {p99 / bare_p99:.2f}, longest {most:.0f} ms")
    held += [
        check("p99 of acknowledgements", p99, "ms", max(ACK_MS, ACK_RATIO * bare_p99)),
        check("longest acknowledgement", most, "ms", ACK_MOST_MS),
    ]
    return finish(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    sys.exit(measure(parser.parse_args().rounds))
