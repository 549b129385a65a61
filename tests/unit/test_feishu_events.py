"""Feishu's events as the SDK reads them → what we hear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.feishu.events import as_edit, as_recall, edited_at, menu_heard, message_heard
from bot.feishu.hearing import Dispatcher

BOT, ANN = "ou_bot", "ou_ann"
AT_BOT = {"key": "@_user_1", "id": {"open_id": BOT}, "name": "Scopebot"}
AT_WANG = {"key": "@_user_2", "id": {"open_id": "ou_wang"}, "name": "小王"}


def event(kind: str, said: dict[str, Any]) -> Any:
    """Return an event as the SDK reads it off the long connection."""
    header = {"event_id": "e1", "event_type": kind, "create_time": "1700000000000", "token": "", "app_id": "cli_1"}
    payload = {"schema": "2.0", "header": header, "event": said}
    heard = Dispatcher().read(json.dumps(payload).encode())
    assert heard is not None
    assert heard.kind == kind
    return heard.event


def message(content: Any, *, kind: str = "text", mentions: Any = (), sender: str = "user", **fields: Any) -> Any:
    """Return that somebody wrote something, in a group unless told otherwise."""
    said = {
        "message_id": "om_1", "chat_id": "oc_1", "chat_type": "group", "message_type": kind,
        "create_time": "1700000000000", "update_time": "1700000000000",
        "content": json.dumps(content) if isinstance(content, dict) else content, "mentions": list(mentions),
    } | fields  # fmt: skip
    return event("im.message.receive_v1", {
        "sender": {"sender_id": {"open_id": ANN}, "sender_type": sender}, "message": said,
    })  # fmt: skip


def test_a_mention_in_a_group_is_said_to_us_without_our_name_in_it() -> None:
    said = message_heard(message({"text": "@_user_1 用 mock 评测 gsm8k"}, mentions=[AT_BOT]), BOT)
    assert said is not None
    assert (said.id, said.user, said.text) == ("feishu:om_1", "feishu:ou_ann", "用 mock 评测 gsm8k")
    assert (said.place.channel, said.place.thread) == ("oc_1", "om_1")
    assert said.addressed
    assert not said.direct


def test_others_who_are_mentioned_keep_their_name_and_the_tenth_is_not_the_first() -> None:
    tenth = AT_WANG | {"key": "@_user_10", "name": "Ten"}
    said = message_heard(
        message({"text": "@_user_1 ask @_user_2 and @_user_10"}, mentions=[AT_BOT, AT_WANG, tenth]), BOT
    )
    assert said is not None
    assert said.text == "ask @小王 and @Ten"


def test_what_people_say_in_a_thread_is_heard_and_is_not_said_to_us() -> None:
    said = message_heard(message({"text": "取消"}, message_id="om_2", root_id="om_1", thread_id="omt_1"), BOT)
    assert said is not None
    assert not said.addressed
    assert said.place.thread == "om_1"


def test_what_is_written_to_us_alone_is_said_to_us_in_a_place_known_by_the_person() -> None:
    said = message_heard(message({"text": "帮助"}, chat_type="p2p", chat_id="oc_p2p"), BOT)
    assert said is not None
    assert said.addressed
    assert said.direct
    assert said.place.channel == "@ou_ann"


@pytest.mark.parametrize(
    "unheard",
    [
        {"content": {"text": "hello all"}},
        {"content": {"text": "@_user_2 hi"}, "mentions": [AT_WANG]},
        {"content": {"text": "@_user_1 eval"}, "mentions": [AT_BOT], "sender": "app"},
        {"content": {"text": "@_user_1"}, "mentions": [AT_BOT]},
        {"content": {"image_key": "img_1"}, "kind": "image", "chat_type": "p2p"},
        {"content": "no json", "chat_type": "p2p"},
        {"content": "[1]", "chat_type": "p2p"},
    ],
    ids=["people among themselves", "another person", "another bot", "nothing", "a picture", "no content", "a list"],
)
def test_what_is_not_for_us_is_not_heard(unheard: dict[str, Any]) -> None:
    assert message_heard(message(unheard.pop("content"), **unheard), BOT) is None


def test_a_rich_message_is_heard_as_its_text_with_where_its_links_lead() -> None:
    content = {
        "title": "请跑一下",
        "content": [
            [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": " evaluate prod at "}],
            [{"tag": "a", "href": "http://10.0.0.5/v1", "text": "here"}, {"tag": "img", "image_key": "img_1"}],
        ],
    }
    said = message_heard(message(content, kind="post", mentions=[AT_BOT]), BOT)
    assert said is not None
    assert said.text.split() == ["请跑一下", "evaluate", "prod", "at", "http://10.0.0.5/v1"]


def test_a_message_that_was_edited_says_when_and_one_that_was_not_does_not() -> None:
    assert edited_at(message({"text": "x"})) == ""
    assert edited_at(message({"text": "x"}, update_time="1700000009000")) == "1700000009000"


def test_an_edit_and_a_recall_are_about_the_message_they_change() -> None:
    said = message_heard(message({"text": "@_user_1 eval"}, mentions=[AT_BOT]), BOT)
    assert said is not None
    edit, recall = as_edit(said, "17"), as_recall(said)
    assert (edit.kind, edit.about, edit.text) == ("edited", said.id, "eval")
    assert (recall.kind, recall.about, recall.text) == ("deleted", said.id, "")
    assert len({said.id, edit.id, recall.id}) == 3


@pytest.mark.parametrize("key", ["status", "scopebot:status"])
def test_a_menu_asks_for_what_its_key_names(key: str) -> None:
    pressed = {"operator": {"operator_id": {"open_id": ANN}}, "event_key": key, "timestamp": 1}
    said = menu_heard(event("application.bot.menu_v6", pressed))
    assert said is not None
    assert (said.text, said.place.channel, said.place.thread) == ("/status", "@ou_ann", "")


def test_a_menu_that_names_nothing_of_ours_asks_for_nothing() -> None:
    pressed = {"operator": {"operator_id": {"open_id": ANN}}, "event_key": "holiday", "timestamp": 1}
    assert menu_heard(event("application.bot.menu_v6", pressed)) is None


def test_events_that_we_have_no_use_for_are_read_as_nothing() -> None:
    payload = {"schema": "2.0", "header": {"event_type": "im.message.message_read_v1"}, "event": {}}
    assert Dispatcher().read(json.dumps(payload).encode()) is None
