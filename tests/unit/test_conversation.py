"""One message in, what is said out: every intent, questions, refusals, secrets, bugs."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from support.database import migrated
from support.services import FakeServices

from handlers.incoming import Place, Request
from handlers.message import Buttons, Link, Log, Message, Table
from handlers.reply import Reply
from jobs.config import Config
from jobs.db import transaction
from jobs.lifecycle import RunState
from jobs.models import BenchmarkResult, EvalSpec, MetricResult, Progress, Run, RunResult
from jobs.store import RunRow, Store

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}},
    "datasets": {"faq": {"benchmark": "general_qa", "local_path": "/data/faq"}},
})  # fmt: skip


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def buttons(reply: Reply) -> dict[str, str]:
    return {b.label: b.id for part in reply.message.parts if isinstance(part, Buttons) for b in part.items}


def succeed(services: FakeServices, run: Run, score: float = 0.5) -> None:
    services.store.move(run.id, RunState.QUEUED, attempt=1)
    services.store.move(run.id, RunState.RUNNING)
    now = datetime.now(UTC)
    metric = MetricResult(
        name="accuracy",
        aggregation="mean",
        primary=True,
        direction="higher_is_better",
        unit="%",
        scale=100,
        score=score,
        num=20,
    )
    benchmark = BenchmarkResult(
        name="gsm8k", benchmark="gsm8k", metrics=(metric,), requested=20, succeeded=20, errored=0
    )
    result = RunResult(
        run_id=run.id, attempt=1, state=RunState.SUCCEEDED, model=run.spec.model.name, benchmarks=(benchmark,),
        started_at=now, ended_at=now,
    )  # fmt: skip
    services.store.move(run.id, RunState.SUCCEEDED, result=result)


@pytest.mark.parametrize(
    "sentence",
    [
        "evaluate prod on gsm8k, 20 samples", "用 gsm8k 评测 prod，二十条", "/eval prod gsm8k limit=20",
        "@scopebot run gsm8k on prod with 20 samples",
        "evalscope eval --model qwen-plus --api-url http://127.0.0.1:1/v1 --datasets gsm8k --limit 20",
    ],
)  # fmt: skip
async def test_a_sentence_a_command_and_a_pasted_command_line_submit_the_same_run(
    services: FakeServices, sentence: str
) -> None:
    (reply,) = await services.say(sentence)
    (run,) = services.submitted
    assert not reply.refused
    assert reply.group == run.group_id
    assert run.spec.model.model == "qwen-plus"
    assert (run.spec.limit, [d.benchmark for d in run.spec.datasets]) == (20, ["gsm8k"])


async def test_the_same_message_delivered_eleven_times_makes_one_group(services: FakeServices) -> None:
    for _ in range(11):
        await services.say("evaluate prod on gsm8k, 20 samples", id="same")
    assert len(services.store.runs()) == 1


async def test_a_number_that_means_more_samples_than_said_is_asked_about(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples")
    assert reply.waits
    assert not services.submitted
    choices = buttons(reply)
    assert list(choices) == ["About 100 in all (2 per subset: 114)", "100 per subset: 5,700", "Cancel"]
    answered = await services.press(choices["100 per subset: 5,700"])
    assert answered.group is not None
    assert [run.spec.limit for run in services.submitted] == [100]


@pytest.mark.parametrize(
    "said",
    [
        "evaluate mock on mmlu, 5 per subset",
        "用 mmlu 评测 mock，每个子集 5 条",
        "eval mock on mmlu, 5 samples of each subject",
    ],
)
async def test_a_number_that_is_said_to_be_for_each_subset_is_not_asked_about(
    services: FakeServices, said: str
) -> None:
    (reply,) = await services.say(said)
    assert not reply.waits
    assert [run.spec.limit for run in services.submitted] == [5]
    await services.say("rerun r1, 4 per subset")
    assert services.store.run(2).spec.limit == 4


async def test_a_rerun_with_a_number_that_can_be_meant_in_two_ways_is_asked_about(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 5 per subset")
    (reply,) = await services.say("rerun r1 with 100 samples")
    assert reply.waits
    assert list(buttons(reply)) == ["About 100 in all (2 per subset: 114)", "100 per subset: 5,700", "Cancel"]
    assert len(services.store.runs()) == 1
    await services.press(buttons(reply)["100 per subset: 5,700"])
    assert services.store.run(2).spec.limit == 100


async def test_a_number_in_a_rerun_command_is_taken_as_it_stands(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 5 per subset")
    (reply,) = await services.say("/rerun r1 limit=3")
    assert not reply.waits
    assert services.store.run(2).spec.limit == 3


async def test_what_can_be_meant_in_one_way_only_is_asked_with_one_way_to_run_it(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 1 sample")
    assert list(buttons(reply)) == ["Run 57 samples", "Cancel"]
    assert "1 of each is 57 in all" in reply.message.text


async def test_an_answer_is_taken_once(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples")
    button = next(iter(buttons(reply).values()))
    await services.press(button)
    assert (await services.press(button)).refused
    assert len(services.submitted) == 1


async def test_a_click_that_is_handled_again_after_a_crash_is_answered_as_the_first_time(
    services: FakeServices,
) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples")
    button = next(iter(buttons(reply).values()))
    first, again = [await services.press(button, id="click") for _ in range(2)]
    assert first.group is not None
    assert (again.group, again.refused) == (first.group, False)
    assert len(services.store.runs()) == 1


async def test_an_answer_is_taken_from_the_person_who_was_asked_and_where_they_were(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples")
    button = next(iter(buttons(reply).values()))
    assert (await services.press(button, user="somebody else")).refused
    elsewhere = (await services.say("x"))[0]
    assert elsewhere.refused
    assert not services.submitted


async def test_cancel_runs_nothing(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples")
    assert (await services.press(buttons(reply)["Cancel"])).message.text == "Cancelled; nothing was run."
    assert not services.store.runs()


@pytest.mark.parametrize("button", ["q999:run", "q:", "qx:run", "nonsense", "q1"])
async def test_a_button_nobody_made_does_nothing(services: FakeServices, button: str) -> None:
    assert (await services.press(button)).refused


async def test_a_pasted_command_means_what_evalscope_makes_of_it(services: FakeServices) -> None:
    await services.say("evalscope eval --model mock --eval-type mock_llm --datasets ceval --limit 2")
    assert services.submitted[0].spec.total == 104


async def test_more_samples_than_the_threshold_are_asked_about_even_if_pasted(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope eval --model mock --eval-type mock_llm --datasets mmlu")
    assert reply.waits
    assert "14,042" in reply.message.text


async def test_several_models_make_one_group_of_runs(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate prod and mock on gsm8k, 20 samples")
    assert len(services.submitted) == 2
    assert {run.group_id for run in services.submitted} == {reply.group}


async def test_the_default_model_is_used_and_said(services: FakeServices) -> None:
    defaults = services.config.defaults.model_copy(update={"model": "prod"})
    services.config = services.config.model_copy(update={"defaults": defaults})
    (reply,) = await services.say("run gsm8k, 20 samples")
    assert services.submitted[0].spec.model.name == "prod"
    assert "using prod, the default" in reply.message.model_dump_json()


async def test_no_model_is_asked_for_with_those_registered(services: FakeServices) -> None:
    (reply,) = await services.say("/eval datasets=gsm8k")
    assert reply.waits
    assert "prod" in reply.message.text


async def test_no_benchmark_is_asked_for(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate prod")
    assert reply.waits
    assert "benchmark" in reply.message.text


async def test_a_parameter_that_would_change_the_score_is_never_left_out_silently(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope eval --model prod --datasets gsm8k --judge-strategy llm")
    assert reply.refused
    assert "judge_strategy" in reply.message.text
    assert not services.submitted


async def test_a_parameter_that_changes_nothing_is_left_out_and_said(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope eval --model prod --datasets gsm8k --limit 5 --debug --work-dir /tmp/x")
    assert services.submitted
    assert "--debug" in reply.message.model_dump_json()


async def test_a_pasted_key_is_refused_never_stored_and_said(services: FakeServices) -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    replies = await services.say(f"evalscope eval --model prod --datasets gsm8k --api-key {key}")
    assert "looks like a secret" in replies[0].message.text
    assert not services.submitted
    assert key not in "".join(reply.message.model_dump_json() for reply in replies)


async def test_a_key_in_a_sentence_does_not_reach_the_store(services: FakeServices) -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    await services.say(f"evaluate prod on gsm8k, 20 samples, my key is {key}")
    for run in services.store.runs():
        assert key not in services.store.group(run.group_id).text + run.model_dump_json()


async def test_no_worker_is_said_at_once(services: FakeServices) -> None:
    services.alive = []
    (reply,) = await services.say("evaluate prod on gsm8k, 20 samples")
    assert "No worker is alive" in reply.message.model_dump_json()
    services.starting = True
    (reply,) = await services.say("evaluate prod on gsm8k, 20 samples")
    assert "worker is starting" in reply.message.model_dump_json()


async def test_an_unknown_benchmark_names_the_three_nearest_in_the_persons_language(services: FakeServices) -> None:
    assert "gsm8k, gsm8k_v, gsm8k_indic" in (await services.say("evaluate prod on gsm9k"))[0].message.text
    assert "没有名为“gsm9k”的评测集" in (await services.say("用 gsm9k 评测 prod"))[0].message.text


@pytest.mark.parametrize("text", ["train my model on gsm8k", "fine-tune qwen", "deploy qwen-plus", "帮我微调一个模型"])
async def test_training_and_serving_are_declined_kindly(services: FakeServices, text: str) -> None:
    (reply,) = await services.say(text)
    assert reply.refused
    assert "fine-tune" in reply.message.text or "微调" in reply.message.text
    assert not services.submitted


async def test_benchmarks_are_found_by_tag_words_and_name(services: FakeServices) -> None:
    def rows(message: Message) -> list[str]:
        return [row[0] for part in message.parts if isinstance(part, Table) for row in part.rows]

    assert "humaneval" in rows((await services.say("which benchmarks test coding?"))[0].message)
    assert rows((await services.say("/benchmarks math chinese"))[0].message) == ["cmath"]
    described = (await services.say("what is GSM-8K?"))[0].message
    assert "1,319" in described.model_dump_json()
    assert "general_qa" in (await services.say("/benchmarks name=faq"))[0].message.text
    assert "Tags" in (await services.say("/benchmarks zzzzzz"))[0].message.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evalscope benchmark-info faq", "faq"),
        ("evalscope benchmark-info sample_mcq", "52"),
        ("evalscope benchmark-info gsm9k", "gsm8k"),
        ("/benchmarks GSM8K", "GSM8K"),
        ("/rerun", "which run"),
        ("/logs", "no run"),
        ("/resume", "which run"),
    ],
)
async def test_what_is_asked_about_one_thing_is_answered_by_its_name(
    services: FakeServices, text: str, said: str
) -> None:
    assert said.lower() in (await services.say(text))[0].message.model_dump_json().lower()


async def test_pasted_tags_mean_any_of_them_and_said_ones_all(services: FakeServices) -> None:
    async def found(text: str) -> int:
        return int(re.findall(r"\d+", (await services.say(text))[0].message.text)[0])

    assert await found("evalscope benchmark-info --list --tag Math Chinese") > await found("/benchmarks Math Chinese")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/eval prod gsm8k temperature=9", "temperature"),
        ("evalscope eval --model prod --datasets gsm8k --limit -5", "limit"),
        ('evalscope eval --model prod --datasets gsm8k --dataset-args \'{"gsm8k": {"local_path": "/etc"}}\'', "path"),
        ("evalscope eval --model prod --datasets gsm8k --eval-batch-size 0", "eval_batch_size"),
        ("/eval prod few_shot_num=3", "few_shot_num"),
        ("evaluate prod on gsm8k with key other", "other"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_by_its_name_and_nothing_runs(
    services: FakeServices, text: str, said: str
) -> None:
    reply = (await services.say(text))[0]
    assert services.submitted == []
    assert said in reply.message.model_dump_json()


async def test_a_rerun_with_more_samples_than_the_threshold_is_asked_about(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 5 samples")
    reply = (await services.say(f"/rerun {services.submitted[0].name} limit=1300"))[0]
    assert reply.waits
    assert len(services.submitted) == 1
    (yes, *_) = buttons(reply).values()
    await services.press(yes)
    assert services.submitted[-1].spec.total == 1300


async def test_cancel_without_a_name_means_ones_own_newest_run(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 5 samples")
    await services.say("evaluate prod on gsm8k, 6 samples", user="another")
    await services.say("cancel")
    assert services.cancelled == [services.submitted[0].id]


async def test_a_long_list_says_what_it_leaves_out(services: FakeServices) -> None:
    (reply,) = await services.say("/benchmarks")
    assert "Benchmarks: 276" in reply.message.text
    assert "30 of 276 shown" in reply.message.model_dump_json()


async def test_status_shows_what_waits_and_who_works(services: FakeServices) -> None:
    assert "Nothing is running" in (await services.say("status"))[0].message.text
    await services.say("evaluate prod on gsm8k, 20 samples")
    services.store.move(1, RunState.QUEUED, attempt=1)
    services.progresses[1] = Progress(attempt=1, phase="loading", done=0, total=20, updated_at=datetime.now(UTC))
    reply = (await services.say("status"))[0].message
    assert "1 running or waiting" in reply.text
    assert "loading the data" in reply.model_dump_json()
    assert "r1" in (await services.say("how far is r1?"))[0].message.text


async def test_results_of_one_run_and_of_the_last_ones(services: FakeServices) -> None:
    assert "No results yet" in (await services.say("results"))[0].message.text
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert "not ended yet" in (await services.say("results of r1"))[0].message.text
    succeed(services, services.store.run(1))
    assert "50.0 %" in (await services.say("results of r1"))[0].message.text
    latest = (await services.say("last 5 results on gsm8k"))[0].message
    assert "r1" in latest.model_dump_json()
    assert "No results for that" in (await services.say("results of mock"))[0].message.text
    assert "50.0 %" in (await services.say("status r1"))[0].message.text


async def test_in_a_runs_own_thread_its_result_is_not_posted_anew(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    succeed(services, services.store.run(1))
    for said in ("status", "how far is it?", "r1 的状态"):
        (status,) = await services.say(said, thread_run=1)
        assert "50.0 %" in status.message.text
        assert [type(part) for part in status.message.parts] == [Link]
    (results,) = await services.say("results", thread_run=1)
    assert {type(part) for part in results.message.parts} == {Table, Link}
    (whole,) = await services.say("results of r1")
    assert Buttons in {type(part) for part in whole.message.parts}


@pytest.mark.parametrize("text", ["results of r99", "logs of r99", "status of r99"])
async def test_a_run_that_is_not_there_is_said(services: FakeServices, text: str) -> None:
    assert (await services.say(text))[0].message.text == "There is no run r99."


async def test_logs_say_their_title_once_and_leave_out_frames_and_empty_lines(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    services.logs[1] = "begun\n\n╒═══╤═══╕\n│ a │ 1 │\n├───┼───┤\n+---+---+\n   \nended"
    (reply,) = await services.say("logs of r1")
    (log,) = (part for part in reply.message.parts if isinstance(part, Log))
    assert log.text.splitlines() == ["begun", "│ a │ 1 │", "ended"]
    assert reply.message.model_dump_json().count("The end of r1's log") == 1


async def test_logs_show_the_end_without_secrets(services: FakeServices) -> None:
    assert "no run yet" in (await services.say("logs"))[0].message.text
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert "no log yet" in (await services.say("logs of r1"))[0].message.text
    services.logs[1] = "\n".join(f"line {n}" for n in range(100)) + "\nBearer sk-abcdefghijklmnopqrstuvwxyz0123456789"
    (reply,) = await services.say("logs")
    log = next(part for part in reply.message.parts if isinstance(part, Log))
    assert "line 99" in log.text
    assert "line 3\n" not in log.text
    assert "sk-abcdef" not in log.text


async def test_cancel_ends_what_waits_at_once_and_tells_of_what_has_ended(services: FakeServices) -> None:
    assert "Nothing is running" in (await services.say("cancel all"))[0].message.text
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert (await services.say("cancel r1"))[0].message.text == "Cancelled: r1."
    assert services.store.run(1).state is RunState.CANCELLED
    assert "r1: ended already, cancelled." in (await services.say("cancel r1"))[0].message.text


@pytest.mark.parametrize(
    "said", ["cancel r1 and r2", "取消 r1、r2", "/cancel r1 r2", "cancel r1 - r2", "cancel r2, r1"]
)
async def test_several_runs_are_cancelled_by_one_message_and_no_other_is(services: FakeServices, said: str) -> None:
    for _ in range(3):
        await services.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await services.say(said)
    assert "r1, r2" in reply.message.text
    assert [services.store.run(run).state for run in (1, 2, 3)] == [*[RunState.CANCELLED] * 2, RunState.WAITING]
    (reply,) = await services.say("cancel r2 and r3")
    assert reply.message.text == "Cancelled: r3. r2: ended already, cancelled."


@pytest.mark.parametrize("said", ["cancel r99999999999", "cancel 7", "cancel r1 and r7", "cancel r1-r3000"])
async def test_a_run_that_is_not_there_ends_no_other(services: FakeServices, said: str) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert (await services.say(said))[0].refused
    assert services.store.run(1).state is RunState.WAITING


async def test_one_message_resumes_several_runs_and_says_what_cannot_be_resumed(services: FakeServices) -> None:
    for _ in range(3):
        await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("cancel r1 and r2")
    succeed(services, services.store.run(3))
    (reply,) = await services.say("resume r1, r2 and r3")
    assert [run.spec.resumes for run in services.store.group_runs(reply.group or 0)] == [1, 2]
    assert "r3 is complete" in reply.message.model_dump_json()


async def test_resume_where_no_run_is_meant_asks_which(services: FakeServices) -> None:
    (reply,) = await services.say("继续")
    assert (reply.waits, reply.missing) == (True, "run")
    assert "resume r12" in reply.message.text


async def test_status_and_results_of_several_runs_are_one_answer(services: FakeServices) -> None:
    for _ in range(3):
        await services.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await services.say("status of r1 and r2")
    assert reply.message.text.startswith("2 runs: r1, r2")
    assert "r2 has not ended yet" in (await services.say("results of r1 and r2"))[0].message.text
    for run in (1, 2):
        succeed(services, services.store.run(run))
    (reply,) = await services.say("r1 和 r2 的结果")
    assert reply.message.text.startswith("r1, r2：2 已完成")


async def test_what_is_done_with_one_run_is_done_with_each_that_is_named(services: FakeServices) -> None:
    for _ in range(2):
        await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("rerun r1 and r2 with 5 samples")
    assert [services.store.run(run).spec.limit for run in (3, 4)] == [5, 5]


async def test_in_a_thread_about_several_runs_those_whose_files_are_gone_are_not_resumed(pair: FakeServices) -> None:
    await pair.say("cancel all")
    pair.store.let_files_go(datetime.now(UTC))
    (reply,) = await pair.say("resume", thread_run=2)
    assert "r1 cannot be resumed" in reply.message.text
    assert len(pair.store.runs()) == 2


async def test_cancel_all_means_ones_own_runs(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("evaluate prod on gsm8k, 20 samples", user="somebody else")
    await services.say("cancel all")
    assert services.cancelled == [1]


async def test_a_running_run_is_said_to_be_cancelled_by_its_worker(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    services.store.move(1, RunState.QUEUED, attempt=1)
    services.store.move(1, RunState.RUNNING)
    assert "Cancelling r1" in (await services.say("cancel r1"))[0].message.text
    assert services.store.run(1).cancel_asked


async def test_a_cancelled_run_is_resumed_with_its_frozen_configuration(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert "goes on by itself" in (await services.say("resume r1"))[0].message.text
    await services.say("cancel r1")
    await services.say("resume r1")
    old, new = services.store.run(1), services.store.run(2)
    assert new.spec == old.spec.model_copy(update={"resumes": 1, "pause_if_unreadable": False})


@pytest.mark.parametrize(("resume", "logs"), [("resume r1", "logs of r1"), ("继续 r1", "r1 的日志")])
async def test_a_run_whose_files_are_gone_is_not_resumed_and_says_why_and_since_when(
    services: FakeServices, resume: str, logs: str
) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("cancel r1")
    assert services.store.let_files_go(datetime.now(UTC)) == {1}
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    (said,) = await services.say(resume)
    assert today in said.message.text
    assert "r1" in said.message.text
    assert said.refused
    assert today in (await services.say(logs))[0].message.text
    assert len(services.store.runs()) == 1
    await services.say("rerun r1")
    assert services.store.run(2).spec.resumes is None


async def test_a_complete_run_is_not_resumed(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    succeed(services, services.store.run(1))
    assert "is complete" in (await services.say("resume r1"))[0].message.text


async def test_a_rerun_is_the_old_run_with_what_was_changed(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples, temperature 0.5")
    await services.say("rerun r1 with 50 samples on mock, seed 7")
    spec = services.store.run(2).spec
    assert (spec.model.eval_type, spec.limit, spec.seed) == ("mock_llm", 50, 7)
    assert spec.generation_config.temperature == 0.5
    await services.say("/rerun r1 temperature=5")
    assert len(services.store.runs()) == 2


async def test_a_rerun_keeps_what_was_said_of_a_benchmark_beside_what_is_said_now(services: FakeServices) -> None:
    await services.say("/eval prod gsm8k limit=20 few_shot_num=2")
    await services.say('/rerun r1 dataset_args={"gsm8k":{"few_shot_random":true}}')
    (dataset,) = services.store.run(2).spec.datasets  # type: ignore[union-attr]
    assert dataset.args == {"few_shot_num": 2, "few_shot_random": True}
    await services.say("/rerun r2 datasets=gsm8k,faq")
    assert [d.name for d in services.store.run(3).spec.datasets] == ["gsm8k", "faq"]  # type: ignore[union-attr]
    assert services.store.run(3).spec.datasets[0].args["few_shot_num"] == 2  # type: ignore[union-attr]


async def test_a_rerun_on_another_model_takes_that_ones_own_settings_but_for_what_was_said(
    services: FakeServices,
) -> None:
    services.config = Config.model_validate({
        "models": {
            "a": {"model": "a", "api_url": "http://10.0.0.5/v1", "eval_batch_size": 4,
                  "generation_config": {"temperature": 0.1, "max_tokens": 10}},
            "b": {"model": "b", "api_url": "http://10.0.0.6/v1", "eval_batch_size": 9,
                  "generation_config": {"temperature": 0.9, "top_k": 3}},
        }
    })  # fmt: skip
    await services.say("/eval a gsm8k limit=20 seed=3 max_tokens=99")
    await services.say("/rerun r1 model=b")
    spec = services.store.run(2).spec
    assert isinstance(spec, EvalSpec)
    assert spec.generation_config.model_dump(exclude_none=True) == {"temperature": 0.9, "top_k": 3, "max_tokens": 99}
    assert (spec.eval_batch_size, spec.seed, spec.limit) == (9, 3, 20)


@pytest.mark.parametrize("again", ["rerun r1", "resume r1"])
async def test_an_address_of_another_persons_run_is_held_to_the_rule_of_who_runs_it_again(
    services: FakeServices, again: str
) -> None:
    await services.say("/eval mine gsm8k limit=20 api_url=http://127.0.0.1:9/v1")
    await services.say("cancel r1")
    (reply,) = await services.say(again, owns_machine=False)
    assert reply.refused
    assert "127.0.0.1" in reply.message.text
    assert len(services.store.runs()) == 1


async def test_two_data_sets_of_one_benchmark_are_rerun_in_two_runs(services: FakeServices) -> None:
    faqs = {name: {"benchmark": "general_qa", "local_path": f"/data/{name}"} for name in ("faq", "faq2")}
    services.config = Config.model_validate({"models": CONFIG.model_dump(mode="json")["models"], "datasets": faqs})
    await services.say("/eval prod gsm8k limit=20")
    await services.say("/rerun r1 datasets=faq,faq2")
    assert [run.spec.covers for run in services.store.runs()] == [("faq2",), ("faq",), ("gsm8k",)]


async def test_help_lists_every_intent_and_explains_one(services: FakeServices) -> None:
    said = (await services.say("help"))[0].message.model_dump_json()
    assert all(f"/{name}" in said for name in ("eval", "benchmarks", "status", "results", "logs", "help"))
    assert "eval_batch_size" in (await services.say("/help eval"))[0].message.model_dump_json()


async def test_help_calls_a_command_as_it_is_called_where_it_is_asked_for(services: FakeServices) -> None:
    calls = {"status": "/scopebot status", "help": "/scopebot help"}
    (reply,) = await services.say("help", calls=calls)
    (table,) = (part for part in reply.message.parts if isinstance(part, Table))
    commands = [row[0] for row in table.rows]
    assert {"/eval", "/scopebot status", "/scopebot help"} <= set(commands)
    assert not {"/status", "/help"} & set(commands)
    assert (await services.say("/help status", calls=calls))[0].message.text.startswith("/scopebot status: ")
    (plain,) = await services.say("help")
    assert '"/status"' in plain.message.model_dump_json()


async def test_help_lists_each_command_once(services: FakeServices) -> None:
    assert (await services.say("help"))[0].message.model_dump_json().count("/benchmarks") == 1


@pytest.mark.parametrize("said", ["help eval", "帮助 eval", "/help eval"])
async def test_help_on_a_command_in_words_lists_its_parameters(services: FakeServices, said: str) -> None:
    assert "eval_batch_size" in (await services.say(said))[0].message.model_dump_json()


UNSEEN = {"unseen": True, "place": Place(platform="slack", channel="T1/C1", thread="new:1")}


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("/eval mock", "`/eval mock sample_qa`"), ("/评测 mock", "`/评测 mock sample_qa`"),
        ("/scopebot eval mock", "`/scopebot eval mock sample_qa`"), ("/eval limit=5", "`/eval limit=5 prod sample_qa`"),
        ("/perf parallel=2", "`/perf parallel=2 prod`"), ("/why", "`/why r12`"), ("/rerun", "`/rerun r12`"),
    ],
)  # fmt: skip
async def test_what_a_command_lacks_is_told_with_the_whole_of_it_and_nothing_is_kept_open(
    services: FakeServices, said: str, whole: str
) -> None:
    (reply,) = await services.say(said, **UNSEEN)
    assert whole in reply.message.text
    assert not reply.waits
    (answer,) = await services.say("sample_qa", place=UNSEEN["place"])
    assert answer.refused
    assert not services.submitted


async def test_the_whole_command_runs(services: FakeServices) -> None:
    (reply,) = await services.say("/eval limit=5", **UNSEEN)
    await services.say(reply.message.text.split("`")[-2], **UNSEEN)
    assert [(run.spec.model.name, run.spec.limit) for run in services.submitted] == [("prod", 5)]


async def test_a_flag_that_is_none_leads_to_help_as_it_is_called_there(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope perf --modle x", calls={"help": "/scopebot help"})
    assert "`/scopebot help perf` lists" in reply.message.text


async def test_where_no_model_is_registered_it_is_said_so(services: FakeServices) -> None:
    services.config = Config()
    (reply,) = await services.say("/eval nosuch gsm8k")
    assert "No model is registered yet" in reply.message.text
    assert "–" not in reply.message.text


async def test_one_worker_and_several_are_counted_as_one_says_it(services: FakeServices) -> None:
    assert "1 worker is alive." in (await services.say("status"))[0].message.model_dump_json()
    services.alive *= 2
    assert "2 workers are alive." in (await services.say("status"))[0].message.model_dump_json()


async def test_headlines_say_what_they_take(services: FakeServices) -> None:
    (reply,) = await services.say("/headlines maybe")
    assert "takes `on` or `off`" in reply.message.text
    assert "is posted into this channel too" in (await services.say("/headlines"))[0].message.text


async def test_a_bug_is_told_by_an_id_and_nothing_else(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(services.store, "add_group", broken)
    (reply,) = await services.say("evaluate prod on gsm8k, 20 samples")
    assert "inside Scopebot" in reply.message.text
    assert "secret detail" not in reply.message.model_dump_json()


async def test_an_outage_is_not_told_as_a_bug_the_message_is_handled_again(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr(services.store, "add_group", away)
    with pytest.raises(OperationalError):
        await services.say("evaluate prod on gsm8k, 20 samples")


async def test_two_requests_in_one_message_are_both_handled(services: FakeServices) -> None:
    replies = await services.say("evaluate prod on gsm8k, 20 samples; then show status")
    assert len(replies) == 2
    assert replies[0].group is not None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
async def test_whatever_is_said_is_answered(services: FakeServices, text: str) -> None:
    replies = await services.say(text)
    assert replies
    assert all(reply.message.text for reply in replies)


def test_a_spec_survives_its_way_through_the_database(services: FakeServices) -> None:
    spec = EvalSpec.model_validate({
        "model": {"name": "m", "model": "m", "eval_type": "mock_llm"},
        "datasets": [{"name": "d", "benchmark": "d", "subsets": {"a": 3}}], "limit": 0.5, "seed": None,
    })  # fmt: skip
    _, (run,) = services.store.add_group(
        source="s", platform="p", channel="c", thread="t", user="u", language="zh", text="原文", specs=[spec]
    )
    assert services.store.run(run.id).spec == spec


# forms, languages, time zones


async def test_a_form_asks_for_what_a_sentence_asks_for(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await services.say(
        "", request=Request(intent="eval", args={"model": "prod", "datasets": ["gsm8k"], "limit": 20})
    )
    assert reply.group == 2
    assert services.store.run(2).spec.model_copy(update={"first_look": ()}) == services.store.run(1).spec.model_copy(
        update={"first_look": ()}
    )
    assert services.store.group(2).text == "/eval model=prod datasets=gsm8k limit=20"


async def test_a_form_about_the_run_of_a_thread_means_that_one(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await services.say("/rerun", request=Request(intent="rerun"), thread_run=1)
    assert reply.group == 2
    assert services.store.group(2).text == "/rerun"


async def test_nothing_reaches_a_run_from_a_form_that_may_not_be_written(services: FakeServices) -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    for args in ({"model": "prod", "datasets": ["gsm8k"], "api_url": f"http://h/{key}"}, {"model": "@/etc/passwd"}):
        (reply,) = await services.say("", request=Request(intent="eval", args=args))
        assert reply.refused
        assert key not in reply.message.model_dump_json()
    assert not services.store.runs()
    assert (await services.say("", request=Request(intent="frobnicate")))[0].refused


async def test_a_form_that_lacks_something_is_asked_for_it(services: FakeServices) -> None:
    (reply,) = await services.say("", request=Request(intent="eval", args={"model": "prod", "limit": 20}))
    assert reply.missing == "datasets"
    assert (await services.say("gsm8k"))[0].group == 1


@pytest.mark.parametrize(
    ("said", "chinese"),
    [
        ({"text": "/status", "language": "zh"}, True),
        ({"text": "/status", "language": "en"}, False),
        ({"text": "/status"}, False),
        ({"text": "/状态", "language": "en"}, True),
        ({"text": "status", "language": "zh"}, False),
        ({"text": "状态", "language": "en"}, True),
        ({"text": "", "request": Request(intent="status"), "language": "zh"}, True),
        ({"text": "", "button": "q9:run", "language": "zh"}, True),
        ({"text": "", "button": "r9-a1:stop", "language": "zh"}, True),
    ],
    ids=str,
)
async def test_the_answer_is_in_the_language_of_the_words_or_else_the_persons_own(
    services: FakeServices, said: dict[str, Any], *, chinese: bool
) -> None:
    (reply,) = await services.say(**said)
    assert any("\u4e00" <= char <= "\u9fff" for char in reply.message.text) is chinese


async def test_a_bug_is_told_in_the_persons_language(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("x")

    monkeypatch.setattr(services.store, "runs", broken)
    for said in ({"text": "/status"}, {"text": "", "button": "do:status"}):
        (reply,) = await services.say(language="zh", **said)  # type: ignore[arg-type]
        assert "内部出错" in reply.message.text


LATE = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "default", "column", "shown"),
    [
        ("Asia/Shanghai", "UTC", "Ended (Asia/Shanghai)", "2026-11-24 07:30"),
        ("", "America/New_York", "Ended (America/New_York)", "2026-11-23 18:30"),
        ("Nowhere/Land", "UTC", "Ended (UTC)", "2026-11-23 23:30"),
        ("/etc/passwd", "also nowhere", "Ended (UTC)", "2026-11-23 23:30"),
    ],
)
async def test_times_are_told_in_the_persons_time_zone(
    services: FakeServices, said: str, default: str, column: str, shown: str
) -> None:
    defaults = services.config.defaults.model_copy(update={"timezone": default})
    services.config = services.config.model_copy(update={"defaults": defaults})
    for _ in range(2):
        await services.say("evaluate prod on gsm8k, 20 samples")
    succeed(services, services.store.run(1))
    await services.say("cancel r2")
    with transaction(services.store.engine) as session:
        session.execute(update(RunRow).values(ended_at=LATE, files_gone_at=LATE))
    (reply,) = await services.say("results", timezone=said)
    (table,) = [part for part in reply.message.parts if isinstance(part, Table)]
    assert table.columns[-1] == column
    assert table.rows[0][-1] == shown
    for about_files in ("resume r2", "logs of r2"):
        assert shown[:10] in (await services.say(about_files, timezone=said))[0].message.text


# a request for several runs


@pytest.fixture
async def pair(services: FakeServices) -> FakeServices:
    """A request for two models, r1 and r2."""
    (reply,) = await services.say("evaluate prod and mock on gsm8k, 20 samples")
    assert reply.group == 1
    assert [run.id for run in services.submitted] == [1, 2]
    return services


def end(services: FakeServices, run: int, state: RunState = RunState.FAILED) -> None:
    services.store.move(run, state)


async def test_in_a_thread_about_several_runs_status_shows_all_of_them(pair: FakeServices) -> None:
    (reply,) = await pair.say("status", thread_run=2)
    (table,) = [part for part in reply.message.parts if isinstance(part, Table)]
    assert [row[0] for row in table.rows] == ["r1", "r2"]


async def test_in_a_thread_about_several_runs_results_gives_the_joint_result(pair: FakeServices) -> None:
    (reply,) = await pair.say("results", thread_run=2)
    assert reply.message.text.startswith("2 runs: r1, r2"), "they go on"
    succeed(pair, pair.store.run(1))
    end(pair, 2)
    (reply,) = await pair.say("results", thread_run=2)
    assert reply.message.text.startswith("r1, r2: 1 done, 1 failed.")
    (reply,) = await pair.say("results of r1", thread_run=2)
    assert reply.message.text.startswith("r1: prod")


async def test_in_a_thread_about_several_runs_cancel_ends_those_that_go_on_and_nothing_elsewhere(
    pair: FakeServices,
) -> None:
    await pair.say("evaluate prod on gsm8k, 20 samples")
    end(pair, 1)
    assert (await pair.say("cancel", thread_run=2))[0].message.text == "Cancelled: r2."
    assert "ended already" in (await pair.say("cancel", thread_run=2))[0].message.text
    assert pair.cancelled == [2]


async def test_cancel_of_one_run_leaves_the_others_of_its_request(pair: FakeServices) -> None:
    await pair.say("cancel r1", thread_run=2)
    assert [run.state for run in pair.store.group_runs(1)] == [RunState.CANCELLED, RunState.WAITING]


async def test_cancel_all_ends_every_run_of_a_request(pair: FakeServices) -> None:
    await pair.say("cancel all")
    assert {run.state for run in pair.store.group_runs(1)} == {RunState.CANCELLED}


async def test_in_a_thread_about_several_runs_resume_goes_on_with_what_did_not_finish_once(pair: FakeServices) -> None:
    succeed(pair, pair.store.run(1))
    end(pair, 2)
    (reply,) = await pair.say("resume", thread_run=2)
    assert reply.group == 2
    assert [run.spec.resumes for run in pair.store.group_runs(2)] == [2]
    assert (await pair.say("resume", thread_run=2))[0].message.text == "Nothing of r1, r2 is left to go on with."


async def test_in_a_thread_about_several_runs_resume_lets_a_paused_one_go_on_beside_what_is_resumed(
    pair: FakeServices,
) -> None:
    pair.store.move(1, RunState.QUEUED, attempt=1)
    pair.store.move(1, RunState.RUNNING)
    pair.store.move(1, RunState.PAUSED)
    end(pair, 2)
    (reply,) = await pair.say("resume", thread_run=2)
    assert pair.store.run(1).state is RunState.WAITING
    assert [run.spec.resumes for run in pair.store.group_runs(2)] == [2]
    assert "r1 goes on." in reply.message.model_dump_json()


async def test_a_resumed_runs_result_completes_the_comparison_it_was_asked_for_in(pair: FakeServices) -> None:
    succeed(pair, pair.store.run(1), score=0.75)
    end(pair, 2)
    await pair.say("resume r2")
    succeed(pair, pair.store.run(3))
    (reply,) = await pair.say("results of r3")
    compared = [part for part in reply.message.parts if isinstance(part, Table)][-1]
    assert [row[:3] for row in compared.rows] == [("prod", "r1", "75.0 %"), ("mock_llm", "r3", "50.0 %")]


@pytest.mark.parametrize("asked", ["rerun", "logs"])
async def test_in_a_thread_about_several_runs_what_is_about_one_asks_which(pair: FakeServices, asked: str) -> None:
    (reply,) = await pair.say(asked, thread_run=2)
    assert reply.waits
    assert f"`{asked} r1`" in reply.message.text


async def test_many_runs_are_listed_in_one_table(services: FakeServices) -> None:
    for _ in range(12):
        await services.say("evaluate prod on gsm8k, 20 samples")
    message = (await services.say("status"))[0].message
    assert [len(part.rows) for part in message.parts if isinstance(part, Table)] == [12]
    assert len(message.parts) < 5


async def test_the_log_of_a_private_set_stays_on_its_signed_page(services: FakeServices) -> None:
    faq = {"benchmark": "general_qa", "local_path": "/data/faq", "private": True}
    services.config = Config.model_validate(
        {"models": CONFIG.model_dump(mode="json")["models"], "datasets": {"faq": faq}}
    )
    await services.say("/eval prod faq limit=2")
    services.logs[1] = "What is our salary?"
    said = (await services.say("logs of r1"))[0].message.model_dump_json()
    assert "salary" not in said
    assert "/runs/r1" in said


@pytest.mark.parametrize("text", ["/scopebot evaluate mock on mmlu, 100 samples", "/eval mock on mmlu, 100 samples"])
async def test_a_number_in_a_sentence_is_asked_about_in_a_command_as_well(services: FakeServices, text: str) -> None:
    (reply,) = await services.say(text)
    assert reply.waits
    assert services.submitted == []


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("compare r12 and r15", "comparing old results"),
        ("leaderboard for gsm8k", "a leaderboard"),
        ("every weekday at 9:30 run gsm8k on prod", "at set times"),
        ("每周一早上9点用 gsm8k 评测 prod，20 条", "定时任务"),
        ("run MTEB T2Retrieval on bge-m3", "RAG evaluation"),
    ],
)
async def test_what_is_understood_and_still_to_come_is_told_by_name_and_starts_nothing(
    services: FakeServices, said: str, what: str
) -> None:
    (reply,) = await services.say(said)
    assert reply.refused
    assert what in reply.message.text
    assert not services.submitted


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("evaluate prod on gsm8k with gpt-4o as the judge, 20 samples", "judge"),
        ("evaluate prod on humaneval in a sandbox, 20 samples", "sandbox"),
        ("/eval prod gsm8k limit=20 gpu=h100", "gpu"),
        ("stress test prod and find the max concurrency with p99 ttft under 2s", "sla_auto_tune"),
    ],
)
async def test_a_setting_that_cannot_be_done_yet_is_refused_by_its_name(
    services: FakeServices, said: str, name: str
) -> None:
    (reply,) = await services.say(said)
    assert reply.refused
    assert f"`{name}`" in reply.message.text
    assert not services.submitted


async def test_a_model_that_was_never_evaluated_on_a_benchmark_is_offered_a_few_samples_first(
    services: FakeServices,
) -> None:
    (reply,) = await services.say("evaluate prod on gsm8k")
    assert reply.waits
    assert list(buttons(reply)) == ["5 samples first", "The whole (1,319)", "Cancel"]
    (started,) = await services.say("yes")
    assert started.group is not None
    (run,) = services.store.runs()
    assert run.spec.total == 5
    succeed(services, run)
    (whole,) = await services.say("evaluate prod on gsm8k", id="again")
    assert list(buttons(whole)) == ["Run 1,319 samples", "Cancel"]  # known by now; still over the threshold


async def test_the_few_samples_of_a_benchmark_of_many_subsets_are_one_of_each(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate prod on mmlu")
    assert list(buttons(reply))[:2] == ["57 samples first", "The whole (14,042)"]


@pytest.mark.parametrize(
    "said",
    [
        "evaluate prod on gsm8k, 20 samples",
        "evaluate prod on all of gsm8k",
        "用 gsm8k 评测 prod，全部",
        "evaluate mock on gsm8k",
        "evalscope eval --model qwen-plus --api-url http://10.0.0.5/v1 --datasets gsm8k",
    ],
)
async def test_nobody_is_offered_a_few_who_said_how_many_or_pasted_a_command(services: FakeServices, said: str) -> None:
    (reply,) = await services.say(said)
    assert "5 samples first" not in buttons(reply)
    assert "先跑 5 条" not in buttons(reply)
