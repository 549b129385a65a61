"""The `scopebot` command as a person runs it: every sub-command in a process of its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)  # each starts processes, which another test's may hold up


def scopebot(*words: str, data: Path, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    return subprocess.run(
        [sys.executable, "-m", "bot.cli", *words], input=given, capture_output=True, text=True, timeout=150,
        check=False, env=clean | {"SCOPEBOT_DATA_DIR": str(data)} | environment,
    )  # fmt: skip


def test_parse_prints_what_is_understood_with_no_defaults_filled_in(tmp_path: Path) -> None:
    (tmp_path / "scopebot.toml").write_text(
        '[models.prod]\nmodel = "m"\napi_url = "http://h/v1"\n[defaults]\nmodel = "prod"\n'
    )
    parsed = json.loads(scopebot("parse", "用 gsm8k 评测，二十条", data=tmp_path).stdout)
    assert list(parsed) == ["intent", "args", "missing", "refused", "question", "by", "more"]
    assert parsed["intent"] == "eval"
    assert parsed["args"] == {"datasets": ["gsm8k"], "limit": 20}
    assert parsed["missing"] == ["model"]


def test_parse_gives_one_line_out_for_each_line_in_also_on_error(tmp_path: Path) -> None:
    lines = ['{"text": "status"}', "not json", '{"no": "text"}', "", '{"text": "/help"}']
    out = scopebot(
        "parse", "--jsonl", "-", "--no-llm", data=tmp_path, given="\n".join(lines) + "\n"
    ).stdout.splitlines()
    assert [json.loads(line)["intent"] for line in out] == ["status", "none", "none", "none", "help"]


def test_parse_tells_training_and_serving_kindly_no(tmp_path: Path) -> None:
    assert "do not train" in json.loads(scopebot("parse", "train my model", data=tmp_path).stdout)["question"]


def test_parse_needs_no_redis_and_makes_nothing(tmp_path: Path) -> None:
    scopebot("parse", "status", data=tmp_path, REDIS_URL="redis://127.0.0.1:1/0")
    assert not list(tmp_path.iterdir())


def test_benchmarks_lists_all_of_them_or_those_asked_for(tmp_path: Path) -> None:
    everything = scopebot("benchmarks", "--json", data=tmp_path).stdout.splitlines()
    assert len(everything) == 276
    names = {
        json.loads(line)["name"]
        for line in scopebot("benchmarks", "math", "Chinese", "--json", data=tmp_path).stdout.splitlines()
    }
    assert names == {"cmath"}
    assert "gsm8k" in scopebot("benchmarks", "gsm8k", data=tmp_path).stdout


def test_runs_and_workers_of_a_new_installation_are_empty(tmp_path: Path) -> None:
    assert not scopebot("runs", "--json", data=tmp_path).stdout
    assert "No worker is alive" in scopebot("workers", data=tmp_path).stdout


def test_doctor_finds_nothing_wrong_with_a_new_installation(tmp_path: Path) -> None:
    found = scopebot("doctor", data=tmp_path)
    assert found.returncode == 0, found.stdout
    assert "FAIL" not in found.stdout


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0", "Check REDIS_URL"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "Check DATABASE_URL"),
        ("SCOPEBOT_ARTIFACTS_URL", "nonsense://x", "fsspec"),
        ("SCOPEBOT_PORT", "many", "Correct this variable"),
        ("SCOPEBOT_CONFIG", "/nowhere/scopebot.toml", "/nowhere/scopebot.toml"),
        ("SLACK_BOT_TOKEN", "xoxb-1", "SLACK_BOT_TOKEN"),
    ],
)
def test_doctor_says_how_to_mend_a_wrong_setting(tmp_path: Path, setting: str, value: str, said: str) -> None:
    found = scopebot("doctor", data=tmp_path, **{setting: value, "SLACK_API_URL": "http://127.0.0.1:1/api/"})
    assert found.returncode == 1
    assert said in found.stdout
    assert "Traceback" not in found.stdout + found.stderr


def test_doctor_points_at_the_entry_of_scopebot_toml_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "scopebot.toml").write_text('[models.prod]\nmodle = "m"\n')
    assert "models.prod.model" in scopebot("doctor", data=tmp_path).stdout


def test_a_broken_scopebot_toml_is_one_line_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "scopebot.toml").write_text("[models")
    told = scopebot("chat", "help", data=tmp_path)
    assert told.returncode == 1
    assert "scopebot.toml is not valid" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_worker_without_redis_says_what_to_set(tmp_path: Path) -> None:
    told = scopebot("worker", data=tmp_path)
    assert told.returncode == 1
    assert "Set REDIS_URL" in told.stderr


def test_chat_answers_in_the_persons_language_as_json_lines_alone(tmp_path: Path) -> None:
    told = scopebot(
        "chat", "--json", "你能做什么？", "which benchmarks test medical knowledge?", data=tmp_path, SCOPEBOT_PORT="0"
    )
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["post", "post"]
    assert "EvalScope" in lines[0]["text"]
    assert "评测" in lines[0]["text"]
    assert "Medical" in lines[1]["text"]


def test_chat_answers_what_evalscopes_own_commands_ask(tmp_path: Path) -> None:
    told = scopebot(
        "chat", "--json", "evalscope --version", "What does --sla-num-runs do?", "evalscope benchmark-info gsm8k",
        "evalscope service", "evalscope perf --help", data=tmp_path, SCOPEBOT_PORT="0",
        SCOPEBOT_DASHBOARD_URL="https://dash.example",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    version, parameter, benchmark, dashboard, flags = [json.loads(line) for line in told.stdout.splitlines()]
    assert "EvalScope" in version["text"]
    assert "--sla-num-runs" in parameter["text"]
    assert benchmark["text"] == "GSM8K (gsm8k)"
    assert {"type": "link", "label": "EvalScope's dashboard", "url": "https://dash.example"} in dashboard["parts"]
    assert any("--parallel" in row for part in flags["parts"] if part["type"] == "table" for row in part["rows"])


def test_parse_reads_a_pasted_script_and_keeps_its_key_out(tmp_path: Path) -> None:
    script = "run_task({'model': 'm', 'datasets': ['gsm8k'], 'api_key': 'hunter2', 'limit': 5})"
    out = scopebot("parse", script, data=tmp_path).stdout
    parsed = json.loads(out)
    assert list(parsed) == ["intent", "args", "missing", "refused", "question", "by", "more"]
    assert (parsed["intent"], parsed["by"]) == ("eval", "command_line")
    assert parsed["args"] == {"model": "m", "datasets": ["gsm8k"], "limit": 5}
    assert parsed["refused"] == [{"name": "api_key", "reason": "refused.api_key"}]
    assert "hunter2" not in out


def test_chat_ends_with_2_while_a_question_waits_and_1_when_something_was_refused(tmp_path: Path) -> None:
    assert (
        scopebot("chat", "--json", "evaluate mock on mmlu, 100 samples", data=tmp_path, SCOPEBOT_PORT="0").returncode
        == 2
    )
    assert scopebot("chat", "--json", "train my model", data=tmp_path, SCOPEBOT_PORT="0").returncode == 1


def test_chat_stops_the_server_it_started(tmp_path: Path) -> None:
    scopebot("chat", "help", data=tmp_path, SCOPEBOT_PORT="0")
    assert not (tmp_path / "valkey" / "server.json").exists()


@pytest.mark.slow
def test_chat_compares_several_models_after_one_question_and_ends_with_1_where_one_failed(tmp_path: Path) -> None:
    (tmp_path / "scopebot.toml").write_text('[models.gone]\nmodel = "m"\napi_url = "http://127.0.0.1:9/v1"\n')
    told = scopebot(
        "chat", "--json", "--yes", "evaluate mock and gone on sample_mcq and sample_qa, 4 samples", data=tmp_path,
        SCOPEBOT_PORT="0",
    )  # fmt: skip
    assert told.returncode == 1, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    question, status, result = [line for line in lines if line["kind"] == "post"]
    assert question["parts"][0]["type"] == "buttons"
    assert "1 done, 1 failed" in result["text"]
    (table,) = [part for part in result["parts"] if part["type"] == "table"]
    assert [row[0] for row in table["rows"]] == ["mock_llm", "gone"]
    edits = [line for line in lines if line["kind"] == "edit" and line["id"] == status["id"]]
    assert [part["label"] for part in edits[-1]["parts"] if part["type"] == "progress"] == ["2 of 2 runs ended"]


def test_benchmarks_says_so_where_nothing_matches_and_names_what_is_near(tmp_path: Path) -> None:
    assert "gsm8k" in scopebot("benchmarks", "gsm9k", data=tmp_path).stdout


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_serve_on_a_taken_port_says_what_to_do_and_leaves_nothing_behind(tmp_path: Path, taken_port: int) -> None:
    told = scopebot("serve", data=tmp_path, SCOPEBOT_PORT=str(taken_port))
    assert told.returncode == 1
    assert f"port {taken_port}" in told.stderr
    assert "SCOPEBOT_PORT" in told.stderr
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "valkey" / "server.json").exists()


def test_chat_on_a_taken_port_takes_another_one(tmp_path: Path, taken_port: int) -> None:
    assert scopebot("chat", "help", data=tmp_path, SCOPEBOT_PORT=str(taken_port)).returncode == 0
    assert not (tmp_path / "web_url").read_text().endswith(f":{taken_port}")
