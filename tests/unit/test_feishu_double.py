"""What the double of Feishu refuses, so that what passes there passes in Feishu."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from support.feishu.cards import check_card
from support.feishu.control import Feishu

Json = dict[str, Any]
CARD: Json = {
    "schema": "2.0", "config": {"update_multi": True}, "body": {"elements": [{"tag": "markdown", "content": "x"}]},
}  # fmt: skip
MESSAGES = "/open-apis/im/v1/messages"


@pytest.fixture(scope="module")
def server() -> Iterator[Feishu]:
    with Feishu() as feishu:
        yield feishu


@pytest.fixture
def feishu(server: Feishu) -> Feishu:
    server.forget()
    return server


def call(
    feishu: Feishu, method: str, path: str, body: Any = None, *, token: str | None = None
) -> tuple[int, Json, Any]:
    """Call the OpenAPI as the app; return status, answer and headers."""
    given = token if token is not None else _token(feishu)
    request = urllib.request.Request(
        f"{feishu.domain}{path}", None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {given}"}, method=method,
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def _token(feishu: Feishu) -> str:
    credentials = json.dumps({"app_id": feishu.app_id, "app_secret": feishu.app_secret}).encode()
    url = f"{feishu.domain}/open-apis/auth/v3/tenant_access_token/internal"
    with urllib.request.urlopen(urllib.request.Request(url, credentials), timeout=10) as answer:
        return str(json.load(answer)["tenant_access_token"])


def post(feishu: Feishu, chat: str, content: Any = CARD, kind: str = "interactive", uuid: str = "") -> Json:
    body = {"receive_id": chat, "msg_type": kind, "content": json.dumps(content)} | ({"uuid": uuid} if uuid else {})
    return call(feishu, "POST", f"{MESSAGES}?receive_id_type=chat_id", body)[1]


@pytest.mark.parametrize(
    ("card", "wrong"),
    [
        (CARD, ""),
        (CARD | {"elements": []}, "unknown property elements"),
        (CARD | {"schema": "1.0"}, "schema"),
        ({**CARD, "body": {"elements": [{"tag": "action", "actions": []}]}}, "no component 'action'"),
        ({**CARD, "body": {"elements": [{"tag": "markdown", "content": "x", "colour": "red"}]}}, "unknown property"),
        ({**CARD, "body": {"elements": [{"tag": "markdown", "content": "x" * 31_000}]}}, "30 KB"),
        ({**CARD, "body": {"elements": [{"tag": "hr"}] * 201}}, "201 components"),
        ({**CARD, "body": {"elements": [{"tag": "markdown", "content": "<at id=all>"}]}}, "is not closed"),
        ({**CARD, "body": {"elements": [{"tag": "markdown", "content": "<at id=x></at>"}]}}, "markup"),
        ({**CARD, "body": {"elements": [{"tag": "form", "name": "f", "elements": [{"tag": "hr"}]}]}}, "no button"),
        ({**CARD, "config": {"update_multi": False}}, "update_multi"),
    ],
)  # fmt: skip
def test_a_card_is_held_to_what_feishu_takes(card: Json, wrong: str) -> None:
    problems = check_card(card)
    assert (wrong in "; ".join(problems)) if wrong else not problems


def table(rows: int = 1, **more: Any) -> Json:
    columns = [{"name": "a", "display_name": "A", "data_type": "text"}]
    return {"tag": "table", "columns": columns, "rows": [{"a": "1"}] * rows} | more


@pytest.mark.parametrize(
    ("element", "wrong"),
    [
        (table(), ""), (table(page_size=11), "page_size"), (table(rows=1, rows_=1), "unknown property"),
        (table() | {"rows": [{"b": "1"}]}, "no column b"), (table() | {"rows": [{"a": 1}]}, "is no text"),
        ({"tag": "collapsible_panel", "header": {"title": {"tag": "plain_text", "content": "t"}},
          "elements": [table()]}, "only at the root"),
        ({"tag": "button", "text": {"tag": "plain_text", "content": "b"},
          "behaviors": [{"type": "callback", "value": "x"}]}, "is an object"),
        ({"tag": "chart", "chart_spec": {"type": "bar"}}, "no values"),
        ({"tag": "multi_select_static", "options": []}, "only in a form"),
    ],
)  # fmt: skip
def test_a_component_is_held_to_what_feishu_takes(element: Json, wrong: str) -> None:
    problems = check_card({**CARD, "body": {"elements": [element]}})
    assert (wrong in "; ".join(problems)) if wrong else not problems


def test_six_tables_are_too_many() -> None:
    assert check_card({**CARD, "body": {"elements": [table()] * 5}}) == []
    assert check_card({**CARD, "body": {"elements": [table()] * 6}}) == ["card: more than 5 of table"]


def test_a_message_under_the_same_uuid_is_made_once_within_an_hour(feishu: Feishu) -> None:
    chat = feishu.add_chat("uuid")
    first, again = post(feishu, chat, uuid="u1"), post(feishu, chat, uuid="u1")
    assert first["data"]["message_id"] == again["data"]["message_id"]
    assert len(feishu.ours(chat)) == 1
    feishu.configure(uuid_life=0.0)
    assert post(feishu, chat, uuid="u1")["data"]["message_id"] != first["data"]["message_id"]
    feishu.configure(uuid_life=3600.0)
    assert not feishu.violations()
    assert post(feishu, chat, uuid="u" * 51)["code"] == 230001


def test_a_message_without_a_uuid_counts_against_the_bot(feishu: Feishu) -> None:
    assert post(feishu, feishu.add_chat("bare"))["code"] == 0
    assert feishu.violations() == ["a message without a uuid"]


def test_the_sixth_message_in_a_second_is_one_too_many_and_says_when_to_come_back(feishu: Feishu) -> None:
    chat = feishu.add_chat("busy")
    codes = [post(feishu, chat, uuid=f"busy{n}")["code"] for n in range(6)]
    assert codes == [0] * 5 + [99991400]
    body = {"receive_id": chat, "msg_type": "interactive", "content": json.dumps(CARD), "uuid": "busy7"}
    status, _, headers = call(feishu, "POST", f"{MESSAGES}?receive_id_type=chat_id", body)
    assert (status, headers["x-ogw-ratelimit-reset"]) == (429, "1")
    assert len(feishu.violations()) == 2


def test_a_token_that_ended_is_refused(feishu: Feishu) -> None:
    token = _token(feishu)
    assert _token(feishu) == token, "the same one while most of it is left"
    feishu.expire_tokens()
    assert call(feishu, "GET", "/open-apis/bot/v3/info", token=token)[:2] == (
        400, {"code": 99991663, "msg": "Invalid access token for authorization."},
    )  # fmt: skip
    assert _token(feishu) != token


def test_what_a_scope_is_missing_for_is_refused_and_named(feishu: Feishu) -> None:
    chat = feishu.add_chat("scopes")
    post(feishu, chat, uuid="s1")
    feishu.scopes(remove=["im:message.group_msg"])
    refused = call(feishu, "GET", f"{MESSAGES}?container_id_type=chat&container_id={chat}")[1]
    feishu.scopes(grant=["im:message.group_msg"])
    assert refused["code"] == 230027
    listed = call(feishu, "GET", f"{MESSAGES}?container_id_type=chat&container_id={chat}")[1]
    (item,) = listed["data"]["items"]
    assert json.loads(item["body"]["content"]) == {"title": None, "elements": [[{"tag": "text", "text": "x"}]]}


def test_only_what_feishu_knows_is_called(feishu: Feishu) -> None:
    assert call(feishu, "GET", "/open-apis/im/v1/nothing")[0] == 404
    assert feishu.violations() == ["GET /open-apis/im/v1/nothing: no such method"]
