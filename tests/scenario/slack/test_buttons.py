"""Buttons under what the bot posts in Slack: which stand where, what each does, and whose presses count how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.slack_bot import SlackBot
from support.slack_room import Json, Room, buttons, served, shown, tables

from jobs.lifecycle import RunState
from jobs.models import EvalSpec

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"
WHOLE = "evaluate prod on sample_qa"
PAIR = "evaluate prod and other on gsm8k, 20 samples"
KNOWN = {
    "Cancel", "Logs", "Re-run", "Full run", "Resume", "Copy as CLI", "Go on", "Stop", "Run 1,319 samples",
    "5 samples first", "The whole (10,042)",
    "取消", "日志", "重跑", "全量运行", "继续", "复制为命令行",
}  # fmt: skip


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with served(tmp_path_factory.mktemp("bot")) as bot:
        yield bot


@pytest.fixture
def room(bot: SlackBot) -> Iterator[Room]:
    with Room(bot) as room:
        yield room
        for message in [*room.posts(), *room.slack.ephemerals(channel=room.channel)]:
            assert set(buttons(message)) <= KNOWN, "neither Compare nor Schedule, nor anything else"


def ended(room: Room, user: str, asked: str, state: RunState = RunState.SUCCEEDED) -> Json:
    """Have a request end, and return its result."""
    ts = room.ask(user, asked)
    for run in room.runs:
        room.end(run, state)
    return room.answer(ts, 2)


def thread(message: Json) -> str:
    return str(message["thread_ts"])


def limits(room: Room) -> list[object]:
    return [run.spec.limit for run in room.runs if isinstance(run.spec, EvalSpec)]


def paused(room: Room) -> tuple[str, Json]:
    """Have a run pause, and return its thread and the question."""
    ts = room.ask("ann", ASKED)
    room.begin(room.run)
    room.bot.store.move(room.run.id, RunState.PAUSED)
    return ts, room.answer(ts, 2)


def as_before(room: Room, message: Json) -> None:
    """Have people see a message as it was at first, as who has not looked since."""
    old: Any = room.slack.versions(room.channel, message["ts"])[0]
    room.api("chat.update", ts=message["ts"], text=old["text"], blocks=old["blocks"])


def closed(room: Room, question: Json, answer: str) -> None:
    """Wait until a question shows its answer in place of its buttons; then show it as it was before."""
    room.until(lambda: not buttons(room.now(question)), "a question without buttons")
    assert f"✓ {answer}" in shown(room.now(question))
    as_before(room, question)


# which stand where


def test_while_a_run_goes_on_its_status_offers_to_end_it_and_its_log_and_nothing_when_it_ended(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status = room.answer(ts)
    assert buttons(status) == ["Cancel", "Logs"]
    room.begin(room.run)
    room.until(lambda: "7 / 20" in shown(room.now(status)), "progress")
    assert buttons(room.now(status)) == ["Cancel", "Logs"]
    room.end(room.run)
    result = room.answer(ts, 2)
    room.until(lambda: not buttons(room.now(status)), "a status message without buttons")
    assert buttons(result) == ["Re-run", "Full run", "Copy as CLI"]
    (headline,) = room.until(room.headlines, "a headline")
    assert not buttons(headline)


OFFERED = [
    (WHOLE, RunState.SUCCEEDED, ["Re-run", "Copy as CLI"]),
    (WHOLE, RunState.FAILED, ["Re-run", "Resume"]),
    (ASKED, RunState.FAILED, ["Re-run", "Full run", "Resume"]),
    (ASKED, RunState.CANCELLED, ["Re-run", "Full run", "Resume"]),
    (PAIR, RunState.SUCCEEDED, []),
    (PAIR, RunState.FAILED, ["Resume"]),
    ("用 gsm8k 评测 prod，20 条", RunState.SUCCEEDED, ["重跑", "全量运行", "复制为命令行"]),
]


def test_a_result_offers_a_full_run_where_a_limit_cut_and_to_resume_where_something_is_left(
    room: Room, bot: SlackBot
) -> None:
    asked = []
    for text, state, offered in OFFERED:
        other = Room(bot)
        asked.append((other, other.slack.mention("ann", other.channel, text), state, offered))
    room.settle()
    for other, _, state, _ in asked:
        for run in other.runs:
            other.end(run, state)
    for other, ts, state, offered in asked:
        assert buttons(other.answer(ts, 2)) == offered, (other.runs[0].spec.covers, state)
    room.settle()


def test_what_is_being_cancelled_is_not_offered_to_be(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status = room.answer(ts)
    room.begin(room.run)
    room.press("ann", status, "Cancel")
    assert room.run.cancel_asked
    room.until(lambda: buttons(room.now(status)) == ["Logs"], "a status message without Cancel")


# what they do


def test_logs_are_for_who_pressed(room: Room) -> None:
    status = room.answer(room.ask("ann", ASKED))
    room.press("bob", status, "Logs")
    room.press("bob", status, "Logs")
    assert [f"{room.run.name} has no log yet" in text for text in room.whispers("bob")] == [True, True]
    assert len(room.posts()) == 1


def test_cancel_is_for_who_asked_and_anybody_else_reads_so_alone(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status = room.answer(ts)
    room.press("bob", status, "Cancel")
    assert "You cannot cancel" in room.whispers("bob")[0]
    assert room.run.state is RunState.WAITING
    room.press("ann", status, "Cancel")
    assert "Cancelled" in room.whispers("ann")[0]
    assert room.run.state is RunState.CANCELLED
    room.answer(ts, 2)


def test_cancel_of_several_ends_all_of_them_and_none_where_somebody_else_presses(room: Room) -> None:
    ts = room.ask("ann", PAIR)
    status = room.answer(ts)
    assert buttons(status) == ["Cancel"]
    room.begin(room.runs[0])
    room.press("bob", status, "Cancel")
    assert not any(run.cancel_asked or run.state is RunState.CANCELLED for run in room.runs)
    room.press("ann", status, "Cancel")
    assert [(run.state, run.cancel_asked) for run in room.runs] == [
        (RunState.RUNNING, True), (RunState.CANCELLED, False),
    ]  # fmt: skip
    room.end(room.runs[0], RunState.CANCELLED)
    assert buttons(room.answer(ts, 2)) == ["Resume"]
    room.until(lambda: not buttons(room.now(status)), "a status message without buttons")


def test_from_a_result_each_button_starts_once_whoever_presses_how_often(room: Room) -> None:
    result = ended(room, "ann", ASKED)
    ts = thread(result)
    room.press("bob", result, "Re-run")
    room.answer(ts, 3)
    room.press("bob", result, "Re-run")
    room.press("ann", result, "Re-run")
    again = room.run
    assert again.user == f"slack:{room.slack.user('bob')}"
    for user in ("ann", "bob"):
        assert room.whispers(user) == [f"This button was pressed already: {again.name}, waiting."]
    room.press("ann", result, "Full run")
    question = room.answer(ts, 4)
    assert "1,319 samples" in shown(question)
    room.press("bob", question, "Run 1,319")
    assert room.whispers("bob")[1:] == ["Only the person who was asked can answer this."]
    room.press("ann", question, "Run 1,319")
    closed(room, question, "Run 1,319 samples")
    room.press("ann", question, "Run 1,319")
    room.press("ann", question, "Cancel")
    assert room.whispers("ann")[1:] == ["This question was answered already."] * 2
    room.answer(ts, 5)
    assert limits(room) == [20, 20, None]


def test_two_presses_at_once_start_one_run(room: Room) -> None:
    result = ended(room, "ann", ASKED)
    for user in ("ann", "bob", "ann", "chen"):
        room.slack.press(user, room.channel, result["ts"], "Re-run")
    room.settle()
    room.answer(thread(result), 3)
    assert len(room.runs) == 2
    assert sum(len(room.whispers(user)) for user in ("ann", "bob", "chen")) == 3


def test_resume_goes_on_with_what_is_left_once(room: Room) -> None:
    result = ended(room, "ann", PAIR, RunState.FAILED)
    room.press("ann", result, "Resume")
    room.press("ann", result, "Resume")
    one, two, *resumed = room.runs
    assert [run.spec.resumes for run in resumed] == [one.id, two.id]
    (table,) = tables(room.answer(thread(result), 3))
    assert [row[0] for row in table[1:]] == [run.name for run in resumed]
    assert "pressed already" in room.whispers("ann")[0]


def test_the_command_is_copied_by_who_pressed(room: Room) -> None:
    result = ended(room, "ann", ASKED)
    room.press("bob", result, "Copy as CLI")
    assert "evalscope eval --model tiny" in room.whispers("bob")[0]
    room.answer(thread(result), 2)


def test_a_status_that_one_person_alone_sees_has_buttons_that_work(room: Room) -> None:
    room.ask("ann", ASKED)
    room.slack.ack(room.slack.command("ann", room.channel, "/scopebot", f"status {room.run.name}"))
    room.settle()
    (seen,) = room.slack.ephemerals("ann", room.channel)
    assert buttons(seen) == ["Cancel", "Logs"]
    room.slack.press("ann", room.channel, seen["ts"], "Cancel")
    room.settle()
    assert room.run.state is RunState.CANCELLED
    assert "Cancelled" in room.whispers("ann")[1]


# a paused run


def test_a_paused_run_goes_on_by_who_asked_once_however_often_it_is_pressed(room: Room) -> None:
    ts, question = paused(room)
    assert buttons(question) == ["Go on", "Stop"]
    assert room.run.name in shown(question)
    room.press("bob", question, "Stop")
    room.press("bob", question, "Go on")
    assert room.whispers("bob") == ["Only the person who was asked can answer this."] * 2
    assert room.run.state is RunState.PAUSED
    room.press("ann", question, "Go on")
    assert room.run.state is RunState.WAITING
    assert shown(room.answer(ts, 3)) == f"{room.run.name} goes on."
    closed(room, question, "Go on")
    room.press("ann", question, "Go on")
    room.press("ann", question, "Stop")
    assert room.whispers("ann") == ["This question was answered already."] * 2
    assert room.run.state is RunState.WAITING
    room.answer(ts, 3)


def test_a_paused_run_is_stopped_by_who_asked(room: Room) -> None:
    ts, question = paused(room)
    room.press("ann", question, "Stop")
    assert room.run.state is RunState.CANCELLED
    room.until(lambda: len(room.thread(ts)) == 4, "a result")
    closed(room, question, "Stop")
    room.press("ann", question, "Go on")
    room.press("ann", question, "Stop")
    assert room.whispers("ann") == ["This question was answered already."] * 2
    assert room.run.state is RunState.CANCELLED


# old buttons


def test_a_button_of_an_earlier_version_tells_that_the_run_has_ended(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status = room.answer(ts)
    room.end(room.run)
    room.answer(ts, 2)
    room.until(lambda: not buttons(room.now(status)), "the final state")
    as_before(room, status)
    room.press("ann", status, "Cancel")
    room.press("bob", status, "Logs")
    assert "ended already, done" in room.whispers("ann")[0]
    assert "has no log yet" in room.whispers("bob")[0]
    assert room.run.state is RunState.SUCCEEDED
    room.answer(ts, 2)


def test_buttons_work_after_the_bot_was_restarted_and_count_once_still(room: Room) -> None:
    result = ended(room, "bob", WHOLE)
    question = room.answer(room.ask("ann", "evaluate prod on hellaswag"))
    status = room.answer(ts := room.ask("ann", ASKED))
    asked = room.run
    room.press("bob", result, "Re-run")
    count = len(room.runs)
    room.slack.limits(0)  # it does not know what the one before it posted and edited just now
    room.bot.stop()
    room.bot.start()
    room.press("bob", result, "Re-run")
    assert "pressed already" in room.whispers("bob")[0]
    room.press("ann", question, "The whole")
    assert len(room.runs) == count + 1
    room.press("ann", status, "Cancel")
    assert "Cancelled" in room.whispers("ann")[0]
    assert room.bot.store.run(asked.id).state is RunState.CANCELLED
    room.answer(ts, 2)
    room.slack.limits(1)
