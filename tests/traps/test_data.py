"""Data that is not there: benchmarks nobody knows, hubs out of reach, folders and NLTK's tables that are missing."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from horses import Horses, Running, benchmark, by_heart, model, sample, spec
from support.endpoint import Endpoint, answers

from handlers.texts import CATALOGUES, Texts
from jobs.models import DatasetTarget, Failure, ModelTarget

MOCK = ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm")
WITHOUT_NLTK = """
import sys
import nltk
sys.modules["llama_index"] = None  # as if it were not installed
nltk.data.path[:] = []
"""
BLEU = ["Rouge", "BLEU"]


def told(failure: Failure, *words: str) -> None:
    """Assert that a failure has a text in both languages that lacks no fact, and the first has these words."""
    for language in ("en", "zh"):
        template = CATALOGUES[language][f"error.{failure.code}"]
        assert {name for _, name, _, _ in string.Formatter().parse(template) if name} <= set(failure.params)
    said = Texts("en").error(failure)
    assert all(word in said for word in words), said


@pytest.fixture(scope="module", autouse=True)
def unreachable(horses: Horses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """What waits for a hub, begun before everything else of this file."""
    running = {}
    for hub in ("modelscope", "huggingface"):
        cache = str(tmp_path_factory.mktemp(hub))
        running[hub] = horses.start(
            spec(MOCK, benchmark("gsm8k"), dataset_hub=hub), environment={"MODELSCOPE_CACHE": cache, "HF_HOME": cache}
        )
    return running


def test_an_unknown_benchmark_names_the_three_nearest(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), benchmark("gms8k")), within=8)
    assert ended.code == "unknown_benchmark"
    nearest = str(ended.failure.params["nearest"]).split(", ")
    assert len(nearest) == 3
    assert "gsm8k" in nearest
    told(ended.failure, "gms8k", *nearest)
    assert endpoint.calls == []


def test_a_benchmark_that_runs_code_is_refused_on_the_worker_too(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), benchmark("humaneval")), within=8)
    assert ended.code == "sandbox_needed"
    told(ended.failure, "humaneval", "allow_host_code = true")
    assert endpoint.calls == []  # nothing the model could have written


def test_a_registered_data_set_whose_folder_is_gone_is_missing(horses: Horses) -> None:
    toml = '[datasets.faq]\nbenchmark = "general_qa"\nlocal_path = "/nowhere/faq"\n'
    dataset = DatasetTarget(name="faq", benchmark="general_qa", local=True)
    ended = horses.evaluate(spec(MOCK, dataset), toml=toml, within=8)
    assert ended.code == "dataset_missing"
    told(ended.failure, "faq", "/nowhere/faq")


def test_a_data_set_that_is_not_registered_on_this_worker_is_missing(horses: Horses) -> None:
    dataset = DatasetTarget(name="faq", benchmark="general_qa", local=True)
    ended = horses.evaluate(spec(MOCK, dataset), within=8)
    assert ended.code == "dataset_missing"
    told(ended.failure, "faq", "scopebot.toml")


def test_a_data_set_without_the_subset_s_file_is_missing(horses: Horses, tmp_path: Path) -> None:
    toml = f'[datasets.faq]\nbenchmark = "general_qa"\nlocal_path = "{tmp_path}"\n'
    dataset = DatasetTarget(name="faq", benchmark="general_qa", local=True, args={"subset_list": ["hr"]})
    ended = horses.evaluate(spec(MOCK, dataset), toml=toml, within=8)
    # BLEU is among general_qa's metrics, so NLTK's tables were found before
    assert ended.code == "dataset_missing"
    told(ended.failure, "hr", f"{tmp_path}/hr_test.jsonl")


def test_a_data_set_with_the_files_of_other_subsets_is_told_by_its_name_with_what_is_there(
    horses: Horses, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "it.jsonl").write_text('{"query": "1 + 1?", "response": "2"}\n', encoding="utf-8")
    toml = f'[datasets.faq]\nbenchmark = "general_qa"\nlocal_path = "{tmp_path}/data"\n'
    dataset = DatasetTarget(name="faq", benchmark="general_qa", local=True)
    ended = horses.evaluate(spec(MOCK, dataset), toml=toml, within=8)
    assert ended.code == "subset_missing"
    told(ended.failure, "faq", "it.jsonl", "subset_list")


@pytest.mark.parametrize("name", ["sample_qa", "ifeval"])
def test_without_nltk_s_data_the_run_fails_instead_of_scoring_0(horses: Horses, tmp_path: Path, name: str) -> None:
    dataset = sample(metric_list=BLEU) if name == "sample_qa" else benchmark(name)
    environment: dict[str, str | None] = {"NLTK_DATA": str(tmp_path), "HOME": str(tmp_path)}
    ended = horses.evaluate(spec(MOCK, dataset), environment=environment, before=WITHOUT_NLTK, within=8)
    assert ended.code == "nltk_missing"
    told(ended.failure, "punkt_tab", "NLTK_DATA")
    assert ended.result.benchmarks == ()


def test_nltk_s_data_that_is_gone_when_a_sample_is_scored_is_no_score_of_0(horses: Horses, tmp_path: Path) -> None:
    """The check found it; EvalScope itself would count the sample as 0 and go on."""
    environment: dict[str, str | None] = {"NLTK_DATA": str(tmp_path), "HOME": str(tmp_path)}
    before = WITHOUT_NLTK + "import jobs.evalscope.fixes as fixes\nfixes.provide_nltk_data = lambda keep: True"
    with Endpoint(answers(by_heart)) as endpoint:
        run = spec(model(endpoint.url), sample(metric_list=BLEU))
        ended = horses.evaluate(run, environment=environment, before=before)
        assert len(endpoint.completions) == 6
    assert ended.code == "nltk_missing"
    assert ended.result.benchmarks == ()


def test_with_the_data_we_bring_bleu_is_1_for_the_right_answer(horses: Horses, tmp_path: Path) -> None:
    environment: dict[str, str | None] = {"NLTK_DATA": None, "HOME": str(tmp_path)}
    before = "import nltk\nnltk.data.path[:] = []"
    with Endpoint(answers(by_heart)) as endpoint:
        ended = horses.evaluate(
            spec(model(endpoint.url), sample(metric_list=BLEU)), environment=environment, before=before
        )
    assert ended.code == "succeeded"
    scores = {metric.label: metric.score for metric in ended.result.benchmarks[0].metrics}
    assert scores["bleu[ngram=1]"] == 1
    assert scores["rouge[statistic=recall,variant=l]"] == 1
    # whoever reproduces it needs the same data
    assert ended.result.reproduce is not None
    folder = Path(ended.result.reproduce.env["NLTK_DATA"])
    assert (folder / "tokenizers" / "punkt_tab" / "english").is_dir()
    assert list(tmp_path.iterdir()) == []  # nothing was downloaded


@pytest.mark.parametrize("hub", ["modelscope", "huggingface"])
def test_a_hub_out_of_reach_fails_the_run_within_a_minute(unreachable: dict[str, Running], hub: str) -> None:
    ended = unreachable[hub].ended(within=60)
    assert ended.code == "dataset_unreachable"
    told(ended.failure, "MODELSCOPE_CACHE", "[datasets.NAME]")
