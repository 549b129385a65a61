"""EvalScope's evaluator as it is observed: what fails is counted, what is hopeless is not tried, no silent zero."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evalscope.api.metric import SampleScore, Score
from evalscope.evaluator import DefaultEvaluator

from jobs.evalscope.evaluator import (
    Hopeless,
    MetricDataMissing,
    observed_evaluator,
    refuse_silent_zeros,
    running_score,
)
from jobs.evalscope.observer import ERRORS_IN_A_ROW, Observer
from jobs.evalscope.samples import Sample, SampleLog
from jobs.models import Progress

SAMPLE = Sample("faq", "en", "1", "1", "2 + 2?", "4", "four", "4", {"acc": 1.0}, 1, 1, 0.1)
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def score(value: float, **metadata: Any) -> SampleScore:
    return SampleScore(score=Score(value={"acc": value}, metadata=metadata), sample_id=1, group_id=value)


@pytest.fixture
def told() -> list[Progress]:
    return []


@pytest.fixture
def observer(tmp_path: Path, told: list[Progress]) -> Iterator[Observer]:
    with closing(SampleLog(tmp_path / "samples.db")) as samples:
        observer = Observer(attempt=1, tell=told.append, samples=samples)
        observer.loaded("faq", 60, {}, lambda _scores: None)
        yield observer


@pytest.fixture
def evaluator(observer: Observer) -> Any:
    """The observed evaluator, without what EvalScope makes around it."""
    found = object.__new__(observed_evaluator(observer, {"general_qa": "faq"}))
    found.benchmark_name = "general_qa"
    return found


def evalscope(monkeypatch: pytest.MonkeyPatch, method: str, result: Any) -> list[Any]:
    """Let EvalScope's own method return this or raise it; return the list of what it was called with."""
    called: list[Any] = []

    def act(_self: Any, *args: Any) -> Any:
        called.append(args)
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(DefaultEvaluator, method, act)
    return called


def test_a_sample_that_fails_is_counted_with_its_error_and_raised_on(
    evaluator: Any, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = TimeoutError("slow")
    evalscope(monkeypatch, "_process_work_item", error)
    with pytest.raises(TimeoutError):
        evaluator._process_work_item("item", "folder")
    assert (observer.progress().errors, observer.last_error, observer.hopeless) == (1, error, False)


def test_a_metric_that_failed_is_an_error_of_its_sample_and_no_zero(
    evaluator: Any, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    evalscope(monkeypatch, "_process_work_item", ("state", score(0.0, metric_errors={"bleu": "no punkt_tab"})))
    with pytest.raises(MetricDataMissing, match="punkt_tab"):
        evaluator._process_work_item("item", "folder")
    assert isinstance(observer.last_error, MetricDataMissing)


@pytest.mark.parametrize("sample_score", [None, score(1.0)], ids=["scored at the end", "scored"])
def test_a_sample_whose_metrics_worked_is_handed_on(sample_score: Any) -> None:
    refuse_silent_zeros(sample_score)


def test_once_it_is_hopeless_no_further_sample_is_asked_for(
    evaluator: Any, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = evalscope(monkeypatch, "_process_work_item", ConnectionError("gone"))
    for _ in range(ERRORS_IN_A_ROW):
        with pytest.raises(ConnectionError):
            evaluator._process_work_item("item", "folder")
    for _ in range(10):
        with pytest.raises(Hopeless):
            evaluator._process_work_item("item", "folder")
    assert len(asked) == observer.progress().errors == ERRORS_IN_A_ROW


def test_one_sample_that_works_shows_that_the_endpoint_is_there(observer: Observer) -> None:
    for _ in range(3):
        for _ in range(ERRORS_IN_A_ROW - 1):
            observer.failed(ConnectionError("gone"))
        observer.finished(SAMPLE, None)
    assert not observer.hopeless


def test_a_sample_that_cannot_be_kept_is_an_error_and_not_a_finished_one(
    evaluator: Any, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    evalscope(monkeypatch, "_persist_result", NO_ROOM)
    with pytest.raises(OSError, match="No space left"):
        evaluator._persist_result("item", "state", score(1.0))
    assert (observer.progress().done, observer.progress().errors) == (0, 1)


def test_a_full_disk_is_hopeless_at_once_and_stays_what_the_run_failed_for(observer: Observer) -> None:
    observer.failed(TimeoutError("slow"))
    observer.failed(NO_ROOM)
    assert observer.hopeless
    observer.failed(TimeoutError("slow again"))
    assert observer.last_error is NO_ROOM
    assert observer.progress().errors == 3


def test_failed_samples_are_not_waited_for(observer: Observer) -> None:
    for _ in range(2):
        observer.finished(SAMPLE, None)
    before = observer.progress()
    for _ in range(8):
        observer.failed(TimeoutError("slow"))
    after = observer.progress()
    assert (after.done, after.total, after.errors) == (2, 60, 8)
    assert before.rate is not None
    assert before.eta == pytest.approx(58 / before.rate)
    assert after.rate is not None
    assert after.eta == pytest.approx(50 / after.rate)


# the running score


@pytest.fixture(scope="module")
def benchmark() -> Any:
    import evalscope.run  # noqa: F401 - registers the benchmarks
    from evalscope.api.registry import get_benchmark
    from evalscope.config import TaskConfig

    return get_benchmark("general_mcq", TaskConfig(model="mock_llm", eval_type="mock_llm", datasets=["general_mcq"]))


def test_the_running_score_weighs_subsets_by_their_samples_and_leaves_empty_ones_out(benchmark: Any) -> None:
    found = running_score(benchmark, "faq", {"en": [score(1.0)], "zh": [score(0.0)] * 3, "fr": []})
    assert found is not None
    assert (found.benchmark, found.num, found.score) == ("faq", 4, 0.25)


def test_there_is_no_running_score_before_the_first_sample(benchmark: Any) -> None:
    assert running_score(benchmark, "faq", {}) is None
    assert running_score(benchmark, "faq", {"en": []}) is None


def test_there_is_no_running_score_where_a_whole_cohort_is_needed_for_it(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_all(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("needs all 8 repeats")

    monkeypatch.setattr(benchmark, "aggregate_subset", of_all)
    assert running_score(benchmark, "faq", {"en": [score(1.0)]}) is None


def test_there_is_no_running_score_where_the_headline_is_not_among_the_aggregates(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = SimpleNamespace(matches=lambda _identity: False)
    monkeypatch.setattr(type(benchmark), "benchmark_meta", SimpleNamespace(primary_metric=nothing), raising=False)
    monkeypatch.setattr(type(benchmark), "aggregate_subset", lambda *_a, **_k: [SimpleNamespace(identity="acc")])
    assert running_score(benchmark, "faq", {"en": [score(1.0)]}) is None
