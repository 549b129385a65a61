"""What a stress test does, seen from inside: EvalScope's API plugin, made to tell a `LoadObserver` of every request.

EvalScope makes one plugin for each level and passes every request through it, so the plugin sees where a level
begins, each request's end and, what EvalScope itself does not keep, why a request failed.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from evalscope.perf.plugin import ApiRegistry
from evalscope.perf.plugin.api.openai_api import OpenaiPlugin

from jobs.errors import EndpointBroken, EndpointRefused, EndpointSilent, HostRefused, ScopebotError
from jobs.evalscope.failures import DETAIL_LENGTH, HIDDEN, by_status
from jobs.evalscope.observer import ERRORS_IN_A_ROW, RATE_WINDOW, TELL_EVERY, Phase
from jobs.models import Failure, Progress


class GaveUp(BaseException):
    """The load is to end now. Not an `Exception`: EvalScope counts those as failed requests."""


class LoadObserver:
    """Counts requests over all levels. EvalScope calls it from its event loop; one thread of its own tells."""

    def __init__(self, *, attempt: int, tell: Callable[[Progress], None], model: str, url: str) -> None:
        self._attempt = attempt
        self._tell = tell
        self._model = model
        self._url = url
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._phase: Phase = "starting"
        self._plan: Sequence[int] = ()
        self._level = 0
        self._levels_before = 0
        self._timed = False
        self._warmup = 0
        self._done = 0
        self._errors = 0
        self._in_a_row = 0
        self._patience = ERRORS_IN_A_ROW
        self._finished_at: deque[float] = deque(maxlen=RATE_WINDOW)
        self._reasons: list[Counter[str]] = []
        self._failures: dict[str, ScopebotError] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.gave_up = False
        """The endpoint is gone: so many requests failed in a row that the others would too."""
        self.stopped = False
        self._thread = threading.Thread(target=self._keep_telling, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell once more and end."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._tell(self.progress())

    def enter(self, phase: Phase) -> None:
        """Say what the run does now."""
        with self._lock:
            self._phase = phase

    def expect(self, numbers: Sequence[int], *, before: int = 0, done: int = 0, timed: bool = False) -> None:
        """Take the requests of each level to come; `before` levels ended in an earlier attempt, with `done`."""
        with self._lock:
            self._plan, self._levels_before, self._done, self._timed = numbers, before, done, timed

    def end_load(self) -> None:
        """Let the load end: from another thread, when the run is to stop."""
        self.stopped = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])

    def level_begins(self, warmup: int, concurrency: int) -> None:
        """Take the beginning of the next level."""
        if self.stopped or self.gave_up:
            raise GaveUp
        with self._lock:
            self._phase = "evaluating"
            self._level += 1
            self._warmup = warmup
            self._in_a_row = 0
            self._patience = max(ERRORS_IN_A_ROW, 2 * concurrency)
            self._reasons.append(Counter())

    def request_begins(self) -> None:
        """Take the sending of one request."""
        self._loop = asyncio.get_running_loop()
        if self.stopped or self.gave_up:
            raise GaveUp

    def request_ended(self, output: Any) -> None:
        """Take one request's end; those of the warm-up, the first of a level, do not count."""
        error = None if output.success else reason(output, self._url, self._model)
        with self._lock:
            self._in_a_row = 0 if error is None else self._in_a_row + 1
            if error is not None:
                self._reasons[-1][str(error)] += 1
                self._failures.setdefault(str(error), error)
                self.gave_up = self.gave_up or self._in_a_row >= self._patience
            if self._warmup:
                self._warmup -= 1
                return
            self._finished_at.append(time.monotonic())
            self._done += 1
            self._errors += error is not None

    def cause(self, level: int | None = None, *, secret: str | None = None) -> ScopebotError | None:
        """Return the most frequent reason of failed requests, of one level (counted from 1) or of all."""
        counts: Counter[str] = Counter()
        for place, reasons in enumerate(self._reasons, start=self._levels_before + 1):
            if level in {None, place}:
                counts += reasons
        if not counts:
            return None
        error = self._failures[counts.most_common(1)[0][0]]
        return error if secret is None else type(error)(**{
            name: value.replace(secret, HIDDEN) if isinstance(value, str) else value
            for name, value in error.params.items()
        })  # fmt: skip

    def failure(self, level: int, *, secret: str | None = None) -> Failure | None:
        """Return why requests of a level failed, None where none did."""
        error = self.cause(level, secret=secret)
        return None if error is None else Failure(code=error.code, params=error.params)

    @property
    def done(self) -> int:
        """Requests that ended. Read without the lock: a signal's handler may have interrupted who holds it."""
        return self._done

    def progress(self) -> Progress:
        """Return how far the load is."""
        with self._lock:
            total = None if self._timed or not self._plan else sum(self._plan)
            rate = self._rate()
            left = None if total is None else max(0, total - self._done)
            return Progress(
                attempt=self._attempt,
                phase=self._phase,
                done=self._done,
                total=total,
                errors=self._errors,
                rate=rate,
                eta=left / rate if rate and left is not None else None,
                level=self._levels_before + self._level,
                levels=len(self._plan),
                updated_at=datetime.now(UTC),
            )

    def _rate(self) -> float | None:
        if len(self._finished_at) < 2:
            return None
        seconds = time.monotonic() - self._finished_at[0]
        return (len(self._finished_at) - 1) / seconds if seconds > 0 else None

    def _keep_telling(self) -> None:
        while not self._over.wait(TELL_EVERY):
            self._tell(self.progress())


def install(observer: LoadObserver) -> None:
    """Let the requests of `--api openai` go through a plugin that reports to `observer`."""

    class ObservedPlugin(OpenaiPlugin):  # type: ignore[misc]  # EvalScope has no types
        def __init__(self, param: Any) -> None:
            super().__init__(param)
            observer.level_begins(param.warmup_count, max(1, param.parallel))

        async def process_request(self, client_session: Any, url: str, headers: Any, body: Any) -> Any:
            observer.request_begins()
            output = await super().process_request(client_session, url, headers, body)
            observer.request_ended(output)
            return output

    ApiRegistry.register("openai", ObservedPlugin)


def reason(output: Any, url: str, model: str) -> ScopebotError:
    """Return why a request failed, from its status or the error that EvalScope caught."""
    text = str(output.error or "").strip()
    last = text.splitlines()[-1] if text else ""
    if output.status_code is not None:
        return by_status(output.status_code, url, message(text), model=model)
    if "address rule" in text:
        return HostRefused(host=last.rsplit(" ", 1)[-1].rstrip("]'\")"))
    if "Timeout" in last:
        return EndpointSilent(url=url)
    if "aiohttp" in text or "Error" in last.partition(":")[0]:
        return EndpointRefused(url=url)
    return EndpointBroken(url=url, status=200, detail=message(text))


def message(text: str) -> str:
    """Return the endpoint's own words, from an OpenAI-style error or as they are."""
    try:
        error = json.loads(text)["error"]
        said = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        said = " ".join(text.split())
    return said[:DETAIL_LENGTH]
