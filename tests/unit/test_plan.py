"""The plan: samples in all, and when the number said is not the number that would run."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.plan import split_by_benchmark, surprise, total, with_limit
from jobs.models import DatasetTarget, EvalSpec, ModelTarget

MOCK = ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm")


def spec(subsets: dict[str, int], **fields: object) -> EvalSpec:
    dataset = DatasetTarget(name="d", benchmark="d", subsets=subsets)
    return EvalSpec.model_validate({"model": MOCK, "datasets": (dataset,), **fields})


def test_the_limit_counts_for_each_subset() -> None:
    assert total([spec({"a": 100, "b": 30}, limit=50)]) == 80


def test_a_fraction_is_taken_of_each_subset_and_rounded_down() -> None:
    assert total([spec({"a": 105, "b": 9}, limit=0.1)]) == 10


def test_repeats_count() -> None:
    assert total([spec({"a": 10}, limit=5, repeats=3)]) == 15


def test_one_unknown_size_makes_the_total_unknown() -> None:
    assert total([spec({"a": 10}), spec({})]) is None


def test_a_number_that_would_run_more_samples_than_said_is_a_surprise() -> None:
    found = surprise([spec({f"s{n}": 200 for n in range(57)}, limit=100)])
    assert found is not None
    assert (found.said, found.per_subset_total, found.spread_limit, found.spread_total) == (100, 5700, 2, 114)


def test_fewer_samples_than_said_are_no_surprise() -> None:
    assert surprise([spec({"main": 164}, limit=500)]) is None


def test_repeats_are_no_surprise() -> None:
    assert surprise([spec({"main": 164}, limit=100, repeats=4)]) is None


def test_a_fraction_is_no_surprise() -> None:
    assert surprise([spec({"a": 100, "b": 100}, limit=0.5)]) is None


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 5000), min_size=2, max_size=60), st.integers(1, 3000))
def test_the_spread_limit_comes_nearer_to_the_number_said_than_its_neighbours(
    subsets: dict[str, int], said: int
) -> None:
    specs = [spec(subsets, limit=said)]
    found = surprise(specs)
    if found is None:
        assert (total(specs) or 0) <= said
        return
    per = len(subsets)
    assert found.spread_limit >= 1
    assert abs(found.spread_limit * per - said) <= abs((found.spread_limit + 1) * per - said)
    if found.spread_limit > 1:
        assert abs(found.spread_limit * per - said) <= abs((found.spread_limit - 1) * per - said)
    assert total(with_limit(specs, found.spread_limit)) == found.spread_total


def test_two_data_sets_of_one_benchmark_go_into_two_runs() -> None:
    def dataset(name: str, benchmark: str) -> DatasetTarget:
        return DatasetTarget(name=name, benchmark=benchmark)

    batches = split_by_benchmark([dataset("faq", "general_qa"), dataset("gsm8k", "gsm8k"), dataset("hr", "general_qa")])
    assert [[d.name for d in batch] for batch in batches] == [["faq", "gsm8k"], ["hr"]]
