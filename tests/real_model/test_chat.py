"""`scopebot chat` with a real model: an honest score, and an exit status scripts can rely on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import refusing_url
from talking import ROOT, Said, make_console

from jobs.lifecycle import RunState

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(300)]


def parts(said: Said, kind: str) -> list[dict[str, Any]]:
    return [part for line in said.lines for part in line["parts"] if part["type"] == kind]


def demo_sentence() -> str:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    return str(demo.MESSAGES[0])


def test_the_demo_s_sentence_gives_an_honest_score_and_exit_status_0(tmp_path: Path, model_url: str) -> None:
    console = make_console(tmp_path, model_url)
    said = console.chat(demo_sentence())
    assert said.status == 0
    (run,) = console.runs()
    assert run.state is RunState.SUCCEEDED
    assert run.result is not None
    (result,) = run.result.benchmarks
    headline = result.headline
    assert headline is not None
    assert (result.name, result.requested, result.succeeded, result.errored) == ("sample_qa", 12, 12, 0)
    assert 0 < headline.score < 1  # a 135M model gets part of it right
    assert headline.interval is not None
    assert headline.interval.low <= headline.score <= headline.interval.high
    (table,) = [part for post in said.posts for part in post["parts"] if part["type"] == "table"]
    assert f"{headline.score * 100:.1f} %" in table["rows"][0]
    running = [part["score"] for part in parts(said, "progress") if part["score"]]
    assert running, "the score was to be seen while it ran"


def test_a_run_that_fails_gives_exit_status_1(tmp_path: Path) -> None:
    with refusing_url() as url:
        said = make_console(tmp_path, url).chat("evaluate smollm2 on sample_qa, only the en subset, 4 samples")
    assert said.status == 1
    assert f"Nothing answers at {url}" in said.posts[-1]["text"]


def test_what_is_refused_gives_exit_status_1(tmp_path: Path, model_url: str) -> None:
    console = make_console(tmp_path, model_url)
    said = console.chat("train a model for me")
    assert said.status == 1
    assert len(said.posts) == 1
    assert console.runs() == []


def test_a_question_that_waits_gives_2_and_yes_presses_its_primary_button(tmp_path: Path, model_url: str) -> None:
    console = make_console(tmp_path, model_url)
    sentence = "evaluate smollm2 on sample_qa, 4 samples"  # 4 for each of two subsets, or in all?
    waiting = console.chat(sentence)
    assert waiting.status == 2
    assert console.runs() == []
    (buttons,) = parts(waiting, "buttons")
    assert [item["primary"] for item in buttons["items"]] == [True, False, False]
    assert all(set(item) == {"id", "label", "primary"} for item in buttons["items"])
    pressed = console.chat("--yes", sentence)
    assert pressed.status == 0
    (run,) = console.runs()
    assert run.result is not None
    assert run.result.benchmarks[0].requested == 4  # the primary one: in all
