"""Intervals of running and final scores: they cover the truth, and there is none where none is honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.evalscope.intervals import FEWEST_FOR_BOOTSTRAP, interval

verdicts = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=200)
graded = st.lists(st.floats(0, 1), min_size=FEWEST_FOR_BOOTSTRAP, max_size=60)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@given(verdicts)
def test_right_or_wrong_values_get_wilsons_interval_around_the_score(values: list[float]) -> None:
    found = interval(values, mean(values))
    assert found is not None
    assert found.method == "wilson"
    assert 0 <= found.low <= mean(values) + 1e-4
    assert mean(values) - 1e-4 <= found.high <= 1
    assert found.low < found.high


@given(graded)
def test_graded_values_get_a_bootstrap_interval_around_the_score(values: list[float]) -> None:
    found = interval(values, mean(values))
    assert found is not None
    if found.method == "bootstrap":
        assert min(values) - 1e-4 <= found.low <= found.high <= max(values) + 1e-4


@given(verdicts | graded, st.floats(0.002, 5))
def test_there_is_no_interval_where_the_score_is_not_the_mean(values: list[float], off: float) -> None:
    assert interval(values, mean(values) + off) is None
    assert interval(values, mean(values) - off) is None


def test_there_is_no_interval_of_nothing() -> None:
    assert interval([], 0.0) is None


@pytest.mark.parametrize("count", [1, FEWEST_FOR_BOOTSTRAP - 1])
def test_there_is_no_bootstrap_of_a_handful_of_values(count: int) -> None:
    assert interval([0.5] * count, 0.5) is None
    assert interval([0.5] * FEWEST_FOR_BOOTSTRAP, 0.5) is not None


def test_known_wilson_intervals() -> None:
    # Newcombe 1998, table I: 81 of 263; 15 of 148; 0 of 20
    for right, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        values = [1.0] * right + [0.0] * (count - right)
        found = interval(values, right / count)
        assert found is not None
        assert (found.low, found.high) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))


def test_more_samples_give_a_narrower_interval() -> None:
    widths = []
    for count in (10, 100, 1000):
        found = interval([0.0, 1.0] * count, 0.5)
        assert found is not None
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[2]


def test_the_same_values_give_the_same_interval() -> None:
    values = [float(x) for x in np.random.default_rng(1).random(40)]
    assert interval(values, mean(values)) == interval(values, mean(values))


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.9])
def test_wilsons_interval_covers_the_truth_about_95_times_in_100(truth: float) -> None:
    draws = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        values = [float(x) for x in draws.random(60) < truth]
        found = interval(values, mean(values))
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 300 <= 0.99


def test_the_bootstrap_interval_covers_the_truth_about_95_times_in_100() -> None:
    draws = np.random.default_rng(8)
    covered = 0
    for _ in range(200):
        values = [float(x) for x in draws.beta(2, 3, 50)]
        found = interval(values, mean(values))
        assert found is not None
        covered += found.low <= 0.4 <= found.high
    assert 0.89 <= covered / 200 <= 0.99
