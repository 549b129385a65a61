"""Forms: what opens one, what may be looked up and typed there, what becomes of it, and runs that are run again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql
from support.bot_process import CONFIG
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Json, Room, buttons, shown

from bot.settings import BotSettings
from bot.slack.manifest import manifest

pytestmark = pytest.mark.slow
AT_ONCE = 1.0
"""Seconds within which a form is open; Slack gives it three."""
REGISTERED = """\
[datasets.faq]
benchmark = "general_qa"
local_path = "/data/faq"
"""
GOOD = {"model": "prod", "datasets": ["gsm8k"], "limit": "20"}


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        slack.use_manifest(manifest(BotSettings(public_url=None)))
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    folder: Path = tmp_path_factory.mktemp("bot")
    with SlackBot(folder, slack, config=CONFIG + REGISTERED) as bot:
        yield bot


@pytest.fixture
def room(slack: Slack, bot: SlackBot) -> Iterator[Room]:
    slack.forget()
    yield Room(bot)
    slack.duplicate(1, kinds=["events_api", "slash_commands", "interactive"])
    slack.configure(trigger_life=3.0)
    assert not slack.violations()


@pytest.fixture
def user(slack: Slack) -> str:
    """Somebody with no form open and nothing in their direct messages."""
    name = f"user{len(slack.about()['teams']['T1']['users'])}"
    slack.add_user(name)
    return name


def opened(room: Room, user: str) -> Json:
    """Return the form that was just opened."""
    found: Json = room.until(lambda: room.slack.views(user), "a form")[-1]
    return found


def form(room: Room, user: str = "ann", name: str = "/eval", text: str = "") -> Json:
    """Open a form by a command in the channel, and look everything up that the tests choose."""
    room.slack.join(user, room.channel)
    room.slack.ack(room.slack.command(user, room.channel, name, text))
    view = opened(room, user)
    if any(block.get("block_id") == "datasets" for block in view["blocks"]):
        room.slack.options(user, view["id"], "benchmarks", "")
    return view


def offered(room: Room, view: Json, typed: str, user: str = "ann") -> list[str]:
    return [option["value"] for option in room.slack.options(user, view["id"], "benchmarks", typed)]


def quiet(room: Room) -> None:
    """Wait until all is heard and said, in other places than the room as well."""
    room.settle()
    query = sql("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')")

    def nothing_due() -> bool:
        with room.bot.engine.connect() as connection:
            return not connection.execute(query).scalar_one()

    room.until(nothing_due, "all that is due")


def send(room: Room, user: str, view: Json, values: dict[str, Any]) -> Json:
    sent = room.slack.submit(user, view["id"], values)
    assert not sent["problem"]
    quiet(room)
    return sent


# what opens one


@pytest.mark.parametrize(
    ("user", "name", "text", "title"),
    [
        ("ann", "/eval", "", "New evaluation"),
        ("ann", "/perf", "", "New stress test"),
        ("ann", "/scopebot", "eval", "New evaluation"),
        ("ann", "/scopebot", "perf", "New stress test"),
        ("ann", "/scopebot", "评测", "新建评测"),
        ("chen", "/eval", "", "新建评测"),
    ],
)
def test_a_command_that_says_nothing_opens_a_form_at_once(
    room: Room, user: str, name: str, text: str, title: str
) -> None:
    ack = room.slack.ack(room.slack.command(user, room.channel, name, text))
    view = opened(room, user)
    assert view["title"]["text"] == title
    (call,) = room.slack.calls("views.open")
    assert call["at"] + call["took"] - ack["sent_at"] < AT_ONCE
    assert ack["answer"] is None
    assert not room.posts()
    room.slack.close_view(user, view["id"])


@pytest.mark.parametrize("same_envelope", [True, False], ids=["one envelope", "two envelopes"])
def test_a_command_that_is_delivered_twice_opens_one_form_and_complains_of_nothing(
    room: Room, user: str, *, same_envelope: bool
) -> None:
    room.slack.join(user, room.channel)
    room.slack.duplicate(2, same_envelope=same_envelope)
    room.slack.command(user, room.channel, "/eval")
    opened(room, user)
    room.until(lambda: sum(bool(one["acked_at"]) for one in room.slack.deliveries("slash_commands")) == 2, "both")
    room.settle()
    assert len(room.slack.calls("views.open")) == 1
    assert not room.whispers(user)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("/eval", "", "`/eval MODEL gsm8k limit=100`"),
        ("/perf", "", "`/perf MODEL parallel=1,2,4`"),
        ("/scopebot", "perf", "`/scopebot perf MODEL parallel=1,2,4`"),
        ("/scopebot", "评测", "`/scopebot 评测 模型 gsm8k limit=100`"),
    ],
)
def test_who_gets_no_form_in_time_is_told_what_to_type(room: Room, user: str, name: str, text: str, said: str) -> None:
    slack = room.slack
    slack.join(user, room.channel)
    slack.configure(trigger_life=0.0)
    slack.command(user, room.channel, name, text)
    (told,) = room.until(lambda: slack.ephemerals(user, room.channel), "an answer")
    assert said in shown(told)
    assert told["source"] == "response_url"
    assert [one["kind"] for one in slack.violations()] == ["expired_trigger_id"]
    slack.forget()


def test_who_gets_no_form_by_a_shortcut_is_told_directly(room: Room, user: str) -> None:
    slack = room.slack
    slack.configure(trigger_life=0.0)
    slack.shortcut(user, "new_evaluation")
    (told,) = room.until(lambda: slack.messages(slack.dm_channel(user)), "an answer")
    assert "`/eval MODEL gsm8k limit=100`" in shown(told)
    slack.forget()


def test_a_failure_of_slacks_is_told_too(room: Room, user: str) -> None:
    slack = room.slack
    slack.join(user, room.channel)
    slack.fail("views.open", 503)
    slack.command(user, room.channel, "/eval")
    room.until(lambda: slack.ephemerals(user, room.channel), "an answer")


# what is looked up


def test_benchmarks_are_found_by_name_subject_and_word_in_both_languages(room: Room) -> None:
    view = form(room)
    assert offered(room, view, "gsm")[0] == "gsm8k"
    assert offered(room, view, "MMLU-Pro")[0] == "mmlu_pro"
    assert offered(room, view, "coding")[0] == "humaneval"
    assert "gsm8k" in offered(room, view, "数学")
    assert "humaneval" in offered(room, view, "代码")
    assert "ceval" in offered(room, view, "中文")
    assert offered(room, view, "faq")[0] == "faq"
    before_typing = offered(room, view, "")
    assert before_typing[0] == "faq"
    assert {"general", "sample", "gsm8k"} <= set(before_typing)
    assert len(before_typing) == 100
    assert len(offered(room, view, "x" * 300)) <= 5


# what is typed


def test_more_settings_keep_what_was_typed(room: Room, user: str) -> None:
    slack, view = room.slack, form(room, user)
    typed = {"model": "another: typed below", "other_model": "tiny", "datasets": ["gsm8k", "faq"], "limit": "lots"}
    assert set(send(room, user, view, typed)["errors"]) == {"limit", "api_url"}
    slack.ack(slack.click(user, view["id"], "more_settings"))
    room.until(lambda: "temperature" in str(slack.views(user)), "more settings")
    (view,) = slack.views(user)
    fields = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    assert fields["other_model"]["initial_value"] == "tiny"
    assert fields["limit"]["initial_value"] == "lots"
    assert [option["value"] for option in fields["datasets"]["initial_options"]] == ["gsm8k", "faq"]
    assert fields["model"]["initial_option"]["value"] == typed["model"]
    assert {"few_shot_num", "temperature", "max_tokens", "repeats", "seed", "eval_batch_size"} < set(fields)


def test_all_that_is_wrong_is_told_at_once_at_its_field(room: Room, user: str) -> None:
    view = form(room, user)
    sent = send(room, user, view, GOOD | {"other_model": "tiny", "limit": "lots", "api_url": "there"})
    assert sent["errors"] == {
        "other_model": "A model is chosen above. Leave this empty, or choose “another model” there.",
        "api_url": "It has to be an http(s) address such as https://host/v1, without a user name in it.",
        "limit": "A whole number such as 100, or a share such as 10%.",
    }
    assert sent["open"] == [view["id"]]
    sent = send(room, user, view, {"other_model": None, "api_url": None, "limit": "20"})
    assert (sent["errors"], sent["open"]) == ({}, [])
    assert len(room.runs) == 1


def test_it_is_told_in_the_persons_language_with_numbers_as_people_write_them(room: Room) -> None:
    view = form(room, "chen", "/perf")
    sent = send(room, "chen", view, {"model": "prod", "parallel": "0", "number": "1, x"})
    assert sent["errors"] == {
        "parallel": "请填写 1 到 4,096 之间的整数，例如 1, 2, 4。",
        "number": "请填写 1 到 1,000,000 之间的整数，例如 1, 2, 4。",
    }
    room.slack.close_view("chen", view["id"])


# what becomes of it


def test_what_was_filled_in_is_what_runs(room: Room, user: str) -> None:
    slack, view = room.slack, form(room, user)
    slack.ack(slack.click(user, view["id"], "more_settings"))
    room.until(lambda: "temperature" in str(slack.views(user)), "more settings")
    values = GOOD | {"temperature": "0.5", "max_tokens": "256", "few_shot_num": "0", "repeats": "2", "seed": "7"}
    sent = send(room, user, view, values | {"eval_batch_size": "4"})
    assert (sent["answer"], sent["open"]) == ({}, [])
    root, status = room.posts()
    assert shown(root).startswith(f"<@{slack.user(user)}> `/eval ")
    assert status["thread_ts"] == root["ts"]
    spec = room.run.spec.model_dump()
    assert spec["model"]["name"] == "prod"
    assert [dataset["name"] for dataset in spec["datasets"]] == ["gsm8k"]
    assert (spec["limit"], spec["repeats"], spec["seed"], spec["eval_batch_size"]) == (20, 2, 7, 4)
    assert (spec["generation_config"]["temperature"], spec["generation_config"]["max_tokens"]) == (0.5, 256)
    assert spec["datasets"][0]["args"]["few_shot_num"] == 0
    # what the channel was shown can be typed, and means the same
    typed = re.fullmatch(r"<@\w+> `/eval (.*)`", shown(root))
    assert typed is not None
    slack.command(user, room.channel, "/eval", typed[1])
    room.settle()
    assert [run.spec.model_dump() | {"first_look": ()} for run in room.runs] == [spec | {"first_look": ()}] * 2


def test_a_stress_test_is_filled_in_too(room: Room, user: str) -> None:
    view = form(room, user, "/perf")
    send(room, user, view, {"model": "prod", "parallel": "1, 2", "number": "10", "max_tokens": "50"})
    spec = room.run.spec.model_dump()
    assert (spec["kind"], spec["parallel"], spec["number"], spec["max_tokens"]) == ("perf", (1, 2), (10, 10), (50,))


def test_a_form_that_is_sent_off_twice_begins_one_run(room: Room, user: str) -> None:
    view = form(room, user)
    room.slack.duplicate(3, kinds=["interactive"])
    send(room, user, view, GOOD)
    room.until(lambda: len(room.posts()) == 2, "the request and its status message")
    room.settle()
    assert [len(room.runs), len(room.posts())] == [1, 2]
    assert not room.whispers(user)


def test_a_limit_that_counts_for_each_subset_is_asked_about(room: Room, user: str) -> None:
    view = form(room, user)
    room.slack.options(user, view["id"], "benchmarks", "mmlu")
    send(room, user, view, GOOD | {"datasets": ["mmlu"], "limit": "100"})
    _, question = room.posts()
    assert "57 subsets" in shown(question)
    assert [label.partition(":")[0] for label in buttons(question)][1:] == ["100 per subset", "Cancel"]
    room.press(user, question, "About 100 in all")
    assert room.run.spec.model_dump()["limit"] == 2


# shortcuts


@pytest.mark.parametrize("where", ["a channel", "nowhere", "a private channel without the bot"])
def test_the_shortcut_asks_where_to_post(room: Room, user: str, where: str) -> None:
    slack = room.slack
    slack.join(user, room.channel)
    mine = slack.dm_channel(user)
    private = slack.add_channel(f"private-{user}", "group", [user], bot=False)
    slack.shortcut(user, "new_evaluation")
    view = opened(room, user)
    slack.options(user, view["id"], "benchmarks", "")
    chosen = {"a channel": room.channel, "nowhere": None}.get(where, private)
    send(room, user, view, GOOD | {"where_to_post": chosen})
    root, status = slack.messages(room.channel if where == "a channel" else mine)
    assert "`/eval model=prod" in shown(root)
    assert status["thread_ts"] == root["ts"]
    assert ("I cannot post where you asked" in shown(root)) == (chosen == private)
    assert not slack.messages(private)


def test_a_run_is_run_again_from_any_message_about_it(room: Room) -> None:
    slack = room.slack
    ts = room.ask("ann", "evaluate prod on gsm8k, 20 samples")
    room.end(room.run)
    result = room.answer(ts, 2)
    (headline,) = room.until(room.headlines, "a line in the channel")
    room.ask("ann", "evaluate other on gsm8k, 30 samples", ts)
    status = room.thread(ts)[0]
    for number, message in enumerate([status, result, headline], 3):
        slack.ack(slack.message_shortcut("bob", "rerun_this", room.channel, message["ts"]))
        room.settle()
        assert len(room.runs) == number
        assert (room.run.spec.model.name, room.run.user) == ("prod", f"slack:{slack.user('bob')}")
        assert f"{room.run.name} waiting" in shown(room.thread(ts)[-1])
    assert len(room.headlines()) == 1


def test_a_run_is_run_again_from_the_request_that_led_to_it(room: Room) -> None:
    slack = room.slack
    slack.command("ann", room.channel, "/eval", "prod gsm8k limit=20")
    room.settle()
    root, _ = room.posts()
    asked = room.ask("ann", "evaluate prod on gsm8k, 30 samples")
    for ts, limit in ((root["ts"], 20), (asked, 30)):
        slack.ack(slack.message_shortcut("ann", "rerun_this", room.channel, ts))
        room.settle()
        assert room.run.spec.model_dump()["limit"] == limit
    assert len(room.runs) == 4


@pytest.mark.parametrize("bot_is_in", [True, False])
def test_of_a_message_about_no_run_one_is_told_so_alone(room: Room, *, bot_is_in: bool) -> None:
    slack = room.slack
    channel = slack.add_channel(f"chatter-{bot_is_in}".lower(), bot=bot_is_in)
    ts = slack.say("bob", channel, "lunch?")
    slack.ack(slack.message_shortcut("ann", "rerun_this", channel, ts))
    quiet(room)
    (told,) = slack.ephemerals("ann", channel)
    assert "Which run?" in shown(told)
    assert len(slack.messages(channel)) == 1
