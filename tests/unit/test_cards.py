"""What is said of runs."""

from datetime import UTC, datetime, timedelta

from support.services import FixedLinks

from handlers.cards import result_message, status_message
from handlers.figures import duration_text, score_text
from handlers.message import Message, Table
from handlers.message import Progress as ProgressPart
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Failure,
    GenerationSettings,
    Interval,
    MetricResult,
    ModelTarget,
    Progress,
    Reproduce,
    Run,
    RunningScore,
    RunResult,
    SubsetScore,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EN, ZH, LINKS = Texts("en"), Texts("zh"), FixedLinks()


def metric(name: str = "accuracy", subsets: int = 1, *, primary: bool = True) -> MetricResult:
    return MetricResult(
        name=name, aggregation="mean", primary=primary, direction="higher_is_better", unit="%", scale=100, score=0.625,
        num=8, interval=Interval(low=0.3, high=0.86, method="wilson"),
        subsets=tuple(SubsetScore(name=f"s{n}", score=0.5, num=4) for n in range(subsets)),
    )  # fmt: skip


def run(state: RunState, *metrics: MetricResult, failure: Failure | None = None, **spec: object) -> Run:
    dataset = DatasetTarget(name="gsm8k", benchmark="gsm8k", subsets={"main": 1319})
    target = ModelTarget(
        name="prod", model="qwen-plus", eval_type="openai_api", api_url="http://h/v1", network="checked"
    )
    benchmark = BenchmarkResult(
        name="gsm8k", benchmark="gsm8k", metrics=metrics, requested=10, succeeded=8, errored=2, latency_mean=1.5
    )
    result = RunResult(
        run_id=12, attempt=1, state=state, model="prod", benchmarks=(benchmark,), failure=failure, started_at=NOW,
        ended_at=NOW + timedelta(seconds=200), worker="w1", reproduce=Reproduce(command="evalscope eval --model x"),
    )  # fmt: skip
    return Run(
        id=12, group_id=1, spec=EvalSpec.model_validate({"model": target, "datasets": (dataset,), "limit": 8} | spec),
        state=state, attempt=1, created_at=NOW, failure=failure, result=result if metrics or failure else None,
    )  # fmt: skip


def table(message: Message) -> Table:
    return next(part for part in message.parts if isinstance(part, Table))


def bar(message: Message) -> ProgressPart:
    return next(part for part in message.parts if isinstance(part, ProgressPart))


def test_a_result_tells_score_interval_and_how_many_of_how_many() -> None:
    message = result_message(run(RunState.SUCCEEDED, metric()), EN, LINKS)
    assert message.text == "r12: prod — gsm8k 62.5 % [30.0 – 86.0 %] (n = first 8 of 1,319)"
    assert table(message).rows == (("gsm8k", "all", "accuracy", "62.5 %", "30.0 – 86.0 %", "first 8 of 1,319"),)


def test_a_result_says_how_many_samples_failed() -> None:
    assert (
        "2 of 10 samples of gsm8k failed"
        in result_message(run(RunState.SUCCEEDED, metric()), EN, LINKS).model_dump_json()
    )


def test_a_result_shows_subsets_and_says_when_it_leaves_any_out() -> None:
    few = result_message(run(RunState.SUCCEEDED, metric(subsets=3)), EN, LINKS)
    assert [row[1] for row in table(few).rows] == ["all", "s0", "s1", "s2"]
    many = result_message(run(RunState.SUCCEEDED, metric(subsets=57)), EN, LINKS)
    assert [row[1] for row in table(many).rows] == ["all"]
    assert "57 subsets are on the run page" in many.model_dump_json()


def test_a_result_with_many_metrics_shows_the_headline_and_counts_the_rest() -> None:
    metrics = [metric(), *(metric(f"m{n}", primary=False) for n in range(8))]
    message = result_message(run(RunState.SUCCEEDED, *metrics), EN, LINKS)
    assert [row[2] for row in table(message).rows] == ["accuracy"]
    assert "8 more metrics" in message.model_dump_json()


def test_a_result_carries_the_reproduce_line() -> None:
    assert "evalscope eval --model x" in result_message(run(RunState.SUCCEEDED, metric()), EN, LINKS).model_dump_json()


def test_a_failure_says_what_to_do_in_the_persons_language() -> None:
    failure = Failure(code="endpoint_refused", params={"url": "http://h/v1"})
    failed = run(RunState.FAILED, failure=failure)
    assert "Is the server running" in result_message(failed, EN, LINKS).text
    assert "服务是否已启动" in result_message(failed, ZH, LINKS).text


def test_a_run_that_crashed_is_told_without_a_traceback() -> None:
    failed = run(RunState.FAILED, failure=Failure(code="run_crashed", params={"detail": "ValueError: x"}))
    assert result_message(failed, EN, LINKS).text == "r12 failed: EvalScope failed: ValueError: x"


def test_the_status_says_in_canonical_form_what_will_run() -> None:
    message = status_message([run(RunState.QUEUED, generation_config=GenerationSettings(temperature=0))], {}, EN, LINKS)
    said = message.model_dump_json()
    assert message.text == "r12: evaluating prod on gsm8k, 8 samples."
    for fact in ("http://h/v1", "limit=8", "temperature=0.0", "http://bot/runs/r12"):
        assert fact in said


def test_the_status_shows_progress_rate_time_to_go_and_the_running_score() -> None:
    score = RunningScore(
        benchmark="gsm8k", metric="accuracy", score=0.5, scale=100, unit="%", num=4,
        interval=Interval(low=0.15, high=0.85, method="wilson"),
    )  # fmt: skip
    progress = Progress(
        attempt=1, phase="evaluating", benchmark="gsm8k", done=4, total=8, errors=1, rate=0.5, eta=8, scores=(score,),
        updated_at=NOW,
    )  # fmt: skip
    shown = bar(status_message([run(RunState.RUNNING)], {12: progress}, EN, LINKS))
    assert (shown.done, shown.total) == (4, 8)
    assert shown.score == "gsm8k 50.0 % [15.0 – 85.0 %]"
    assert shown.note == "evaluating gsm8k, 0.5 samples/s, 8.0 s to go, 1 failed"


def test_a_paused_run_promises_no_end() -> None:
    progress = Progress(attempt=1, phase="evaluating", done=5, total=8, rate=60, eta=0.1, errors=1, updated_at=NOW)
    shown = bar(status_message([run(RunState.PAUSED)], {12: progress}, EN, LINKS))
    assert (shown.done, shown.note) == (5, "1 failed")


def test_progress_of_an_older_attempt_is_not_shown() -> None:
    old = Progress(attempt=0, phase="evaluating", done=7, total=8, updated_at=NOW)
    assert bar(status_message([run(RunState.RUNNING)], {12: old}, EN, LINKS)).done == 0


def test_durations_read_as_people_say_them() -> None:
    assert [duration_text(s) for s in (0.42, 9.96, 59.6, 200, 7500)] == [
        "0.4 s",
        "10 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_scores_that_are_no_percentages_keep_their_unit() -> None:
    assert score_text(0.4123, 1, "") == "0.4123"
    assert score_text(12345, 1, "tok/s") == "12,345 tok/s"
