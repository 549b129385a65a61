"""What Slack delivers becomes what we hear: who said what where, and nothing that is not for us."""

from __future__ import annotations

from typing import Any

import pytest

from bot.signed import GOOD_FOR, Signer
from bot.slack.events import click_heard, command_heard, form_heard, message_heard, shortcut_heard
from handlers.incoming import Incoming, Request

BOT = "UBOT"


def event(**fields: Any) -> dict[str, Any]:
    return {"team_id": "T1", "event": {"type": "message", "user": "U1", "channel": "C1", "ts": "1.1"} | fields}


def heard(**fields: Any) -> Incoming | None:
    return message_heard(event(**fields), BOT)


def test_a_mention_is_heard_once_whichever_event_tells_of_it() -> None:
    said = heard(text="<@UBOT> evaluate qwen-plus on gsm8k")
    assert said is not None
    assert (said.id, said.user, said.text) == ("slack:T1:C1:1.1", "slack:U1", "evaluate qwen-plus on gsm8k")
    assert (said.place.channel, said.place.thread, said.addressed) == ("T1/C1", "C1/1.1", True)
    assert message_heard(event(text="<@UBOT> evaluate qwen-plus on gsm8k", type="app_mention"), BOT) == said


def test_what_slack_keeps_for_itself_is_called_by_our_own_command() -> None:
    said = heard(text="<@UBOT> help")
    assert said is not None
    assert said.calls == {"status": "/scopebot status", "help": "/scopebot help"}


def test_a_reply_in_a_thread_is_heard_there_and_known_not_to_be_said_to_us() -> None:
    said = heard(text="cancel", thread_ts="0.5", ts="1.2")
    assert said is not None
    assert (said.place.thread, said.addressed) == ("C1/0.5", False)


def test_a_direct_message_is_said_to_us_and_belongs_to_the_person() -> None:
    said = heard(text="help", channel="D9", channel_type="im")
    assert said is not None
    assert (said.place.channel, said.place.thread, said.addressed, said.direct) == ("T1/@U1", "D9/1.1", True, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "what a day"},
        {"text": "what a day", "thread_ts": "1.1"},
        {"text": "<@UOTHER> hello"},
        {"text": "<@UBOT> hi", "bot_id": "B1"},
        {"text": "<@UBOT> hi", "subtype": "bot_message"},
        {"text": "<@UBOT> has joined", "subtype": "channel_join"},
        {"text": "<@UBOT>"},
        {"text": "", "thread_ts": "0.5"},
        {"text": "<@UBOT> hi", "user": None},
    ],
)
def test_what_is_not_said_to_us_is_not_heard(fields: dict[str, Any]) -> None:
    assert heard(**fields) is None


def test_an_edited_message_is_heard_as_one_that_was_edited() -> None:
    before = {"user": "U1", "text": "<@UBOT> evaluate qwen on gsm8", "ts": "1.1"}
    now = before | {"text": "<@UBOT> evaluate qwen on gsm8k", "edited": {"user": "U1", "ts": "2.0"}}
    said = heard(subtype="message_changed", message=now, previous_message=before, ts="2.0", hidden=True)
    assert said is not None
    assert (said.kind, said.about, said.text) == ("edited", "slack:T1:C1:1.1", "evaluate qwen on gsm8k")
    assert said.id == "slack:T1:C1:1.1:edited:2.0"
    assert said.place.thread == "C1/1.1"


def test_a_mention_that_is_edited_away_is_still_heard() -> None:
    before = {"user": "U1", "text": "<@UBOT> evaluate qwen on gsm8k", "ts": "1.1"}
    said = heard(subtype="message_changed", message=before | {"text": "never mind"}, previous_message=before)
    assert said is not None
    assert (said.kind, said.text) == ("edited", "never mind")


def test_a_link_that_unfolds_in_a_message_is_no_edit() -> None:
    message = {"user": "U1", "text": "<@UBOT> see http://x", "ts": "1.1"}
    assert heard(subtype="message_changed", message=message | {"attachments": [{}]}, previous_message=message) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"subtype": "message_deleted", "deleted_ts": "1.1"},
        {"subtype": "message_changed", "message": {"subtype": "tombstone", "ts": "1.1"}},
    ],
)
def test_a_deleted_message_is_heard_also_where_its_thread_stays(fields: dict[str, Any]) -> None:
    before = {"user": "U1", "text": "<@UBOT> evaluate qwen on gsm8k", "ts": "1.1"}
    said = heard(previous_message=before, **fields)
    assert said is not None
    assert (said.kind, said.about) == ("deleted", "slack:T1:C1:1.1")


