"""A run whose first answers cannot be read pauses and asks; with the real console, worker and EvalScope."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.endpoint import Endpoint, answers

ROOT = Path(__file__).resolve().parents[2]
UNREADABLE = answers("…")


def chat(data: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "chat", "--json", *words], cwd=ROOT, capture_output=True, text=True,
        timeout=120, check=False, env=clean | {"SCOPEBOT_DATA_DIR": str(data), "SCOPEBOT_PORT": "0"},
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def evaluation(endpoint: Endpoint) -> str:
    return f"/eval tiny sample_mcq api_url={endpoint.url} limit=10 eval_batch_size=1"


def test_it_asks_after_five_and_ends_with_2_then_goes_on_from_what_it_has_where_told_to(tmp_path: Path) -> None:
    with Endpoint(UNREADABLE) as endpoint, Endpoint(answers("ANSWER: A")) as readable:
        status, lines = chat(tmp_path, evaluation(endpoint), evaluation(readable))
        asked = [line for line in lines if any(part["type"] == "buttons" for part in line["parts"])]
        assert status == 2, lines[-1]
        assert len(asked) == 1, "the one whose answers can be read goes on"
        (table,) = [part for part in asked[0]["parts"] if part["type"] == "table"]
        assert [row[2] for row in table["rows"]] == ["(nothing)"] * 5
        paid = len(endpoint.completions)
        assert paid < 10, "it spent no more than it had to"
        status, lines = chat(tmp_path, "resume r1")
        assert status == 0, lines[-1]
        assert [line["text"] for line in lines if line["text"].startswith("r3: tiny — sample_mcq 0.0 %")]
        questions = [call.question for call in endpoint.completions]
    assert len(questions) <= len(set(questions)) + 1, "none is paid for twice, but for the one under way"


def test_yes_goes_on_and_no_answer_is_paid_for_twice(tmp_path: Path) -> None:
    with Endpoint(UNREADABLE) as endpoint:
        status, lines = chat(tmp_path, "--yes", evaluation(endpoint))
    assert status == 0, lines[-1]
    questions = [call.question for call in endpoint.completions]
    assert len(questions) <= len(set(questions)) + 1, "but for the one that was under way"
    results = [line for line in lines if line["kind"] == "post" and line["text"].startswith("r1: ")]
    assert any("0.0 %" in line["text"] for line in results)
