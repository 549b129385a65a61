"""Slack and Feishu served by one process at once: a run of one is asked about in the other."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import psutil
import pytest
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from support.feishu_room import SOON, Group
from support.slack.control import Slack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
MOST_MEGABYTES = 360


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture(scope="module")
def bot(feishu: Feishu, slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeishuBot]:
    tokens = {
        "SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token(), "SLACK_APP_TOKEN": slack.app_token,
    }  # fmt: skip
    with FeishuBot(tmp_path_factory.mktemp("bot"), feishu, **tokens) as bot:
        bot.until(lambda: slack.sockets() > 0, 60, "a connection to Slack")
        yield bot


def test_a_run_that_began_in_one_is_known_in_the_other(bot: FeishuBot, slack: Slack) -> None:
    channel = slack.channel("evals")
    with Group(bot) as group:
        group.ask("wang", "用 prod 评测 gsm8k，20 条")
        group.begin(group.run, done=7, total=20)
        ts = slack.mention("ann", channel, f"status {group.run.name}")
        answer = bot.until(lambda: [m for m in slack.thread(channel, ts) if m.get("bot_id")], SOON, "an answer")[0]
        assert group.run.name in slack.rendered_text(answer)
        ts = slack.mention("ann", channel, "evaluate prod on gsm8k, 30 samples")
        bot.until(lambda: [m for m in slack.thread(channel, ts) if m.get("bot_id")], SOON, "a status")
        other = bot.runs()[-1]
        asked = group.ask("wang", f"{other.name} 的状态")
        assert other.name in group.shown(group.answer(asked))
        assert group.runs == [bot.store.run(group.run.id)], "it belongs to where it was asked for"
    assert slack.violations() == []
    assert slack.unacked() == []


def test_both_together_stay_within_the_memory_that_is_set(bot: FeishuBot) -> None:
    assert bot.process is not None
    assert psutil.Process(bot.process.pid).memory_info().rss / 1e6 < MOST_MEGABYTES


def test_a_form_is_a_modal_there_and_a_card_here(bot: FeishuBot, slack: Slack, feishu: Feishu) -> None:
    with Group(bot) as group:
        form = group.answer(group.ask("ann", "/eval"))
        assert any(element["tag"] == "form" for element in form["card"]["body"]["elements"])
    asked = slack.command("ann", slack.channel("evals"), "/eval")
    assert slack.ack(asked)["problem"] == ""
    with urllib.request.urlopen(f"{bot.url}/readyz", timeout=10) as answer:
        assert json.load(answer)["redis"] is True
    assert feishu.violations() == []
