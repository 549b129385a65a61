"""Stress tests: EvalScope's `perf`, run in process through `run_perf_benchmark`."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import math
import os
import shlex
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.config import Config
from jobs.errors import (
    CheckpointRefused,
    DatasetMissing,
    ExtraMissing,
    NoPromptFits,
    NothingScored,
    RunCrashed,
    ScopebotError,
)
from jobs.evalscope import fixes, preflight
from jobs.evalscope.engine import Collected, Workplace
from jobs.evalscope.failures import classify
from jobs.evalscope.reproduce import ENVIRONMENT, versions
from jobs.models import PerfLevel, PerfSpec, Reproduce, Spread
from jobs.sample import PROMPTS, PROMPTS_FILE

if TYPE_CHECKING:
    from jobs.evalscope.load import LoadObserver

NAME = "perf"
"""The folder inside the run's own that EvalScope writes to."""
LOAD_ENDS_WITHIN = 20.0
"""Seconds that a stopped load has to write what it knows."""


class PerfEngine:
    """One stress test, from check to figures."""

    def __init__(self) -> None:
        self._spec: PerfSpec | None = None
        self._place: Workplace | None = None
        self._observer: LoadObserver | None = None
        self._secret: str | None = None
        self._write_report: Callable[..., str] | None = None

    def check(self, spec: PerfSpec, place: Workplace) -> None:
        """See `Engine.check`."""
        prompts = prompts_file(spec, place.config)
        if prompts is not None and not prompts.is_file():
            raise DatasetMissing(dataset=spec.dataset, path=str(prompts))
        check_tokenizer(spec, place.config)
        preflight.check_endpoint(spec.model, preflight.read_key(spec.model, place.config))

    def run(self, spec: PerfSpec, place: Workplace) -> None:
        """See `Engine.run`."""
        try:
            from evalscope.perf.main import run_perf_benchmark

            from jobs.evalscope.load import LoadObserver, install
        except ImportError as error:
            raise ExtraMissing(install="pip install 'evalscope[perf]'") from error
        self._write_report = fixes.postpone_perf_report()

        model = spec.model
        observer = LoadObserver(attempt=place.attempt, tell=place.tell, model=model.model, url=model.api_url or "")
        self._spec, self._observer, self._place = spec, observer, place
        finished = keep_finished(spec, place.folder)
        observer.expect(
            spec.number, before=len(finished), done=sum(level.requests for level in finished),
            timed=spec.duration is not None,
        )  # fmt: skip
        observer.start()
        try:
            observer.enter("checking")
            self.check(spec, place)
            observer.enter("loading")
            self._secret = preflight.read_key(model, place.config)
            if self._secret is not None:
                fixes.hide_in_logs(self._secret)
            install(observer)
            task = perf_arguments(spec, place.config) | _private(spec, place, self._secret)
            if len(finished) < len(spec.levels):
                task |= _left(spec, len(finished))
                _beside(lambda: run_perf_benchmark(task), observer.end_load)
            observer.enter("reporting")
        except Exception as error:
            raise self._told(error, spec, place) from error
        finally:
            observer.stop()
        if observer.gave_up or not any(level.succeeded for level in self.collect(place).perf):
            raise observer.cause(secret=self._secret) or NothingScored()

    def collect(self, place: Workplace) -> Collected:
        """See `Engine.collect`. Also after an interruption: then with the level that was cut short."""
        if self._spec is None:
            return Collected()
        levels = read_levels(self._spec, place.folder)
        observer = self._observer
        if observer is not None:
            levels = [
                level.model_copy(update={"failure": observer.failure(number, secret=self._secret)})
                if level.failed
                else level
                for number, level in enumerate(levels, start=1)
            ]
        return Collected(perf=tuple(levels))

    @property
    def done(self) -> int:
        """See `Engine.done`."""
        return 0 if self._observer is None else self._observer.done

    def collect_partial(self) -> Collected:
        """See `Engine.collect_partial`."""
        return Collected() if self._place is None else self.collect(self._place)

    def reproduce(self, spec: PerfSpec, place: Workplace) -> Reproduce:
        """See `Engine.reproduce`."""
        return reproduce_perf(spec, place.config)

    def write_report(self, place: Workplace) -> bool:
        """See `Engine.write_report`."""
        assert self._write_report is not None
        written = self._write_report(str(place.folder / NAME), {}, None)
        if not written:
            return False
        fixes.localize_plotly(Path(written))
        reports = place.folder / "reports"
        reports.mkdir(exist_ok=True)
        shutil.move(written, reports / "report.html")
        return True

    def _told(self, error: BaseException, spec: PerfSpec, place: Workplace) -> ScopebotError:
        """Return the error people are told of, without the key."""
        if isinstance(error, ValueError) and "Dataset is empty" in str(error):
            low, high = spec.min_prompt_length or 0, spec.max_prompt_length or "∞"
            return NoPromptFits(dataset=spec.dataset, min=low, max=str(high))
        secret = self._secret
        with contextlib.suppress(ScopebotError):
            secret = secret or preflight.read_key(spec.model, place.config)
        return classify(error, api_url=spec.model.api_url or "", model=spec.model.model, secret=secret)


