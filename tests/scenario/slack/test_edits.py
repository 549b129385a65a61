"""Messages that are edited or deleted in Slack: what has not begun follows them, what has goes on and it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from support.slack_bot import SlackBot
from support.slack_room import Json, Room, everything_in, served, shown, side_by_side

from jobs.lifecycle import RunState
from jobs.models import EvalSpec

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"
INSTEAD = "evaluate prod on gsm8k, 30 samples"
CHINESE = "用 gsm8k 评测 prod，20 条"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with served(tmp_path_factory.mktemp("bot")) as bot:
        yield bot


@pytest.fixture
def room(bot: SlackBot) -> Iterator[Room]:
    with Room(bot) as room:
        yield room


def runs(room: Room) -> list[tuple[RunState, object]]:
    return [(run.state, run.spec.limit if isinstance(run.spec, EvalSpec) else None) for run in room.runs]


def texts(room: Room, ts: str) -> list[str]:
    return [shown(message) for message in room.thread(ts)]


def told(room: Room, ts: str, word: str) -> list[str]:
    """Return what was said in a thread that has a word, status messages left out."""
    return [text for text in texts(room, ts) if word in text and "evaluating" not in text]


def link(message: Json) -> str:
    """Return the address of a message's run page."""
    return str(re.findall(r"<(https://[^|>]+)\|", json.dumps(message["blocks"]))[0])


# edited


TYPOS = [
    ("evaluate prod on gsm9k, 20 samples", ASKED, "Did you mean: gsm8k", "evaluating prod on gsm8k"),
    ("evaluate prdo on gsm8k, 20 samples", ASKED, "I do not know a model “prdo”", "evaluating prod on gsm8k"),
    ("用 gsm9k 评测 prod，20 条", CHINESE, "gsm8k", "用 gsm8k 评测 prod，20 条样本"),
    ("evvvl porod gms8k", ASKED, "did not understand", "evaluating prod on gsm8k"),
]


def test_a_typo_that_is_mended_is_heard_anew_in_the_same_thread(bot: SlackBot) -> None:
    def check(room: Room, typed: str, meant: str, told: str, done: str) -> None:
        ts = room.ask("ann", typed)
        assert told in shown(room.answer(ts))
        room.edit("ann", ts, meant)
        assert done in shown(room.answer(ts, 2))
        assert runs(room) == [(RunState.WAITING, 20)]
        assert not room.headlines()

    side_by_side(bot, check, TYPOS)


def test_what_waits_is_withdrawn_for_what_the_message_says_now(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.edit("ann", ts, INSTEAD)
    first, second = room.runs
    assert runs(room) == [(RunState.CANCELLED, 20), (RunState.WAITING, 30)]
    assert told(room, ts, "edited") == [f"You edited your message, so {first.name} will not run. Instead:"]
    assert f"{second.name}: evaluating prod on gsm8k, 30 samples" in texts(room, ts)[2]


def test_what_runs_goes_on_as_first_asked_and_it_is_said_once(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.begin(room.run)
    room.slack.duplicate(3)
    room.edit("ann", ts, INSTEAD)
    room.slack.duplicate(1)
    (said,) = told(room, ts, "edited")
    assert f"{room.run.name} had begun" in said
    assert f"`cancel {room.run.name}`" in said
    assert runs(room) == [(RunState.RUNNING, 20)]
    assert not room.run.cancel_asked


@pytest.mark.parametrize("now", [f"{ASKED}!", "please evaluate prod on GSM8K with 20 samples", CHINESE])
@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "running"])
def test_an_edit_that_means_the_same_is_met_with_silence(room: Room, now: str, *, begun: bool) -> None:
    ts = room.ask("ann", ASKED)
    if begun:
        room.begin(room.run)
    room.edit("ann", ts, now)
    room.answer(ts)
    assert runs(room) == [(RunState.RUNNING if begun else RunState.WAITING, 20)]


