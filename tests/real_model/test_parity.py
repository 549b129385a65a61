"""What the bot says of a run is what EvalScope says when the printed command is run by hand, to the last digit."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from talking import BIN, Console, Said, make_console

from jobs.models import Run

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(300)]
SENTENCES = {
    "gsm8k": "evaluate smollm2 on gsm8k, zero-shot, first 5 questions",
    "truthful_qa": "run smollm2 on truthful_qa with 10 samples, max tokens 16",
    "ifeval": "ifeval 评测 smollm2，前 5 条",
}


@dataclass
class Talk:
    """The conversation all tests here look at."""

    said: Said
    runs: dict[str, Run]
    console: Console


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, model_url: str, seeded_cache: Path) -> Talk:
    console = make_console(tmp_path_factory.mktemp("parity"), model_url, MODELSCOPE_CACHE=str(seeded_cache))
    said = console.chat(*SENTENCES.values())
    assert said.status == 0, said.text[-2000:] + said.errors[-2000:]
    return Talk(said, dict(zip(SENTENCES, console.runs(), strict=True)), console)


def bots(run: Run) -> dict[str, Any]:
    """Return every metric of the bot's result: its identity, score, count, and each subset's."""
    assert run.result is not None
    (benchmark,) = run.result.benchmarks
    return {
        json.dumps([metric.name, metric.aggregation, metric.dimensions], sort_keys=True): (
            metric.score, metric.num, [(subset.name, subset.score, subset.num) for subset in metric.subsets],
        )
        for metric in benchmark.metrics
    }  # fmt: skip


def evalscopes(report: dict[str, Any]) -> dict[str, Any]:
    """Return every metric of EvalScope's own report."""
    return {
        json.dumps([m["identity"][part] for part in ("name", "aggregation", "dimensions")], sort_keys=True): (
            m["score"], m["num"],
            [(s["name"], s["score"], s["num"]) for category in m["categories"] for s in category["subsets"]],
        )
        for m in report["metrics"]
    }  # fmt: skip


@pytest.mark.parametrize("name", SENTENCES)
def test_the_printed_command_gives_exactly_the_bot_s_scores(talk: Talk, tmp_path: Path, name: str) -> None:
    run = talk.runs[name]
    assert run.result is not None
    reproduce = run.result.reproduce
    assert reproduce is not None
    # what is run is what people were shown
    logs = [part["text"] for post in talk.said.posts for part in post["parts"] if part["type"] == "log"]
    shown = next(text for text in logs if reproduce.command in text)
    assert all(f"{name}={value}" in shown for name, value in reproduce.env.items())
    ended = subprocess.run(
        ["sh", "-c", reproduce.command], cwd=tmp_path, env={"PATH": f"{BIN}:/usr/bin:/bin"} | reproduce.env,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    (path,) = tmp_path.glob("outputs/*/reports/*/*.json")
    report = json.loads(path.read_text(encoding="utf-8"))
    assert evalscopes(report) == bots(run)
    assert bots(run), "there has to be something to compare"
    # and not by chance: every single answer is the same
    assert answers(tmp_path / "outputs") == answers(talk.console.folder / "work" / run.name)


def answers(folder: Path) -> list[str]:
    """Return all answers of the model, sorted: they come in any order."""
    found = [path for path in folder.rglob("*.jsonl") if path.parent.parent.name == "predictions"]
    assert found, folder
    records = [json.loads(line) for path in found for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(record["model_output"]["choices"][0]["message"]["content"] for record in records)


def test_the_samples_that_were_said_are_the_samples_that_ran(talk: Talk) -> None:
    counts = {name: run.result.benchmarks[0] for name, run in talk.runs.items() if run.result}
    assert {name: result.requested for name, result in counts.items()} == {"gsm8k": 5, "truthful_qa": 10, "ifeval": 5}
    assert all(result.succeeded == result.requested for result in counts.values())
    assert all(result.tokens.completion > 0 for result in counts.values())


def test_there_is_one_result_a_run_and_the_last_edit_of_its_status_is_complete(talk: Talk) -> None:
    for name, run in talk.runs.items():
        assert run.result is not None
        posts = [post for post in talk.said.posts if any(part["type"] == "table" for part in post["parts"])]
        assert len([post for post in posts if post["text"].startswith((f"{run.name}:", f"{run.name}："))]) == 1
        status = [
            part
            for line in talk.said.lines
            for part in line["parts"]
            if part["type"] == "progress" and part["label"].startswith(f"{run.name} ")
        ]
        assert status[-1]["done"] == status[-1]["total"] == run.result.benchmarks[0].requested, name
        done = [part["done"] for part in status]
        assert done == sorted(done)


def test_each_line_is_a_post_or_an_edit_of_one(talk: Talk) -> None:
    posted: set[str] = set()
    for line in talk.said.lines:
        assert set(line) == {"kind", "id", "thread", "text", "parts"}
        assert line["kind"] in {"post", "edit"}
        assert (line["id"] in posted) == (line["kind"] == "edit")
        posted.add(line["id"])
        assert isinstance(line["text"], str)
        assert line["text"]
        assert all(part["type"] in PARTS for part in line["parts"])
    assert len({line["thread"] for line in talk.said.lines}) == 1


PARTS = {"text", "fields", "table", "chart", "progress", "log", "link", "file", "buttons", "form"}


def test_a_chinese_sentence_gets_a_chinese_answer_and_an_english_one_an_english_one(talk: Talk) -> None:
    for name, run in talk.runs.items():
        own = [line for line in talk.said.lines if line["text"].startswith((f"{run.name}:", f"{run.name}："))]
        assert own
        chinese = [any("\u4e00" <= char <= "\u9fff" for char in json.dumps(line, ensure_ascii=False)) for line in own]
        assert all(chinese) if name == "ifeval" else not any(chinese)
