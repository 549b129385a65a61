"""`samples.db`: one row per finished sample, the same content hash across runs, nothing left beside the file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.evalscope.samples import Sample, SampleLog, content_hash

ONE = Sample(
    dataset="sample_qa", subset="zh", sample_id="3", group_id="3", question="首都？", target="北京", answer="北京。",
    extracted="北京", scores={"rouge": 0.5, "精确": 1.0}, prompt_tokens=12, completion_tokens=3, latency=0.25,
)  # fmt: skip


def rows(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM samples ORDER BY sample_id")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.db"


def write(path: Path, *samples: Sample) -> None:
    with closing(SampleLog(path)) as log:
        for sample in samples:
            log.add(sample)


def test_a_sample_is_kept_whole(path: Path) -> None:
    write(path, ONE)
    (row,) = rows(path)
    assert json.loads(row.pop("scores")) == ONE.scores
    assert row.pop("content") == content_hash("首都？", "北京")
    assert row == {name: value for name, value in ONE._asdict().items() if name != "scores"}


def test_what_is_not_known_is_null_and_not_zero(path: Path) -> None:
    write(path, ONE._replace(extracted=None, prompt_tokens=None, completion_tokens=None, latency=None))
    (row,) = rows(path)
    assert [row[name] for name in ("extracted", "prompt_tokens", "completion_tokens", "latency")] == [None] * 4


def test_a_later_attempts_row_replaces_the_earlier_one(path: Path) -> None:
    write(path, ONE, ONE._replace(sample_id="4"))
    write(path, ONE._replace(answer="上海", scores={"rouge": 0.0}))
    assert [(row["sample_id"], row["answer"]) for row in rows(path)] == [("3", "上海"), ("4", "北京。")]


@pytest.mark.parametrize("change", [{"dataset": "other"}, {"subset": "en"}, {"sample_id": "5"}])
def test_samples_that_differ_in_one_part_of_their_identity_are_two(path: Path, change: dict[str, str]) -> None:
    write(path, ONE, ONE._replace(**change))
    assert len(rows(path)) == 2


def test_a_reader_sees_each_sample_as_it_finishes(path: Path) -> None:
    with closing(SampleLog(path)) as log:
        for number in range(3):
            log.add(ONE._replace(sample_id=str(number)))
            assert len(rows(path)) == number + 1


def test_the_file_is_whole_by_itself(path: Path) -> None:
    with closing(SampleLog(path)) as log:
        log.add(ONE)
        assert [each.name for each in path.parent.iterdir()] == ["samples.db"]


def test_an_answer_that_ends_in_half_an_emoji_is_kept(path: Path) -> None:
    write(path, ONE._replace(answer=json.loads('"yes \\ud83d"')))
    assert len(rows(path)) == 1


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_the_content_hash_depends_on_question_and_target_alone(question: str, target: str) -> None:
    found = content_hash(question, target)
    assert len(found) == 64
    assert found == content_hash(question, target)
    assert found != content_hash(question + "x", target)
    assert found != content_hash(question, target + "x")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_the_border_between_question_and_target_counts(text: str) -> None:
    assert content_hash(text, "") != content_hash("", text)
