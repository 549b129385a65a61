"""Mentions and threads in a channel: one status message, one result, and people who also talk to each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot

from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with SlackBot(tmp_path_factory.mktemp("bot"), slack) as bot:
        yield bot


def ours(slack: Slack, channel: str, ts: str) -> list[dict[str, Any]]:
    return [message for message in slack.thread(channel, ts) if message.get("bot_id")]


def test_a_request_is_answered_in_its_thread_and_told_in_the_channel_when_it_ends(slack: Slack, bot: SlackBot) -> None:
    channel = slack.channel("general")
    ts = slack.mention("ann", channel, "evaluate prod on gsm8k, 20 samples")
    (status,) = bot.until(lambda: ours(slack, channel, ts), 10, "a status message")
    (run,) = bot.runs()
    bot.begin(run)
    bot.progress(run, 7, 20, rate=1.5, eta=8.0)
    bot.until(lambda: "7 / 20" in slack.rendered_text(ours(slack, channel, ts)[0]), 10, "progress")
    bot.store.move(run.id, RunState.FAILED)
    result = bot.until(lambda: ours(slack, channel, ts)[1:], 10, "a result")[0]
    assert f"<@{slack.user('ann')}>" in result["text"]
    headline = bot.until(
        lambda: [m for m in slack.messages(channel) if m.get("bot_id") and "thread_ts" not in m], 10, "a headline"
    )
    assert len(headline) == 1
    assert len(ours(slack, channel, ts)) == 2
    assert ours(slack, channel, ts)[0]["ts"] == status["ts"], "the status message is edited in place"
    assert not slack.violations()
