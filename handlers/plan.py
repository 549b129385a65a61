"""The plan of an evaluation: which runs, how many samples in all, and whether to ask first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.models import DatasetTarget, EvalSpec


@dataclass(frozen=True)
class Surprise:
    """Benchmarks whose samples in all are not the number that was said, because the limit counts per subset."""

    datasets: tuple[DatasetTarget, ...]
    said: int
    spread: tuple[EvalSpec, ...]
    """The runs with the number spread over the subsets of each benchmark."""


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
    """Return the benchmarks that would evaluate more samples than were said, None where none would."""
    found: dict[str, DatasetTarget] = {}
    said = 0
    for spec in specs:
        for dataset in spec.datasets:
            if isinstance(spec.limit, int) and _exceeds(spec, dataset):
                found[dataset.name] = dataset
                said = spec.limit
    if not found:
        return None
    return Surprise(tuple(found.values()), said, tuple(run for spec in specs for run in spread(spec)))


def spread(spec: EvalSpec) -> list[EvalSpec]:
    """Return the run with its limit spread over each benchmark's subsets: one run for each limit that this needs."""
    by_limit: dict[int | float | None, list[DatasetTarget]] = {}
    for dataset in spec.datasets:
        limit = spec.limit
        if isinstance(limit, int) and _exceeds(spec, dataset):
            limit = _nearest_limit(limit, len(dataset.subsets))
        by_limit.setdefault(limit, []).append(dataset)
    return [
        spec.model_copy(update={"limit": limit, "datasets": tuple(datasets)}) for limit, datasets in by_limit.items()
    ]


def _exceeds(spec: EvalSpec, dataset: DatasetTarget) -> bool:
    planned = spec.samples(dataset)
    return planned is not None and isinstance(spec.limit, int) and planned // spec.repeats > spec.limit


def _nearest_limit(said: int, subsets: int) -> int:
    """Return the limit per subset whose total comes nearest to the number said."""
    below = max(1, math.floor(said / subsets))
    return below + 1 if (below + 1) * subsets - said < said - below * subsets else below
