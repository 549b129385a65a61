"""Calls that Slack refuses, performs without saying so, or that nobody is left to note: nothing is lost or doubled."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot, ours

from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import Run

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"
numbers = itertools.count()


@pytest.fixture
def slack(server: Slack) -> Iterator[Slack]:
    server.forget()
    yield server
    server.heal()
    assert not server.violations()


@pytest.fixture
def channels(slack: Slack) -> list[str]:
    return [slack.add_channel(f"failures-{next(numbers)}") for _ in range(4)]


def unsent(bot: SlackBot, state: str = "pending', 'sending") -> int:
    """Return how many posts are recorded and not known to be made."""
    with closing(sqlite3.connect(bot.folder / "scopebot.db")) as database:
        query = f"SELECT count(*) FROM outbox WHERE state IN ('{state}')"
        return int(database.execute(query).fetchone()[0])


def posts(slack: Slack, bot: SlackBot, channel: str, count: int) -> list[dict[str, Any]]:
    """Wait until all is posted that is due, and see that so many posts are there, none of them twice."""
    bot.until(lambda: len(ours(slack, channel)) >= count, 20, f"{count} posts")
    bot.until(lambda: not unsent(bot), 20, "all that is due")
    found = ours(slack, channel)
    keys = Counter(message["metadata"]["event_payload"]["key"] for message in found)
    assert set(keys.values()) == {1}
    assert len(found) == count
    return found


def begun(slack: Slack, bot: SlackBot, *channels: str) -> list[Run]:
    """Have somebody ask for a run in each channel, which begins."""
    before = len(bot.runs())
    for channel in channels:
        slack.mention("ann", channel, ASKED)
    bot.until(lambda: all(ours(slack, channel) for channel in channels), 10, "status messages")
    bot.until(lambda: not unsent(bot), 10, "status messages")
    runs = bot.runs()[before:]
    with bot.redis() as redis:
        for run in runs:
            bot.begin(run)
            redis.set(lease_key(run.id), 1)
    return runs


def end(bot: SlackBot, *runs: Run) -> None:
    for run in runs:
        bot.store.move(run.id, RunState.FAILED)


def waited(slack: Slack, method: str) -> list[float]:
    """Return how long after each refusal a method was called again."""
    calls = slack.calls(method)
    return [after["at"] - call["at"] for call, after in itertools.pairwise(calls) if call["status"] == 429]


def break_four(slack: Slack, method: str) -> None:
    """Have the next four calls fail: two are performed, and two are not, and the caller cannot know."""
    slack.lose_answer(method)
    slack.fail(method, 503, when="before")
    slack.fail(method, 500, when="after")
    slack.error(method, "internal_error")


# too much was asked


def test_posts_wait_as_long_as_slack_says_in_every_channel(slack: Slack, bot: SlackBot, channels: list[str]) -> None:
    slack.ratelimit("chat.postMessage", retry_after=3)
    for channel in channels:
        slack.mention("ann", channel, ASKED)
    for channel in channels:
        posts(slack, bot, channel, 1)
    calls = [call["at"] for call in slack.calls("chat.postMessage")]
    refused = [call["at"] for call in slack.calls("chat.postMessage") if call["status"] == 429]
    assert len(refused) == 1
    assert not [at for at in calls if refused[0] + 0.2 < at < refused[0] + 3]


def test_everything_else_waits_as_long_as_slack_says_too(slack: Slack, bot: SlackBot, channels: list[str]) -> None:
    (run,) = begun(slack, bot, channels[0])
    slack.mention("ann", channels[1], "evaluate prod on hellaswag")
    (question,) = posts(slack, bot, channels[1], 1)
    for method in ("chat.update", "chat.postEphemeral", "response_url", "views.publish"):
        slack.ratelimit(method, retry_after=3)
    began = time.time()
    bot.progress(run, 7, 20)
    slack.press("bob", channels[1], question["ts"], "The whole (10,042)")
    slack.command("ann", channels[2], "/scopebot", "status")
    slack.open_home("chen")
    bot.until(lambda: slack.home("chen"), 20, "a home")
    bot.until(lambda: "7 / 20" in slack.rendered_text(ours(slack, channels[0])[0]), 20, "progress")
    bot.until(lambda: slack.ephemerals("bob", channels[1]), 10, "an answer to the press")
    bot.until(lambda: slack.ephemerals("ann", channels[2]), 10, "an answer to the command")
    bot.until(lambda: not unsent(bot), 10, "all that is due")
    for method in ("chat.update", "chat.postEphemeral", "views.publish"):
        assert [wait >= 3 for wait in waited(slack, method)] == [True], method
    (pressed,) = slack.ephemerals("bob", channels[1])
    (commanded,) = slack.ephemerals("ann", channels[2])
    assert [pressed["source"], commanded["source"]] == ["chat.postEphemeral", "response_url"]
    assert commanded["at"] - began >= 3


def test_a_message_is_edited_every_three_seconds_at_most(slack: Slack, bot: SlackBot, channels: list[str]) -> None:
    (run,) = begun(slack, bot, channels[0])
    for done in range(1, 31):
        bot.progress(run, done, 100)
        time.sleep(0.25)
    end(bot, run)
    status, *_ = posts(slack, bot, channels[0], 3)
    bot.until(lambda: "failed" in slack.rendered_text(slack.message(channels[0], status["ts"])), 10, "the final state")
    edits = [edit["at"] for edit in slack.edits(channels[0])]
    assert len(edits) >= 3
    assert min(after - before for before, after in itertools.pairwise(edits)) >= 2.9


# what became of a call is open


def test_what_fails_is_posted_once_in_its_thread(slack: Slack, bot: SlackBot, channels: list[str]) -> None:
    break_four(slack, "chat.postMessage")
    asked = [slack.mention("ann", channel, ASKED) for channel in channels]
    for channel, ts in zip(channels, asked, strict=True):
        (status,) = posts(slack, bot, channel, 1)
        assert status["thread_ts"] == ts
    assert slack.stats()["calls chat.postMessage"] == 6, "looked up before it is posted again"


def test_what_fails_is_posted_once_in_direct_messages(slack: Slack, bot: SlackBot) -> None:
    users = [f"user-{next(numbers)}" for _ in range(4)]
    for user in users:
        slack.add_user(user)
    break_four(slack, "chat.postMessage")
    for user in users:
        slack.dm(user, ASKED)
    for user in users:
        posts(slack, bot, slack.dm_channel(user), 1)


@pytest.mark.parametrize("passes", [0, 4], ids=["root", "status"])
def test_what_fails_is_posted_once_for_a_command(slack: Slack, bot: SlackBot, channels: list[str], passes: int) -> None:
    slack.delay("chat.postMessage", 0, times=passes) if passes else None
    break_four(slack, "chat.postMessage")
    for channel in channels:
        slack.command("ann", channel, "/eval", "prod gsm8k limit=20")
    for channel in channels:
        root, status = posts(slack, bot, channel, 2)
        assert status["thread_ts"] == root["ts"]


@pytest.mark.parametrize("passes", [0, 4], ids=["result", "headline"])
def test_what_fails_is_posted_once_at_the_end(slack: Slack, bot: SlackBot, channels: list[str], passes: int) -> None:
    runs = begun(slack, bot, *channels)
    slack.delay("chat.postMessage", 0, times=passes) if passes else None
    break_four(slack, "chat.postMessage")
    break_four(slack, "chat.update")
    end(bot, *runs)
    for channel in channels:
        status, result, headline = posts(slack, bot, channel, 3)
        assert status["thread_ts"] == result["thread_ts"]
        assert "thread_ts" not in headline
        ts = status["ts"]
        bot.until(lambda: "failed" in slack.rendered_text(slack.message(channel, ts)), 15, "the final state")  # noqa: B023


# nobody is left to note it


def test_a_bot_killed_before_it_notes_its_posts_posts_none_again(
    slack: Slack, bot: SlackBot, channels: list[str]
) -> None:
    """A status message, a command's root, a direct message and a headline: nobody can write the database meanwhile."""
    (run,) = begun(slack, bot, channels[3])
    slack.add_user("dora")
    places = [channels[0], channels[1], slack.dm_channel("dora"), channels[3]]
    slack.delay("chat.postMessage", 0)
    slack.delay("chat.postMessage", 3, times=4)
    end(bot, run)
    bot.until(lambda: len(ours(slack, channels[3])) == 2, 10, "the result")
    slack.mention("ann", channels[0], ASKED)
    slack.command("ann", channels[1], "/eval", "prod gsm8k limit=20")
    slack.dm("dora", ASKED)
    bot.until(lambda: unsent(bot, "sending") == 4, 2.5, "four posts on their way")
    with closing(sqlite3.connect(bot.folder / "scopebot.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        bot.until(lambda: [len(ours(slack, place)) for place in places] == [1, 1, 1, 3], 10, "the posts")
        time.sleep(0.3)
        bot.kill()
    assert unsent(bot, "sending") == 4
    bot.start()
    posts(slack, bot, channels[0], 1)
    root, status = posts(slack, bot, channels[1], 2)
    assert status["thread_ts"] == root["ts"]
    posts(slack, bot, slack.dm_channel("dora"), 1)
    posts(slack, bot, channels[3], 3)
