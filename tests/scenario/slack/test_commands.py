"""Slash commands: what begins something hangs under a post that shows the command; all else one person alone reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import text as sql
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Json, Room, button, everything_in, shown

from bot.cli import main
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow
AT_ONCE = 1.0
"""Seconds within which a command is acknowledged; Slack gives it three."""


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    printed = CliRunner().invoke(main, ["manifest", "slack", "--json"], env={"SCOPEBOT_PUBLIC_URL": ""})
    with Slack() as slack:
        slack.use_manifest(json.loads(printed.stdout))
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with SlackBot(tmp_path_factory.mktemp("bot"), slack) as bot:
        yield bot


@pytest.fixture
def room(slack: Slack, bot: SlackBot) -> Iterator[Room]:
    slack.forget()
    yield Room(bot)
    assert not slack.violations()


def quiet(room: Room) -> None:
    """Wait until all is heard and said, in other places than the room as well."""
    room.settle()
    query = sql("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')")

    def nothing_due() -> bool:
        with room.bot.engine.connect() as connection:
            return not connection.execute(query).scalar_one()

    room.until(nothing_due, "all that is due")


def command(room: Room, user: str, name: str, text: str = "", channel: str = "") -> Json:
    """Give a command, and wait until all is said that comes of it; return how it was acknowledged."""
    ack = room.slack.ack(room.slack.command(user, channel or room.channel, name, text))
    quiet(room)
    return ack


def answer_to(room: Room, user: str, name: str, text: str = "", channel: str = "") -> str:
    """Return the one answer to a command, which nobody else reads."""
    before = len(room.slack.ephemerals(user))
    command(room, user, name, text, channel)
    (answer,) = room.slack.ephemerals(user)[before:]
    assert answer["source"] == "response_url"
    assert answer["channel"] == (channel or room.channel)
    assert not room.slack.messages(channel or room.channel)
    return shown(answer)


def ours(slack: Slack, channel: str) -> list[Json]:
    return [message for message in slack.messages(channel) if message.get("bot_id")]


# what begins something


def test_a_command_is_shown_in_the_channel_and_its_run_told_in_the_thread_under_it(room: Room) -> None:
    slack, ann = room.slack, f"<@{room.slack.user('ann')}>"
    ack = command(room, "ann", "/eval", "prod gsm8k limit=20")
    assert (ack["answer"], ack["problem"]) == (None, "")
    assert ack["acked_at"] - ack["sent_at"] < AT_ONCE
    root, status = room.posts()
    assert shown(root) == f"{ann} `/eval prod gsm8k limit=20`"
    assert root["thread_ts"] == root["ts"]
    assert status["thread_ts"] == root["ts"]
    assert "r1 waiting" in shown(status)
    room.begin(room.run)
    room.until(lambda: "7 / 20" in shown(room.now(status)), "progress")
    room.end(room.run)
    result = room.answer(root["ts"], 3)
    assert shown(result).startswith(ann)
    (headline,) = room.until(room.headlines, "a line in the channel")
    assert "50.0 %" in shown(headline)
    link = f"/archives/{room.channel}/p{result['ts'].replace('.', '')}?thread_ts={root['ts']}"
    assert link in shown(headline)
    room.settle()
    assert [post["ts"] for post in room.posts()] == [root["ts"], status["ts"], result["ts"], headline["ts"]]
    assert not slack.ephemerals("ann", room.channel)


def test_what_is_said_in_the_thread_of_a_command_is_about_its_run(room: Room) -> None:
    command(room, "ann", "/eval", "prod gsm8k limit=20")
    root, _ = room.posts()
    room.begin(room.run)
    room.say("bob", "cancel", root["ts"])
    assert "You cannot cancel" in room.whispers("bob")[0]
    room.say("ann", "why?", root["ts"])
    assert f"{room.run.name} is running" in shown(room.answer(root["ts"], 3))
    room.say("ann", "cancel", root["ts"])
    room.until(lambda: room.run.cancel_asked, "a cancellation")
    room.end(room.run, RunState.CANCELLED)
    room.until(lambda: len(room.posts()) == 5, "the result")
    room.settle()
    assert [post["ts"] for post in room.posts() if "`" in post["text"]] == [root["ts"]]


def test_a_chinese_command_begins_a_run_and_is_answered_in_chinese(room: Room) -> None:
    command(room, "ann", "/scopebot", "评测 prod gsm8k 20条")
    root, status = room.posts()
    assert "`/scopebot 评测 prod gsm8k 20条`" in shown(root)
    assert "20 条样本" in shown(status)
    assert room.run.spec.model_dump()["limit"] == 20


def test_a_command_is_shown_as_it_was_typed(room: Room) -> None:
    command(room, "ann", "/scopebot", "evaluate prod & other on gsm8k, 20 samples")
    root, _ = room.posts()
    assert "`/scopebot evaluate prod &amp; other on gsm8k, 20 samples`" in shown(root)
    assert len(room.runs) == 2


def test_a_public_channel_that_the_bot_is_not_in_is_posted_in(room: Room) -> None:
    room.channel = room.slack.add_channel("public-without", bot=False)
    command(room, "ann", "/eval", "prod gsm8k limit=20")
    root, status = room.posts()
    assert status["thread_ts"] == root["ts"]
    assert not room.slack.messages(room.slack.dm_channel("ann"))


@pytest.mark.parametrize("kind", ["a private channel that the bot is not in", "a conversation of two people", "ours"])
def test_where_nobody_could_read_it_a_run_is_told_to_who_asked(room: Room, kind: str) -> None:
    slack, user = room.slack, kind.rsplit(maxsplit=1)[-1]
    slack.add_user(user)
    mine = slack.dm_channel(user)
    private = {"in": "group", "people": "im"}.get(user)
    where = slack.add_channel(f"hidden-{user}", private, [user, "bob"], bot=False) if private else mine
    command(room, user, "/eval", "prod gsm8k limit=20", where)
    root, status = ours(slack, mine)
    assert "`/eval prod gsm8k limit=20`" in shown(root)
    assert status["thread_ts"] == root["ts"]
    assert ("I cannot post where you asked" in shown(root)) == (private == "group")
    assert where == mine or not slack.messages(where)
    if private == "group":  # what is said there is about the run all the same
        slack.dm(user, "cancel", root["ts"])
        room.until(lambda: room.bot.runs()[-1].state is RunState.CANCELLED, "the end")


def test_a_secret_in_a_command_that_begins_a_run_is_shown_to_nobody(room: Room) -> None:
    secret = "sk-abcdefghijklmnopqrstuvwxyz123456"
    command(room, "ann", "/eval", f"prod on `gsm8k`,\n20 samples, key {secret}")
    root, _ = room.posts()
    assert secret not in str(room.posts())
    assert secret not in everything_in(room.bot)
    assert shown(root).count("`") == 2
    assert "\n" not in shown(root)


# what asks first


def test_a_question_stands_in_a_thread_and_only_who_was_asked_may_answer_it(room: Room) -> None:
    slack = room.slack
    command(room, "bob", "/eval", "prod hellaswag")
    root, question = room.posts()
    assert question["thread_ts"] == root["ts"]
    assert "10,042 samples" in shown(question)
    room.press("ann", question, "The whole (10,042)")
    (refused,) = slack.ephemerals("ann", room.channel)
    assert (refused["text"], refused["thread_ts"]) == ("Only the person who was asked can answer this.", root["ts"])
    assert not room.runs


def test_a_question_is_answered_by_its_button(room: Room) -> None:
    command(room, "bob", "/eval", "prod hellaswag")
    root, question = room.posts()
    room.press("bob", question, "The whole (10,042)")
    assert [run.spec.model_dump()["limit"] for run in room.runs] == [None]
    assert [post["thread_ts"] for post in room.posts()] == [root["ts"]] * 3


def test_a_question_is_answered_by_a_word_in_its_thread(room: Room) -> None:
    command(room, "bob", "/eval", "prod hellaswag")
    root, _ = room.posts()
    room.say("ann", "yes", root["ts"])
    assert not room.runs
    room.say("bob", "yes", root["ts"])
    assert len(room.runs) == 1
    assert [post["thread_ts"] for post in room.posts()] == [root["ts"]] * 3


def test_what_a_command_lacks_one_person_alone_is_told_with_the_whole_of_it(room: Room) -> None:
    told = answer_to(room, "ann", "/eval", "prod limit=20")
    assert told.startswith("On which benchmark?")
    assert "`/eval prod limit=20 sample_qa`" in told
    assert not room.posts()


# what begins nothing


def test_what_begins_nothing_one_person_alone_reads(room: Room) -> None:
    assert "running or waiting" in answer_to(room, "ann", "/scopebot", "status")
    assert "/benchmarks" in answer_to(room, "ann", "/scopebot", "help")
    assert "Benchmarks tagged Coding" in answer_to(room, "ann", "/benchmarks", "coding")
    assert "评测集" in answer_to(room, "chen", "/benchmarks", "coding"), "in the person's own language"
    assert "正在" in answer_to(room, "bob", "/scopebot", "在跑什么"), "in the language of what was said"


@pytest.mark.parametrize("kind", ["channel", "group"])
def test_where_the_bot_is_not_such_answers_come_all_the_same(room: Room, kind: str) -> None:
    where = room.slack.add_channel(f"answers-{kind}", kind, ["ann", "bob"], bot=False)
    assert "running or waiting" in answer_to(room, "ann", "/scopebot", "status", where)


def test_such_an_answer_in_a_conversation_of_two_people_comes_directly(room: Room) -> None:
    where = room.slack.add_channel("answers-two", "im", ["chen", "bob"], bot=False)
    command(room, "chen", "/scopebot", "status", where)
    assert "正在" in shown(ours(room.slack, room.slack.dm_channel("chen"))[-1])
    assert not room.slack.messages(where)


def test_what_is_wrong_is_told_to_who_wrote_it_with_what_comes_near(room: Room) -> None:
    told = answer_to(room, "ann", "/eval", "prod gsm9k limit=5")
    assert "no benchmark “gsm9k”" in told
    assert "gsm8k" in told
    assert "no benchmark “nosuchbench”" in answer_to(room, "ann", "/eval", "prod nosuchbench limit=5")
    assert "“a<b”" in answer_to(room, "ann", "/eval", "prod a<b limit=5").replace("&lt;", "<")
    assert not room.runs


def test_a_button_under_the_run_of_a_command_is_answered_privately(room: Room) -> None:
    command(room, "ann", "/eval", "prod gsm8k limit=20")
    _, status = room.posts()
    assert button(status, "Cancel")
    room.press("ann", status, "Cancel")
    assert room.run.state is RunState.CANCELLED
    assert "Cancelled" in room.whispers("ann")[-1]
