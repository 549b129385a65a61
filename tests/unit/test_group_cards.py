"""What is said of several runs of one request: one status, one result that compares them and fits every platform."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.services import FixedLinks

from handlers.cards import result_message, status_message
from handlers.figures import cut, run_names
from handlers.group_cards import joint_result
from handlers.message import Fields, Link, Log, Message, Table, Text
from handlers.message import Progress as ProgressPart
from handlers.texts import Texts
from jobs.dispatch import Place
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Failure,
    Interval,
    MetricResult,
    ModelTarget,
    PerfLevel,
    PerfSpec,
    Progress,
    Reproduce,
    Run,
    RunningScore,
    RunResult,
    Spread,
    SubsetScore,
    Tokens,
    Verdict,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EN, ZH, LINKS = Texts("en"), Texts("zh"), FixedLinks()
REFUSED = Failure(code="endpoint_refused", params={"url": "http://h/v1"})


def score(name: str, value: float, *, low: float, high: float, num: int = 100, **fields: Any) -> BenchmarkResult:
    metric = MetricResult.model_validate({
        "name": "accuracy", "aggregation": "mean", "primary": True, "direction": "higher_is_better", "unit": "%",
        "scale": 100, "score": value, "num": num, "interval": Interval(low=low, high=high, method="wilson"),
    } | fields)  # fmt: skip
    return BenchmarkResult(
        name=name, benchmark=name, metrics=(metric,), requested=num, succeeded=num, errored=0,
        tokens=Tokens(prompt=10, completion=1),
    )  # fmt: skip


def run(
    number: int,
    model: str,
    *benchmarks: BenchmarkResult,
    state: RunState = RunState.SUCCEEDED,
    covers: tuple[str, ...] = ("gsm8k", "mmlu"),
    command: str = "evalscope eval",
    failure: Failure | None = None,
    **spec: Any,
) -> Run:
    """A run that ended; with its result where it has benchmarks."""
    target = ModelTarget(name=model, model=model, eval_type="openai_api", api_url="http://h/v1", network="registered")
    datasets = tuple(DatasetTarget(name=name, benchmark=name, subsets={"main": 100}) for name in covers)
    result = RunResult(
        run_id=number, attempt=1, state=state, model=model, benchmarks=benchmarks, started_at=NOW,
        ended_at=NOW + timedelta(seconds=number), worker="w1",
        reproduce=Reproduce(command=f"{command} --model {model}") if state is RunState.SUCCEEDED else None,
    )  # fmt: skip
    return Run(
        id=number, group_id=1, spec=EvalSpec.model_validate({"model": target, "datasets": datasets} | spec),
        state=state, attempt=1, created_at=NOW, failure=failure, result=result if benchmarks else None,
        report_ready=state is RunState.SUCCEEDED,
    )  # fmt: skip


def two() -> list[Run]:
    """A is better than b on gsm8k beyond doubt; on mmlu nobody can tell."""
    return [
        run(1, "a", score("gsm8k", 0.9, low=0.85, high=0.95), score("mmlu", 0.6, low=0.5, high=0.7)),
        run(2, "b", score("gsm8k", 0.5, low=0.4, high=0.6), score("mmlu", 0.55, low=0.45, high=0.65)),
    ]


def test_the_time_of_runs_asked_for_apart_is_their_own_and_not_what_lies_between_them() -> None:
    first, second = two()
    assert second.result is not None
    later = {name: getattr(second.result, name) + timedelta(days=1) for name in ("started_at", "ended_at")}
    apart = second.model_copy(update={"group_id": 2, "result": second.result.model_copy(update=later)})
    facts = [part for part in joint_result([first, apart], EN, LINKS).parts if isinstance(part, Fields)]
    assert dict(facts[0].items)["Time"] == "3.0 s"


def table(message: Message) -> Table:
    return next(part for part in message.parts if isinstance(part, Table))


def texts_of(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


# the result


def test_models_stand_below_each_other_and_benchmarks_side_by_side_with_their_intervals() -> None:
    message = joint_result(two(), EN, LINKS)
    assert table(message).columns == ("Model", "Run", "gsm8k accuracy (n = 100)", "mmlu accuracy (n = 100)")
    assert table(message).rows == (
        ("a", "r1", "★ 90.0 % [85.0 – 95.0 %]", "60.0 % [50.0 – 70.0 %]"),
        ("b", "r2", "50.0 % [40.0 – 60.0 %]", "55.0 % [45.0 – 65.0 %]"),
    )
    assert message.text.startswith("r1, r2: 2 done. a: gsm8k 90.0 % [85.0 – 95.0 %] (n = 100), mmlu 60.0 %")


def test_the_joint_result_is_told_in_chinese() -> None:
    message = joint_result([*two(), run(3, "c", state=RunState.FAILED, failure=REFUSED)], ZH, LINKS)
    assert table(message).columns[:2] == ("模型", "任务")
    assert message.text.startswith("r1, r2, r3：2 已完成, 1 失败。")
    assert "服务是否已启动" in texts_of(message)
    assert "`继续 r3`" in texts_of(message)


def test_the_best_is_marked_only_beyond_all_others_intervals_and_else_said_to_be_open() -> None:
    message = joint_result(two(), EN, LINKS)
    assert "★ is better than all others" in texts_of(message)
    assert "No clear best on mmlu: the intervals overlap." in texts_of(message)


@pytest.mark.parametrize(
    "other",
    [
        run(2, "b", state=RunState.FAILED, failure=REFUSED),
        run(2, "b", score("gsm8k", 0.5, low=0.4, high=0.6), state=RunState.CANCELLED),
        run(2, "b", score("gsm8k", 0.5, low=0.4, high=0.6, num=50)),
        run(2, "b", score("gsm8k", 0.5, low=0.4, high=0.6).model_copy(update={"errored": 3})),
        run(2, "b", score("gsm8k", 0.5, low=0.4, high=0.6, interval=None)),
    ],
    ids=["failed", "cancelled", "fewer samples", "samples failed", "no interval"],
)
def test_no_best_is_marked_where_the_others_were_not_measured_alike(other: Run) -> None:
    message = joint_result([two()[0], other], EN, LINKS)
    assert "★" not in message.model_dump_json()


def test_where_less_is_better_the_lowest_is_the_best() -> None:
    lower = "lower_is_better"
    errors = [
        run(1, "a", score("wer", 0.9, low=0.8, high=1, direction=lower), covers=("wer",)),
        run(2, "b", score("wer", 0.1, low=0, high=0.2, direction=lower), covers=("wer",)),
    ]
    assert [row[2].startswith("★") for row in table(joint_result(errors, EN, LINKS)).rows] == [False, True]


def test_what_failed_is_said_with_why_and_what_to_do_and_runs_of_one_reason_together() -> None:
    failed = [run(n, name, state=RunState.FAILED, failure=REFUSED) for n, name in ((3, "c"), (4, "d"))]
    message = joint_result([*two(), *failed], EN, LINKS)
    assert "r3 (c), r4 (d) failed: Nothing answers at http://h/v1. Is the server running" in texts_of(message)
    assert "To go on from what is finished: `resume r3`, `resume r4`." in texts_of(message)
    assert table(message).rows[2] == ("c", "r3", "failed", "failed")


def test_a_cancelled_runs_partial_score_is_shown_as_one() -> None:
    partial = run(2, "b", score("gsm8k", 0.5, low=0.2, high=0.8, num=7), state=RunState.CANCELLED)
    message = joint_result([two()[0], partial], EN, LINKS)
    assert table(message).rows[1] == ("b", "r2", "50.0 % [20.0 – 80.0 %] (n = 7, cancelled)", "cancelled")
    assert "Cancelled: r2 (b)." in texts_of(message)
    assert "`resume r2`" in texts_of(message)


def test_what_was_gone_on_with_already_is_not_asked_for_again() -> None:
    failed = [run(n, "c", state=RunState.FAILED, failure=REFUSED) for n in (3, 4)]
    said = texts_of(joint_result([*two(), *failed], EN, LINKS, followed={3: run(9, "c")}))
    assert "Gone on with already: r3 → r9." in said
    assert "`resume r4`" in said
    assert "`resume r3`" not in said


def test_when_nothing_has_a_score_there_is_no_table() -> None:
    failed = [run(n, "c", state=RunState.FAILED, failure=REFUSED) for n in (1, 2)]
    message = joint_result(failed, EN, LINKS)
    assert message.text == "r1, r2: 2 failed."
    assert not [part for part in message.parts if isinstance(part, Table)]


def test_one_models_runs_share_a_row_where_their_benchmarks_differ() -> None:
    runs = [
        run(1, "a", score("x", 0.9, low=0.8, high=1), covers=("x",)),
        run(2, "a", score("y", 0.5, low=0.4, high=0.6), covers=("y",)),
        run(3, "b", score("x", 0.1, low=0, high=0.2), covers=("x",)),
        run(4, "b", score("y", 0.5, low=0.4, high=0.6), covers=("y",)),
    ]
    rows = table(joint_result(runs, EN, LINKS)).rows
    assert [row[:2] for row in rows] == [("a", "r1, r2"), ("b", "r3, r4")]
    assert rows[0][2] == "★ 90.0 % [80.0 – 100.0 %]"


def test_a_model_on_many_benchmarks_has_them_below_each_other() -> None:
    names = tuple(f"b{n}" for n in range(8))
    runs = [
        run(n, m, *(score(b, 0.5, low=0.4, high=0.6) for b in names), covers=names) for n, m in ((1, "a"), (2, "c"))
    ]
    shown = table(joint_result(runs, EN, LINKS))
    assert shown.columns == ("Benchmark", "a (r1)", "c (r2)")
    assert [row[0] for row in shown.rows] == [f"b{n} accuracy (n = 100)" for n in range(8)]


def test_samples_that_differ_are_said_in_each_cell() -> None:
    runs = [run(n, m, score("gsm8k", 0.5, low=0.4, high=0.6, num=num)) for n, m, num in ((1, "a", 100), (2, "b", 50))]
    shown = table(joint_result(runs, EN, LINKS))
    assert shown.columns[2] == "gsm8k accuracy"
    assert [row[2] for row in shown.rows] == ["50.0 % [40.0 – 60.0 %] (n = 100)", "50.0 % [40.0 – 60.0 %] (n = 50)"]


def test_every_run_has_its_page_report_and_command() -> None:
    message = joint_result(two(), EN, LINKS)
    assert [part.label for part in message.parts if isinstance(part, Link)] == [
        "Run page r1", "Report r1", "Run page r2", "Report r2",
    ]  # fmt: skip
    (log,) = [part for part in message.parts if isinstance(part, Log)]
    assert "# r1 a\nevalscope eval --model a" in log.text
    assert "# r2 b\nevalscope eval --model b" in log.text


def test_commands_that_do_not_fit_are_said_to_be_on_the_pages() -> None:
    runs = [run(n, f"m{n}", score("gsm8k", 0.5, low=0.4, high=0.6), command="x" * 900) for n in range(1, 6)]
    message = joint_result(runs, EN, LINKS)
    assert "The commands that reproduce r2 – r5 are on their pages." in texts_of(message)


def test_subsets_and_other_metrics_are_said_to_be_on_the_pages() -> None:
    subsets = tuple(SubsetScore(name=f"s{n}", score=0.5, num=50) for n in range(2))
    runs = [run(n, m, score("gsm8k", 0.5, low=0.4, high=0.6, subsets=subsets)) for n, m in ((1, "a"), (2, "b"))]
    assert "Other metrics and the scores of subsets are on the run pages." in texts_of(joint_result(runs, EN, LINKS))


def test_a_group_of_one_run_keeps_its_own_card() -> None:
    (alone, _) = two()
    assert joint_result([alone], EN, LINKS) == result_message(alone, EN, LINKS)


def test_a_run_that_goes_on_from_one_of_several_completes_their_comparison() -> None:
    first, second = two()
    message = joint_result([second], EN, LINKS, beside=[first])
    assert message.text == result_message(second, EN, LINKS).text
    assert "Together with what was asked for beside it (r1):" in texts_of(message)
    compared = [part for part in message.parts if isinstance(part, Table)][-1]
    assert [row[:2] for row in compared.rows] == [("a", "r1"), ("b", "r2")]


# stress tests


def level(load: int, rps: float) -> PerfLevel:
    spread = Spread(avg=1, p50=1, p90=2, p99=3)
    return PerfLevel(
        concurrency=load, planned=10, requests=10, succeeded=10, seconds=1, rps=rps, output_tokens_per_second=100 * rps,
        total_tokens_per_second=200 * rps, latency_s=spread, ttft_ms=spread,
    )  # fmt: skip


def load_test(number: int, model: str, loads: tuple[int, ...], **fields: Any) -> Run:
    target = ModelTarget(name=model, model=model, eval_type="openai_api", api_url="http://h/v1", network="registered")
    spec = PerfSpec(model=target, parallel=loads, number=(10,) * len(loads), dataset="prompts", plugin="line_by_line")
    result = RunResult(
        run_id=number, attempt=1, state=RunState.SUCCEEDED, model=model, started_at=NOW, ended_at=NOW,
        perf=tuple(level(load, load * number) for load in loads), reproduce=Reproduce(command="evalscope perf"),
    )  # fmt: skip
    known = {"state": RunState.SUCCEEDED, "result": result}
    return Run.model_validate(
        {"id": number, "group_id": 1, "spec": spec, "attempt": 1, "created_at": NOW} | known | fields
    )


def test_stress_tests_are_compared_level_by_level() -> None:
    message = joint_result([load_test(1, "a", (1, 4)), load_test(2, "b", (1, 4))], EN, LINKS)
    shown = table(message)
    assert shown.columns[:5] == ("Concurrency", "Model", "Run", "Success", "RPS")
    assert [row[:5] for row in shown.rows] == [
        ("1", "a", "r1", "100 %", "1"),
        ("1", "b", "r2", "100 %", "2"),
        ("4", "a", "r1", "100 %", "4"),
        ("4", "b", "r2", "100 %", "8"),
    ]
    assert "b: at best 8 requests/s at concurrency 4" in message.text
    assert "并发" in joint_result([load_test(1, "a", (1,)), load_test(2, "b", (1,))], ZH, LINKS).model_dump_json()


def test_of_many_levels_the_key_ones_are_shown_and_the_rest_is_said_to_be_on_the_pages() -> None:
    loads = tuple(range(1, 21))
    message = joint_result([load_test(n, f"m{n}", loads) for n in (1, 2)], EN, LINKS)
    assert {row[0] for row in table(message).rows} == {"1", "20"}
    assert "the others are on the run pages" in texts_of(message)


def test_a_stress_test_that_failed_keeps_its_levels_and_its_reason() -> None:
    lost = load_test(2, "b", (1,), state=RunState.FAILED, failure=REFUSED)
    message = joint_result([load_test(1, "a", (1,)), lost], EN, LINKS)
    assert len(table(message).rows) == 2
    assert message.text.startswith("r1, r2: 1 done, 1 failed.")
    assert "r2 (b) failed: Nothing answers" in texts_of(message)


# the status


def test_the_status_of_several_runs_has_one_bar_and_a_row_for_each() -> None:
    going = run(2, "b", state=RunState.RUNNING)
    waiting = run(3, "c", state=RunState.WAITING)
    running = RunningScore(benchmark="gsm8k", metric="accuracy", score=0.5, scale=100, unit="%", num=40)
    progress = Progress(
        attempt=1, phase="evaluating", benchmark="gsm8k", done=40, total=200, scores=(running,), updated_at=NOW
    )
    places = {3: Place(position=2, reason="workers_busy", starts_in=60)}
    message = status_message([two()[0], going, waiting], {2: progress}, EN, LINKS, places)
    (bar,) = [part for part in message.parts if isinstance(part, ProgressPart)]
    assert (bar.label, bar.done, bar.total) == ("1 of 3 runs ended", 240, 600)
    shown = table(message)
    assert shown.columns == ("Run", "Model", "State", "Done", "Score", "Now")
    assert shown.rows == (
        ("r1", "a", "done", "200 / 200", "gsm8k 90.0 % [85.0 – 95.0 %]; mmlu 60.0 % [50.0 – 70.0 %]", ""),
        ("r2", "b", "running", "40 / 200", "gsm8k 50.0 %", "evaluating gsm8k"),
        ("r3", "c", "waiting", "0 / 200", "", "number 2 in line: all workers are busy, starts in about 1 min 0 s"),
    )
    assert "运行中" in status_message([two()[0], going], {2: progress}, ZH, LINKS).model_dump_json()


def test_the_status_says_which_run_has_which_benchmarks_where_they_differ() -> None:
    runs = [run(n, "a", state=RunState.WAITING, covers=(name,)) for n, name in ((1, "x"), (2, "y"))]
    assert [row[2] for row in table(status_message(runs, {}, EN, LINKS)).rows] == ["x", "y"]


def test_settings_that_differ_from_run_to_run_are_all_said() -> None:
    runs = [
        run(n, "a", state=RunState.WAITING, covers=(name,), limit=limit)
        for n, name, limit in ((1, "x", 2), (2, "y", 50))
    ]
    assert "limit=2 / 50" in status_message(runs, {}, EN, LINKS).model_dump_json()


# what platforms take


def crowd(models: int, benchmarks: int, *, failing: int = 0) -> list[Run]:
    """A large group: a run for each model and benchmark, long names, long commands, some failed each in its own way."""
    runs = []
    for n in range(models * benchmarks):
        name, benchmark = f"organisation/model-{n // benchmarks}-" + "x" * 40, f"benchmark_{n % benchmarks}"
        if n < failing:
            failure = Failure(code="run_crashed", params={"detail": f"{n} " + "because " * 200})
            runs.append(run(n + 1, name, state=RunState.FAILED, covers=(benchmark,), failure=failure))
        else:
            found = score(benchmark, 0.5, low=0.4, high=0.6, num=100 - n)
            runs.append(run(n + 1, name, found, covers=(benchmark,), command="evalscope " + "y" * 1200))
    return runs


def going(one: Run) -> Progress:
    """A run's progress with its first verdicts, each as long as one can be."""
    verdicts = tuple(
        Verdict(dataset=name, question="q" * 300, answer="a" * 300, extracted="e" * 100, score=1.0)
        for name in one.spec.covers
        for _ in range(3)
    )
    return Progress(attempt=1, phase="evaluating", done=3, total=100, verdicts=verdicts, updated_at=NOW)


