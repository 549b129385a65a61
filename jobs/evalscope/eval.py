"""Accuracy evaluation: EvalScope's native backend, run in process through `run_task`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.catalog import Catalog
from jobs.config import Config
from jobs.errors import DatasetMissing, NothingScored, ScopebotError, SubsetMissing
from jobs.evalscope import fixes, preflight
from jobs.evalscope.engine import Collected, Workplace
from jobs.evalscope.failures import classify
from jobs.evalscope.first_look import FirstLook
from jobs.evalscope.intervals import interval, of_questions
from jobs.evalscope.observer import Observer, Tally
from jobs.evalscope.reproduce import reproduce_line
from jobs.evalscope.samples import SAMPLES, SampleLog, Usage, read_usage
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    MetricResult,
    ModelTarget,
    Reproduce,
    RunningScore,
    SubsetScore,
)

TRANSPORT = {"timeout": 120, "retries": 3, "retry_interval": 3}
"""How requests are tried: EvalScope's defaults let a dead endpoint cost minutes and a hanging one hours. These do
not count in its identity of an evaluation."""
API_TYPES = frozenset({"openai_api", "openai_responses_api"})


class EvalEngine:
    """One accuracy evaluation, from check to scores."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._reports: Mapping[str, Any] = {}
        self._observer: Observer | None = None
        self._names: dict[str, str] = {}
        self._write_report = fixes.postpone_html_report()

    def check(self, spec: EvalSpec, place: Workplace) -> None:
        """See `Engine.check`. Loads the data, which may take a while where it has to come from a hub."""
        try:
            self._check_at_once(spec, place)
            self._check_loads(spec, place, spec.datasets)
        except Exception as error:
            raise _told(error, spec, place) from error

    def _check_at_once(self, spec: EvalSpec, place: Workplace) -> None:
        """Check what is known in seconds."""
        for dataset in spec.datasets:
            preflight.check_dataset(dataset, self._catalog, place.config, place.folder.parent)
        preflight.check_endpoint(spec.model, preflight.read_key(spec.model, place.config))

    def _check_loads(self, spec: EvalSpec, place: Workplace, datasets: Sequence[DatasetTarget]) -> None:
        """Load one sample of each subset."""
        for dataset in datasets:
            preflight.check_loads(task_config(spec, place.config), dataset.benchmark)

    def run(self, spec: EvalSpec, place: Workplace) -> None:
        """See `Engine.run`."""
        from evalscope.run import run_task

        from jobs.evalscope.evaluator import MetricDataMissing, install, observed_evaluator

        self._names = {dataset.benchmark: dataset.name for dataset in spec.datasets}
        samples = SampleLog(place.folder / SAMPLES)
        observer = Observer(
            attempt=place.attempt, tell=place.tell, samples=samples, first_look=FirstLook(spec.first_look),
            unreadable=place.pause if spec.pause_if_unreadable else None,
        )  # fmt: skip
        self._observer = observer
        for dataset in spec.datasets:
            planned = spec.samples(dataset)
            if planned is not None:
                observer.expect(dataset.name, planned)
        install(observed_evaluator(observer, self._names))
        observer.start()
        try:
            observer.enter("checking")
            self._check_at_once(spec, place)
            observer.enter("loading")
            # the first one is loaded before anything is asked of the model; the others would fail after it
            self._check_loads(spec, place, spec.datasets[1:])
            key = preflight.read_key(spec.model, place.config)
            if key is not None:
                fixes.hide_in_logs(key)
            task = task_config(spec, place.config)
            self._reports = run_task(task | _private(spec.model, place))
            observer.enter("reporting")
        except Exception as error:
            raise _told(error, spec, place) from error
        finally:
            observer.stop()
            samples.close()
        cause = observer.last_error
        if cause is not None and (observer.hopeless or isinstance(cause, MetricDataMissing)):
            raise _told(cause, spec, place)  # what was scored before it is no score of the benchmark
        if not any(
            report and report.metrics and report.execution_summary.succeeded for report in self._reports.values()
        ):
            raise NothingScored if cause is None else _told(cause, spec, place)

    def collect(self, place: Workplace) -> Collected:
        """See `Engine.collect`."""
        assert self._observer is not None
        fingerprints = read_fingerprints(place)
        results = []
        for benchmark, report in self._reports.items():
            if not report:  # EvalScope's word for a benchmark without a single sample
                continue
            tally = self._observer.tallies.get(self._names[benchmark])
            usage = read_usage(place.folder / SAMPLES, self._names[benchmark])
            result = _benchmark_result(self._names[benchmark], benchmark, report, tally, usage)
            results.append(result.model_copy(update={"fingerprint": fingerprints.get(benchmark, "")}))
        return Collected(benchmarks=tuple(results))

    @property
    def done(self) -> int:
        """Samples finished so far, those of earlier attempts among them."""
        return 0 if self._observer is None else self._observer.done

    def collect_partial(self) -> Collected:
        """Return the headline scores of the samples finished so far, for a run that is cancelled."""
        if self._observer is None:
            return Collected()
        progress = self._observer.progress()
        benchmarks = {name: benchmark for benchmark, name in self._names.items()}
        results = tuple(_partial_result(score, benchmarks[score.benchmark]) for score in progress.scores)
        return Collected(benchmarks=results)

    def reproduce(self, spec: EvalSpec, place: Workplace) -> Reproduce:
        """See `Engine.reproduce`."""
        return reproduce_line(task_config(spec, place.config), spec, place.config)

    def write_report(self, place: Workplace) -> bool:
        """See `Engine.write_report`."""
        written = self._write_report(str(place.folder / "reports"))
        if written:
            fixes.localize_plotly(Path(written))
        return bool(written)