def test_an_open_question_is_closed_by_an_edit_of_what_it_asks_about(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod on hellaswag")
    question = room.answer(ts)
    room.edit("ann", ts, ASKED)
    room.answer(ts, 2)
    room.press("ann", question, "The whole")
    assert "was edited or deleted" in room.whispers("ann")[0]
    assert runs(room) == [(RunState.WAITING, 20)]


def test_a_command_that_was_overheard_follows_its_edit_too(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    again = room.say("bob", "rerun with 200", ts)
    room.edit("bob", again, "rerun with 300", mention=False)
    assert runs(room) == [(RunState.WAITING, 20), (RunState.CANCELLED, 200), (RunState.WAITING, 300)]
    room.edit("bob", again, "rerun it when you have time, bob", mention=False)
    assert runs(room)[2:] == [(RunState.CANCELLED, 300)]


def test_talk_that_is_edited_or_deleted_is_talk_still(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    said = room.slack.say("bob", room.channel, "looks good", ts)
    room.settle()
    before = everything_in(room.bot)
    room.edit("bob", said, "looks great!", mention=False)
    room.delete("bob", said)
    assert everything_in(room.bot) == before
    room.answer(ts)


# the mention


def test_what_is_said_to_others_now_takes_back_what_waits_and_asks_for_nothing(bot: SlackBot) -> None:
    def check(room: Room, now: str, begun: bool) -> None:  # noqa: FBT001 - a case
        ts = room.ask("ann", ASKED)
        if begun:
            room.begin(room.run)
        room.edit("ann", ts, now, mention=False)
        name = room.run.name
        assert runs(room) == [(RunState.RUNNING if begun else RunState.CANCELLED, 20)]
        (said,) = told(room, ts, "You edited")
        assert f"{name} had begun" in said if begun else said == f"You edited your message, so {name} will not run."
        assert not told(room, ts, "understand")

    cases = [(now, begun) for now in ("let's talk about gsm8k tomorrow", INSTEAD) for begun in (False, True)]
    side_by_side(bot, check, cases)


def test_the_same_words_without_the_mention_change_nothing(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.edit("ann", ts, ASKED, mention=False)
    room.answer(ts)
    assert runs(room) == [(RunState.WAITING, 20)]


@pytest.mark.parametrize("said", ["status", "how do you do, bot"])
def test_what_is_not_said_to_the_bot_any_more_is_not_answered(room: Room, said: str) -> None:
    ts = room.ask("ann", said)
    room.answer(ts)
    for now in (ASKED, "help", "what was I saying"):
        room.edit("ann", ts, now, mention=False)
    room.answer(ts)
    assert not room.runs


@pytest.mark.parametrize("said", [ASKED, "what is gsm8k?", "gibberish, I fear"])
def test_a_mention_that_was_forgotten_at_first_is_heard_once(room: Room, said: str) -> None:
    ts = room.slack.say("ann", room.channel, said)
    room.settle()
    assert not room.posts()
    room.edit("ann", ts, said)
    room.answer(ts)
    room.edit("ann", ts, f"{said}!")
    assert len(room.runs) == (said == ASKED)


def test_a_mention_that_was_forgotten_in_a_thread_is_heard_once(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    said = room.say("bob", "so how is it going with this one?", ts)
    room.answer(ts)
    room.edit("bob", said, "so how is it going with this one?")
    assert f"{room.run.name}: evaluating" in shown(room.answer(ts, 2))
    again = room.say("bob", "rerun with 200", ts)
    room.edit("bob", again, "rerun with 200")
    room.answer(ts, 3)
    assert len(room.runs) == 2, "it was meant and done before"


def test_a_message_of_which_only_the_mention_is_left_takes_back_what_waits(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.edit("ann", ts, "")
    assert runs(room) == [(RunState.CANCELLED, 20)]
    assert told(room, ts, "edited") == [f"You edited your message, so {room.run.name} will not run."]
    assert not told(room, ts, "understand")


# deleted


def test_what_waits_is_cancelled_with_its_message_and_that_is_said_once(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.delete("ann", ts)
    assert runs(room) == [(RunState.CANCELLED, 20)]
    room.answer(ts, 2)
    room.settle()
    assert [f"{room.run.name} was cancelled" in text for text in texts(room, ts)] == [False, True]
    assert not room.headlines()


def test_what_runs_goes_on_without_its_message_and_it_is_said_how_to_end_it(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    room.begin(room.run)
    room.delete("ann", ts)
    (said,) = told(room, ts, "deleted")
    assert f"`cancel {room.run.name}` ends it" in said
    assert runs(room) == [(RunState.RUNNING, 20)]
    room.say("ann", "cancel", ts)
    assert room.run.cancel_asked


def test_in_chinese_it_is_told_in_chinese(room: Room) -> None:
    ts = room.ask("chen", CHINESE)
    room.begin(room.run)
    room.edit("chen", ts, "用 gsm8k 评测 prod，30 条")
    room.delete("chen", ts)
    edited, deleted = texts(room, ts)[1:]
    assert f"`取消 {room.run.name}`" in edited
    assert f"`取消 {room.run.name}`" in deleted


def test_a_question_whose_message_is_deleted_is_closed_without_a_word(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod on hellaswag")
    question = room.answer(ts)
    room.delete("ann", ts)
    room.press("ann", question, "The whole")
    assert "was edited or deleted" in room.whispers("ann")[0]
    room.answer(ts)
    assert not room.runs


# what is no edit of what was said


def test_an_admin_who_edits_or_deletes_the_bots_posts_is_not_answered(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status = room.answer(ts)
    for text in ("cancel", f"<@{room.slack.bot_user()}> {ASKED}"):
        room.api("chat.update", ts=status["ts"], text=text)
        room.settle()
    assert runs(room) == [(RunState.WAITING, 20)]
    assert len(room.posts()) == 1
    room.api("chat.delete", ts=status["ts"])
    room.settle()
    assert not room.posts()
    room.end(room.run)
    (result,) = room.until(lambda: room.thread(ts), "a result although its status message is gone")
    (headline,) = room.until(room.headlines, "a headline")
    for message in (result, headline):
        room.api("chat.delete", ts=message["ts"])
    room.settle()
    assert not room.posts()


def test_links_that_unfold_change_nothing(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    status, before = room.answer(ts), len(room.slack.unfurls())
    url = link(status)
    room.slack.say("bob", room.channel, f"look: {url}", ts)
    room.slack.say("bob", room.channel, f"status {url}")
    mention = room.slack.mention("bob", room.channel, f"status of {room.run.name}, {url}")
    room.until(lambda: len(room.slack.unfurls()) == before + 3, "what the links lead to")
    room.settle()
    room.answer(ts)
    room.answer(mention)
    assert len(room.posts()) == 2
    assert runs(room) == [(RunState.WAITING, 20)]
