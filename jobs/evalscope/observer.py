"""Progress from inside: what the evaluator sees of every sample, and the running score it gives.

EvalScope's evaluator is subclassed (see `evaluator.py`) and tells an `Observer`: the exact total once the data is
loaded, each finished sample, each failed one. The running score is EvalScope's own aggregation of the scores so
far, so it ends equal to the final one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from jobs.evalscope.first_look import FirstLook
from jobs.evalscope.samples import Sample, SampleLog
from jobs.models import Progress, RunningScore

TELL_EVERY = 0.3
"""Seconds between two reports of progress."""
RATE_WINDOW = 50
"""Samples over which the rate is measured."""
ERRORS_IN_A_ROW = 20
"""So many failures with no success between them mean that the endpoint is gone: the run stops."""

Phase = Literal["starting", "checking", "checked", "loading", "evaluating", "reporting", "ended"]


class Aggregate(Protocol):
    """The running score of one benchmark from its samples' scores so far."""

    def __call__(self, scores_by_subset: Mapping[str, Sequence[Any]]) -> RunningScore | None:
        """Return None where there is no honest score before the end."""


class Tally:
    """What one benchmark has seen so far."""

    def __init__(self, dataset: str, aggregate: Aggregate) -> None:
        self.dataset = dataset
        self.aggregate = aggregate
        self.scores: dict[str, list[Any]] = {}
        self.running: RunningScore | None = None


class Observer:
    """Counts, scores and reports. Its methods are called from EvalScope's threads; one thread of its own tells."""

    def __init__(
        self,
        *,
        attempt: int,
        tell: Callable[[Progress], None],
        samples: SampleLog,
        first_look: FirstLook | None = None,
        unreadable: Callable[[], None] | None = None,
    ) -> None:
        self._attempt = attempt
        self._tell = tell
        self._samples = samples
        self._first_look = first_look or FirstLook(())
        self._unreadable = unreadable
        self._lock = threading.RLock()  # a signal's handler may ask while its own thread holds it
        self._stop = threading.Event()
        self._phase: Phase = "starting"
        self._benchmark = ""
        self._done = 0
        self._errors = 0
        self._errors_in_a_row = 0
        self._gave_up = False
        self._known: dict[str, int] = {}
        self._finished_at: deque[float] = deque(maxlen=RATE_WINDOW)
        self.last_error: BaseException | None = None
        self.tallies: dict[str, Tally] = {}
        self._thread = threading.Thread(target=self._keep_telling, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell once more and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._tell(self.progress())

    def enter(self, phase: Phase) -> None:
        """Say what the run does now."""
        with self._lock:
            self._phase = phase

    def loaded(self, dataset: str, total: int, cached: Mapping[str, Sequence[Any]], aggregate: Aggregate) -> None:
        """Take a benchmark's exact total, and the scores that came from the cache."""
        with self._lock:
            self._phase, self._benchmark = "evaluating", dataset
            self._known[dataset] = total
            tally = self.tallies.setdefault(dataset, Tally(dataset, aggregate))
            for subset, scores in cached.items():
                tally.scores.setdefault(subset, []).extend(scores)
                self._done += len(scores)

    def finished(self, sample: Sample, score: Any | None) -> None:
        """Take one finished sample; `score` is None where the benchmark scores all samples at the end."""
        self._samples.add(sample)
        with self._lock:
            self._done += 1
            self._errors_in_a_row = 0
            self._finished_at.append(time.monotonic())
            tally = self.tallies[sample.dataset]
            if score is not None:
                tally.scores.setdefault(sample.subset, []).append(score)
            unreadable = self._first_look.take(sample)
        if unreadable and self._unreadable is not None:
            self._tell(self.progress())  # with the last of the verdicts that the person decides by
            self._unreadable()

    def failed(self, error: BaseException) -> None:
        """Take one failed sample."""
        with self._lock:
            self._errors += 1
            self._errors_in_a_row += 1
            self._gave_up = self._gave_up or self._errors_in_a_row >= ERRORS_IN_A_ROW
            self.last_error = error

    @property
    def done(self) -> int:
        """Samples finished so far, those from the cache among them."""
        return self._done

    @property
    def hopeless(self) -> bool:
        """Tell whether so many samples failed in a row that the rest would fail too; it stays so."""
        return self._gave_up

    def progress(self) -> Progress:
        """Return how far the run is, with fresh running scores."""
        with self._lock:
            pending = [(tally, {name: list(s) for name, s in tally.scores.items()}) for tally in self.tallies.values()]
        for tally, scores in pending:
            if self._benchmark == tally.dataset or tally.running is None:
                tally.running = tally.aggregate(scores) or tally.running
        with self._lock:
            total = self._total()
            rate = self._rate()
            left = None if total is None else max(0, total - self._done - self._errors)
            return Progress(
                attempt=self._attempt,
                phase=self._phase,
                benchmark=self._benchmark,
                done=self._done,
                total=total,
                errors=self._errors,
                rate=rate,
                eta=left / rate if rate and left is not None else None,
                scores=tuple(tally.running for tally in self.tallies.values() if tally.running is not None),
                verdicts=self._first_look.verdicts,
                updated_at=datetime.now(UTC),
            )

    def expect(self, dataset: str, planned: int) -> None:
        """Take a benchmark's planned size, used until it is loaded and the exact one is known."""
        with self._lock:
            self._known.setdefault(dataset, planned)

    def _total(self) -> int | None:
        return sum(self._known.values()) if self._known else None

    def _rate(self) -> float | None:
        if len(self._finished_at) < 2:
            return None
        seconds = time.monotonic() - self._finished_at[0]
        return (len(self._finished_at) - 1) / seconds if seconds > 0 else None

    def _keep_telling(self) -> None:
        pause = TELL_EVERY
        while not self._stop.wait(pause):
            begun = time.monotonic()
            self._tell(self.progress())
            # aggregating many samples takes a while: never spend more than a tenth of the time on it
            pause = max(TELL_EVERY, 9 * (time.monotonic() - begun))
