"""The words all three packages share: how many samples run, what is refused, what survives JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Frozen,
    GenerationSettings,
    MetricResult,
    ModelTarget,
    Progress,
    Run,
    RunResult,
    limited,
)  # fmt: skip

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
MODEL = ModelTarget(name="m", model="mock_llm", eval_type="mock_llm")
counts = st.integers(0, 5000)
fractions = st.floats(0, 1, exclude_min=True, exclude_max=True)
limits = st.none() | st.integers(1, 6000) | fractions
subsets = st.dictionaries(st.text(min_size=1, max_size=5), counts, min_size=1, max_size=6)


def spec(*parts: dict[str, int], **fields: Any) -> EvalSpec:
    datasets = [DatasetTarget(name=f"d{n}", benchmark="b", subsets=part) for n, part in enumerate(parts)]
    return EvalSpec(model=MODEL, datasets=tuple(datasets), **fields)


def metric(**fields: Any) -> MetricResult:
    known = {"name": "accuracy", "aggregation": "mean", "direction": "higher_is_better", "score": 0.5, "num": 4}
    return MetricResult(**(known | fields))


@given(counts, limits)
def test_a_limit_never_gives_more_than_there_is_nor_less_than_nothing(count: int, limit: float | None) -> None:
    assert 0 <= limited(count, limit) <= count


@given(counts, limits)
def test_a_limit_takes_what_evalscope_itself_takes(count: int, limit: float | None) -> None:
    dataset = pytest.importorskip("evalscope.api.dataset.dataset")
    samples = range(count)
    taken = samples[: dataset.resolve_dataset_limit(limit, count)] if limit else samples
    assert limited(count, limit) == len(taken)


@given(counts, st.integers(1, 6000), st.integers(1, 6000))
def test_a_higher_limit_never_takes_fewer(count: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert limited(count, low) <= limited(count, high)


@pytest.mark.parametrize(
    ("count", "limit", "taken"),
    [(32, None, 32), (32, 5, 5), (5, 32, 5), (32, 0.1, 3), (20, 0.1, 2), (9, 0.1, 0), (0, 5, 0)],
)
def test_a_limit_is_a_number_or_a_fraction_of_each_subset(count: int, limit: float | None, taken: int) -> None:
    assert limited(count, limit) == taken


@given(subsets, limits, st.integers(1, 5))
def test_the_limit_counts_for_each_subset_and_each_repeat(
    part: dict[str, int], limit: float | None, repeats: int
) -> None:
    made = spec(part, limit=limit, repeats=repeats)
    one_by_one = 0
    for count in part.values():
        for _ in range(repeats):
            one_by_one += limited(count, limit)
    assert made.samples(made.datasets[0]) == one_by_one


@given(st.lists(subsets, min_size=1, max_size=4), limits)
def test_the_total_is_the_sum_over_the_benchmarks(parts: list[dict[str, int]], limit: float | None) -> None:
    made = spec(*parts, limit=limit)
    assert made.total == sum(made.samples(dataset) or 0 for dataset in made.datasets)


def test_the_total_is_not_known_where_one_benchmark_has_no_known_size() -> None:
    made = spec({"a": 10}, {}, limit=5)
    assert made.samples(made.datasets[0]) == 5
    assert made.samples(made.datasets[1]) is None
    assert made.total is None


def test_mmlu_limited_to_100_is_one_hundred_of_each_of_its_57_subsets() -> None:
    assert spec({f"s{n}": 150 for n in range(57)}, limit=100).total == 5700


@pytest.mark.parametrize("limit", [0, -1, 0.0, -0.5, 1.5, float("nan"), float("inf"), "many"])
def test_a_limit_that_is_neither_a_count_nor_a_fraction_is_refused(limit: object) -> None:
    with pytest.raises(ValidationError):
        spec({"a": 1}, limit=limit)


@pytest.mark.parametrize(
    "fields", [{"repeats": 0}, {"repeats": 101}, {"eval_batch_size": 0}, {"eval_batch_size": 513}, {"datasets": ()}]
)
def test_a_spec_outside_its_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvalSpec(**({"model": MODEL, "datasets": (DatasetTarget(name="d", benchmark="b"),)} | fields))


@pytest.mark.parametrize(
    "fields",
    [{"temperature": 2.1}, {"temperature": -0.1}, {"top_p": 1.1}, {"max_tokens": 0}, {"timeout": 0}, {"n": 65}],
)
def test_generation_settings_outside_evalscopes_ranges_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerationSettings(**fields)


@given(
    part=st.lists(subsets, min_size=1, max_size=3),
    limit=limits,
    seed=st.none() | st.integers(-(2**40), 2**40),
    stops=st.none() | st.lists(st.text(max_size=8), max_size=3).map(tuple),
    args=st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(), max_size=4),
)
def test_a_spec_comes_back_from_json_as_it_was(
    part: list[dict[str, int]],
    limit: float | None,
    seed: int | None,
    stops: tuple[str, ...] | None,
    args: dict[str, Any],
) -> None:
    made = spec(*part, limit=limit, seed=seed, generation_config=GenerationSettings(stop_seqs=stops))
    made = made.model_copy(update={"datasets": (made.datasets[0].model_copy(update={"args": args}),)})
    assert EvalSpec.model_validate_json(made.model_dump_json()) == made
    assert EvalSpec.model_validate(made.model_dump(mode="json")) == made


def every_value(kind: type[Frozen]) -> list[type[Frozen]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in every_value(child))]


@pytest.mark.parametrize("kind", every_value(Frozen), ids=lambda kind: kind.__name__)
def test_every_value_refuses_unknown_fields_and_change(kind: type[Frozen]) -> None:
    assert kind.model_config["frozen"] is True
    assert kind.model_config["extra"] == "forbid"


def test_a_value_cannot_be_changed_after_it_is_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MODEL.name = "other"  # type: ignore[misc]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        ModelTarget.model_validate(MODEL.model_dump() | {"api_key": "sk-secret"})


def test_a_model_typed_in_chat_is_held_to_the_strictest_rule_unless_said_otherwise() -> None:
    assert MODEL.network == "checked"


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "accuracy"),
        ({"aggregation": "identity"}, "accuracy"),
        ({"aggregation": "f1"}, "accuracy:f1"),
        ({"name": "pass_at_k", "dimensions": {"k": 4}}, "pass_at_k[k=4]"),
        (
            {"name": "rouge", "dimensions": {"variant": "l", "statistic": "recall"}},
            "rouge[statistic=recall,variant=l]",
        ),
    ],
)
def test_a_metrics_label_names_aggregation_and_dimensions_in_order(fields: dict[str, Any], label: str) -> None:
    assert metric(**fields).label == label


def test_the_headline_is_the_primary_metric_wherever_it_stands() -> None:
    primary = metric(name="b", primary=True)
    made = BenchmarkResult(
        name="d", benchmark="d", metrics=(metric(name="a"), primary), requested=1, succeeded=1, errored=0
    )
    assert made.headline is primary
    assert made.model_copy(update={"metrics": (metric(),)}).headline is None


def test_a_results_seconds_are_its_wall_time() -> None:
    made = RunResult(
        run_id=1, attempt=1, state=RunState.SUCCEEDED, model="m", started_at=NOW,
        ended_at=NOW + timedelta(seconds=2.5),
    )  # fmt: skip
    assert made.seconds == 2.5


def test_people_call_a_run_by_r_and_its_id(mock_spec: Callable[..., EvalSpec]) -> None:
    assert Run(id=12, group_id=1, spec=mock_spec(), state=RunState.WAITING, created_at=NOW).name == "r12"


def test_progress_says_nothing_of_a_total_it_does_not_know() -> None:
    assert Progress(attempt=1, phase="loading", updated_at=NOW).total is None
