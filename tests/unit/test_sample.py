"""Check the sample benchmark's data and its description."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from jobs.sample import QA_ANSWER_PATTERN, SAMPLE_DATASETS, SampleDataset

SPLITS = {"general_mcq": "val", "general_qa": "test"}
LETTERS = "ABCD"
CHINESE = re.compile("[\u4e00-\u9fff]")

Row = dict[str, str]


def read_rows(dataset: SampleDataset, subset: str) -> list[Row]:
    """Read the rows of one subset."""
    path = dataset.folder / f"{subset}_{SPLITS[dataset.benchmark]}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def all_rows(name: str) -> list[Row]:
    """Read the rows of all subsets of a data set."""
    dataset = SAMPLE_DATASETS[name]
    return [row for subset in dataset.subsets for row in read_rows(dataset, subset)]


def extract(text: str) -> str:
    """Apply the answer filter as EvalScope's regex filter does."""
    found = re.findall(QA_ANSWER_PATTERN, text)
    return next((group.strip() for group in found[0] if group), "") if found else ""


@pytest.mark.parametrize("name", SAMPLE_DATASETS)
def test_description(name: str) -> None:
    """Check names, folder, subsets and that the arguments can travel as JSON."""
    dataset = SAMPLE_DATASETS[name]
    assert dataset.name == name
    assert dataset.benchmark in SPLITS
    assert dataset.folder.is_absolute()
    assert dataset.dataset_args["subset_list"] == list(dataset.subsets) == ["en", "zh"]
    assert dataset.dataset_args["few_shot_num"] == 0
    assert "{question}" in dataset.dataset_args["prompt_template"]
    assert json.loads(json.dumps(dataset.dataset_args)) == dataset.dataset_args


def test_mcq_template_formats() -> None:
    """Check that the template needs nothing but what EvalScope fills in."""
    template: str = SAMPLE_DATASETS["sample_mcq"].dataset_args["prompt_template"]
    prompt = template.format(question="Q?", choices="A) x\nB) y", letters="A,B")
    assert all(part in prompt for part in ("Q?", "A) x", "A,B"))


@pytest.mark.parametrize("name", SAMPLE_DATASETS)
def test_counts(name: str) -> None:
    """Check that the files hold as many samples as declared, and no stray file lies beside them."""
    dataset = SAMPLE_DATASETS[name]
    assert {subset: len(read_rows(dataset, subset)) for subset in dataset.subsets} == dataset.subsets
    assert dataset.total >= 40
    split = SPLITS[dataset.benchmark]
    expected = {f"{subset}_{split}.jsonl" for subset in dataset.subsets}
    assert {path.name for path in Path(dataset.folder).iterdir()} == expected


@pytest.mark.parametrize("name", SAMPLE_DATASETS)
def test_no_duplicates(name: str) -> None:
    """Check that ids and questions occur once."""
    rows = all_rows(name)
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({re.sub(r"\W+", "", row["question"]).lower() for row in rows}) == len(rows)


@pytest.mark.parametrize("name", SAMPLE_DATASETS)
def test_languages(name: str) -> None:
    """Check that the subsets are written in their languages."""
    dataset = SAMPLE_DATASETS[name]
    assert all(CHINESE.search(row["question"]) for row in read_rows(dataset, "zh"))
    for row in read_rows(dataset, "en"):
        assert row["id"].startswith("en-")
        assert not CHINESE.search(json.dumps(row, ensure_ascii=False))


def test_mcq_rows() -> None:
    """Check fields, different choices and answers that are letters of them."""
    for row in all_rows("sample_mcq"):
        assert list(row) == ["id", "question", *LETTERS, "answer"]
        assert all(value.strip() == value != "" for value in row.values())
        assert len({row[letter].lower() for letter in LETTERS}) == len(LETTERS)
        assert row["answer"] in set(LETTERS)


@pytest.mark.parametrize("subset", ["en", "zh"])
def test_mcq_answers_balanced(subset: str) -> None:
    """Check that no letter is the answer much more often than the others."""
    dataset = SAMPLE_DATASETS["sample_mcq"]
    letters = Counter(row["answer"] for row in read_rows(dataset, subset))
    assert set(letters) == set(LETTERS)
    assert max(letters.values()) <= 0.4 * dataset.subsets[subset]


def test_qa_rows() -> None:
    """Check fields, one-word references, and that no question holds its own answer."""
    for row in all_rows("sample_qa"):
        assert list(row) == ["id", "question", "answer"]
        answer, question = row["answer"], row["question"]
        assert re.fullmatch(r"\w+", answer)
        if CHINESE.search(answer):
            assert answer not in question
        else:
            assert answer.lower() not in re.findall(r"[a-z0-9]+", question.lower())


@pytest.mark.parametrize(
    ("reply", "extracted"),
    [
        ("Paris", "Paris"),
        ("Paris.\n", "Paris"),
        ('"Paris"', "Paris"),
        ("**Paris**.", "Paris"),
        ("**Answer: Paris.**", "Answer: Paris"),
        ("**Answer:** Paris", "Answer:** Paris"),
        ("The capital of France is **Paris**, on the Seine.", "Paris"),
        ("The capital of France is Paris. It lies on the Seine.", "The capital of France is Paris"),
        ("中国的首都是北京。", "中国的首都是北京"),
        ("“北京”", "北京"),
        ("5", "5"),
        ("", ""),
    ],
)
def test_qa_filter(reply: str, extracted: str) -> None:
    """Check what the filter leaves of usual ways to answer."""
    assert extract(reply) == extracted
