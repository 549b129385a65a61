"""What every way of evaluating has in common: check, run, collect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobs.config import Config
from jobs.models import BenchmarkResult, EvalSpec, Progress, Reproduce


@dataclass(frozen=True)
class Workplace:
    """Where an attempt happens: its own folder, and the worker's configuration."""

    run_id: int
    attempt: int
    folder: Path
    config: Config
    tell: Callable[[Progress], None]
    """Takes the newest progress; called from one thread, at most a few times a second."""


class Engine(Protocol):
    """One kind of evaluation."""

    def check(self, spec: EvalSpec, place: Workplace) -> None:
        """Raise a `RunError` or `SetupError` in seconds for what would fail later."""

    def run(self, spec: EvalSpec, place: Workplace) -> None:
        """Evaluate; raise a `RunError` where there can be no score."""

    def collect(self, place: Workplace) -> tuple[BenchmarkResult, ...]:
        """Return every score of the run that just ended."""

    def reproduce(self, spec: EvalSpec, place: Workplace) -> Reproduce:
        """Return how to get the same scores without Scopebot."""

    def write_report(self, place: Workplace) -> bool:
        """Write the HTML report into the folder; it may follow the scores. False where there is none."""
