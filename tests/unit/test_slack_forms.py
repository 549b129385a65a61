"""Forms as Slack's modals: within Slack's limits, nothing typed is lost, errors stand where Slack takes them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.slack.blocks import check_view
from support.slack.elements import ELEMENTS
from support.slack.schema import Report

from bot.services import make_vocabulary
from bot.slack.forms import (
    BENCHMARKS,
    MORE,
    ON,
    WHERE,
    errors_response,
    is_expanded,
    modal,
    options_response,
    values_of,
    where_of,
)
from handlers.form_options import benchmark_options
from handlers.form_reading import read
from handlers.forms import ANOTHER, MOCK, Field, Form, Value, form_for
from handlers.incoming import Language, Request
from handlers.texts import Texts
from jobs.catalog import snapshot
from jobs.config import Config

CONFIG = Config.model_validate({
    "models": {
        "prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5:8000/v1", "tokenizer_path": "Qwen/x"},
        "small": {"model": "small", "api_url": "http://10.0.0.6/v1"},
    },
    "keys": {"open": {"env": "O", "hosts": ["api.example.com"]}},
    "datasets": {"faq": {"benchmark": "general_qa", "local_path": "/data/faq"}},
    "defaults": {"model": "prod"},
})  # fmt: skip
VOCABULARY = make_vocabulary(snapshot(), CONFIG)
EN, ZH = Texts("en"), Texts("zh")


def form(intent: str, texts: Texts = EN, config: Config = CONFIG) -> Form:
    made = form_for(intent, texts, config, make_vocabulary(snapshot(), config))
    assert made is not None
    return made


def shown(made: Form, texts: Texts = EN, **more: Any) -> dict[str, Any]:
    return modal(made, callback_id="form", private_metadata='{"intent": "eval"}', texts=texts, **more)


def problems(view: dict[str, Any]) -> list[str]:
    report = Report(surface="modal")
    check_view(view, report)
    return report.problems


def blocks(view: dict[str, Any]) -> dict[str, Any]:
    return {block["block_id"]: block for block in view["blocks"] if "block_id" in block}


def element(view: dict[str, Any], key: str) -> dict[str, Any]:
    return dict(blocks(view)[key]["element"])


def filled(view: dict[str, Any], typed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the view as Slack hands it back: what each input holds, as it was shown or as it was typed."""
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        made, said = block["element"], (typed or {}).get(block["block_id"])
        kind = made["type"]
        if kind in {"plain_text_input", "number_input"}:
            inner = {"value": made.get("initial_value") if said is None else said or None}
        elif kind == "static_select":
            option = next((o for o in made["options"] if o["value"] == said), made.get("initial_option"))
            inner = {"selected_option": option}
        elif kind == "multi_external_select":
            options = [{"text": {"type": "plain_text", "text": name.upper()}, "value": name} for name in said or ()]
            inner = {"selected_options": options or made.get("initial_options", [])}
        elif kind == "checkboxes":
            chosen = made["options"] if said else []
            inner = {"selected_options": made.get("initial_options", []) if said is None else chosen}
        else:
            inner = {"selected_conversation": said or made.get("initial_conversation")}
        state[block["block_id"]] = {made["action_id"]: {"type": kind, **inner}}
    return {**copy.deepcopy(view), "id": "V1", "hash": "1.a", "state": {"values": state}}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("ask_where", [False, True])
@pytest.mark.parametrize("intent", ["eval", "perf"])
def test_a_form_is_a_modal_that_slack_takes(
    intent: str, *, expanded: bool, ask_where: bool, language: Language
) -> None:
    texts = Texts(language)
    view = shown(form(intent, texts), texts, expanded=expanded, ask_where=ask_where)
    assert not problems(view)
    assert (view["callback_id"], view["private_metadata"]) == ("form", '{"intent": "eval"}')


def test_a_form_of_an_installation_without_models_is_one_too() -> None:
    view = shown(form("eval", config=Config()), expanded=True)
    assert not problems(view)
    assert [option["value"] for option in element(view, "model")["options"]] == [MOCK, ANOTHER]
    bare = shown(form("perf", config=Config()), expanded=True)
    assert "model" not in blocks(bare)
    assert blocks(bare)["other_model"]["optional"] is False


def test_a_hundred_models_and_more_are_cut_and_another_one_can_still_be_named() -> None:
    models = {f"m{n}": {"model": "x" * 200, "api_url": "http://h/v1"} for n in range(150)}
    models |= {"n" * 200: {"model": "m"}}
    view = shown(form("eval", config=Config.model_validate({"models": models})))
    assert not problems(view)
    options = [option["value"] for option in element(view, "model")["options"]]
    assert len(options) == 100
    assert options[-1] == ANOTHER
    assert "n" * 200 not in options


