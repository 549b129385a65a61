"""Places that the bot cannot post in, or not any more; answers for one person alone; and what is met with silence."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
import urllib.request
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
ELSEWHERE = "I cannot post where you asked"
numbers = itertools.count()


@pytest.fixture
def slack(server: Slack) -> Iterator[Slack]:
    server.forget()
    yield server
    server.heal()
    assert not server.violations()


@pytest.fixture
def user(slack: Slack) -> str:
    """Somebody new, whose direct messages are empty."""
    name = f"user-{next(numbers)}"
    slack.add_user(name)
    return name


def make_channel(slack: Slack, user: str, kind: str = "channel", *, bot: bool = True) -> str:
    return slack.add_channel(f"places-{next(numbers)}", kind, members=[user, "bob"], bot=bot)


def told(slack: Slack, user: str) -> list[dict[str, Any]]:
    """Return what somebody has in their direct messages from us."""
    return ours(slack, slack.dm_channel(user))


def all_posted(bot: SlackBot) -> bool:
    with closing(sqlite3.connect(bot.folder / "scopebot.db")) as database:
        return not database.execute("SELECT 1 FROM outbox WHERE state IN ('pending', 'sending')").fetchone()


def begin_last(bot: SlackBot) -> Run:
    run = bot.runs()[-1]
    bot.begin(run)
    with bot.redis() as redis:
        redis.set(lease_key(run.id), 1)
    return run


def shows(slack: Slack, message: dict[str, Any], text: str) -> bool:
    now = slack.message(message["channel"], message["ts"])
    return now is not None and text in slack.rendered_text(now)


def call(slack: Slack, method: str, **arguments: Any) -> None:
    """Do as the bot something that only it can, such as deleting what it said."""
    headers = {"Authorization": f"Bearer {slack.bot_token()}", "Content-Type": "application/json"}
    body = json.dumps(arguments).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{slack.api_url}{method}", body, headers)) as answer:
        assert json.load(answer)["ok"]


# the direct messages instead


@pytest.mark.parametrize("kind", ["channel", "group"])
def test_a_command_where_the_bot_is_not_is_answered_directly_to_its_end(
    slack: Slack, bot: SlackBot, user: str, kind: str
) -> None:
    channel = make_channel(slack, user, kind, bot=False)
    slack.scopes(remove=["chat:write.public"])
    try:
        slack.command(user, channel, "/eval", "prod gsm8k limit=20")
        bot.until(lambda: len(told(slack, user)) == 2, 10, "the request and its status message")
        root, status = told(slack, user)
        assert ELSEWHERE in slack.rendered_text(root)
        assert status["thread_ts"] == root["ts"]
        run = begin_last(bot)
        bot.progress(run, 7, 20)
        bot.until(lambda: shows(slack, status, "7 / 20"), 10, "progress")
        bot.store.move(run.id, RunState.FAILED)
        bot.until(lambda: len(told(slack, user)) == 3, 10, "the result")
        assert told(slack, user)[2]["thread_ts"] == root["ts"]
        bot.until(lambda: shows(slack, status, "failed"), 10, "the final state")
        bot.until(lambda: all_posted(bot), 10, "all that is due")
        assert len(told(slack, user)) == 3
        assert not ours(slack, channel)
    finally:
        slack.scopes(grant=["chat:write.public"])


@pytest.mark.parametrize("how", ["archived", "removed from a private one"])
def test_a_channel_that_closes_while_a_run_goes_on(slack: Slack, bot: SlackBot, user: str, how: str) -> None:
    channel = make_channel(slack, user, "channel" if how == "archived" else "group")
    slack.mention(user, channel, ASKED)
    bot.until(lambda: ours(slack, channel), 10, "a status message")
    run = begin_last(bot)
    bot.progress(run, 7, 20)
    bot.until(lambda: shows(slack, ours(slack, channel)[0], "7 / 20"), 10, "progress")
    slack.archive(channel) if how == "archived" else slack.leave("bot", channel)
    logged = len(bot.log)
    bot.progress(run, 12, 20)
    bot.until(lambda: "can be edited no more" in bot.log[logged:], 10, "the end of edits")
    bot.store.move(run.id, RunState.FAILED)
    (result,) = bot.until(lambda: told(slack, user), 10, "the result")
    assert ELSEWHERE in slack.rendered_text(result)
    bot.until(lambda: all_posted(bot), 10, "all that is due")
    assert [len(told(slack, user)), len(ours(slack, channel))] == [1, 1]
    refused = [call for call in slack.calls("chat.update") if call["error"]]
    assert len(refused) == 1, "it is not tried again"


def test_an_answer_that_was_lost_is_not_said_twice_directly(slack: Slack, bot: SlackBot, user: str) -> None:
    channel = make_channel(slack, user, "group", bot=False)
    slack.delay("chat.postMessage", 0)
    slack.lose_answer("chat.postMessage")
    slack.command(user, channel, "/eval", "prod gsm8k limit=20")
    bot.until(lambda: len(told(slack, user)) >= 2, 10, "the request and its status message")
    bot.until(lambda: all_posted(bot), 10, "all that is due")
    assert len(told(slack, user)) == 2
    assert slack.stats()["faults"] >= 2


# what people delete


def test_a_deleted_status_message_is_edited_no_more_and_its_result_is_posted(
    slack: Slack, bot: SlackBot, user: str
) -> None:
    channel = make_channel(slack, user)
    ts = slack.mention(user, channel, ASKED)
    (status,) = bot.until(lambda: ours(slack, channel), 10, "a status message")
    run = begin_last(bot)
    call(slack, "chat.delete", channel=channel, ts=status["ts"])
    bot.progress(run, 7, 20)

    def refused() -> int:
        return sum(call["error"] == "message_not_found" for call in slack.calls("chat.update"))

    bot.until(refused, 10, "one edit more")
    bot.progress(run, 12, 20)
    time.sleep(4)
    assert refused() == 1
    bot.store.move(run.id, RunState.FAILED)
    bot.until(lambda: len(ours(slack, channel)) == 2, 10, "the result and its headline")
    assert ours(slack, channel)[0]["thread_ts"] == ts


def test_what_a_deleted_message_asked_for_is_told_in_its_thread_or_in_the_channel(
    slack: Slack, bot: SlackBot, user: str
) -> None:
    channel = make_channel(slack, user)
    slack.subscribe(["message.channels"])
    try:
        ts = slack.mention(user, channel, ASKED)
        bot.until(lambda: ours(slack, channel), 10, "a status message")
        slack.subscribe(["app_mention"])  # that it was deleted is not heard
        slack.delete(user, channel, ts)
        run = begin_last(bot)
        bot.store.move(run.id, RunState.FAILED)
        bot.until(lambda: len(ours(slack, channel)) == 3, 10, "a result and a headline")
        assert ours(slack, channel)[1]["thread_ts"] == ts
        bot.until(lambda: all_posted(bot), 10, "all that is due")
        slack.ratelimit("chat.postMessage", retry_after=2)
        slack.delay("chat.postMessage", 0)
        slack.lose_answer("chat.postMessage")
        gone = slack.mention(user, channel, "help")
        bot.until(lambda: slack.calls("chat.postMessage", since=time.time() - 2)[-1:], 10, "a try")
        slack.delete(user, channel, gone)
        bot.until(lambda: len(ours(slack, channel)) == 4, 10, "an answer")
        bot.until(lambda: all_posted(bot), 10, "all that is due")
        assert "thread_ts" not in ours(slack, channel)[3]
        assert len(ours(slack, channel)) == 4
    finally:
        slack.subscribe(KINDS)


KINDS = [
    "app_mention", "message.channels", "message.groups", "message.im", "message.mpim", "app_home_opened",
    "member_joined_channel", "app_uninstalled", "tokens_revoked", "link_shared",
]  # fmt: skip


# for one person alone


def test_a_command_is_answered_where_slack_said_and_otherwise_as_only_they_see(
    slack: Slack, bot: SlackBot, user: str
) -> None:
    channel = make_channel(slack, user)
    slack.command(user, channel, "/scopebot", "status")
    (answer,) = bot.until(lambda: slack.ephemerals(user), 10, "an answer")
    assert [answer["source"], answer["channel"]] == ["response_url", channel]
    slack.configure(url_life=0.0)
    try:
        slack.command(user, channel, "/scopebot", "status")
        bot.until(lambda: len(slack.ephemerals(user)) == 2, 10, "an answer")
        assert slack.ephemerals(user)[1]["source"] == "chat.postEphemeral"
        outside = make_channel(slack, user, bot=False)
        slack.command(user, outside, "/scopebot", "status")
        (direct,) = bot.until(lambda: told(slack, user), 10, "an answer")
        assert "thread_ts" not in direct
    finally:
        slack.configure(url_life=1800.0)
    bot.until(lambda: all_posted(bot), 10, "all that is due")
    assert not ours(slack, channel)
    assert {one["kind"] for one in slack.violations()} == {"expired_url"}
    slack.forget()


def test_a_private_answer_stands_in_the_thread_where_it_was_asked_for(slack: Slack, bot: SlackBot, user: str) -> None:
    channel = make_channel(slack, user)
    ts = slack.mention(user, channel, "evaluate prod on hellaswag")
    (question,) = bot.until(lambda: ours(slack, channel), 10, "a question")
    slack.press("bob", channel, question["ts"], "The whole (10,042)")
    (answer,) = bot.until(lambda: slack.ephemerals("bob", channel), 10, "an answer")
    assert [answer["source"], answer["thread_ts"]] == ["chat.postEphemeral", ts]
    assert len(ours(slack, channel)) == 1


# silence


def test_what_bots_say_and_what_slack_changes_by_itself_is_met_with_silence(
    slack: Slack, bot: SlackBot, user: str
) -> None:
    channel = make_channel(slack, user)
    before = len(bot.runs())
    mention = f"<@{slack.bot_user()}> {ASKED}"
    call(slack, "chat.postMessage", channel=channel, text=mention)
    call(slack, "chat.postMessage", channel=slack.user(user), text=ASKED)
    slack.say(user, channel, "https://example.com/runs/r1")
    slack.say(user, channel, f"an evaluation of prod on gsm8k? ask {user}")
    settled = slack.mention(user, channel, "help")
    bot.until(lambda: len(slack.thread(channel, settled)) == 2, 10, "an answer to the person")
    slack.edit(user, channel, settled, f"<@{slack.bot_user()}> help")
    time.sleep(2)
    assert [len(slack.thread(channel, settled)), len(bot.runs())] == [2, before]
    assert len(ours(slack, channel)) == 2
    assert len(told(slack, user)) == 1