def prompts_file(spec: PerfSpec, config: Config) -> Path | None:
    """Return the file of prompts on this worker, None where EvalScope makes or fetches them itself."""
    if spec.prompt is not None or not spec.local:
        return None
    if spec.dataset == PROMPTS:
        return PROMPTS_FILE
    entry = config.datasets.get(spec.dataset)
    if entry is None:
        raise DatasetMissing(dataset=spec.dataset, path="scopebot.toml")
    return entry.local_path.expanduser()


def check_tokenizer(spec: PerfSpec, config: Config) -> None:
    """Raise `CheckpointRefused` for a tokenizer that is neither the registered model's nor in `allow_models`.

    EvalScope loads it with `trust_remote_code`.
    """
    path = spec.tokenizer_path
    entry = config.models.get(spec.model.name)
    if path is None or (entry is not None and entry.tokenizer_path == path):
        return
    if not any(fnmatch.fnmatchcase(path, pattern) for pattern in config.access.allow_models):
        raise CheckpointRefused(model=path)


def perf_arguments(spec: PerfSpec, config: Config) -> dict[str, Any]:
    """Return EvalScope's own arguments of a stress test, without secrets and the run's folder: what is reproduced."""
    prompts = prompts_file(spec, config)
    base = (spec.model.api_url or "").rstrip("/").removesuffix("/chat/completions")
    task: dict[str, Any] = {
        "model": spec.model.model,
        "api": spec.api,
        "url": f"{base}/chat/completions",
        "number": list(spec.number),
        "dataset": spec.plugin,
        "max_tokens": list(spec.max_tokens),
        "no_test_connection": True,  # asked once, before; EvalScope's own test tries a dead endpoint for hours
        "stop": None if spec.stop is None else list(spec.stop),
    }
    if spec.open_loop:
        task |= {"open_loop": True, "rate": list(spec.rate)}
    else:
        task |= {"parallel": list(spec.parallel), "rate": list(spec.rate) or None}
    if prompts is not None:
        task["dataset_path"] = str(prompts)
    for name in (
        "prompt", "stream", "temperature", "duration", "sleep_interval", "warmup_num", "tokenizer_path",
        "min_prompt_length", "max_prompt_length", "prefix_length", "min_tokens", "top_p", "top_k", "frequency_penalty",
        "repetition_penalty", "n_choices", "seed", "extra_args", "connect_timeout", "read_timeout", "total_timeout",
        "log_every_n_query",
    ):  # fmt: skip
        task[name] = getattr(spec, name)
    return {name: value for name, value in task.items() if value not in (None, {}, [])}