def _told(error: BaseException, spec: EvalSpec, place: Workplace) -> ScopebotError:
    """Return the error people are told of, without the key."""
    secret = None
    with contextlib.suppress(ScopebotError):
        secret = preflight.read_key(spec.model, place.config)
    told = classify(error, api_url=spec.model.api_url or "", model=spec.model.model, secret=secret)
    if isinstance(told, DatasetMissing | SubsetMissing):  # EvalScope knows its folder, people its name
        folder = Path(str(told.params["path"])).parent
        names = [d.name for d in spec.datasets if d.local and _folder(d, place.config) == folder]
        told.params |= {"dataset": names[0]} if names else {}
    return told


def _folder(dataset: DatasetTarget, config: Config) -> Path | None:
    with contextlib.suppress(ScopebotError):
        return preflight.local_folder(dataset, config)
    return None


def task_config(spec: EvalSpec, config: Config) -> dict[str, Any]:
    """Return EvalScope's own parameters for a run, without secrets and the run's folder: what is reproduced."""
    model = spec.model
    task: dict[str, Any] = {
        "model": model.model,
        "eval_type": model.eval_type,
        "datasets": [dataset.benchmark for dataset in spec.datasets],
        "dataset_args": _dataset_args(spec, config),
        "dataset_hub": spec.dataset_hub,
        "limit": spec.limit,
        "repeats": spec.repeats,
        "seed": spec.seed,
        "generation_config": spec.generation_config.model_dump(exclude_none=True),
        "model_args": dict(model.model_args),
    }
    if model.api_url is not None:
        task["api_url"] = model.api_url
        task["generation_config"] = TRANSPORT | task["generation_config"]
    if model.eval_type in API_TYPES:  # one layer of retries, EvalScope's
        task["model_args"] = {"max_retries": 0} | task["model_args"]
    if spec.eval_batch_size is not None:
        task["eval_batch_size"] = spec.eval_batch_size
    return task


def _dataset_args(spec: EvalSpec, config: Config) -> dict[str, dict[str, Any]]:
    args: dict[str, dict[str, Any]] = {}
    for dataset in spec.datasets:
        local = {"local_path": str(preflight.local_folder(dataset, config))} if dataset.local else {}
        if dataset.args or local:
            args[dataset.benchmark] = local | dataset.args
    return args


def _private(model: ModelTarget, place: Workplace) -> dict[str, Any]:
    """Return the parameters that only this worker knows: its folder, the key's value."""
    folder = str(place.folder)
    key = preflight.read_key(model, place.config)
    resumable = (place.folder / "configs" / "task_config.yaml").exists()
    return {
        "work_dir": folder,
        "no_timestamp": True,
        "use_cache": folder if resumable else None,
        "ignore_errors": True,
        "api_key": key or "EMPTY",
    }


def _benchmark_result(name: str, benchmark: str, report: Any, tally: Tally | None, usage: Usage) -> BenchmarkResult:
    summary = report.execution_summary
    values = [value for subset in tally.scores.values() for value in of_questions(subset)] if tally else []
    return BenchmarkResult(
        name=name,
        benchmark=benchmark,
        metrics=tuple(_metric_result(metric, report, values) for metric in report.metrics),
        requested=summary.requested,
        succeeded=summary.succeeded,
        errored=summary.errored,
        tokens=usage.tokens,
        latency_mean=usage.latency_mean,
    )


def _partial_result(score: RunningScore, benchmark: str) -> BenchmarkResult:
    metric = MetricResult(
        name=score.metric,
        aggregation="mean",
        primary=True,
        direction="none",
        unit=score.unit,
        scale=score.scale,
        score=score.score,
        num=score.num,
        interval=score.interval,
    )
    return BenchmarkResult(
        name=score.benchmark,
        benchmark=benchmark,
        metrics=(metric,),
        requested=score.num,
        succeeded=score.num,
        errored=0,
    )


def _metric_result(metric: Any, report: Any, values: list[float]) -> MetricResult:
    semantics = metric.semantics
    primary = metric.identity == report.primary_metric_identity
    return MetricResult(
        name=metric.identity.name,
        aggregation=metric.identity.aggregation,
        dimensions=dict(metric.identity.dimensions),
        primary=primary,
        direction=semantics.direction.value,
        unit=semantics.display_unit or ("%" if semantics.display_kind.value == "percent" else ""),
        scale=semantics.display_multiplier or 1,
        score=metric.score,
        num=metric.num,
        interval=interval(values, metric.score) if primary and values else None,
        subsets=tuple(
            SubsetScore(name=subset.name, score=subset.score, num=subset.num)
            for category in metric.categories
            for subset in category.subsets
            if not subset.is_aggregate
        ),
    )


def read_fingerprints(place: Workplace) -> dict[str, str]:
    """Return EvalScope's identity of each benchmark's evaluation, from the configuration it wrote."""
    import yaml

    path = place.folder / "configs" / "task_config.yaml"
    if not path.exists():
        return {}
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    benchmarks = written.get("evaluation_identity", {}).get("benchmarks", {})
    return {benchmark: entry["fingerprint"] for benchmark, entry in benchmarks.items()}
