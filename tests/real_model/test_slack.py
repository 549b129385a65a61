"""A whole conversation in Slack, with a real worker and the real model."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot
from talking import CONFIG

from jobs.lifecycle import RunState

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(300)]
SCORED_WITHIN = 150


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    config = CONFIG.format(url=model_url)
    with SlackBot(tmp_path_factory.mktemp("bot"), slack, workers=1, config=config) as bot:
        yield bot


def blocks(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [block for block in message.get("blocks") or () if block["type"] == kind]


def button(message: dict[str, Any], label: str) -> str:
    """Return the action id of a button."""
    elements = [element for block in blocks(message, "actions") for element in block["elements"]]
    return next(str(element["action_id"]) for element in elements if element["text"]["text"].startswith(label))


def links(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the addresses of a message's links, and what they are called."""
    return re.findall(r"<(https?://[^|>]+)\|([^>]+)>", json.dumps(message["blocks"]))


def test_from_a_mention_to_a_score_a_rerun_in_the_thread_and_its_end(slack: Slack, bot: SlackBot) -> None:
    channel = slack.channel("evals")

    def ours(thread: str) -> list[dict[str, Any]]:
        return [message for message in slack.thread(channel, thread) if message.get("bot_id")]

    # a mention whose number can mean two things → a question
    ts = slack.mention("ann", channel, "evaluate smollm2 on sample_qa, 16 samples")
    (question,) = bot.until(lambda: ours(ts), 15, "a question")
    choices = [element["text"]["text"] for block in blocks(question, "actions") for element in block["elements"]]
    assert len(choices) == 3
    assert bot.runs() == []

    # the answer by its button → one status message, edited in place as the run goes on
    slack.ack(slack.press("ann", channel, question["ts"], button(question, choices[0])))
    status = bot.until(lambda: ours(ts)[1:], 15, "a status message")[0]
    result = bot.until(lambda: ours(ts)[2:], SCORED_WITHIN, "a result")[0]
    bot.until(lambda: "16 / 16" in slack.rendered_text(slack.message(channel, status["ts"])), 10, "the final state")
    (run,) = bot.runs()
    assert run.result is not None
    assert run.result.benchmarks[0].succeeded == 16
    shown = [slack.rendered_text(version) for version in slack.versions(channel, status["ts"])]
    told = sorted({n for n in range(17) for text in shown if f"{n} / 16" in text})
    assert len(told) >= 3, f"its progress was to be seen: {told}"
    assert told[-1] == 16
    assert any("%" in text and "[" in text for text in shown), "the running score with its interval"

    # table, chart, links and buttons; who asked is mentioned; the channel reads a line on it
    assert result["text"].startswith(f"<@{slack.user('ann')}> {run.name}: smollm2 — sample_qa")
    score = run.result.benchmarks[0].headline
    assert score is not None
    (table,) = blocks(result, "data_table")
    assert any(f"{score.score * 100:.1f} %" in cell["text"] for cell in table["rows"][1])
    (chart,) = blocks(result, "data_visualization")
    assert [point["label"] for point in chart["chart"]["series"][0]["data"]] == ["en", "zh"]
    labels = [element["text"]["text"] for block in blocks(result, "actions") for element in block["elements"]]
    assert labels == ["Re-run", "Full run", "Copy as CLI"]
    page = next(url for url, label in links(result) if label == "Run page")
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert run.name in answer.read().decode()
    bot.until(
        lambda: [m for m in slack.messages(channel) if m.get("bot_id") and "thread_ts" not in m], 15, "a headline"
    )

    # people talk; a reply that is a command and nothing else starts another run, without a mention
    slack.say("bob", channel, "nice, the score looks good", thread_ts=ts)
    slack.say("ann", channel, "rerun with 20", thread_ts=ts)
    bot.until(lambda: ours(ts)[3:], 15, "the same question")
    slack.say("ann", channel, "1", thread_ts=ts)
    bot.until(lambda: len(bot.runs()) == 2, 15, "another run")
    again = bot.runs()[1]
    bot.until(lambda: bot.store.run(again.id).state is RunState.RUNNING, 60, "it to begin")
    slack.say("ann", channel, "cancel", thread_ts=ts)
    bot.until(lambda: bot.store.run(again.id).state is RunState.CANCELLED, 30, "its end")
    bot.until(lambda: any("cancelled" in message["text"] for message in ours(ts)), 15, "to be told so")
    assert len(bot.runs()) == 2
    assert not [message for message in ours(ts) if "look" in message["text"]]

    # nothing that Slack would refuse, nothing lost
    assert slack.violations() == []
    assert slack.unacked() == []