def reproduce_perf(spec: PerfSpec, config: Config) -> Reproduce:
    """Return the `evalscope perf` command that asks for what `perf_arguments` asks for; a key is its variable."""
    words = ["evalscope", "perf"]
    for name, value in perf_arguments(spec, config).items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is False:
            words.append(f"--no-{name.replace('_', '-')}")
        elif isinstance(value, list):
            words += [flag, *map(str, value)]
        elif isinstance(value, dict):
            words += [flag, json.dumps(value, ensure_ascii=False)]
        else:
            words += [flag, str(value)]
    line = shlex.join(words)
    entry = config.keys.get(spec.model.key or "")
    if entry is not None:
        line += f' --api-key "${entry.env}"' if entry.env else f' --api-key "$(cat {shlex.quote(str(entry.file))})"'
    return Reproduce(command=line, env={n: os.environ[n] for n in ENVIRONMENT if n in os.environ}, versions=versions())


def level_folder(spec: PerfSpec, load: float, number: int) -> str:
    """Return the name of the folder EvalScope keeps a level in."""
    return f"rate_{load}_number_{number}" if spec.open_loop else f"parallel_{load}_number_{number}"


def keep_finished(spec: PerfSpec, folder: Path) -> list[PerfLevel]:
    """Return the levels that an earlier attempt finished, and remove what it began: EvalScope would stumble on it."""
    finished: list[PerfLevel] = []
    for place, (load, number) in enumerate(spec.levels):
        path = folder / NAME / level_folder(spec, load, number)
        level = read_level(spec, path, load, number)
        if level is not None and level.complete and len(finished) == place:
            finished.append(level)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return finished


def read_levels(spec: PerfSpec, folder: Path) -> list[PerfLevel]:
    """Return the levels that ran, also the one that was cut short."""
    levels = []
    for load, number in spec.levels:
        level = read_level(spec, folder / NAME / level_folder(spec, load, number), load, number)
        if level is None:
            break
        levels.append(level)
    return levels


def read_level(spec: PerfSpec, path: Path, load: float, number: int) -> PerfLevel | None:
    """Return a level from the files EvalScope wrote, None where it did not get to one request."""
    summary_file, percentiles_file = path / "benchmark_summary.json", path / "benchmark_percentile.json"
    complete = summary_file.exists() and percentiles_file.exists()
    if complete:
        summary = json.loads(summary_file.read_text(encoding="utf-8"))
        percentiles = json.loads(percentiles_file.read_text(encoding="utf-8"))
    else:
        cut = _cut_short(path / "benchmark_data.db", spec, load)
        if cut is None:
            return None
        summary, percentiles = cut
    streamed = _any_streamed(path / "benchmark_data.db")
    return _level(spec, load, number, summary, percentiles, complete=complete, streamed=streamed)


def _any_streamed(db: Path) -> bool:
    """Tell whether any answer was streamed; EvalScope's own count has requests that failed as well."""
    try:
        with contextlib.closing(sqlite3.connect(db)) as connection:
            found = connection.execute("SELECT 1 FROM result WHERE success AND is_stream LIMIT 1").fetchone()
    except sqlite3.Error:
        return False
    return found is not None


def _level(
    spec: PerfSpec,
    load: float,
    number: int,
    summary: dict[str, Any],
    rows: list[dict[str, Any]],
    *,
    complete: bool,
    streamed: bool,
) -> PerfLevel:
    by_name = {row["Percentiles"]: row for row in rows}
    ok = summary["Success Requests"] > 0
    timed = ok and streamed

    def spread(avg: str, percentile: str, *, known: bool) -> Spread:
        if not known:
            return Spread()
        points = {f"p{p}": _number(by_name.get(f"{p}%", {}).get(percentile)) for p in (50, 90, 99)}
        return Spread(avg=_number(summary.get(avg)), **points)

    rate = load if spec.open_loop else next(iter(spec.rate), None)
    return PerfLevel(
        concurrency=None if spec.open_loop else int(load),
        rate=rate,
        planned=number,
        requests=summary["Total Requests"],
        succeeded=summary["Success Requests"],
        seconds=summary["Test Duration (s)"],
        rps=max(0.0, summary["Req Throughput (req/s)"]) if ok else 0.0,
        output_tokens_per_second=max(0.0, summary["Output Throughput (tok/s)"]) if ok else 0.0,
        total_tokens_per_second=max(0.0, summary["Total Throughput (tok/s)"]) if ok else 0.0,
        input_tokens=_number(summary["Avg Input Tokens"]) if ok else None,
        output_tokens=_number(summary["Avg Output Tokens"]) if ok else None,
        latency_s=spread("Avg Latency (s)", "Latency (s)", known=ok),
        ttft_ms=spread("Avg TTFT (ms)", "TTFT (ms)", known=timed),
        tpot_ms=spread("Avg TPOT (ms)", "TPOT (ms)", known=timed),
        itl_ms=spread("Avg ITL (ms)", "ITL (ms)", known=timed),
        streamed=streamed,
        complete=complete,
    )


