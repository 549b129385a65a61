"""Direct messages, in a person's language and time; what we say first to a person, and in a new channel."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Json, Room, shown, tables

from bot.settings import BotSettings
from bot.slack.manifest import manifest
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        slack.use_manifest(manifest(BotSettings(public_url=None)))
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


@pytest.fixture
def user(slack: Slack) -> str:
    """Somebody who has said nothing yet."""
    name = f"user{len(slack.about()['teams']['T1']['users'])}"
    slack.add_user(name)
    return name


def dm(room: Room, user: str, text: str, thread: str | None = None) -> str:
    """Write to the bot, and wait until it has answered; return the message's ts."""
    ts = room.slack.dm(user, text, thread)
    room.settle()
    return ts


def said(room: Room, user: str) -> list[Json]:
    """Return what the bot said to somebody directly."""
    return [message for message in room.slack.messages(room.slack.dm_channel(user)) if message.get("bot_id")]


def marks(room: Room, user: str, ts: str) -> list[str]:
    found = room.slack.message(room.slack.dm_channel(user), ts) or {}
    return [reaction["name"] for reaction in found.get("reactions", ())]


def test_a_message_is_answered_in_its_thread_and_marked_as_it_goes_on(room: Room, user: str) -> None:
    ts = dm(room, user, ASKED)
    (status,) = said(room, user)
    assert status["thread_ts"] == ts
    room.until(lambda: marks(room, user, ts) == ["eyes"], "a mark")
    run = room.bot.runs()[-1]
    room.end(run)
    room.until(lambda: marks(room, user, ts) == ["eyes", "white_check_mark"], "a second mark")
    _, result = room.until(lambda: len(said(room, user)) == 2 and said(room, user), "a result")
    assert result["thread_ts"] == ts
    assert f"<@{room.slack.user(user)}>" in result["text"]
    room.settle()
    assert len(said(room, user)) == 2, "no line is posted beside the thread, where nobody else reads"


def test_what_fails_is_marked_as_failed(room: Room, user: str) -> None:
    ts = dm(room, user, ASKED)
    room.end(room.bot.runs()[-1], RunState.FAILED)
    room.until(lambda: marks(room, user, ts) == ["eyes", "x"], "both marks")


def test_what_starts_nothing_is_not_marked(room: Room, user: str) -> None:
    ts = dm(room, user, "status")
    assert "running or waiting" in shown(said(room, user)[-1])
    assert marks(room, user, ts) == []


def test_a_question_is_answered_by_the_next_message_wherever_it_stands(room: Room, user: str) -> None:
    ts = dm(room, user, "evaluate prod")
    assert "On which benchmark?" in shown(said(room, user)[-1])
    dm(room, user, "gsm8k")
    assert "1,319 samples" in shown(said(room, user)[-1])
    dm(room, user, "yes")
    assert room.bot.runs()[-1].spec.covers == ("gsm8k",)
    assert {message["thread_ts"] for message in said(room, user)} == {ts}, "all of it stands where it was asked for"


def test_what_is_said_in_a_thread_is_about_its_run(room: Room, user: str) -> None:
    first, _ = dm(room, user, ASKED), dm(room, user, ASKED)
    run, newer = room.bot.runs()[-2:]
    dm(room, user, "cancel", first)
    assert [room.bot.store.run(one.id).state for one in (run, newer)] == [RunState.CANCELLED, RunState.WAITING]
    assert f"Cancelled: {run.name}." in [message["text"] for message in said(room, user)]


def test_chinese_is_answered_in_chinese_and_english_in_english_whoever_writes_it(room: Room) -> None:
    dm(room, "chen", "用 gsm8k 评测 prod，20 条")
    assert "20 条样本" in shown(said(room, "chen")[-1])
    dm(room, "chen", ASKED)
    assert "20 samples" in shown(said(room, "chen")[-1])
    dm(room, "ann", "用 gsm8k 评测 prod，20 条")
    assert "20 条样本" in shown(said(room, "ann")[-1])


def test_times_are_those_of_where_a_person_is(room: Room) -> None:
    room.ask("ann", ASKED)
    room.end(room.run)
    room.settle()
    ended = room.run.ended_at
    assert ended is not None
    for name, zone in (("ann", "America/New_York"), ("bob", "Europe/London"), ("chen", "Asia/Shanghai")):
        dm(room, name, "results")
        (table,) = tables(said(room, name)[-1])
        assert zone in table[0][-1]
        row = next(row for row in table if row[0] == room.run.name)
        assert row[-1] == ended.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def test_prompts_are_suggested_that_work_in_the_persons_language(room: Room, user: str) -> None:
    slack = room.slack
    slack.open_home(user, "messages")
    slack.open_home("chen", "messages")
    english, chinese = room.until(lambda: len(slack.prompts()) == 2 and slack.prompts(), "prompts")
    if english["channel"] != slack.dm_channel(user):
        english, chinese = chinese, english
    assert chinese["channel"] == slack.dm_channel("chen")
    assert "评测" in chinese["prompts"][0]["message"]
    before = len(room.bot.runs())
    for prompt in english["prompts"]:
        assert prompt["title"].lower() == prompt["message"].lower()
        dm(room, user, prompt["message"])
        answer = shown(said(room, user)[-1])
        assert "did not understand" not in answer
        assert "do not know" not in answer
    assert len(room.bot.runs()) == before + 2
    assert slack.home(user) is None


@pytest.mark.parametrize("kind", ["channel", "group"])
def test_a_channel_that_the_bot_is_invited_to_is_greeted_once_in_a_few_words(room: Room, kind: str) -> None:
    slack = room.slack
    room.channel = channel = slack.add_channel(f"invited-{kind}", kind, ["ann"], bot=False)
    slack.duplicate(3, same_event=False)
    slack.join("bot", channel)
    slack.duplicate(1)
    (greeting,) = room.until(lambda: slack.messages(channel), "a greeting")
    text = shown(greeting)
    assert "“evaluate prod on gsm8k, 100 samples”" in text
    assert "`/scopebot help`" in text
    assert len(text) < 300
    slack.join("bob", channel)
    room.settle()
    assert len(slack.messages(channel)) == 1
    slack.mention("ann", channel, "status")
    room.settle()
    assert len(slack.messages(channel)) == 3


def test_the_greeting_is_in_the_language_of_who_invites(room: Room) -> None:
    channel = room.slack.add_channel("invited-by-chen", members=["chen"], bot=False)
    room.slack.join("bot", channel)
    (greeting,) = room.until(lambda: room.slack.messages(channel), "a greeting")
    assert "评测" in shown(greeting)
