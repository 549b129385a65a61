"""Mentions and threads in a channel: one status message, one result, and people who also talk to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Room, everything_in, shown

from bot.settings import BotSettings
from bot.slack.manifest import manifest
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        slack.use_manifest(manifest(BotSettings()))
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


@pytest.fixture
def room(bot: SlackBot) -> Iterator[Room]:
    with Room(bot) as room:
        yield room


@pytest.mark.parametrize("said", ["{} evaluate prod on gsm8k, 20 samples", "hi {}, evaluate prod on gsm8k, 20 samples"])
@pytest.mark.parametrize("asked", ["ann", "chen"])
def test_a_mention_may_stand_anywhere_and_two_of_them_are_one(room: Room, said: str, asked: str) -> None:
    mention = f"<@{room.slack.bot_user()}>"
    ts = room.slack.say(asked, room.channel, f"{said.format(mention)} {mention}")
    room.settle()
    assert f"{room.run.name}: evaluating prod on gsm8k, 20 samples" in shown(room.answer(ts))
    assert len(room.runs) == 1


def test_a_mention_without_words_or_of_somebody_else_is_not_answered(room: Room) -> None:
    before = everything_in(room.bot)
    mention, bob = f"<@{room.slack.bot_user()}>", f"<@{room.slack.user('bob')}>"
    for said in (mention, f"{bob} evaluate prod on gsm8k, 20 samples", "@scopebot help"):
        room.slack.say("ann", room.channel, said)
    room.settle()
    assert not room.posts()
    assert everything_in(room.bot) == before


@pytest.mark.parametrize("kind", ["group", "mpim"])
def test_in_private_channels_and_among_a_few_it_is_the_same(bot: SlackBot, kind: str) -> None:
    with Room(bot, kind) as room:
        ts = room.ask("ann", "evaluate prod on gsm8k, 20 samples")
        room.answer(ts)
        room.say("bob", "looks good", ts)
        room.answer(ts)
        room.say("ann", "cancel", ts)
        assert room.run.state is RunState.CANCELLED


def test_two_requests_in_one_mention_have_a_status_message_each(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod on gsm8k, 20 samples; evaluate other on gsm8k, 5 samples")
    room.until(lambda: len(room.thread(ts)) == 2, "two status messages")
    assert ["prod" in shown(room.thread(ts)[0]), "other" in shown(room.thread(ts)[1])] == [True, True]
    assert [run.spec.total for run in room.runs] == [20, 5]
