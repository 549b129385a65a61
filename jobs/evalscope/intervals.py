"""95 % intervals of a score from its samples; none where none is honest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.models import Interval

FEWEST_FOR_BOOTSTRAP = 10


def of_questions(scores: Sequence[Any]) -> list[float]:
    """Return one value for each question: the mean of its repeats, which are no samples of their own."""
    by_question: dict[Any, list[float]] = {}
    for number, score in enumerate(scores):
        if score.score.value:
            key = (number,) if score.group_id is None else score.group_id
            by_question.setdefault(key, []).append(float(score.score.main_value))
    return [sum(values) / len(values) for values in by_question.values()]


def interval(values: Sequence[float], score: float) -> Interval | None:
    """Return the interval of a score that is the plain mean of `values`, None where it is something else.

    Right-or-wrong values get Wilson's interval, others a percentile bootstrap of at least ten values.
    """
    count = len(values)
    if count == 0 or abs(sum(values) / count - score) > 1e-3:
        return None
    if all(value in {0, 1} for value in values):
        from scipy.stats import binomtest

        found = binomtest(int(sum(values)), count).proportion_ci(0.95, method="wilson")
        return Interval(low=round(float(found.low), 4), high=round(float(found.high), 4), method="wilson")
    if count < FEWEST_FOR_BOOTSTRAP:
        return None
    import numpy as np

    draws = np.random.default_rng(0).choice(np.asarray(values, dtype=float), size=(2000, count)).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(low=round(float(low), 4), high=round(float(high), 4), method="bootstrap")
