"""Clicks: what is not yours, not real, too old or pressed before does nothing, and only who pressed hears of it."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Iterator
from unittest import mock

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot, ours

from bot.settings import BotSettings
from bot.signed import GOOD_FOR, Signer
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow
numbers = itertools.count()
GO_AHEAD = "The whole (10,042)"


@pytest.fixture
def slack(server: Slack) -> Iterator[Slack]:
    server.forget()
    yield server
    assert not server.violations()
    assert not server.unacked()


@pytest.fixture
def channel(slack: Slack) -> str:
    return slack.add_channel(f"clicks-{next(numbers)}")


def asked(slack: Slack, bot: SlackBot, channel: str) -> str:
    """Have ann be asked whether a run is to start; return the question."""
    slack.mention("ann", channel, "evaluate prod on hellaswag")
    (question,) = bot.until(lambda: ours(slack, channel), 10, "a question")
    return str(question["ts"])


def told(slack: Slack, bot: SlackBot, user: str, channel: str, count: int = 1) -> str:
    """Return what somebody was told alone, and see that it is all they were told."""
    bot.until(lambda: len(slack.ephemerals(user, channel)) >= count, 10, "an answer")
    time.sleep(0.5)
    answers = slack.ephemerals(user, channel)
    assert len(answers) == count
    return str(slack.rendered_text(answers[-1]))


def test_a_button_of_somebody_else_does_nothing_and_stays_good(slack: Slack, bot: SlackBot, channel: str) -> None:
    before = len(bot.runs())
    question = asked(slack, bot, channel)
    slack.press("bob", channel, question, GO_AHEAD)
    assert "Only the person who was asked" in told(slack, bot, "bob", channel)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before, 1]
    slack.press("ann", channel, question, GO_AHEAD)
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "a status message")
    assert len(bot.runs()) == before + 1


def test_a_button_that_is_pressed_again_starts_nothing_more(slack: Slack, bot: SlackBot, channel: str) -> None:
    before = len(bot.runs())
    question = asked(slack, bot, channel)
    for _ in range(3):
        slack.press("ann", channel, question, GO_AHEAD)
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "a status message")
    told(slack, bot, "ann", channel, count=2)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before + 1, 2]


@pytest.mark.parametrize("people", [("ann", "ann"), ("ann", "bob")], ids=["one person", "two people"])
def test_two_presses_of_rerun_start_one_run(slack: Slack, bot: SlackBot, channel: str, people: tuple[str, str]) -> None:
    slack.mention("ann", channel, "evaluate prod on gsm8k, 20 samples")
    bot.until(lambda: ours(slack, channel), 10, "a status message")
    run = bot.runs()[-1]
    bot.begin(run)
    bot.store.move(run.id, RunState.FAILED)
    result = bot.until(lambda: ours(slack, channel)[1:2], 10, "a result")[0]
    before = len(bot.runs())
    for person in people:
        slack.press(person, channel, result["ts"], "Re-run")
    bot.until(lambda: len(bot.runs()) == before + 1, 10, "a run")
    told(slack, bot, people[1], channel)
    assert len(bot.runs()) == before + 1


def post_button(slack: Slack, channel: str, value: str) -> str:
    """Post a button as the bot: nobody else can make one that Slack sends us presses of."""
    button = {"type": "button", "action_id": "b0", "value": value, "text": {"type": "plain_text", "text": "Go"}}
    body = {"channel": channel, "text": "Go?", "blocks": [{"type": "actions", "elements": [button]}]}
    headers = {"Authorization": f"Bearer {slack.bot_token()}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{slack.api_url}chat.postMessage", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["ts"])


@pytest.mark.parametrize("what", ["forged", "signed by another key", "of another workspace", "too old", "a run's id"])
def test_a_button_that_was_never_shown_here_or_long_ago_does_nothing(
    slack: Slack, bot: SlackBot, channel: str, what: str
) -> None:
    slack.mention("ann", channel, "evaluate prod on gsm8k, 20 samples")
    bot.until(lambda: ours(slack, channel), 10, "a status message")
    run = bot.runs()[-1]
    before = len(bot.runs())
    signer = Signer(BotSettings(data_dir=bot.folder).effective_secret_key)
    button, post, team = f"do:rerun:{run.name}", "g1/result", slack.team_id()
    values = {
        "forged": signer.value(button, post=post, team=team)[:-2] + "xx",
        "signed by another key": Signer("another key").value(button, post=post, team=team),
        "of another workspace": signer.value(button, post=post, team="T00000002"),
        "a run's id": button,
    }
    with mock.patch("itsdangerous.timed.time.time", return_value=time.time() - GOOD_FOR - 60):
        values["too old"] = signer.value(button, post=post, team=team)
    ts = post_button(slack, channel, values[what])
    slack.press("ann", channel, ts, "Go")
    said = told(slack, bot, "ann", channel)
    assert ("too old" in said) == (what == "too old")
    assert [len(bot.runs()), len(ours(slack, channel))] == [before, 2]
    good = post_button(slack, channel, signer.value(button, post=post, team=team))
    slack.press("ann", channel, good, "Go")
    bot.until(lambda: len(bot.runs()) == before + 1, 10, "a run by a button that is good")
