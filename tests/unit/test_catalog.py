"""What can be evaluated: the snapshot tells the truth, and every spelling finds its benchmark."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.catalog import SUITES, BenchmarkInfo, Catalog, plain, snapshot
from jobs.evalscope.discover import read_catalog
from jobs.sample import SAMPLE_DATASETS

ROOT = Path(__file__).resolve().parents[2]
SMALL = Catalog(
    evalscope_version="1",
    benchmarks=(
        BenchmarkInfo(name="gsm8k", pretty_name="GSM8K", tags=("Math", "Reasoning"), description="Grade school."),
        BenchmarkInfo(name="math_500", pretty_name="MATH-500", tags=("Math",), description_zh="数学竞赛题"),
        BenchmarkInfo(name="poly", pretty_name="PolyMath", tags=("Multi-Lingual",), description="like gsm8k"),
    ),
)
names = st.sampled_from(sorted(snapshot().by_name))


def test_the_snapshot_is_of_the_evalscope_that_is_pinned() -> None:
    pinned = re.search(r'"evalscope\[perf\]==([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pinned is not None
    assert snapshot().evalscope_version == pinned[1]


def test_the_snapshot_has_the_facts_that_the_installed_evalscope_gives() -> None:
    assert version("evalscope") == snapshot().evalscope_version
    read = read_catalog(prose=False).by_name
    kept = {
        name: info.model_copy(update={"description": "", "description_zh": ""})
        for name, info in snapshot().by_name.items()
    }
    assert kept == read


def test_the_snapshot_names_each_benchmark_once() -> None:
    assert len(snapshot().by_name) == len(snapshot().benchmarks) > 100


def test_the_suites_of_the_design_name_benchmarks_that_exist() -> None:
    assert {name: SUITES[name] for name in ("general", "chinese", "multimodal")} == {
        "general": ("mmlu", "gsm8k", "bbh", "humaneval", "ifeval"),
        "chinese": ("ceval", "cmmlu", "chinese_simpleqa"),
        "multimodal": ("mmmu", "mm_bench", "math_vista", "mm_star"),
    }
    missing = {name for suite in SUITES.values() for name in suite} - set(snapshot().by_name) - set(SAMPLE_DATASETS)
    assert missing == set()


def test_benchmarks_that_execute_code_are_known_as_such() -> None:
    assert snapshot().by_name["humaneval"].runs_code
    assert not snapshot().by_name["gsm8k"].runs_code


@given(names, st.data())
def test_every_benchmark_is_found_by_any_spelling_of_its_name(name: str, data: st.DataObject) -> None:
    parts = [part for part in re.split(r"[^0-9a-zA-Z]+", name) if part]
    joint = data.draw(st.sampled_from(["_", "-", " ", "", ".", "  "]))
    spelt = "".join(char.upper() if data.draw(st.booleans()) else char for char in joint.join(parts))
    found = snapshot().find(spelt)
    assert found is not None
    assert plain(found.name) == plain(name)


def test_no_two_benchmarks_share_a_spelling() -> None:
    spellings = [plain(name) for name in snapshot().by_name]
    assert len(set(spellings)) == len(spellings)


def test_a_name_wins_over_another_benchmarks_pretty_name() -> None:
    catalog = Catalog(
        evalscope_version="1",
        benchmarks=(BenchmarkInfo(name="a", pretty_name="B"), BenchmarkInfo(name="b", pretty_name="C")),
    )
    assert (found := catalog.find("B")) is not None
    assert found.name == "b"


@pytest.mark.parametrize("said", ["", "no such benchmark", "gsm9k", "!!!"])
def test_what_is_no_benchmark_is_not_found(said: str) -> None:
    assert snapshot().find(said) is None


@given(st.text())
def test_any_text_can_be_looked_up(said: str) -> None:
    snapshot().find(said)
    SMALL.search(said)
    SMALL.with_tags([said])


@given(st.text())
def test_folding_twice_is_folding_once(said: str) -> None:
    assert plain(plain(said)) == plain(said)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("gsm9k", "gsm8k"),
        ("humanevl", "humaneval"),
        ("ifevl", "ifeval"),
        ("mmul", "mmlu"),
    ],
)
def test_a_misspelt_name_has_the_meant_one_among_the_nearest(said: str, meant: str) -> None:
    nearest = snapshot().nearest(said)
    assert meant in nearest
    assert len(nearest) == 3


def test_all_the_tags_must_be_carried_in_any_spelling() -> None:
    assert [info.name for info in SMALL.with_tags(["math"])] == ["gsm8k", "math_500"]
    assert [info.name for info in SMALL.with_tags(["MATH", "reasoning"])] == ["gsm8k"]
    assert [info.name for info in SMALL.with_tags(["multilingual"])] == ["poly"]
    assert SMALL.with_tags(["cooking"]) == []
    assert SMALL.tags == ("Math", "Multi-Lingual", "Reasoning")


def test_a_search_needs_all_words_and_puts_names_first() -> None:
    assert [info.name for info in SMALL.search("GSM8K")] == ["gsm8k", "poly"]
    assert [info.name for info in SMALL.search("grade school")] == ["gsm8k"]
    assert [info.name for info in SMALL.search("数学")] == ["math_500"]
    assert SMALL.search("gsm8k cooking") == []


@pytest.mark.parametrize(("subsets", "samples"), [({}, None), ({"a": 3, "b": 0}, None), ({"a": 3, "b": 4}, 7)])
def test_a_size_is_known_only_where_every_subsets_is(subsets: dict[str, int], samples: int | None) -> None:
    assert BenchmarkInfo(name="x", pretty_name="x", subsets=subsets).samples == samples


def test_a_catalog_comes_back_from_json_as_it_was() -> None:
    assert Catalog.model_validate_json(SMALL.model_dump_json()) == SMALL