def test_of_several_runs_the_first_that_goes_on_shows_its_first_verdicts() -> None:
    runs = [run(n, "a", state=RunState.RUNNING) for n in (1, 2)]
    message = status_message(runs, {one.id: going(one) for one in runs}, EN, LINKS)
    assert "The first answers of r1; the run pages have those of the others." in texts_of(message)
    assert len([part for part in message.parts if isinstance(part, Table)]) == 3, "the runs, and two benchmarks"


@pytest.mark.parametrize(("models", "benchmarks"), [(2, 2), (5, 5), (1, 40), (40, 1), (12, 12)])
@pytest.mark.parametrize("failing", [0, 20])
@pytest.mark.parametrize("texts", [EN, ZH], ids=["en", "zh"])
def test_a_group_of_any_size_fits_slack_and_feishu(models: int, benchmarks: int, failing: int, texts: Texts) -> None:
    runs = crowd(models, benchmarks, failing=failing)
    waiting = [one.model_copy(update={"state": RunState.WAITING, "result": None}) for one in runs]
    places = {one.id: Place(position=one.id, reason="workers_busy", starts_in=3600) for one in waiting}
    running = [one.model_copy(update={"state": RunState.RUNNING, "result": None}) for one in runs]
    progress = {one.id: going(one) for one in running}
    for message in (
        joint_result(runs, texts, LINKS),
        status_message(running, progress, texts, LINKS),
        status_message(waiting, {}, texts, LINKS, places),
        status_message(runs, {}, texts, LINKS),
    ):
        assert len(message.parts) <= 45, "Slack: 50 blocks"
        tables = [part for part in message.parts if isinstance(part, Table)]
        assert len(tables) <= 5, "Feishu: 5 tables"
        for one in tables:
            assert len(one.columns) <= 20, "Slack: 20 columns"
            assert len(one.rows) <= 100, "Slack: 100 rows"
            assert sum(len(cell) for row in (one.columns, *one.rows) for cell in row) <= 10_000, "Slack: one message"
        for part in message.parts:
            if isinstance(part, Text | Log):
                assert len(part.text) <= 3000, "Slack: a section"
        assert len(message.text) <= 3000
        assert len(json.dumps(message.model_dump(mode="json"), ensure_ascii=False).encode()) <= 24_000


def test_of_a_large_group_nothing_is_left_out_without_saying_so() -> None:
    message = joint_result(crowd(12, 12, failing=20), EN, LINKS)
    said = texts_of(message)
    assert re.search(r"\d+ more rows did not fit", said)
    assert "failed as well; the reasons are on their pages" in said
    assert "For the pages of r13 – r144: `status r13`" in said
    assert "are on their pages" in said


def test_names_of_runs_in_a_row_are_said_as_one() -> None:
    runs = [run(n, "a") for n in (1, 2, 3, 4, 7, 9, 10)]
    assert run_names(runs) == "r1 – r4, r7, r9, r10"


def test_what_is_cut_says_so_and_is_no_longer_than_allowed() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