def test_a_deleted_post_of_a_bot_is_not_heard() -> None:
    before = {"user": BOT, "bot_id": "B1", "text": "x", "ts": "1.1"}
    assert heard(subtype="message_deleted", deleted_ts="1.1", previous_message=before) is None


COMMAND = {
    "team_id": "T1", "user_id": "U1", "channel_id": "C1", "command": "/eval", "text": " qwen-plus gsm8k ",
    "trigger_id": "9.8.7", "response_url": "https://hooks/1",
}  # fmt: skip


def test_a_command_is_heard_as_it_was_typed_and_opens_a_thread_of_its_own() -> None:
    said = command_heard(COMMAND)
    assert said.text == "/eval qwen-plus gsm8k"
    assert said.place.unopened
    assert said.place.channel == "T1/C1"
    assert (said.unseen, said.reply_url) == (True, "https://hooks/1")
    assert command_heard(COMMAND).id == said.id
    assert command_heard(COMMAND | {"trigger_id": "9.8.8"}).id != said.id


def test_a_command_in_a_conversation_of_two_people_is_answered_to_who_gave_it() -> None:
    assert command_heard(COMMAND | {"channel_id": "D7"}).place.channel == "T1/@U1"


def click(value: str, **fields: Any) -> dict[str, Any]:
    return {
        "team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "1.2.3", "response_url": "https://hooks/2",
        "channel": {"id": "C1"}, "container": {"type": "message", "message_ts": "5.0", "channel_id": "C1"},
        "message": {"ts": "5.0", "thread_ts": "4.0"},
        "actions": [{"type": "button", "action_id": "b0", "value": value}],
    } | fields  # fmt: skip


def test_a_click_says_which_button_of_which_post_was_pressed_where() -> None:
    signer = Signer("secret")
    said = click_heard(click(signer.value("do:rerun:r1", post="result:g1", team="T1")), signer)
    assert said is not None
    assert (said.button, said.post, said.place.thread) == ("do:rerun:r1", "result:g1", "C1/4.0")


def test_a_button_is_good_only_as_it_was_signed_in_its_workspace_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer("secret")
    value = signer.value("do:cancel:r1", post="p", team="T1")
    assert signer.read(value, team="T1") == ("do:cancel:r1", "p")
    assert signer.read(value, team="T2").button == "invalid"
    assert signer.read(value[:-2] + "xx", team="T1").button == "invalid"
    assert signer.read("do:cancel:r1", team="T1").button == "invalid"
    assert Signer("other").read(value, team="T1").button == "invalid"
    import time

    later = time.time() + GOOD_FOR + 10
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert signer.read(value, team="T1").button == "expired"


def test_an_unsigned_click_is_heard_as_an_invalid_one_and_a_link_not_at_all() -> None:
    signer = Signer("secret")
    said = click_heard(click("do:cancel:r1"), signer)
    assert said is not None
    assert said.button == "invalid"
    assert click_heard(click("x", actions=[{"type": "static_select"}]), signer) is None


def test_a_click_at_home_is_answered_to_the_person() -> None:
    signer = Signer("secret")
    body = click(
        signer.value("do:status", post="home", team="T1"), channel=None, container={"type": "view"}, message={}
    )
    said = click_heard(body, signer)
    assert said is not None
    assert said.place.channel == "T1/@U1"
    assert said.place.unopened


def test_a_form_is_heard_once_however_often_it_is_submitted() -> None:
    body = {"team": {"id": "T1"}, "user": {"id": "U1"}, "view": {"id": "V1"}}
    request = Request(intent="eval", args={"model": "prod", "datasets": ["gsm8k", "mmlu"], "limit": 10})
    said = form_heard(body, request, "C1")
    assert said.request == request
    assert said.text == "/eval model=prod datasets=gsm8k,mmlu limit=10"
    assert said.id == form_heard(body, request, "C1").id
    assert form_heard(body, request, "").place.channel == "T1/@U1"


def test_a_shortcut_on_a_message_means_the_run_of_its_thread() -> None:
    body = {
        "team": {"id": "T1"}, "user": {"id": "U1"}, "channel": {"id": "C1"}, "trigger_id": "1.2",
        "message": {"ts": "5.0", "thread_ts": "4.0"},
    }  # fmt: skip
    said = shortcut_heard(body, "rerun")
    assert said.place.thread == "C1/4.0"
    assert said.request == Request(intent="rerun")
