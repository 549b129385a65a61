"""The plan of an evaluation: which runs, how many samples in all, and whether to ask first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.models import DatasetTarget, EvalSpec


@dataclass(frozen=True)
class Surprise:
    """A benchmark whose samples in all are not the number that was said, because the limit counts per subset."""

    dataset: DatasetTarget
    said: int
    per_subset_total: int
    spread_limit: int
    spread_total: int


def split_by_benchmark(datasets: Sequence[DatasetTarget]) -> list[tuple[DatasetTarget, ...]]:
    """Put data sets of one EvalScope benchmark into separate runs: it takes each benchmark once a run."""
    batches: list[dict[str, DatasetTarget]] = []
    for dataset in datasets:
        batch = next((b for b in batches if dataset.benchmark not in b), None)
        if batch is None:
            batch = {}
            batches.append(batch)
        batch[dataset.benchmark] = dataset
    return [tuple(batch.values()) for batch in batches]


def total(specs: Sequence[EvalSpec]) -> int | None:
    """Return the samples of all runs, None where a size is not known."""
    counts = [spec.total for spec in specs]
    return None if None in counts else sum(count for count in counts if count is not None)


def surprise(specs: Sequence[EvalSpec]) -> Surprise | None:
    """Return the first benchmark that would evaluate more samples than were said."""
    for spec in specs:
        if not isinstance(spec.limit, int):
            continue
        for dataset in spec.datasets:
            planned = spec.samples(dataset)
            if planned is None or planned // spec.repeats <= spec.limit:
                continue
            limit = max(1, math.floor(spec.limit / len(dataset.subsets)))
            if (limit + 1) * len(dataset.subsets) - spec.limit < spec.limit - limit * len(dataset.subsets):
                limit += 1
            spread = spec.model_copy(update={"limit": limit})
            return Surprise(
                dataset=dataset, said=spec.limit, per_subset_total=planned, spread_limit=limit,
                spread_total=spread.samples(dataset) or 0,
            )  # fmt: skip
    return None


def with_limit(specs: Sequence[EvalSpec], limit: int) -> list[EvalSpec]:
    """Return the runs with another limit per subset."""
    return [spec.model_copy(update={"limit": limit}) for spec in specs]