def test_each_kind_of_field_has_its_element() -> None:
    view = shown(form("perf"), expanded=True)
    kinds = {key: block["element"]["type"] for key, block in blocks(view).items() if block["type"] == "input"}
    assert kinds["model"] == kinds["dataset"] == "static_select"
    assert kinds["other_model"] == kinds["url"] == kinds["parallel"] == "plain_text_input"
    assert kinds["max_tokens"] == "number_input"
    assert kinds["stream"] == "checkboxes"
    assert element(view, "prompt")["multiline"] is True
    menu = element(shown(form("eval")), "datasets")
    assert (menu["type"], menu["action_id"], menu["min_query_length"]) == ("multi_external_select", BENCHMARKS, 0)


def test_only_what_is_needed_is_not_optional() -> None:
    optional = {key: block.get("optional") for key, block in blocks(shown(form("eval"), expanded=True)).items()}
    assert [key for key, value in optional.items() if value is False] == ["datasets"]


def test_a_number_has_the_range_of_its_field() -> None:
    view = shown(form("eval"), expanded=True)
    temperature, repeats = element(view, "temperature"), element(view, "repeats")
    assert (temperature["is_decimal_allowed"], temperature["min_value"], temperature["max_value"]) == (True, "0", "2")
    assert (repeats["is_decimal_allowed"], repeats["min_value"], repeats["max_value"]) == (False, "1", "100")
    assert element(view, "seed")["max_value"] == "4294967295"
    assert "min_value" not in element(shown(form("perf"), expanded=True), "duration")  # it has to be more than 0


# more settings


def test_rarely_needed_fields_are_shown_when_the_button_is_pressed() -> None:
    made = form("eval")
    view = shown(made)
    assert not is_expanded(view, made)
    assert blocks(view)[MORE]["elements"][0]["action_id"] == MORE
    assert "temperature" not in blocks(view)
    more = shown(made, expanded=True)
    assert is_expanded(more, made)
    assert MORE not in blocks(more)
    assert "temperature" in blocks(more)


def test_a_form_without_rarely_needed_fields_has_no_such_button() -> None:
    made = form("eval")
    few = made.model_copy(update={"fields": tuple(field for field in made.fields if not field.advanced)})
    assert MORE not in blocks(shown(few))


def test_what_was_typed_is_kept_when_more_is_shown() -> None:
    made = form("eval")
    typed = {"model": ANOTHER, "other_model": "m", "api_url": "http://h", "datasets": ["gsm8k", "faq"], "limit": "１０"}
    pressed = filled(shown(made, ask_where=True), {**typed, WHERE: "C1"})
    more = shown(made, expanded=True, values=values_of(pressed, made), ask_where=True, where=where_of(pressed))
    assert not problems(more)
    again = filled(more)
    values = values_of(again, made)
    assert {key: values[key] for key in typed} == typed
    assert where_of(again) == "C1"
    # the elements keep their names, so that Slack keeps what they hold, too
    assert all(
        block["element"]["action_id"] == blocks(more)[key]["element"]["action_id"]
        for key, block in blocks(pressed).items()
        if block["type"] == "input"
    )


def test_what_was_emptied_stays_empty_when_more_is_shown() -> None:
    made = form("perf")
    pressed = filled(shown(made, values={"parallel": "2", "number": "7"}), {"parallel": ""})
    values = values_of(pressed, made)
    assert values["parallel"] is None
    view = shown(made, values=values)
    assert "initial_value" not in element(view, "parallel")
    assert element(view, "number")["initial_value"] == "7"


@pytest.mark.parametrize("typed", ["9", "-1", "x", "1.5", "１", "", "1e1", "nan", "inf"])
def test_a_number_out_of_range_never_spoils_the_view(typed: str) -> None:
    made = form("eval")
    view = shown(made, expanded=True, values={"temperature": typed, "repeats": typed, "few_shot_num": typed})
    assert not problems(view)


# what comes back


def test_what_was_filled_in_becomes_the_request() -> None:
    made = form("eval")
    view = filled(shown(made, expanded=True), {"datasets": ["gsm8k"], "limit": "10%", "temperature": "0"})
    request = read(made, values_of(view, made), texts=EN, config=CONFIG, vocabulary=VOCABULARY)
    assert request == Request(
        intent="eval",
        args={"model": "prod", "datasets": ["gsm8k"], "limit": 0.1, "generation_config": {"temperature": 0}},
    )


