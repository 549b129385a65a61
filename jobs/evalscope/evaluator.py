"""EvalScope's default evaluator, made to tell an `Observer` what it sees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evalscope.api.registry import EVALUATOR_REGISTRY
from evalscope.evaluator import DefaultEvaluator
from evalscope.metrics.semantics import get_semantics_resolver

from jobs.evalscope.intervals import interval, of_questions
from jobs.evalscope.observer import Observer
from jobs.evalscope.samples import Sample
from jobs.models import RunningScore


class Hopeless(Exception):
    """Raised for the samples that are left once the observer gave up on the endpoint."""


class MetricDataMissing(Exception):
    """A metric could not be computed for want of data on this machine; EvalScope would count it as 0."""


def observed_evaluator(observer: Observer, names: Mapping[str, str]) -> type[DefaultEvaluator]:
    """Return an evaluator class that reports to `observer`; `names` maps benchmarks to what people call them."""

    class ObservedEvaluator(DefaultEvaluator):  # type: ignore[misc]  # EvalScope has no types
        def _run_pool(self, context: Any) -> Any:
            observer.loaded(
                names[self.benchmark_name],
                context.grand_total,
                context.cached_scores_by_subset,
                lambda scores: running_score(self.benchmark, names[self.benchmark_name], scores),
            )
            return super()._run_pool(context)

        def _process_work_item(self, item: Any, model_prediction_dir: str) -> Any:
            if observer.hopeless:
                raise Hopeless
            try:
                result = super()._process_work_item(item, model_prediction_dir)
                refuse_silent_zeros(result[1])
            except Exception as error:
                observer.failed(error)
                raise
            return result

        def _persist_result(self, item: Any, task_state: Any, sample_score: Any) -> None:
            try:
                super()._persist_result(item, task_state, sample_score)
                observer.finished(_sample(names[self.benchmark_name], item, task_state, sample_score), sample_score)
            except Exception as error:  # EvalScope takes it for an error of the sample
                observer.failed(error)
                raise

    return ObservedEvaluator


def install(evaluator: type[DefaultEvaluator]) -> None:
    """Make EvalScope use this evaluator in this process."""
    EVALUATOR_REGISTRY["default"] = evaluator


def refuse_silent_zeros(sample_score: Any) -> None:
    """Raise `MetricDataMissing` where EvalScope turned a failed metric into a 0."""
    if sample_score is None:
        return
    errors = (sample_score.score.metadata or {}).get("metric_errors")
    if errors:
        raise MetricDataMissing(json.dumps(errors, ensure_ascii=False))


def running_score(benchmark: Any, name: str, scores_by_subset: Mapping[str, Sequence[Any]]) -> RunningScore | None:
    """Aggregate the scores so far as EvalScope will; None where it cannot be done before the end."""
    totals: list[tuple[float, int]] = []
    values: list[float] = []
    identity: Any = None
    for subset, scores in scores_by_subset.items():
        if not scores:
            continue
        try:
            aggregated = benchmark.aggregate_subset(subset, sample_scores=list(scores))
        except Exception:  # an aggregation of whole cohorts (bayes_at_n, official ones) has nothing to say yet
            return None
        chosen = _headline(benchmark, aggregated)
        if chosen is None:
            return None
        identity = chosen.identity
        totals.append((chosen.score, chosen.num))
        values.extend(of_questions(scores))
    count = sum(num for _, num in totals)
    if not count:
        return None
    score = sum(score * num for score, num in totals) / count
    semantics = get_semantics_resolver().resolve(benchmark.name, identity).semantics
    return RunningScore(
        benchmark=name,
        metric=identity.name,
        score=round(score, 4),
        scale=semantics.display_multiplier or 1,
        unit=display_unit(semantics),
        num=count,
        interval=interval(values, score),
    )


def display_unit(semantics: Any) -> str:
    """Return the unit a metric is shown in; empty for a bare number."""
    return str(semantics.display_unit or ("%" if semantics.display_kind.value == "percent" else ""))


def _headline(benchmark: Any, aggregated: Sequence[Any]) -> Any | None:
    """Pick the aggregate that will carry the benchmark's conclusion."""
    selector = benchmark.benchmark_meta.primary_metric
    if selector is not None and hasattr(selector, "matches"):
        return next((score for score in aggregated if selector.matches(score.identity)), None)
    return aggregated[0] if aggregated else None


def _sample(dataset: str, item: Any, task_state: Any, sample_score: Any) -> Sample:
    output = task_state.output
    usage = output.usage if output is not None else None
    score = None if sample_score is None else sample_score.score
    return Sample(
        dataset=dataset,
        subset=item.subset,
        sample_id=str(task_state.sample_id),
        group_id=str(task_state.group_id),
        question=task_state.input_text,
        target=task_state.target,
        answer=output.completion if output is not None and output.choices else "",
        extracted=None if score is None else score.extracted_prediction,
        scores={} if score is None else {name: float(value) for name, value in score.value.items()},
        prompt_tokens=None if usage is None else usage.input_tokens,
        completion_tokens=None if usage is None else usage.output_tokens,
        latency=output.time if item.needs_predict and output is not None else None,
    )
