"""The plan: samples in all, and when the number said is not the number that would run."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.plan import split_by_benchmark, surprise, total
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
    assert (found.said, [run.limit for run in found.spread], total(found.spread)) == (100, [2], 114)


def test_only_benchmarks_with_several_subsets_get_another_limit() -> None:
    mixed = spec({f"s{n}": 200 for n in range(57)}, limit=100)
    single = DatasetTarget(name="gsm8k", benchmark="gsm8k", subsets={"main": 1319})
    found = surprise([mixed.model_copy(update={"datasets": (*mixed.datasets, single)})])
    assert found is not None
    assert [dataset.name for dataset in found.datasets] == ["d"]
    assert [(run.limit, [d.name for d in run.datasets]) for run in found.spread] == [(2, ["d"]), (100, ["gsm8k"])]
    assert total(found.spread) == 214


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
    limit = found.spread[0].limit
    assert isinstance(limit, int)
    assert limit >= 1
    assert abs(limit * per - said) <= abs((limit + 1) * per - said)
    if limit > 1:
        assert abs(limit * per - said) <= abs((limit - 1) * per - said)


def test_two_data_sets_of_one_benchmark_go_into_two_runs() -> None:
    def dataset(name: str, benchmark: str) -> DatasetTarget:
        return DatasetTarget(name=name, benchmark=benchmark)

    batches = split_by_benchmark([dataset("faq", "general_qa"), dataset("gsm8k", "gsm8k"), dataset("hr", "general_qa")])
    assert [[d.name for d in batch] for batch in batches] == [["faq", "gsm8k"], ["hr"]]
