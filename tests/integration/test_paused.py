"""A run whose first answers cannot be read pauses and asks; with the real console, worker and EvalScope."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.endpoint import Endpoint, answers

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # each starts processes, which another test's may hold up
UNREADABLE = answers("…")


def environment(data: Path) -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    return clean | {"SCOPEBOT_DATA_DIR": str(data), "SCOPEBOT_PORT": "0"}


@pytest.fixture(scope="module")
def mumbling() -> Iterator[Endpoint]:
    """The endpoint of the registered model of that name."""
    with Endpoint(UNREADABLE) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, mumbling: Endpoint) -> Iterator[Path]:
    """The data folder of a bot that serves: who chats beside it uses its worker."""
    folder = tmp_path_factory.mktemp("paused")
    (folder / "scopebot.toml").write_text(f'[models.mumbling]\nmodel = "tiny"\napi_url = "{mumbling.url}"\n')
    serving = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "serve"], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env=environment(folder),
    )  # fmt: skip
    assert serving.stderr is not None
    with serving.stderr:
        assert any("Scopebot is ready" in line for line in serving.stderr)
        draining = threading.Thread(target=serving.stderr.read)
        draining.start()
        yield folder
        serving.terminate()
        assert serving.wait(60) == 0
        draining.join()


def chat(data: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "chat", "--json", *words], cwd=ROOT, capture_output=True, text=True,
        timeout=150, check=False, env=environment(data),
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def evaluation(endpoint: Endpoint) -> str:
    return f"/eval tiny sample_mcq api_url={endpoint.url} limit=10 eval_batch_size=1"


def test_it_asks_after_five_and_ends_with_2_then_goes_on_from_what_it_has_where_told_to(data: Path) -> None:
    with Endpoint(UNREADABLE) as endpoint, Endpoint(answers("ANSWER: A")) as readable:
        status, lines = chat(data, evaluation(endpoint), evaluation(readable))
        asked = [line for line in lines if any(part["type"] == "buttons" for part in line["parts"])]
        assert status == 2, lines[-1]
        assert len(asked) == 1, "the one whose answers can be read goes on"
        (table,) = [part for part in asked[0]["parts"] if part["type"] == "table"]
        assert [row[2] for row in table["rows"]] == ["(nothing)"] * 5
        paid = len(endpoint.completions)
        assert paid < 10, "it spent no more than it had to"
        status, lines = chat(data, "resume r1")
        assert status == 0, lines[-1]
        assert [line["text"] for line in lines if line["text"].startswith("r3: tiny — sample_mcq 0.0 %")]
        questions = [call.question for call in endpoint.completions]
    assert len(questions) <= len(set(questions)) + 1, "none is paid for twice, but for the one under way"


def test_yes_goes_on_and_no_answer_is_paid_for_twice(data: Path, mumbling: Endpoint) -> None:
    status, lines = chat(data, "--yes", "/eval mumbling sample_mcq limit=10 eval_batch_size=1")
    assert status == 0, lines[-1]
    assert [line for line in lines if any(part["type"] == "buttons" for part in line["parts"])], "it asked"
    questions = [call.question for call in mumbling.completions]
    assert len(questions) <= len(set(questions)) + 1, "but for the one that was under way"
    assert any("mumbling — sample_mcq 0.0 %" in line["text"] for line in lines if line["kind"] == "post")
