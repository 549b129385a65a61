"""Slash commands."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.intents.parsed import Vocabulary
from handlers.understand import understand
from jobs.catalog import SUITES, snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}), datasets=frozenset({"faq"}))
PLUS = {"model": "qwen-plus", "datasets": ["gsm8k"]}


@pytest.mark.parametrize(
    ("text", "intent", "args"),
    [
        ("/eval qwen-plus gsm8k limit=100", "eval", {**PLUS, "limit": 100}),
        ("/评测 qwen-plus gsm8k limit=100", "eval", {**PLUS, "limit": 100}),
        ("/scopebot eval qwen-plus gsm8k limit=100", "eval", {**PLUS, "limit": 100}),
        ("/scopebot 评测 qwen-plus GSM-8K", "eval", PLUS),
        ("/scopebot evaluate qwen-plus on gsm8k, 5 samples", "eval", {**PLUS, "limit": 5}),
        ("/scopebot", "help", {}),
        ("@scopebot /eval qwen-plus gsm8k", "eval", PLUS),
        ("/EVAL qwen-plus gsm8k", "eval", PLUS),
        ("/eval qwen-plus gsm8k,mmlu arc", "eval", {"model": "qwen-plus", "datasets": ["gsm8k", "mmlu", "arc"]}),
        ("/eval qwen-plus gsm8k, mmlu", "eval", {"model": "qwen-plus", "datasets": ["gsm8k", "mmlu"]}),
        ("/eval model=qwen-plus datasets=gsm8k,mmlu", "eval", {"model": "qwen-plus", "datasets": ["gsm8k", "mmlu"]}),
        ("/eval prod general", "eval", {"model": "prod", "datasets": list(SUITES["general"])}),
        ("/eval prod faq foobench", "eval", {"model": "prod", "datasets": ["faq", "foobench"]}),
        ("/eval qwen-plus gsm8k limit=10%", "eval", {**PLUS, "limit": 0.1}),
        ("/eval qwen-plus gsm8k 10%", "eval", {**PLUS, "limit": 0.1}),
        ("/eval qwen-plus gsm8k 50", "eval", {**PLUS, "limit": 50}),
        ("/eval qwen-plus gsm8k limit=1k", "eval", {**PLUS, "limit": 1000}),
        (
            "/eval qwen-plus gsm8k temperature=0 max_tokens=512",
            "eval",
            {**PLUS, "generation_config": {"temperature": 0, "max_tokens": 512}},
        ),
        (
            "/eval qwen-plus gsm8k generation_config=temperature=0.5,top_p=0.9",
            "eval",
            {**PLUS, "generation_config": {"temperature": 0.5, "top_p": 0.9}},
        ),
        (
            '/eval qwen-plus gsm8k dataset_args={"gsm8k": {"few_shot_num": 0}}',
            "eval",
            {**PLUS, "dataset_args": {"gsm8k": {"few_shot_num": 0}}},
        ),
        ("/eval qwen-plus gsm8k few_shot_num=5", "eval", {**PLUS, "dataset_args": {"gsm8k": {"few_shot_num": 5}}}),
        (
            "/eval qwen-plus gsm8k seed=7 repeats=2 eval_batch_size=16",
            "eval",
            {**PLUS, "seed": 7, "repeats": 2, "eval_batch_size": 16},
        ),
        ("/eval qwen-plus gsm8k api_url=http://h:8000/v1", "eval", {**PLUS, "api_url": "http://h:8000/v1"}),
        ("/eval mock gsm8k", "eval", {"model": "mock_llm", "datasets": ["gsm8k"], "eval_type": "mock_llm"}),
        ("/eval qwen-plus on gsm8k, 100 samples", "eval", {**PLUS, "limit": 100}),
        ("/eval qwen-plus gsm8k 100条", "eval", {**PLUS, "limit": 100}),
        ("/eval --model qwen-plus --datasets gsm8k --limit 10", "eval", {**PLUS, "limit": 10.0}),
        ("/eval", "eval", {}),
        ("/benchmarks math", "benchmarks", {"tags": ["Math"]}),
        ("/benchmarks gsm8k", "benchmarks", {"name": "gsm8k"}),
        ("/benchmarks physics", "benchmarks", {"query": "physics"}),
        ("/benchmarks", "benchmarks", {}),
        ("/基准 数学", "benchmarks", {"tags": ["Math"]}),
        ("/status r12", "status", {"run": "r12"}),
        ("/status R12", "status", {"run": "r12"}),
        ("/status 12", "status", {"run": "r12"}),
        ("/cancel r1 r2", "cancel", {"runs": ["r1", "r2"]}),
        ("/cancel r1,2", "cancel", {"runs": ["r1", "r2"]}),
        ("/resume r1 and r2", "resume", {"runs": ["r1", "r2"]}),
        ("/状态", "status", {}),
        ("/status run=r12", "status", {"run": "r12"}),
        ("/results r12", "results", {"run": "r12"}),
        ("/results gsm8k last=5", "results", {"datasets": ["gsm8k"], "last": 5}),
        ("/results last 5 on gsm8k", "results", {"datasets": ["gsm8k"], "last": 5}),
        ("/结果 model=prod", "results", {"model": "prod"}),
        ("/logs r3", "logs", {"run": "r3"}),
        ("/why r3", "diagnose", {"run": "r3"}),
        ("/为什么 r3", "diagnose", {"run": "r3"}),
        ("/why ValueError: x", "diagnose", {"error": "ValueError: x"}),
        ("/rerun r3 full", "rerun", {"run": "r3", "full": True}),
        ("/rerun r3 full=true", "rerun", {"run": "r3", "full": True}),
        ("/headlines off", "headlines", {"on": False}),
        ("/headlines on", "headlines", {"on": True}),
        ("/headlines", "headlines", {}),
        ("/help eval", "help", {"about": "eval"}),
        ("/帮助", "help", {}),
        ("/scopebot what does --limit do?", "help", {"about": "limit"}),
    ],
)
def test_a_slash_command_says(text: str, intent: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.refused, parsed.by) == (intent, args, (), "command_line")


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("/eval qwen-plus gsm8k foo=1", "foo", "refused.unknown_flag"),
        ("/eval qwen-plus gsm8k api_key=sk-ant-abc123", "api_key", "refused.api_key"),
        ("/eval qwen-plus gsm8k limit=many", "limit", "refused.value"),
        ("/eval qwen-plus gsm8k limit=0", "limit", "refused.value"),
        ("/eval qwen-plus gsm8k seed=-1", "seed", "refused.value"),
        ("/eval @/etc/passwd gsm8k", "model", "refused.value"),
        ("/eval qwen-plus gsm8k model_args=a=1", "model_args", "refused.model_args"),
        ("/eval qwen-plus gsm8k judge=3", "judge", "refused.value"),
        ("/eval qwen-plus gsm8k temperature=9", "temperature", "refused.value"),
        ("/eval qwen-plus gsm8k eval_type=custom", "eval_type", "refused.eval_type"),
    ],
)
def test_a_parameter_is_refused(text: str, name: str, reason: str) -> None:
    parsed = understand(text, VOCABULARY)
    assert (name, reason) in {(entry.name, entry.reason) for entry in parsed.refused}
    assert name not in parsed.args
    assert "sk-ant" not in parsed.model_dump_json()


def test_an_unknown_slash_command_is_no_request() -> None:
    assert understand("/frobnicate now", VOCABULARY).intent == "none"


def test_a_value_that_is_refused_once_is_not_taken_from_another_place() -> None:
    parsed = understand("/eval --model --model evaluate", VOCABULARY)
    assert "model" not in parsed.args
    assert [entry.name for entry in parsed.refused] == ["model"]


@pytest.mark.parametrize(
    ("text", "worded"),
    [
        ("/scopebot evaluate prod on mmlu, 100 samples", True),
        ("/scopebot 用 mmlu 评测 prod，100 条", True),
        ("/eval prod on mmlu, 100 samples", True),
        ("/eval prod mmlu 100", False),
        ("/eval prod on mmlu limit=100", False),
        ("/scopebot eval prod mmlu limit=100", False),
    ],
)
def test_a_number_of_samples_in_a_sentence_is_known_to_be_worded_in_a_command_too(text: str, *, worded: bool) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args["limit"], parsed.by) == ("eval", 100, "command_line")
    assert parsed.worded == worded
