"""Stress tests as people say them: sentences, slash commands, pasted `evalscope perf`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.perf import PerfArgs
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.understand import understand
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod", "dev"}), datasets=frozenset({"faq"}))
PROD = {"model": "prod"}
PASTED = "evalscope perf --model m --url http://h/v1"


def ask(text: str) -> Parsed:
    return understand(text, VOCABULARY)


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("stress test prod with concurrency 1,2,4,8, 10 requests each", {"parallel": [1, 2, 4, 8], "number": [10] * 4}),
        ("stress test prod: concurrency 1, 2 and 4; 10 requests each", {"parallel": [1, 2, 4], "number": [10] * 3}),
        ("load test prod, ramp 1,2,4,8 with 10x requests each", {"parallel": [1, 2, 4, 8], "number": [10, 20, 40, 80]}),
        ("load test prod with 10 concurrent users for 60 seconds", {"parallel": [10], "duration": 60}),
        ("stress test prod at 5 requests per second for 2 minutes", {"rate": 5, "duration": 120}),
        ("stress test prod, concurrency 8, 1,000 requests", {"parallel": [8], "number": [1000]}),
        ("stress test prod with 4 parallel requests and 20 requests in total", {"parallel": [4], "number": [20]}),
        ("load test prod, concurrency 1 to 64 step 16", {"parallel": [1, 17, 33, 49, 64]}),
        (
            "stress test prod from 1 to 8 in steps of 2, 20 requests each",
            {"parallel": [1, 3, 5, 7, 8], "number": [20] * 5},
        ),
        ("压测 prod，从 1 到 8，每档 20 个请求", {"parallel": [1, 2, 4, 8], "number": [20] * 4}),
        ("stress test prod, concurrency from 1 to 20", {"parallel": [1, 2, 4, 8, 16, 20]}),
        ("perf prod 64 concurrent, 640 requests", {"parallel": [64], "number": [640]}),
        ("run a load test on prod with 20 users, 5 minutes", {"parallel": [20], "duration": 300}),
        ("stress test prod, 100 requests at concurrency 10, seed 42", {"parallel": [10], "number": [100], "seed": 42}),
        ("stress test prod with warm up 10 requests, 8 parallel", {"warmup_num": 10, "parallel": [8]}),
        ("what is the throughput of prod at concurrency 16?", {"parallel": [16]}),
        ("measure ttft of prod with streaming, 50 requests", {"stream": True, "number": [50]}),
        ("stress test prod without streaming", {"stream": False}),
        ("stress test prod, max tokens 128, temperature 0.7", {"max_tokens": 128, "temperature": 0.7}),
        ("stress test prod, at most 64 tokens, at least 32 tokens", {"max_tokens": 64, "min_tokens": 32}),
        ("stress test prod, prompt length 512", {"min_prompt_length": 512, "max_prompt_length": 512}),
        (
            "stress test prod, prompt length between 100 and 200",
            {"min_prompt_length": 100, "max_prompt_length": 200},
        ),
        (
            "stress test prod with random prompts, input length 1024, output length 256, 16 concurrent",
            {
                "dataset": "random", "min_prompt_length": 1024, "max_prompt_length": 1024, "max_tokens": 256,
                "parallel": [16],
            },
        ),
        ('stress test prod, prompt "tell me a joke", 4 concurrent', {"prompt": "tell me a joke", "parallel": [4]}),
        ("压测一下 prod，并发从 1 到 32", {"parallel": [1, 2, 4, 8, 16, 32]}),
        ("压测 prod，并发10，持续60秒", {"parallel": [10], "duration": 60}),
        ("压测 prod，并发 1、2、4、8，每个并发 10 个请求", {"parallel": [1, 2, 4, 8], "number": [10] * 4}),
        ("压测 prod 并发 50 请求数 500 温度 0.7", {"parallel": [50], "number": [500], "temperature": 0.7}),
        ("对 prod 做压力测试，100 个并发，1000 个请求，非流式", {"parallel": [100], "number": [1000], "stream": False}),
        ("压测 prod，最大输出 128 token，提示词长度 512",
         {"max_tokens": 128, "min_prompt_length": 512, "max_prompt_length": 512}),
        ("用 openqa 压测 prod，并发 2、4，各 20 个请求", {"dataset": "openqa", "parallel": [2, 4], "number": [20, 20]}),
        ("压测 prod，每秒 5 个请求，持续 2 分钟", {"rate": 5, "duration": 120}),
        ("压测 prod 多轮对话 并发 4", {"multi_turn": True, "parallel": [4]}),
        (
            "find the max concurrency of prod with p99 latency under 2 seconds",
            {
                "sla_auto_tune": True, "sla_variable": "parallel",
                "sla_params": [{"name": "p99_latency", "operator": "<=", "value": 2.0}],
            },
        ),
        (
            "压测 prod，p99 首字延迟不超过 500 毫秒，找最大并发",
            {
                "sla_auto_tune": True, "sla_variable": "parallel",
                "sla_params": [{"name": "p99_ttft", "operator": "<=", "value": 0.5}],
            },
        ),
        ("/perf prod parallel=1,2,4 number=10 stream=false", {"parallel": [1, 2, 4], "number": [10], "stream": False}),
        ("/perf prod", {}),
        ("/压测 prod 并发 8 每档 20 个请求", {"parallel": [8], "number": [20]}),
    ],
)  # fmt: skip
def test_a_stress_test_says(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args, parsed.refused, parsed.missing) == ("perf", PROD | args, (), ())


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("stress test my-model at http://10.0.0.5:8000/v1", {"model": "my-model", "url": "http://10.0.0.5:8000/v1"}),
        (
            "压测 qwen2.5-7b http://h:8000/v1 并发 16",
            {"model": "qwen2.5-7b", "url": "http://h:8000/v1", "parallel": [16]},
        ),
        ("stress test prod and dev at concurrency 4", {"models": ["prod", "dev"], "parallel": [4]}),
        ("stress test prod on faq", {"model": "prod", "dataset": "faq"}),
    ],
)
def test_endpoints_and_data_are_named(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args, parsed.refused) == ("perf", args, ())


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("results of the last stress test", "results"),
        ("r12 压测结果", "results"),
        ("how is the stress test going", "status"),
        ("how do I stress test a model?", "help"),
        ("don't stress test prod", "none"),
        ("evaluate prod on gsm8k, 100 samples, concurrency 8", "eval"),
        ("test prod on gsm8k", "eval"),
        ("train prod and stress test it", "none"),
    ],
)
def test_what_is_no_stress_test(text: str, intent: str) -> None:
    assert ask(text).intent == intent


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("stress test prod, parallel=4, number=10", {"parallel": [4], "number": [10]}),
        ("stress test prod parallel=4 top_p=0.9 stream=false", {"parallel": [4], "top_p": 0.9, "stream": False}),
        ("stress test prod: max_prompt_length=128, 4 requests", {"max_prompt_length": 128, "number": [4]}),
        (
            "stress test prod with random prompts, prompt length 512, tokenizer Qwen/Q",
            {"dataset": "random", "tokenizer_path": "Qwen/Q", "min_prompt_length": 512, "max_prompt_length": 512},
        ),
        ("压测 prod，随机提示词，分词器 Qwen/Q", {"dataset": "random", "tokenizer_path": "Qwen/Q"}),
        ("压测 prod，开环，每秒 5 个请求", {"open_loop": True, "rate": 5}),
        ("stress test prod with streaming, concurrency 4", {"stream": True, "parallel": [4]}),
        ("stress test prod with prompts of 100 to 200 tokens", {"min_prompt_length": 100, "max_prompt_length": 200}),
    ],
)  # fmt: skip
def test_parameters_are_taken_by_their_names_and_in_words_alike(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args, parsed.refused) == ("perf", PROD | args, ())


def test_without_a_model_it_is_asked_for() -> None:
    assert ask("stress test").missing == ("model",)
    assert ask("evalscope perf --url http://h/v1").missing == ("model",)


@pytest.mark.parametrize(
    ("flags", "args"),
    [
        ("--parallel 1 2 --number 10 20", {"parallel": [1, 2], "number": [10, 20]}),
        ("-n 5 --parallel 1", {"number": [5], "parallel": [1]}),
        ("--no-stream", {"stream": False}),
        ("--stream", {"stream": True}),
        ("--rate 5 10.5 --open-loop", {"rate": [5.0, 10.5], "open_loop": True}),
        ("--rate -1", {"rate": [-1.0]}),
        ("--max-tokens 128", {"max_tokens": [128]}),
        ("--max-tokens 64 128", {"max_tokens": [64, 128]}),
        ("--warmup-num 0.1 --duration 60", {"warmup_num": 0.1, "duration": 60.0}),
        ("--prompt 'hello there'", {"prompt": "hello there"}),
        ("--extra-args '{\"ignore_eos\": true}'", {"extra_args": {"ignore_eos": True}}),
        ('--sla-auto-tune --sla-params \'[{"tps": "max"}]\'', {"sla_auto_tune": True, "sla_params": [{"tps": "max"}]}),
        ("--stop a b", {"stop": ["a", "b"]}),
        ("--para 3", {"parallel": [3]}),
    ],
)
def test_a_pasted_command_keeps_names_and_shapes(flags: str, args: dict[str, Any]) -> None:
    parsed = ask(f"{PASTED} {flags}")
    assert (parsed.intent, parsed.by, parsed.refused) == ("perf", "command_line", ())
    assert parsed.args == {"model": "m", "url": "http://h/v1"} | args


@pytest.mark.parametrize(
    ("flags", "name", "reason"),
    [
        ("--prompt @/etc/passwd", "prompt", "refused.value"),
        ("--prompt /etc/passwd", "prompt", "refused.path"),
        ("--prompt ~/.ssh/id_rsa", "prompt", "refused.path"),
        ("--prompt secrets.txt", "prompt", "refused.path"),
        ("--query-template @x.json", "query_template", "refused.path"),
        ("--query-template '{}'", "query_template", "refused.path"),
        ("--dataset-path /data/x.txt", "dataset_path", "refused.path"),
        ("--headers Authorization=x", "headers", "refused.headers"),
        ("--api-key $KEY", "api_key", "refused.api_key"),
        ("--wandb-api-key abc", "wandb_api_key", "refused.api_key"),
        ("--visualizer wandb", "visualizer", "refused.visualizer"),
        ("--swanlab-host http://x", "swanlab_host", "refused.visualizer"),
        ("--outputs-dir /tmp", "outputs_dir", "refused.managed"),
        ("--debug", "debug", "refused.managed"),
        ("--port 1", "port", "refused.perf_local"),
        ('--dataset-args \'{"prefix_file": "/etc/passwd"}\'', "dataset_args", "refused.not_yet"),
        ('--extra-args \'{"api_key": "x"}\'', "extra_args.api_key", "refused.api_key"),
        ("--number ten", "number", "refused.value"),
        ("--duration nan", "duration", "refused.value"),
        ("--bogus 1", "--bogus", "refused.unknown_flag"),
    ],
)
def test_a_flag_that_is_not_for_chat_is_refused_by_name(flags: str, name: str, reason: str) -> None:
    parsed = ask(f"{PASTED} {flags}")
    assert (name, reason) in {(entry.name, entry.reason) for entry in parsed.refused}
    assert name not in parsed.args


WORDS = st.sampled_from([
    "stress test", "压测", "prod", "concurrency", "并发", "1,2,4", "from 1 to 32", "10x", "requests each", "60 秒",
    "for", "5 rps", "max tokens", "128", "，", ";", "prompt length", "p99 latency under", "2 s", "每个并发", "倍",
    "@/etc/passwd",
])  # fmt: skip


@given(st.lists(WORDS, max_size=14))
def test_whatever_is_said_of_a_load_is_read_without_an_error(words: list[str]) -> None:
    parsed = ask(" ".join(words))
    if parsed.intent == "perf":
        PerfArgs.model_validate(parsed.args)


@pytest.mark.parametrize("said", ["1 ", "1,", "concurrency 1 ", "从1到", "and ", "10 tokens "])
def test_a_long_message_is_read_in_no_time(said: str) -> None:
    begun = time.thread_time()
    ask("stress test prod " + said * 2_000)
    assert time.thread_time() - begun < 3
