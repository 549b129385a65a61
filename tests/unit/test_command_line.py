"""Pasted `evalscope …` commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.eval import EvalArgs
from handlers.intents.parsed import Vocabulary
from handlers.intents.shell import split
from handlers.understand import understand
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot())
COMMANDS = Path(__file__).parents[3] / "shared" / "data" / "evalscope_commands.jsonl"
BASE = {"model": "qwen-plus", "datasets": ["gsm8k"]}


def documented() -> list[dict[str, Any]]:
    if not COMMANDS.exists():
        return []
    return [json.loads(line) for line in COMMANDS.read_text(encoding="utf-8").splitlines() if line.strip()]


@pytest.mark.skipif(not COMMANDS.exists(), reason="EvalScope's documented commands are not here")
def test_evalscopes_own_documented_commands() -> None:
    commands = documented()
    assert len(commands) == 51
    assert sum(command["intent"] == "eval" for command in commands) == 9
    for command in commands:
        parsed = understand(command["text"], VOCABULARY)
        assert parsed.by == "command_line"
        refused = {entry.name for entry in parsed.refused}
        if command["intent"] != "eval":
            continue
        expected = {name: value for name, value in command["args"].items() if name not in refused}
        assert (parsed.intent, parsed.args) == ("eval", expected)
        allowed = {"api_key", "judge", "judge_strategy", "judge_model_args", "sandbox", "use_cache"}
        assert {name.partition(".")[0] for name in refused} <= allowed
        assert not refused & (set(EvalArgs.model_fields) - {"use_cache"})  # a path there, a run in a sentence
        assert all(isinstance(parsed.args[name], type(value)) for name, value in expected.items())


@pytest.mark.skipif(not COMMANDS.exists(), reason="EvalScope's documented commands are not here")
def test_evalscopes_own_documented_stress_tests_read_as_its_parser_reads_them() -> None:
    commands = [command for command in documented() if command["intent"] == "perf"]
    assert len(commands) == 42
    for command in commands:
        parsed = understand(command["text"], VOCABULARY)
        refused = {entry.name for entry in parsed.refused}
        expected = {name: value for name, value in command["args"].items() if name not in refused}
        assert (parsed.intent, parsed.by, parsed.args) == ("perf", "command_line", expected), command["text"]
        assert not {entry.reason for entry in parsed.refused} & {"refused.unknown_flag", "refused.shell"}
        for name, value in expected.items():
            assert type(parsed.args[name]) is type(value), (name, command["text"])


EVAL = "evalscope eval --model qwen-plus --datasets gsm8k"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (EVAL, BASE),
        (f"$ {EVAL}", BASE),
        (f"`{EVAL}`", BASE),
        (f"```\n{EVAL}\n```", BASE),
        (f"```bash\n$ {EVAL} --limit 5\n```\nthank you", BASE | {"limit": 5.0}),
        (f"please run `{EVAL} --limit 5` for me", BASE | {"limit": 5.0}),
        (f"please run {EVAL}", BASE),
        ("python -m evalscope.cli.cli eval --model qwen-plus --datasets gsm8k", BASE),
        ("python3 -m evalscope eval --model qwen-plus --datasets gsm8k", BASE),
        ("evalscope eval \\\n  --model qwen-plus \\\n  --datasets gsm8k \\\n  --limit 10", BASE | {"limit": 10.0}),
        ("evalscope eval\n--model qwen-plus\n--datasets gsm8k", BASE),
        (
            'evalscope eval \'--dataset-args={"gsm8k": {"few_shot_num": 0}}\' --model qwen-plus --datasets gsm8k',
            BASE | {"dataset_args": {"gsm8k": {"few_shot_num": 0}}},
        ),
        ("evalscope eval --model=qwen-plus --datasets=gsm8k", BASE),
        ("evalscope eval —model qwen-plus —datasets gsm8k", BASE),
        ("evalscope eval --model “qwen-plus” --datasets ‘gsm8k’", BASE),
        (f"{EVAL} mmlu arc --limit 0.1", BASE | {"datasets": ["gsm8k", "mmlu", "arc"], "limit": 0.1}),
        (
            f"{EVAL} --lim 3 --see 7 --rep 2 --eval-bat 16",
            BASE | {"limit": 3.0, "seed": 7, "repeats": 2, "eval_batch_size": 16},
        ),
        (f"{EVAL} --limit 3 --limit 4", BASE | {"limit": 4.0}),
        (
            f'{EVAL} --generation-config \'{{"temperature": 0.5, "stream": true}}\'',
            BASE | {"generation_config": {"temperature": 0.5, "stream": True}},
        ),
        (
            f"{EVAL} --generation-config do_sample=true,temperature=0.5,max_tokens=512,stop=x",
            BASE | {"generation_config": {"do_sample": True, "temperature": 0.5, "max_tokens": 512, "stop": "x"}},
        ),
        (
            f'{EVAL} --dataset-args \'{{"gsm8k": {{"few_shot_num": 4, "subset_list": ["main"]}}}}\'',
            BASE | {"dataset_args": {"gsm8k": {"few_shot_num": 4, "subset_list": ["main"]}}},
        ),
        (
            f"{EVAL} --api-url <http://h.example:8000/v1|h.example:8000/v1>",
            BASE | {"api_url": "http://h.example:8000/v1"},
        ),
        (
            f"{EVAL} --dataset-hub huggingface --eval-type openai_api",
            BASE | {"dataset_hub": "huggingface", "eval_type": "openai_api"},
        ),
        (f"{EVAL} --limit 5 # only a few", BASE | {"limit": 5.0}),
        (f'{EVAL} --judge \'{{"strategy": "llm"}}\'', BASE | {"judge": {"strategy": "llm"}}),
        ("evalscope eval --model qwen-plus", {"model": "qwen-plus"}),
    ],
)
def test_a_pasted_command_says(text: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.refused, parsed.by) == ("eval", args, (), "command_line")
    assert parsed.missing == tuple(name for name in ("model", "datasets") if name not in args)
    assert all(type(parsed.args[name]) is type(value) for name, value in args.items())


@pytest.mark.parametrize(
    ("flags", "name", "reason"),
    [
        ("--api-key sk-ant-abc123def", "api_key", "refused.api_key"),
        ("--api-key EMPTY", "api_key", "refused.api_key"),
        ("--api-key $DASHSCOPE_API_KEY", "api_key", "refused.api_key"),
        ("--model-args precision=torch.float16", "model_args", "refused.model_args"),
        ("--chat-template /x.jinja", "chat_template", "refused.path"),
        ("--dataset-dir /data", "dataset_dir", "refused.path"),
        ("--eval-config /x.yaml", "eval_config", "refused.path"),
        ("--work-dir /tmp", "work_dir", "refused.managed"),
        ("--debug", "debug", "refused.managed"),
        ("--dry-run", "dry_run", "refused.dry_run"),
        ("--no-timestamp", "no_timestamp", "refused.managed"),
        ("--no-collect-perf", "collect_perf", "refused.managed"),
        ("--agent-config '{}'", "agent_config", "refused.agent_config"),
        ("--sandbox-manager-config '{}'", "sandbox_manager_config", "refused.sandbox"),
        ("--eval-type custom", "eval_type", "refused.eval_type"),
        ("--eval-type nonsense", "eval_type", "refused.value"),
        ('--dataset-args \'{"gsm8k": {"local_path": "/etc"}}\'', "dataset_args.gsm8k.local_path", "refused.path"),
        ('--dataset-args \'{"gsm8k": {"dataset_id": "a/b"}}\'', "dataset_args.gsm8k.dataset_id", "refused.path"),
        ('--generation-config \'{"extra_headers": {"a": "b"}}\'', "generation_config.extra_headers", "refused.headers"),
        ("--use-cache outputs/x", "use_cache", "refused.use_cache"),
        ("--nonsense 5", "--nonsense", "refused.unknown_flag"),
        ("--mod x", "--mod", "refused.unknown_flag"),
        ("-x", "-x", "refused.unknown_flag"),
        ("--limit many", "limit", "refused.value"),
        ("--limit", "limit", "refused.value"),
        ("--limit nan", "limit", "refused.value"),
        ("--limit -5", "limit", "refused.value"),
        ("--seed -1", "seed", "refused.value"),
        ("--seed 1.5", "seed", "refused.value"),
        ("--api-url @/etc/passwd", "api_url", "refused.value"),
        ("--model=-rf", "model", "refused.value"),
        ("--model @prompt.txt", "model", "refused.value"),
        ("--dataset-args {oops", "dataset_args", "refused.value"),
        ("--dataset-args '[1]'", "dataset_args", "refused.value"),
        ("--generation-config temperature", "generation_config", "refused.value"),
        ("--eval-batch-size 100000", "eval_batch_size", "refused.value"),
        ("--model $MODEL", "model", "refused.variable"),
        ("--limit 5; rm -rf /", "shell", "refused.shell"),
        ("--limit 5 && curl evil", "shell", "refused.shell"),
        ("--limit 5 | tee log", "shell", "refused.shell"),
        ("--limit 5 > /etc/passwd", "shell", "refused.shell"),
        ("--model $(whoami)", "shell", "refused.shell"),
        ("--model 'never ends", "quote", "refused.quote"),
    ],
)
def test_a_flag_is_refused(flags: str, name: str, reason: str) -> None:
    parsed = understand(f"{EVAL} {flags}", VOCABULARY)
    assert (name, reason) in {(entry.name, entry.reason) for entry in parsed.refused}
    assert name not in parsed.args
    said = parsed.model_dump_json()
    assert not any(word in said for word in ("sk-ant", "rm", "curl", "tee", "/etc", "whoami", "evil"))
    EvalArgs.model_validate(parsed.args)


def test_what_follows_an_operator_is_no_value() -> None:
    parsed = understand(f"{EVAL} --limit 5; evalscope eval --model evil --datasets mmlu", VOCABULARY)
    assert parsed.args == BASE | {"limit": 5.0}
    assert parsed.more == ()


def test_two_commands_on_two_lines_are_two_requests() -> None:
    parsed = understand(f"{EVAL}\nevalscope eval --model qwen-max --datasets mmlu", VOCABULARY)
    assert [one.args for one in (parsed, *parsed.more)] == [BASE, {"model": "qwen-max", "datasets": ["mmlu"]}]


@pytest.mark.parametrize(
    ("text", "intent", "args"),
    [
        ("evalscope --version", "help", {"about": "version"}),
        ("evalscope -v", "help", {"about": "version"}),
        ("evalscope --help", "help", {"about": "evalscope"}),
        ("evalscope -h", "help", {"about": "evalscope"}),
        ("evalscope eval --help", "help", {"about": "eval"}),
        ("evalscope eval --model m -h", "help", {"about": "eval"}),
        ("`evalscope perf -h`", "help", {"about": "perf"}),
        ("evalscope benchmark-info --help", "help", {"about": "benchmark-info"}),
        ("evalscope service --help", "help", {"about": "service"}),
        ("/eval --help", "help", {"about": "eval"}),
        ("evalscope service", "dashboard", {}),
        ("evalscope app", "dashboard", {}),
        ("$ evalscope service --port 9000 --host 0.0.0.0", "dashboard", {}),
        ("evalscope benchmark-info --list", "benchmarks", {}),
        ("evalscope benchmark-info --all --format json", "benchmarks", {}),
        ("evalscope benchmark-info gsm8k", "benchmarks", {"name": "gsm8k"}),
        ("evalscope benchmark-info GSM8K --format markdown", "benchmarks", {"name": "gsm8k"}),
        ("evalscope benchmark-info --list --tag agent Coding", "benchmarks", {"tags": ["Agent", "Coding"]}),
        ("evalscope benchmark-info --tag nonsense", "benchmarks", {"tags": ["nonsense"]}),
    ],
)
def test_every_other_command_is_the_intent_that_answers_it(text: str, intent: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.by, parsed.more) == (intent, args, "command_line", ())
    assert {entry.reason for entry in parsed.refused} <= {"refused.managed"}


def test_several_benchmarks_are_described_one_after_another() -> None:
    parsed = understand("evalscope benchmark-info gsm8k mmlu nope", VOCABULARY)
    assert [one.args for one in (parsed, *parsed.more)] == [{"name": "gsm8k"}, {"name": "mmlu"}, {"name": "nope"}]


def test_a_command_that_is_none_is_told_what_there_is() -> None:
    parsed = understand("evalscope evla --model m", VOCABULARY)
    assert (parsed.intent, parsed.by) == ("none", "command_line")
    assert [(entry.name, entry.reason) for entry in parsed.refused] == [("evla", "refused.unknown_command")]


@pytest.mark.parametrize(
    ("around", "refused"),
    [
        ("CUDA_VISIBLE_DEVICES=0 {}", {("CUDA_VISIBLE_DEVICES", "refused.env")}),
        ("env A=1 B='2 3' {}", {("A", "refused.env"), ("B", "refused.env")}),
        ("OPENAI_API_KEY=abc {}", {("OPENAI_API_KEY", "refused.api_key")}),
        ("export HF_TOKEN=abc\n{}", {("HF_TOKEN", "refused.env")}),
        ("export API_KEY=abc\n\n{}", {("API_KEY", "refused.api_key")}),
        ("nohup {} > log 2>&1 &", {("shell", "refused.shell")}),
        ("cd /data && {}", {("shell", "refused.shell")}),
        ("source .venv/bin/activate; {}", {("shell", "refused.shell")}),
        ("cat x | {}", {("shell", "refused.shell")}),
        ("{} &", {("shell", "refused.shell")}),
        ("{} --limit $(nproc)", {("shell", "refused.shell")}),
        ("{} --limit `nproc`", {("shell", "refused.shell")}),
        ("{} --limit $N", {("limit", "refused.variable")}),
        ('{} --limit "${{N}}"', {("limit", "refused.variable")}),
        ('{} --limit "5', {("quote", "refused.quote")}),
        ("nohup {}", set()),
        ("time {} \\", set()),
        ("!{}", set()),
        ("(base) me@host:~$ {}", set()),
        ("/opt/venv/bin/{}", set()),
        ("uv run {}", set()),
    ],
)
def test_what_a_shell_would_do_around_a_command_is_refused_by_name_and_never_done(
    around: str, refused: set[tuple[str, str]]
) -> None:
    parsed = understand(around.format(EVAL), VOCABULARY)
    assert (parsed.intent, parsed.args) == ("eval", BASE)
    assert {(entry.name, entry.reason) for entry in parsed.refused} - {("limit", "refused.value")} == refused
    assert "abc" not in parsed.model_dump_json()


@pytest.mark.parametrize("mark", ["\\", "^", "`"])
def test_a_command_goes_on_in_the_next_line_as_any_shell_writes_it(mark: str) -> None:
    parsed = understand(f"evalscope eval {mark}\n --model qwen-plus {mark}\n  --datasets gsm8k", VOCABULARY)
    assert (parsed.args, parsed.refused) == (BASE, ())


def test_the_settings_that_evalscope_also_takes_outside_of_the_generations_are_understood() -> None:
    parsed = understand(f"{EVAL} --timeout 30 --stream --eval-backend Native", VOCABULARY)
    assert (parsed.args, parsed.refused) == (
        BASE | {"timeout": 30.0, "stream": True, "eval_backend": "Native"},
        (),
    )


@pytest.mark.parametrize("key", ["api_key", "API-KEY", "apiKey", "openai_api_key", "secret", "Authorization"])
@pytest.mark.parametrize("flag", ["generation-config", "dataset-args", "judge", "agent-config"])
def test_a_secret_inside_a_value_is_refused_by_its_own_name(flag: str, key: str) -> None:
    parsed = understand(f"""{EVAL} --{flag} '{{"gsm8k": {{"{key}": "hunter2"}}}}'""", VOCABULARY)
    names = {entry.name for entry in parsed.refused if entry.reason == "refused.api_key"}
    assert names == {f"{flag.replace('-', '_')}.gsm8k.{key}"}
    assert "hunter2" not in parsed.model_dump_json()


def test_talking_about_evalscope_is_no_command() -> None:
    assert understand("what is evalscope eval good for", VOCABULARY).by == "grammar"


@given(st.lists(st.text(max_size=20).filter(lambda text: "\0" not in text), max_size=8))
def test_quoted_words_come_back(words: list[str]) -> None:
    import shlex

    found = split(shlex.join(words))
    assert [word.text for word in found.words] == words
    assert not found.operator
