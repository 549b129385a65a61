"""People talk in the thread of a run: to each other, which is none of the bot's business, and in plain commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.slack_bot import SlackBot
from support.slack_room import Room, everything_in, served, shown, side_by_side, tables

from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Run

pytestmark = pytest.mark.slow
ASKED = "evaluate prod on gsm8k, 20 samples"
PAIR = "evaluate prod and other on gsm8k, 20 samples"
TALK = [
    ("bob", "nice, looks good so far"),
    ("ann", "thanks! let's see how it does"),
    ("bob", "did you see the results of the last checkpoint?"),
    ("ann", "yes"),
    ("bob", "I think we should rerun with 200 once the new one is out"),
    ("ann", "ok, but let's cancel the meeting then"),
    ("bob", "why is it so slow today?"),
    ("ann", "scopebot is always slow on Mondays"),
    ("bob", "can someone cancel this?"),
    ("ann", "the logs look weird to me"),
    ("bob", "what a score! 👍"),
    ("ann", "progress!"),
    ("bob", "please stop it, both of you"),
    ("ann", "status update at 5pm, don't be late"),
    ("bob", "no"),
    ("ann", "which benchmark would you take, gsm8k or mmlu?"),
    ("bob", "evaluate prod on mmlu maybe"),
    ("ann", "my resume is in the shared folder"),
    ("bob", "help, I locked myself out again"),
    ("bob", "这次的结果不错"),
    ("ann", "我们晚点再重跑吧，先吃饭"),
    ("bob", "为什么不用更大的模型？"),
    ("ann", "取消今天的例会"),
    ("bob", "好的，那就继续努力"),
    ("ann", "日志在哪里存着来着"),
    ("bob", "进度有点慢，明天再看"),
    ("ann", "状态不好，先去休息"),
    ("bob", "分数很高啊"),
    ("ann", "对"),
]


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with served(tmp_path_factory.mktemp("bot")) as bot:
        yield bot


@pytest.fixture
def room(bot: SlackBot) -> Iterator[Room]:
    with Room(bot) as room:
        yield room


def more(room: Room, thread: str, count: int, *said: tuple[str, str]) -> list[str]:
    """Have people say something in a thread, and return the posts that it led to, as many as are expected."""
    before = len(room.thread(thread))
    for user, text in said:
        room.slack.say(user, room.channel, text, thread)
        room.heard()
    room.settle()
    posts = [shown(message) for message in room.thread(thread)[before:]]
    assert len(posts) == count, posts
    return posts


def limit(run: Run) -> float | None:
    assert isinstance(run.spec, EvalSpec)
    return run.spec.limit


# talk


def test_people_who_talk_to_each_other_are_not_answered_and_nothing_of_it_is_kept(room: Room, bot: SlackBot) -> None:
    states = [RunState.WAITING, RunState.RUNNING, RunState.FAILED]
    asked = [(Room(bot), text, state) for text in (ASKED, PAIR) for state in states]
    threads = [(other, other.slack.mention("ann", other.channel, text), state) for other, text, state in asked]
    for other, ts, state in threads:
        other.answer(ts)
        for run in other.runs:
            if state is not RunState.WAITING:
                other.begin(run)
            if state is RunState.FAILED:
                other.end(run, state)
    for other, ts, state in threads:
        if state is RunState.RUNNING:
            other.until(lambda other=other, ts=ts: "7 / 20" in shown(other.thread(ts)[0]), "progress")
        if state is RunState.FAILED:
            other.told()
    room.settle()
    before = [[post["ts"] for post in other.posts()] for other, _, _ in threads]
    stored, logged = everything_in(bot), bot.log
    said = [other.slack.say(user, other.channel, text, ts) for user, text in TALK for other, ts, _ in threads]
    for other, ts, _ in threads:
        said.append(other.slack.say("bob", other.channel, "logs", ts, files=["plot.png"]))
        said.append(other.slack.say("bob", other.channel, f"<@{other.slack.user('ann')}> cancel", ts))
    room.settle()
    assert everything_in(bot) == stored
    assert bot.log == logged
    assert [[post["ts"] for post in other.posts()] for other, _, _ in threads] == before
    talk = [message for other, ts, _ in threads for message in other.slack.thread(other.channel, ts)[1:]]
    assert not any("reactions" in message for message in talk if message["ts"] in said)
    assert not any(other.whispers(user) for other, _, _ in threads for user in ("ann", "bob", "chen"))


def test_in_a_thread_of_people_alone_a_command_means_nothing_unless_it_names_a_run(room: Room) -> None:
    room.ask("ann", ASKED)
    stored, posts = everything_in(room.bot), len(room.posts())
    ts = room.slack.say("bob", room.channel, "lunch?")
    for text in ("cancel", "why?", "status", "logs", "rerun with 200", "yes", "取消", "为什么？", "日志"):
        room.slack.say("ann", room.channel, text, ts)
        room.slack.say("ann", room.channel, text)
    room.slack.say("ann", room.channel, f"cancel {room.run.name}")
    room.settle()
    assert (everything_in(room.bot), len(room.posts())) == (stored, posts)
    more(room, ts, 1, ("ann", f"cancel {room.run.name}"))
    assert room.run.state is RunState.CANCELLED


# commands


ABOUT = [
    ("bob", {"why?": "{} has not begun", "status": "{}: evaluating prod on gsm8k", "logs": "{} has no log yet"}),
    ("chen", {"为什么？": "{} 还没有开始", "进度": "{}：用 gsm8k 评测 prod", "日志": "{} 还没有日志"}),
]


def test_what_anybody_asks_about_a_run_is_answered_there_in_their_language(bot: SlackBot) -> None:
    def check(room: Room, user: str, answers: dict[str, str]) -> None:
        ts = room.ask("ann", ASKED)
        posts = more(room, ts, 3, *((user, said) for said in answers))
        told = [answer.format(room.run.name) for answer in answers.values()]
        assert [words in post for words, post in zip(told, posts, strict=True)] == [True] * 3

    side_by_side(bot, check, ABOUT)


@pytest.mark.parametrize(
    ("asked", "said", "told"), [(ASKED, "cancel", "Cancelled"), ("用 gsm8k 评测 prod，20 条", "取消一下", "已取消")]
)
def test_who_asked_for_a_run_cancels_it_without_a_mention(room: Room, asked: str, said: str, told: str) -> None:
    ts = room.ask("chen", asked)
    room.say("chen", said, ts)
    assert room.run.state is RunState.CANCELLED
    room.until(lambda: len(room.thread(ts)) == 3, "a result")
    assert told in shown(room.thread(ts)[1])


@pytest.mark.parametrize(
    ("user", "said", "told"), [("bob", "cancel", "You cannot cancel"), ("chen", "取消", "你不能取消")]
)
@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "running"])
def test_somebody_else_cannot_cancel_it_and_reads_so_alone(
    room: Room, user: str, said: str, told: str, *, begun: bool
) -> None:
    ts = room.ask("ann", ASKED)
    if begun:
        room.begin(room.run)
    more(room, ts, 0, (user, said), (user, f"{said} {room.run.name}"))
    assert [told in text for text in room.whispers(user)] == [True, True]
    assert not room.whispers("ann")
    assert room.run.state is (RunState.RUNNING if begun else RunState.WAITING)
    assert not room.run.cancel_asked


@pytest.mark.parametrize(
    ("user", "said", "count", "told"),
    [("bob", "rerun with 200", 200, "200 samples"), ("chen", "重跑，5条", 5, "5 条样本")],
)
def test_anybody_runs_it_again_with_something_changed(room: Room, user: str, said: str, count: int, told: str) -> None:
    ts = room.ask("ann", ASKED)
    (status,) = more(room, ts, 1, (user, said))
    assert told in status
    assert [limit(run) for run in room.runs] == [20, count]
    assert room.run.user == f"slack:{room.slack.user(user)}"
    assert [run.state for run in room.runs] == [RunState.WAITING] * 2


def test_of_a_failed_run_it_is_told_why_and_it_is_gone_on_with(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    failed = room.run
    room.end(failed, RunState.FAILED)
    room.answer(ts, 2)
    english, chinese = more(room, ts, 2, ("bob", "why did it fail?"), ("chen", "怎么回事？"))
    assert f"{failed.name} failed" in english
    assert f"`resume {failed.name}`" in english
    assert f"{failed.name} 失败" in chinese
    more(room, ts, 1, ("bob", "resume"))
    assert room.run.spec.resumes == failed.id


# answers


def test_an_answer_to_what_the_bot_asked_counts_from_who_was_asked(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod on hellaswag")
    assert "A few first" in shown(room.answer(ts))
    more(room, ts, 0, ("bob", "yes"), ("chen", "好的"), ("bob", "1"), ("ann", "hm, let me think"), ("bob", "do it"))
    assert not room.runs
    assert not room.whispers("bob")
    more(room, ts, 1, ("ann", "yes"))
    assert [run.user for run in room.runs] == [f"slack:{room.slack.user('ann')}"]


def test_in_chinese_an_answer_counts_from_who_was_asked(room: Room) -> None:
    ts = room.ask("chen", "用 prod 评测 gsm8k")
    more(room, ts, 0, ("bob", "可以"), ("bob", "1"), ("chen", "我想想"))
    assert not room.whispers("bob")
    (status,) = more(room, ts, 1, ("chen", "可以"))
    assert "用 gsm8k 评测 prod" in status


def test_what_a_request_lacks_is_said_by_who_asked_and_talk_between_leaves_it_open(room: Room) -> None:
    ts = room.ask("ann", "evaluate prod, 20 samples")
    assert "On which benchmark?" in shown(room.answer(ts))
    more(room, ts, 0, ("bob", "gsm8k"), ("ann", "I like gsm8k best"), ("bob", "mmlu!"), ("ann", "hm, wait"))
    more(room, ts, 1, ("ann", "gsm8k"))
    assert [run.spec.covers for run in room.runs] == [("gsm8k",)]


# mentions


def test_a_mention_in_the_thread_is_always_meant(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    name = room.run.name
    for text in ("can you tell me how it is going?", "could you please show me the logs of this", "tell us a joke"):
        more(room, ts, 0, ("bob", text))
        room.ask("bob", text, ts)
    said = [shown(message) for message in room.thread(ts)[1:]]
    assert [f"{name}: evaluating" in said[0], f"{name} has no log" in said[1], "nothing I do" in said[2]] == [
        True, True, True,
    ]  # fmt: skip
    more(room, ts, 0, ("ann", "can you cancel this please, I was wrong"))
    room.ask("ann", "can you cancel this please, I was wrong", ts)
    assert room.run.state is RunState.CANCELLED


# several runs


def test_in_the_thread_of_several_runs_a_command_is_about_all_of_them_or_names_one(room: Room) -> None:
    ts = room.ask("ann", PAIR)
    one, two = (run.name for run in room.runs)
    more(room, ts, 0, ("bob", "logs"), ("bob", "rerun with 200"), ("bob", "cancel"), ("chen", f"取消 {one}"))
    assert f"{one}, {two}" in room.whispers("bob")[0]
    assert one in room.whispers("chen")[0]
    why, logs, status = more(room, ts, 3, ("bob", "why?"), ("bob", f"logs of {two}"), ("chen", "状态"))
    assert f"{one} has not begun" in why
    assert f"{two} has not begun" in why
    assert f"{two} has no log yet" in logs
    assert f"共 2 个任务：{one}, {two}" in status
    (table,) = tables(room.thread(ts)[-1])
    assert [row[0] for row in table[1:]] == [one, two]
    more(room, ts, 1, ("ann", f"cancel {one}"))
    assert [run.state for run in room.runs] == [RunState.CANCELLED, RunState.WAITING]
    room.say("ann", "取消", ts)
    assert [run.state for run in room.runs] == [RunState.CANCELLED] * 2


def test_where_one_of_several_is_meant_a_mention_is_asked_which_and_the_name_alone_is_the_answer(room: Room) -> None:
    ts = room.ask("ann", PAIR)
    one, two = (run.name for run in room.runs)
    room.ask("bob", "logs", ts)
    assert f"This conversation is about {one}, {two}. Which one do you mean?" in shown(room.thread(ts)[-1])
    more(room, ts, 0, ("ann", two))
    (logs,) = more(room, ts, 1, ("bob", two))
    assert f"{two} has no log yet" in logs
