"""What a channel itself reads: a line on each result unless it wants none, and of several models one table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.slack_bot import SlackBot
from support.slack_room import Room, served, shown, tables

from jobs.lifecycle import ENDED, RunState
from jobs.models import Run

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with served(tmp_path_factory.mktemp("bot")) as bot:
        yield bot


@pytest.fixture
def room(bot: SlackBot) -> Iterator[Room]:
    with Room(bot) as room:
        yield room


def asked(room: Room, user: str = "ann", text: str = ASKED) -> str:
    """Have somebody ask for something, without waiting for an answer."""
    return room.slack.mention(user, room.channel, text)


def end(*rooms: Room, state: RunState = RunState.SUCCEEDED) -> None:
    """Have what was asked for in some channels end, and wait until all is said of it."""
    rooms[0].settle()
    for room in rooms:
        for run in room.runs:
            if run.state not in ENDED:
                room.end(run, state)
    for room in rooms:
        room.told()


def texts(room: Room) -> list[str]:
    return [shown(message) for message in room.headlines()]


def name(room: Room) -> str:
    run: Run = room.run
    return run.name


def test_a_result_mentions_who_asked_in_its_thread_and_a_line_in_the_channel_leads_there(room: Room) -> None:
    ts = asked(room)
    end(room)
    result = room.answer(ts, 2)
    assert shown(result).startswith(f"<@{room.slack.user('ann')}> {name(room)}: prod — gsm8k 50.0 %")
    (line,) = room.headlines()
    assert f"{name(room)}: prod — gsm8k 50.0 %" in shown(line)
    assert "<@" not in shown(line)
    assert f"p{result['ts'].replace('.', '')}?thread_ts={ts}" in str(line["blocks"])


def test_a_failure_has_a_line_and_what_was_cancelled_has_none(room: Room, bot: SlackBot) -> None:
    cancelled, several = Room(bot), Room(bot)
    asked(room)
    asked(cancelled)
    asked(several, text="evaluate prod and other on gsm8k, 20 samples")
    room.settle()
    room.end(room.run, RunState.FAILED)
    several.end(several.runs[0], RunState.FAILED)
    end(cancelled, room, several, state=RunState.CANCELLED)
    assert [f"{name(room)} failed" in text for text in texts(room)] == [True]
    assert texts(cancelled) == []
    assert ["1 failed, 1 cancelled" in text for text in texts(several)] == [True]


WAYS = [
    ("headlines off", "Results stay in their threads", "headlines on", "A line on each result"),
    ("please stop announcing results", "Results stay in", "post results in the channel", "A line on each result"),
    ("关闭频道播报", "结果只留在各自的讨论串里", "打开频道播报", "每个结果也会在这个频道里播报一行"),
    ("/headlines off", "Results stay in", "/headlines on", "A line on each result"),
    ("/scopebot 播报 关闭", "结果只留在各自的讨论串里", "/headlines 打开", "每个结果也会在这个频道里播报一行"),
]
"""What turns the lines off and on again, by a mention or a slash command, and what is answered."""


def test_a_channel_turns_its_lines_off_and_on_again_and_no_other_channel(room: Room, bot: SlackBot) -> None:
    rooms = [(Room(bot), *way) for way in WAYS]
    for other, off, told, _, _ in rooms:
        assert told in said(other, off)
    for other in (room, *(other for other, *_ in rooms)):
        asked(other)
    end(room, *(other for other, *_ in rooms))
    assert len(texts(room)) == 1
    assert [texts(other) for other, *_ in rooms] == [[]] * len(WAYS)
    for other, _, _, on, told in rooms:
        assert told in said(other, on)
        asked(other)
    end(*(other for other, *_ in rooms))
    for other, *_ in rooms:
        assert [name(other) in text for text in texts(other)] == [True]


def said(room: Room, text: str) -> str:
    """Have somebody say something to the bot, in words or as a slash command, and return the answer."""
    user = "bob" if text.isascii() else "chen"
    if not text.startswith("/"):
        return shown(room.answer(room.ask(user, text)))
    command, _, rest = text.partition(" ")
    room.slack.ack(room.slack.command(user, room.channel, command, rest))
    room.settle()
    return room.whispers(user)[-1]


def test_in_a_thread_of_a_run_it_is_the_channel_that_is_set_and_the_run_goes_on(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.ask("ann", "stop announcing results", ts)
    assert room.run.state is RunState.WAITING
    end(room)
    assert texts(room) == []


def test_direct_messages_have_results_and_no_lines(room: Room) -> None:
    slack, bot = room.slack, room.bot
    slack.add_user("dora")
    channel = slack.dm_channel("dora")
    ts = slack.dm("dora", ASKED)
    room.settle()
    (run,) = bot.runs()[-1:]
    room.end(run)
    room.until(lambda: len([m for m in slack.thread(channel, ts) if m.get("bot_id")]) == 2, "a result")
    slack.dm("dora", "headlines off")
    room.told(run)
    posts = [message for message in slack.messages(channel) if message.get("bot_id")]
    assert all("thread_ts" in message for message in posts)
    assert "conversation of the two of us" in shown(posts[-1])
    assert len(posts) == 3


def test_several_models_have_one_status_message_with_a_table_and_one_result(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod, other and mock on gsm8k, 20 samples")
    status = room.answer(ts)
    one, two, three = room.runs
    (table,) = tables(status)
    assert [row[:3] for row in table] == [
        ["Run", "Model", "State"], [one.name, "prod", "waiting"], [two.name, "other", "waiting"],
        [three.name, "mock_llm", "waiting"],
    ]  # fmt: skip
    room.begin(one)
    room.until(lambda: tables(room.now(status))[0][1][2:4] == ["running", "7 / 20"], "progress of the first")
    room.end(one)
    room.end(two)
    room.until(lambda: "2 of 3 runs ended" in shown(room.now(status)), "that two have ended")
    assert len(room.posts()) == 1
    end(room)
    result = room.answer(ts, 2)
    assert shown(result).startswith(f"<@{room.slack.user('ann')}> {one.name}, {two.name}, {three.name}: 3 done")
    compared = tables(result)[0]
    assert all(any("50.0 %" in cell for cell in row) for row in compared[1:])
    assert [model in row for row, model in zip(compared[1:], ["prod", "other", "mock_llm"], strict=True)] == [True] * 3
    assert [row[2] for row in tables(room.now(status))[0][1:]] == ["done"] * 3
    assert len(texts(room)) == 1
