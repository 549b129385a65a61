"""Charts beside the tables of results: what is drawn, and where there is nothing to compare."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from support.services import FixedLinks

from bot.render.terminal import render
from handlers.cards import progress_part, result_message
from handlers.charts import bars, few_charts, perf_comparison_charts, score_charts, shown
from handlers.group_cards import joint_result
from handlers.message import Chart, Message, Part, Series, Table
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    MetricResult,
    ModelTarget,
    PerfLevel,
    PerfSpec,
    Run,
    RunResult,
    Spread,
    SubsetScore,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EN, ZH, LINKS = Texts("en"), Texts("zh"), FixedLinks()
LOADS = (1, 4, 16)
METRIC = MetricResult(
    name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100, score=0, num=9
)


def score(name: str, value: float, **fields: Any) -> BenchmarkResult:
    metric = METRIC.model_copy(update={"score": value} | fields)
    return BenchmarkResult(name=name, benchmark=name, metrics=(metric,), requested=9, succeeded=9, errored=0)


def subsets(count: int) -> tuple[SubsetScore, ...]:
    return tuple(SubsetScore(name=f"s{number}", score=0.5, num=3) for number in range(count))


def ended(number: int, spec: EvalSpec | PerfSpec, state: RunState, **results: Any) -> Run:
    result = RunResult(
        run_id=number, attempt=1, state=state, model=spec.model.name, started_at=NOW,
        ended_at=NOW + timedelta(seconds=9), **results,
    )  # fmt: skip
    found = result if any(results.values()) else None
    return Run(id=number, group_id=1, spec=spec, state=state, attempt=1, created_at=NOW, result=found)


def target(model: str) -> ModelTarget:
    return ModelTarget(name=model, model=model, eval_type="openai_api", api_url="http://h/v1", network="registered")


def run(number: int, model: str, *benchmarks: BenchmarkResult, state: RunState = RunState.SUCCEEDED) -> Run:
    names = [benchmark.name for benchmark in benchmarks] or ["gsm8k"]
    datasets = tuple(DatasetTarget(name=name, benchmark=name, subsets={"main": 9}) for name in names)
    return ended(number, EvalSpec(model=target(model), datasets=datasets), state, benchmarks=benchmarks)


def two() -> list[Run]:
    return [run(1, "a", score("gsm8k", 0.9), score("mmlu", 0.6)), run(2, "b", score("gsm8k", 0.5), score("mmlu", 0.55))]


def level(load: int, **fields: Any) -> PerfLevel:
    known = {
        "concurrency": load, "planned": 9, "requests": 9, "succeeded": 9, "seconds": 8, "rps": load * 1.2346,
        "output_tokens_per_second": 640, "total_tokens_per_second": 1280, "latency_s": Spread(avg=0.8, p99=1.4),
        "ttft_ms": Spread(avg=45, p99=98),
    }  # fmt: skip
    return PerfLevel.model_validate(known | fields)


def stressed(number: int, model: str, *levels: PerfLevel, state: RunState = RunState.SUCCEEDED) -> Run:
    loads = tuple(found.concurrency or 1 for found in levels) or (1,)
    spec = PerfSpec(
        model=target(model),
        parallel=loads,
        number=(9,) * len(loads),
        dataset="prompts",
        plugin="line_by_line",
        local=True,
    )
    return ended(number, spec, state, perf=levels)


def charts(message: Message) -> list[Chart]:
    return [part for part in message.parts if isinstance(part, Chart)]


# one evaluation


def test_several_benchmarks_stand_side_by_side_after_the_table() -> None:
    message = result_message(run(1, "a", score("gsm8k", 0.9), score("mmlu", 0.55)), EN, LINKS)
    assert [type(part) for part in message.parts[:2]] == [Table, Chart]
    assert charts(message) == [
        Chart(
            title="Scores", kind="bar", categories=("gsm8k", "mmlu"), series=(Series(name="a", values=(90.0, 55.0)),),
            y_label="accuracy, %",
        )
    ]  # fmt: skip


def test_a_single_benchmark_is_shown_by_its_subsets_and_not_at_all_without_or_with_too_many() -> None:
    drawn = charts(result_message(run(1, "a", score("gsm8k", 0.5, subsets=subsets(3))), ZH, LINKS))
    assert [(chart.title, chart.categories, chart.series[0].values) for chart in drawn] == [
        ("gsm8k 各子集", ("s0", "s1", "s2"), (50.0, 50.0, 50.0))
    ]
    for count in (1, 57):
        assert charts(result_message(run(1, "a", score("gsm8k", 0.5, subsets=subsets(count))), EN, LINKS)) == []


def test_scores_of_different_units_do_not_share_an_axis() -> None:
    points = score("bleu", 0.3, unit="", scale=1)
    benchmarks = [score("gsm8k", 0.9), points, score("mmlu", 0.6)]
    result = run(1, "a", *benchmarks).result
    assert result is not None
    assert score_charts(result, EN)[0].categories == ("gsm8k", "mmlu")
    two_units = result.model_copy(update={"benchmarks": tuple(benchmarks[:2])})
    assert score_charts(two_units, EN) == []


def test_a_benchmark_without_a_headline_has_no_bar() -> None:
    bare = BenchmarkResult(name="x", benchmark="x", metrics=(), requested=1, succeeded=1, errored=0)
    assert charts(result_message(run(1, "a", bare, bare), EN, LINKS)) == []


# several


def test_models_are_compared_on_each_benchmark() -> None:
    drawn = charts(joint_result(two(), EN, LINKS))
    assert [(chart.categories, chart.series) for chart in drawn] == [
        (
            ("gsm8k", "mmlu"),
            (Series(name="a", values=(90.0, 60.0)), Series(name="b", values=(50.0, 55.0))),
        )
    ]


def test_a_model_that_lacks_a_score_has_a_gap_and_one_that_was_stopped_no_bar() -> None:
    lacking = run(3, "c", score("mmlu", 0.5))
    stopped = run(4, "d", score("gsm8k", 0.1), state=RunState.CANCELLED)
    (drawn,) = charts(joint_result([*two(), lacking, stopped], EN, LINKS))
    assert [(series.name, series.values) for series in drawn.series] == [
        ("a", (90.0, 60.0)),
        ("b", (50.0, 55.0)),
        ("c", (None, 50.0)),
    ]


def test_one_figure_alone_is_no_chart() -> None:
    failed = run(2, "b", state=RunState.FAILED)
    alone = [run(1, "a", score("gsm8k", 0.9)), failed]
    assert charts(joint_result(alone, EN, LINKS)) == []


def test_more_models_than_colours_are_left_to_the_table() -> None:
    many = [run(n, f"m{n}", score("gsm8k", 0.5)) for n in range(1, 9)]
    assert charts(joint_result(many, EN, LINKS)) == []


# stress tests


def test_a_stress_test_is_drawn_over_its_load_with_all_times_in_seconds() -> None:
    throughput, times = charts(result_message(stressed(7, "prod", *map(level, LOADS)), EN, LINKS))
    assert (throughput.kind, throughput.categories, throughput.x_label) == ("line", ("1", "4", "16"), "Concurrency")
    assert throughput.series == (Series(name="RPS", values=(1.235, 4.938, 19.75)),)
    assert times.y_label == "seconds"
    assert [(series.name, series.values) for series in times.series] == [
        ("p99 latency", (1.4, 1.4, 1.4)),
        ("p99 TTFT", (0.098, 0.098, 0.098)),
    ]


def test_one_level_is_no_line_and_times_that_were_not_measured_are_left_out() -> None:
    assert charts(result_message(stressed(7, "prod", level(4)), EN, LINKS)) == []
    unstreamed = stressed(7, "prod", level(1, ttft_ms=Spread()), level(4, ttft_ms=Spread()))
    assert [series.name for series in charts(result_message(unstreamed, EN, LINKS))[1].series] == ["p99 latency"]


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_what_a_stopped_stress_test_measured_is_drawn_too(state: RunState) -> None:
    assert len(charts(result_message(stressed(7, "prod", *map(level, LOADS), state=state), EN, LINKS))) == 2


def test_stress_tests_are_compared_over_all_loads_that_any_of_them_had() -> None:
    runs = [
        stressed(number, model, *map(level, loads))
        for number, model, loads in ((1, "a", LOADS[:2]), (2, "b", LOADS[1:]), (3, "b", LOADS))
    ]
    throughput, latency = perf_comparison_charts(runs, EN)
    assert throughput.categories == ("1", "4", "16")
    assert [(series.name, series.values) for series in throughput.series] == [
        ("a", (1.235, 4.938, None)),
        ("b r2", (None, 4.938, 19.75)),
        ("b r3", (1.235, 4.938, 19.75)),
    ]
    assert (latency.title, latency.series[0].values) == ("p99 latency", (1.4, 1.4, None))


def test_a_message_has_two_charts_at_most() -> None:
    chart = Chart(title="x", kind="bar", categories=(), series=())
    parts: list[Part] = [chart, *result_message(stressed(7, "prod", *map(level, LOADS)), EN, LINKS).parts]
    assert [part.type for part in few_charts(parts)].count("chart") == 2
    assert [part for part in few_charts(parts) if part.type != "chart"] == [p for p in parts if p.type != "chart"]


# how they read


def test_a_score_keeps_the_digits_that_its_table_shows() -> None:
    assert shown(METRIC, 0.62549) == 62.5
    assert shown(METRIC.model_copy(update={"unit": "", "scale": 1}), 0.412345) == 0.4123


def test_bars_name_a_category_once_and_show_no_bar_where_there_is_no_figure() -> None:
    series = (Series(name="a", values=(50, None)), Series(name="b", values=(-100, float("nan"))))
    chart = Chart(title="x", kind="bar", categories=("one", "two"), series=series)
    assert list(bars(chart)) == [
        ("one", "a", 0.5, "50"), ("", "b", 0.0, "-100"), ("two", "a", 0.0, "–"), ("", "b", 0.0, "–"),
    ]  # fmt: skip


def test_a_terminal_draws_bars_with_their_figures() -> None:
    drawn = Chart(
        title="Scores", kind="bar", categories=("gsm8k", "mmlu"), y_label="%",
        series=(Series(name="[bold]a", values=(90, 45)), Series(name="b", values=(None, 9))),
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(render(Message(text="x", parts=(drawn,))))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[1:] == [
        "  Scores (%)",
        f"  gsm8k [bold]a {'█' * 30} 90",
        f"        b       {' ' * 30} –",
        f"  mmlu  [bold]a {'█' * 15}{' ' * 15} 45",
        f"        b       {'█' * 3}{' ' * 27} 9",
    ]


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("make", [run, stressed])
def test_a_bar_knows_its_runs_state_and_one_that_has_not_begun_waits(state: RunState, make: Callable[..., Run]) -> None:
    bar = progress_part(make(1, "a", state=state), None, EN)
    assert bar.state == ("waiting" if state in {RunState.WAITING, RunState.QUEUED} else state.value)