def _cut_short(db: Path, spec: PerfSpec, load: float) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return summary and percentiles of the requests that ended, by EvalScope's own arithmetic."""
    if not db.exists():
        return None
    from evalscope.perf.utils.benchmark_util import BenchmarkData, MetricsAccumulator
    from evalscope.perf.utils.db_util import get_percentile_results
    from evalscope.perf.utils.perf_models import BenchmarkSummary

    columns = (
        "success, is_stream, start_time, completed_time, latency, first_chunk_latency, prompt_tokens, "
        "completion_tokens, inter_token_latencies"
    )
    try:
        with contextlib.closing(sqlite3.connect(db)) as connection:
            rows = connection.execute(f"SELECT {columns} FROM result").fetchall()  # noqa: S608 - no input in it
    except sqlite3.Error:
        return None
    if not rows:
        return None
    counted = MetricsAccumulator(concurrency=0 if spec.open_loop else int(load), rate=-1)
    for success, stream, start, end, latency, first, prompt, completion, gaps in rows:
        data = BenchmarkData(
            success=bool(success), is_stream=bool(stream), start_time=start or 0, completed_time=end or 0,
            query_latency=latency or 0, first_chunk_latency=first or 0, prompt_tokens=prompt or 0,
            completion_tokens=completion or 0, inter_chunk_latency=json.loads(gaps or "[]"),
        )  # fmt: skip
        counted.update(data, None)
    summary = BenchmarkSummary.from_dict(counted.to_result().create_message(api_type=spec.api))
    return summary.to_dict(), get_percentile_results(str(db), spec.api).to_list()


def _number(value: Any) -> float | None:
    """Return a figure EvalScope gave; it writes -1 and NaN for what was not measured."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _private(spec: PerfSpec, place: Workplace, key: str | None) -> dict[str, Any]:
    """Return the arguments that only this worker knows or that change no figure: its folder, the key's value.

    Rows are committed often, so that a cut level keeps what had ended; but not each one where the load is heavy:
    EvalScope sends no faster than it commits, and at one row a commit 290 requests a second were the most.
    """
    peak = max(spec.rate) if spec.open_loop else max(spec.parallel)
    return ({} if key is None else {"api_key": key}) | {
        "outputs_dir": str(place.folder),
        "no_timestamp": True,
        "name": NAME,
        "db_commit_interval": max(1, int(peak) // 4),
    }


def _left(spec: PerfSpec, finished: int) -> dict[str, Any]:
    """Return the levels that are left when an earlier attempt finished some."""
    left: dict[str, Any] = {
        "number": list(spec.number[finished:]),
        "dataset_offset": sum(spec.number[:finished]),
    }
    if spec.open_loop:
        return left | {"rate": list(spec.rate[finished:])}
    return left | {"parallel": list(spec.parallel[finished:])}


def _beside(work: Callable[[], Any], end: Callable[[], None]) -> None:
    """Do the work in a thread of its own, so that signals stay with the main thread and EvalScope takes none over."""
    from jobs.evalscope.load import GaveUp

    failed: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except GaveUp:
            return  # what was measured before is kept; the caller knows why
        except BaseException as error:  # handed to the caller
            failed.append(error)

    thread = threading.Thread(target=do, name="load", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        end()
        thread.join(LOAD_ENDS_WITHIN)
        raise
    if failed:
        error = failed[0]
        raise error if isinstance(error, Exception) else RunCrashed(detail=type(error).__name__) from error