def test_a_switch_is_on_or_off() -> None:
    made = form("perf")
    view = shown(made, expanded=True)
    assert element(view, "stream")["options"][0]["value"] == ON
    assert values_of(filled(view), made)["stream"] is True
    assert values_of(filled(view, {"stream": False}), made)["stream"] is False
    off = shown(made, expanded=True, values={"stream": False})
    assert "initial_options" not in element(off, "stream")


def test_fields_that_are_not_shown_have_no_value() -> None:
    made = form("perf")
    assert values_of(filled(shown(made)), made).keys() == {field.key for field in made.fields if not field.advanced}
    assert values_of({"type": "modal", "blocks": []}, made) == {}


def test_where_to_post_is_a_conversation_without_bots() -> None:
    view = shown(form("eval"), ask_where=True)
    menu = element(view, WHERE)
    assert menu["default_to_current_conversation"] is True
    assert menu["filter"]["exclude_bot_users"] is True
    assert {"public", "private", "im"} <= set(menu["filter"]["include"])
    assert where_of(filled(view, {WHERE: "C7"})) == "C7"
    assert where_of(filled(view)) == where_of(filled(shown(form("eval")))) == ""


# errors and options


def test_errors_are_told_at_their_fields() -> None:
    made = form("eval")
    view = filled(shown(made), {"limit": "x"})
    found = read(made, values_of(view, made), texts=EN, config=CONFIG, vocabulary=VOCABULARY)
    assert isinstance(found, dict)
    answer = errors_response(found, view)
    assert answer == {
        "response_action": "errors",
        "errors": {"limit": EN("forms.error.amount"), "datasets": EN("forms.error.required")},
    }
    assert answer == errors_response(found)


def test_an_error_at_a_field_that_is_not_shown_is_told_at_the_first_one() -> None:
    view = shown(form("eval"))
    answer = errors_response({"temperature": "too hot", "limit": "x" * 5000, "seed": "odd"}, view)
    assert answer["errors"]["model"] == "too hot odd"
    assert len(answer["errors"]["limit"]) <= 1000
    assert set(answer["errors"]) <= set(blocks(view))


@pytest.mark.parametrize("query", ["", "math", "数学"])
def test_options_are_ones_that_slack_takes(query: str) -> None:
    answer = options_response(benchmark_options(query, VOCABULARY, ZH))
    menu = {"type": "static_select", "action_id": "a", **answer}
    report = Report(surface="modal")
    ELEMENTS["static_select"](menu, "", report)
    assert answer["options"]
    assert not report.problems


def test_names_that_slack_cannot_carry_are_no_options() -> None:
    answer = options_response([("n" * 151, "long"), ("", "none"), ("ok", ""), ("fine", "x" * 200)])
    assert [option["value"] for option in answer["options"]] == ["ok", "fine"]
    assert answer["options"][0]["text"]["text"] == "ok"
    assert len(answer["options"][1]["text"]["text"]) == 75


def test_more_metadata_than_slack_keeps_is_never_sent() -> None:
    with pytest.raises(ValueError, match="3001"):
        modal(form("eval"), callback_id="form", private_metadata="x" * 3001, texts=EN)
    assert not problems(modal(form("eval"), callback_id="form", private_metadata="x" * 3000, texts=EN))


VALUES = st.one_of(
    st.none(), st.booleans(), st.text(max_size=4000), st.lists(st.text(min_size=1, max_size=200), max_size=60)
)


@settings(max_examples=60, deadline=None)
@given(
    label=st.text(min_size=1, max_size=3000),
    options=st.dictionaries(st.text(min_size=1, max_size=200), st.text(max_size=200), min_size=1, max_size=150),
    values=st.lists(VALUES, min_size=8, max_size=8),
)
def test_whatever_a_form_has_the_view_is_one_that_slack_takes(
    label: str, options: dict[str, str], values: list[Value]
) -> None:
    kinds = ("choice", "text", "url", "number", "amount", "benchmarks", "levels", "switch")
    fields = tuple(
        Field(
            key=kind, label=label, kind=kind, hint=label, placeholder=label, least=0, most=9, advanced=kind == "text",
            options=(("x", "y"), *options.items()) if kind == "choice" else (),
        )
        for kind in kinds
    )  # fmt: skip
    made = Form(intent="eval", title=label, submit=label, fields=fields)
    typed = dict(zip(kinds, values, strict=True))
    view = shown(made, expanded=True, values=typed)
    assert not problems(view)
    json.dumps(view)
