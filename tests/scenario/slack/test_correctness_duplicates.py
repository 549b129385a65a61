"""Whatever Slack delivers more than once is acted on once: one group, one status message, one answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot, ours

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"


@pytest.fixture
def slack(server: Slack) -> Iterator[Slack]:
    server.forget()
    yield server
    server.duplicate(1, kinds=["events_api", "slash_commands", "interactive"])
    server.configure(retry_delays=[1, 1, 1], ack_within=3.0)
    assert not server.violations()


@pytest.fixture
def channel(slack: Slack, request: pytest.FixtureRequest) -> str:
    return slack.add_channel(f"c{time.monotonic_ns()}")


def settled(slack: Slack, bot: SlackBot, deliveries: int) -> None:
    """Wait until every copy was acknowledged, and a little longer."""
    bot.until(lambda: sum(bool(one["acked_at"]) for one in slack.deliveries()) >= deliveries, 20, "acknowledgements")
    time.sleep(1.5)
    assert not slack.unacked()


@pytest.mark.parametrize("same_event", [True, False], ids=["one event id", "different event ids"])
@pytest.mark.parametrize("same_envelope", [True, False], ids=["one envelope", "different envelopes"])
def test_eleven_copies_of_a_mention_make_one_group(
    slack: Slack, bot: SlackBot, channel: str, *, same_event: bool, same_envelope: bool
) -> None:
    before = len(bot.runs())
    slack.duplicate(11, same_event=same_event, same_envelope=same_envelope)
    slack.mention("ann", channel, ASKED)
    settled(slack, bot, 22)
    assert len(bot.runs()) == before + 1
    assert len(ours(slack, channel)) == 1


def test_copies_that_come_because_no_acknowledgement_was_in_time_make_one_group(
    slack: Slack, bot: SlackBot, channel: str
) -> None:
    before = len(bot.runs())
    slack.configure(ack_within=0.0, retry_delays=[0.2] * 10)
    slack.mention("ann", channel, ASKED)
    bot.until(lambda: len(slack.unacked()) == 2, 20, "all tries, of the mention and of the message")
    time.sleep(1)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before + 1, 1]
    assert len(slack.deliveries("events_api")) >= 22


def test_sockets_that_break_all_the_time_neither_lose_nor_double_what_is_said(
    slack: Slack, bot: SlackBot, channel: str
) -> None:
    before = len(bot.runs())
    slack.configure(ack_within=1.0, retry_delays=[0.5] * 20)
    said = []
    for number in range(8):
        said.append(slack.mention("ann", channel, ASKED))
        if number % 2:
            slack.cut()
        else:
            slack.disconnect(grace=0.0)
        time.sleep(0.2)
    bot.until(lambda: len(ours(slack, channel)) == len(said), 30, "all answers")
    time.sleep(2)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before + len(said), len(said)]
    assert all(len(slack.thread(channel, ts)) == 2 for ts in said)
    assert not slack.unacked()


@pytest.mark.parametrize("same_envelope", [True, False], ids=["one envelope", "different envelopes"])
def test_a_slash_command_that_is_delivered_twice_runs_once(
    slack: Slack, bot: SlackBot, channel: str, *, same_envelope: bool
) -> None:
    before = len(bot.runs())
    slack.duplicate(2, same_envelope=same_envelope)
    slack.command("ann", channel, "/eval", "prod gsm8k limit=20")
    slack.command("bob", channel, "/scopebot", "status")
    settled(slack, bot, 4)
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "the request and its status message")
    bot.until(lambda: slack.ephemerals("bob", channel), 10, "an answer")
    time.sleep(1)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before + 1, 2]
    assert len(slack.ephemerals("bob", channel)) == 1
    assert not slack.ephemerals("ann", channel)


@pytest.mark.parametrize("same_envelope", [True, False], ids=["one envelope", "different envelopes"])
def test_a_click_that_is_delivered_twice_counts_once(
    slack: Slack, bot: SlackBot, channel: str, *, same_envelope: bool
) -> None:
    before = len(bot.runs())
    ts = slack.mention("ann", channel, "evaluate prod on hellaswag")
    bot.until(lambda: ours(slack, channel), 10, "a question")
    (question,) = ours(slack, channel)
    slack.duplicate(2, same_envelope=same_envelope)
    slack.press("ann", channel, question["ts"], "The whole (10,042)")
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "a status message")
    time.sleep(1.5)
    assert [len(bot.runs()), len(slack.thread(channel, ts))] == [before + 1, 3]
    assert not slack.ephemerals("ann", channel), "the second copy is no second press"


def test_a_form_that_is_sent_off_twice_runs_once(slack: Slack, bot: SlackBot, channel: str) -> None:
    before = len(bot.runs())
    slack.command("ann", channel, "/eval")
    (view,) = bot.until(lambda: slack.views("ann"), 10, "a form")
    slack.duplicate(2, kinds=["interactive"])
    slack.options("ann", view["id"], "benchmarks", "gsm8k")
    sent = slack.submit("ann", view["id"], {"model": "prod", "benchmarks": ["gsm8k"], "limit": "20"})
    assert not sent["errors"]
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "the request and its status message")
    time.sleep(1.5)
    assert [len(bot.runs()), len(ours(slack, channel))] == [before + 1, 2]


def test_a_command_that_opens_a_form_and_is_delivered_twice_opens_one_and_complains_of_nothing(
    slack: Slack, bot: SlackBot, channel: str
) -> None:
    slack.duplicate(2)
    slack.command("chen", channel, "/eval")
    bot.until(lambda: slack.views("chen"), 10, "a form")
    time.sleep(2)
    told, refused = slack.ephemerals("chen", channel), slack.violations()
    slack.forget()
    assert [len(slack.views("chen")), told, refused] == [1, [], []]
