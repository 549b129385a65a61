"""What every way of evaluating has in common: check, run, collect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from jobs.config import Config
from jobs.models import BenchmarkResult, EvalSpec, PerfLevel, PerfSpec, Progress, Reproduce

Kind_contra = TypeVar("Kind_contra", bound=EvalSpec | PerfSpec, contravariant=True)


@dataclass(frozen=True)
class Workplace:
    """Where an attempt happens: its own folder, and the worker's configuration."""

    run_id: int
    attempt: int
    folder: Path
    config: Config
    tell: Callable[[Progress], None]
    """Takes the newest progress; called from one thread, at most a few times a second."""
    pause: Callable[[], None] | None = None
    """Ends the attempt until a person says whether the run goes on."""


class Collected(NamedTuple):
    """What a run gave: scores, or the levels of a stress test."""

    benchmarks: tuple[BenchmarkResult, ...] = ()
    perf: tuple[PerfLevel, ...] = ()


class Engine(Protocol[Kind_contra]):
    """One kind of evaluation."""

    def check(self, spec: Kind_contra, place: Workplace) -> None:
        """Raise a `RunError` or `SetupError` in seconds for what would fail later."""

    def run(self, spec: Kind_contra, place: Workplace) -> None:
        """Evaluate; raise a `RunError` where there can be no score."""

    def collect(self, place: Workplace) -> Collected:
        """Return every score or figure of the run that just ended."""

    @property
    def done(self) -> int:
        """Samples or requests finished so far, those of earlier attempts among them."""

    def collect_partial(self) -> Collected:
        """Return what there is in the middle of a run, for one that is cancelled; asked from a signal's handler."""

    def reproduce(self, spec: Kind_contra, place: Workplace) -> Reproduce:
        """Return how to get the same scores without Scopebot."""

    def write_report(self, place: Workplace) -> bool:
        """Write the HTML report into the folder; it may follow the scores. False where there is none."""
