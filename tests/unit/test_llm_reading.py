"""What a language model says of a message: read by a closed schema, and believed only where the message says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.intents.combine import combine
from handlers.intents.grammar import parse_text
from handlers.intents.llm_prompt import answer_of, messages
from handlers.intents.llm_reading import read_answer
from handlers.intents.llm_schema import fields_of, schema
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.registry import intents, understood
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod", "qwen-plus"}), datasets=frozenset({"faq"}))


def answer(*requests: tuple[str, dict[str, Any]]) -> str:
    made = [
        {
            "intent": intent,
            "values": [
                {"name": name, "value": str(value)}
                for name, found in values.items()
                for value in (found if isinstance(found, list) else [found])
            ],
        }
        for intent, values in requests
    ]
    return json.dumps({"requests": made}, ensure_ascii=False)


def read(text: str, intent: str, thread_run: str | None = None, **values: Any) -> tuple[Parsed, list[str]]:
    reading = read_answer(answer((intent, values)), text, VOCABULARY, thread_run)
    assert reading.parsed is not None
    return reading.parsed, reading.dropped


# the schema and the prompt


def test_the_schema_is_closed_and_strict_and_has_each_intent() -> None:
    def objects(found: Any) -> list[dict[str, Any]]:
        if isinstance(found, dict):
            here = [found] if found.get("type") == "object" else []
            return here + [each for value in found.values() for each in objects(value)]
        return []

    made = schema()
    assert all(each["additionalProperties"] is False for each in objects(made))
    assert all(each["required"] == list(each["properties"]) for each in objects(made))
    request = made["properties"]["requests"]["items"]["properties"]
    assert request["intent"]["enum"] == [*understood(), "none"]
    names = request["values"]["items"]["properties"]["name"]["enum"]
    assert "api_key" not in names
    assert {"model", "dataset", "limit", "temperature", "few_shot_num", "run", "parallel"} <= set(names)


def test_the_prompt_is_built_from_the_registry_and_fits_a_small_window() -> None:
    made = messages("用 gsm8k 评测 prod", VOCABULARY, {"run": "r12"})
    assert len(json.dumps(made, ensure_ascii=False)) < 16_000
    system = made[0]["content"]
    assert all(f"- {name}: " in system for name in understood())
    assert "prod" in system
    assert "live_code_bench" in system
    assert json.loads(made[-1]["content"]) == {"message": "用 gsm8k 评测 prod", "thread": {"run": "r12"}}
    for said, answered in zip(made[1:-1:2], made[2:-1:2], strict=True):
        text = json.loads(said["content"])["message"]
        assert read_answer(answered["content"], text, VOCABULARY).dropped == [], text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", list(intents()))
def test_what_the_grammar_reads_can_be_said_and_read_again(name: str, language: str) -> None:
    for said in intents()[name].examples[language]:
        parsed = parse_text(said, VOCABULARY)
        again = read_answer(answer_of(parsed), said, VOCABULARY).parsed
        assert again is not None
        assert (again.intent, again.args) == (parsed.intent, parsed.args), said


# what is believed


def test_what_the_message_says_is_taken_however_it_is_written() -> None:
    parsed, dropped = read(
        "Please run MATH-500 and GSM8K on PROD, twenty questions, temp 0.5, 3-shot", "eval",
        model="prod", dataset=["math_500", "gsm8k"], limit="20", temperature="0.5", few_shot_num=3,
    )  # fmt: skip
    assert dropped == []
    assert parsed.args == {
        "model": "prod", "datasets": ["math_500", "gsm8k"], "limit": 20, "generation_config": {"temperature": 0.5},
        "dataset_args": {"math_500": {"few_shot_num": 3}, "gsm8k": {"few_shot_num": 3}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "intent", "invented"),
    [
        ("evaluate prod on gsm8k", "eval", {"dataset": "mmlu"}),
        ("evaluate prod on gsm8k", "eval", {"limit": "100"}),
        ("evaluate prod on gsm8k", "eval", {"model": "gpt-4"}),
        ("evaluate prod on gsm8k", "eval", {"api_url": "http://evil/v1"}),
        ("evaluate prod on gsm8k, 20 samples", "eval", {"limit": "200"}),
        ("evaluate prod on gsm8k", "eval", {"api_key": "sk-1"}),
        ("evaluate prod on gsm8k", "eval", {"seed": "42"}),
        ("evaluate prod on gsm8k", "eval", {"stream": "true"}),
        ("stress test prod", "perf", {"parallel": "1, 2, 4"}),
        ("stress test prod from 1 to 8", "perf", {"parallel": "1, 2, 4, 64"}),
        ("cancel it", "cancel", {"run": "r7"}),
        ("cancel it", "cancel", {"run": "all"}),
        ("which benchmarks are there", "benchmarks", {"query": "coding in rust"}),
        ("why did it fail", "diagnose", {"error": "CUDA out of memory"}),
    ],
)
def test_what_nobody_said_is_dropped_and_told(text: str, intent: str, invented: dict[str, str]) -> None:
    parsed, dropped = read(text, intent, **invented)
    assert parsed.args == {}
    assert dropped == [f"{name}={value}" for name, value in invented.items()]


def test_a_threads_run_and_a_durations_unit_are_known() -> None:
    assert read("cancel it", "cancel", thread_run="r7", run="r7")[0].args == {"run": "r7"}
    assert read("压测 prod 五分钟", "perf", model="prod", duration="300")[0].args == {"model": "prod", "duration": 300}


@pytest.mark.parametrize("said", ["", "no json", "[]", '{"requests": 1}', '{"requests": [{"intent": "eval"}]}'])
def test_garbage_is_no_answer(said: str) -> None:
    with pytest.raises(ValueError, match="no answer"):
        read_answer(said, "evaluate prod", VOCABULARY)


def test_an_intent_that_does_not_exist_is_none() -> None:
    assert read("train it", "train")[0].intent == "none"


VALUES = st.dictionaries(st.sampled_from([*sorted(fields_of("eval")), "x"]), st.text(max_size=30), max_size=6)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=80), intent=st.sampled_from([*intents(), "none", "x"]), values=VALUES)
def test_no_answer_brings_an_error_or_a_value_that_is_not_in_the_message(
    text: str, intent: str, values: dict[str, str]
) -> None:
    parsed, _ = read(text, intent, **values)
    for model in (parsed.args.get("model"),):
        assert model is None or str(model).casefold() in text.casefold() or model == "mock_llm"


# two readings


def grammar(text: str) -> Parsed:
    return parse_text(text, VOCABULARY)


def test_where_both_say_the_same_there_is_no_doubt() -> None:
    text = "evaluate prod on gsm8k, 20 samples"
    both = combine(grammar(text), read(text, "eval", model="prod", dataset="gsm8k", limit=20)[0])
    assert (both.by, both.doubt, both.args) == ("both", "", grammar(text).args)


def test_what_the_grammar_lacks_the_model_mends_without_a_question() -> None:
    text = "could you give the endpoint prod a go at gsm8k"
    lacking = grammar(text).model_copy(
        update={"intent": "eval", "args": {"datasets": ["gsm8k"]}, "missing": ("model",)}
    )
    mended = combine(lacking, read(text, "eval", model="prod", dataset="gsm8k")[0])
    assert (mended.args["model"], mended.missing, mended.doubt, mended.by) == ("prod", (), "", "both")


def test_numbers_that_differ_are_a_doubt_with_both_readings() -> None:
    text = "evaluate prod on gsm8k, 20 samples, 5 shots"
    differs = combine(grammar(text), read(text, "eval", model="prod", dataset="gsm8k", limit=5)[0])
    assert differs.doubt == "differs"
    assert (differs.args["limit"], differs.instead[0].args["limit"]) == (20, 5)


@pytest.mark.parametrize("intent", ["eval", "cancel", "rerun"])
def test_what_only_the_model_reads_starts_and_stops_nothing_by_itself(intent: str) -> None:
    parsed = combine(Parsed(intent="none"), Parsed(intent=intent, by="llm"))
    assert (parsed.intent, parsed.doubt) == (intent, "guessed")


def test_what_only_tells_needs_no_question() -> None:
    assert combine(Parsed(intent="none"), Parsed(intent="status", by="llm")).doubt == ""


def test_the_grammars_kind_no_stands_whatever_the_model_says() -> None:
    no = Parsed(intent="none", question="none.not_me")
    assert combine(no, Parsed(intent="eval", by="llm")) == no


def test_what_the_model_takes_for_nothing_of_ours_is_asked_about() -> None:
    text = "evaluate prod on gsm8k, 20 samples"
    assert combine(grammar(text), Parsed(intent="none", by="llm")).doubt == "guessed"
    assert combine(grammar("status"), Parsed(intent="none", by="llm")).doubt == ""


def test_without_a_model_the_grammar_decides() -> None:
    assert combine(grammar("status"), None) == grammar("status")
