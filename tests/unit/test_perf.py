"""Stress tests: what is planned, what is refused, what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.database import migrated
from support.services import FakeServices, FixedLinks

from handlers.cards import progress_part, result_message, status_message
from handlers.message import Buttons, Fields, Message, Table
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.config import Config
from jobs.evalscope.perf import perf_arguments, read_levels, reproduce_perf
from jobs.lifecycle import RunState
from jobs.models import SPEC, Failure, ModelTarget, PerfLevel, PerfSpec, Progress, Run, RunResult, Spread
from jobs.queue import JobPayload, sign, unsign
from jobs.sample import PROMPTS_FILE
from jobs.store import Store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EN, ZH, LINKS = Texts("en"), Texts("zh"), FixedLinks()
CONFIG = Config.model_validate({
    "models": {
        "prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1", "key": "k"},
        "tok": {"model": "t", "api_url": "http://10.0.0.6/v1", "tokenizer_path": "/models/t"},
        "fake": {"model": "mock_llm", "eval_type": "mock_llm"},
    },
    "keys": {"k": {"env": "K", "hosts": ["10.0.0.5"]}},
    "datasets": {
        "chats": {"benchmark": "line_by_line", "local_path": "/data/chats.txt"},
        "faq": {"benchmark": "general_qa", "local_path": "/data/faq"},
    },
    "access": {"allow_models": ["Qwen/*"]},
})  # fmt: skip
TARGET = ModelTarget(
    name="prod", model="qwen-plus", eval_type="openai_api", api_url="http://10.0.0.5/v1", key="k", network="registered"
)


def spec(**fields: Any) -> PerfSpec:
    known = {"model": TARGET, "parallel": (1, 4), "number": (10, 40), "dataset": "prompts", "plugin": "line_by_line",
             "local": True}  # fmt: skip
    return PerfSpec.model_validate(known | fields)


def level(concurrency: int = 4, **fields: Any) -> PerfLevel:
    known = {
        "concurrency": concurrency, "planned": 40, "requests": 40, "succeeded": 40, "seconds": 8.0, "rps": 5.0,
        "output_tokens_per_second": 640.0, "total_tokens_per_second": 1280.0,
        "latency_s": Spread(avg=0.8, p50=0.7, p90=1.1, p99=1.4), "ttft_ms": Spread(avg=45, p50=44, p90=60, p99=98),
        "tpot_ms": Spread(avg=6, p50=6, p90=7, p99=9), "itl_ms": Spread(avg=6.1, p50=6, p90=7, p99=9.5),
    }  # fmt: skip
    return PerfLevel.model_validate(known | fields)


def run(state: RunState = RunState.SUCCEEDED, *levels: PerfLevel, failure: Failure | None = None, **fields: Any) -> Run:
    result = RunResult(
        run_id=7, attempt=1, state=state, model="prod", perf=levels, failure=failure, started_at=NOW,
        ended_at=NOW + timedelta(seconds=30), worker="w1",
    )  # fmt: skip
    return Run(
        id=7, group_id=1, spec=spec(**fields), state=state, attempt=1, created_at=NOW, failure=failure,
        result=result if levels or failure else None,
    )  # fmt: skip


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def tables(message: Message) -> list[Table]:
    return [part for part in message.parts if isinstance(part, Table)]


async def planned(services: FakeServices, text: str, **changes: object) -> PerfSpec:
    replies = await services.say(text, **changes)
    assert services.submitted, replies[0].message
    found = services.submitted[-1].spec
    assert isinstance(found, PerfSpec)
    return found


async def refused(services: FakeServices, text: str, **changes: object) -> str:
    reply: Reply = (await services.say(text, **changes))[0]
    assert reply.refused
    assert services.submitted == []
    return reply.message.text


# the spec


@pytest.mark.parametrize(
    "fields",
    [
        {"number": (10,)}, {"number": (10, 10, 10)}, {"parallel": (1, 1), "number": (5, 5)}, {"parallel": (0, 1)},
        {"rate": (1.0, 2.0)}, {"open_loop": True}, {"max_tokens": (1, 2, 3)}, {"plugin": "trie_office_work"},
        {"parallel": (5000, 1)}, {"duration": 0}, {"api": "openai_embedding"},
    ],
)  # fmt: skip
def test_a_load_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**fields)


def test_a_spec_of_either_kind_is_read_back_as_what_it_was(tmp_path: Path) -> None:
    mine = spec()
    assert SPEC.validate_python(mine.model_dump(mode="json")) == mine
    engine = migrated(tmp_path / "db")
    _, runs = Store(engine).add_group(
        source="s", platform="p", channel="c", thread="t", user="u", language="en", text="x", specs=[mine]
    )
    assert Store(engine).run(runs[0].id).spec == mine
    engine.dispose()
    payload = JobPayload(run_id=1, attempt=1, spec=mine)
    assert unsign(sign(payload, "key"), "key") == payload


def test_a_timed_test_has_no_total() -> None:
    assert spec().total == 50
    assert spec(duration=60).total is None


# what EvalScope is asked


def test_evalscope_is_asked_for_exactly_what_the_line_says() -> None:
    task = perf_arguments(spec(stream=False, seed=7), CONFIG)
    assert task["url"] == "http://10.0.0.5/v1/chat/completions"
    assert (task["parallel"], task["number"], task["dataset_path"]) == ([1, 4], [10, 40], str(PROMPTS_FILE))
    line = reproduce_perf(spec(stream=False, seed=7), CONFIG).command
    assert line.startswith("evalscope perf --model qwen-plus --api openai --url http://10.0.0.5/v1/chat/completions")
    assert "--no-stream" in line
    assert line.endswith('--api-key "$K"')


def test_the_line_is_read_back_by_evalscopes_parser_as_the_same_arguments() -> None:
    import argparse
    import shlex

    arguments = pytest.importorskip("evalscope.perf.arguments")
    parser = argparse.ArgumentParser()
    arguments.add_argument(parser)
    mine = spec(prompt="two words", stop=("a", "b"), extra_args={"ignore_eos": True}, temperature=0.7, warmup_num=4)
    words = shlex.split(reproduce_perf(mine, CONFIG).command.replace(' --api-key "$K"', ""))[2:]
    read = vars(parser.parse_args(words))
    for name, value in perf_arguments(mine, CONFIG).items():
        assert read[name] == value, name


def test_no_level_is_read_where_nothing_ran(tmp_path: Path) -> None:
    assert read_levels(spec(), tmp_path) == []


# the plan


async def test_the_plan_states_levels_times_requests(services: FakeServices) -> None:
    replies = await services.say("stress test prod with concurrency 1,2,4, 10 requests each")
    assert "concurrency 1, 2, 4, 3 levels × 10 requests (30 in all)" in replies[0].message.text
    fields = next(part for part in replies[0].message.parts if isinstance(part, Fields))
    assert ("Prompts", "prompts") in fields.items
    replies = await services.say("压测 prod，并发 1、2、4，每个并发 10 个请求")
    assert "3 档 × 10 个请求（共 30 个）" in replies[0].message.text


async def test_the_number_of_requests_follows_the_load_where_none_is_said(services: FakeServices) -> None:
    assert (await planned(services, "stress test prod with concurrency 1 and 8")).number == (10, 80)
    assert (await planned(services, "evalscope perf --model prod --parallel 4")).number == (1000,)


async def test_a_timed_test_has_more_requests_ready_than_it_can_send(services: FakeServices) -> None:
    found = await planned(services, "压测 prod，并发10，持续60秒")
    assert (found.parallel, found.duration, found.number) == ((10,), 60, (12_000,))


async def test_a_rate_in_a_sentence_is_a_rate_of_arrivals(services: FakeServices) -> None:
    found = await planned(services, "stress test prod at 5 requests per second for 20 seconds")
    assert (found.open_loop, found.rate, found.duration) == (True, (5.0,), 20)
    braked = await planned(services, "stress test prod with concurrency 4 at 5 requests per second, 20 requests")
    assert (braked.open_loop, braked.parallel, braked.rate) == (False, (4,), (5.0,))


async def test_a_large_load_is_asked_about_first(services: FakeServices) -> None:
    reply = (await services.say("stress test prod with concurrency 100, 2000 requests"))[0]
    assert reply.waits
    assert "2,000 requests" in reply.message.text
    assert services.submitted == []
    (yes, _) = next(part for part in reply.message.parts if isinstance(part, Buttons)).items
    await services.press(yes.id)
    assert services.submitted[0].spec.total == 2000


async def test_a_long_heavy_load_is_asked_about_first(services: FakeServices) -> None:
    reply = (await services.say("stress test prod with concurrency 100 for 1 hour"))[0]
    assert reply.waits
    assert services.submitted == []


async def test_two_models_are_two_runs_under_the_same_load(services: FakeServices) -> None:
    await services.say("stress test prod and tok at concurrency 2, 4 requests")
    assert [run.spec.model.name for run in services.submitted] == ["prod", "tok"]


async def test_a_registered_models_own_settings_and_key_are_used(services: FakeServices) -> None:
    found = await planned(services, "stress test prod")
    assert (found.model.key, found.model.network, found.model.model) == ("k", "registered", "qwen-plus")
    pasted = await planned(services, "evalscope perf --model prod --url http://10.0.0.5/v1/chat/completions --number 3")
    assert (pasted.model.network, pasted.number) == ("registered", (3,))


async def test_the_model_is_asked_for(services: FakeServices) -> None:
    reply = (await services.say("stress test"))[0]
    assert reply.waits
    assert "prod" in reply.message.text


# the policy


@pytest.mark.parametrize("said", ["/perf mock", "/perf mock_llm parallel=2"])
async def test_the_mock_model_has_no_endpoint_and_that_is_what_is_said(services: FakeServices, said: str) -> None:
    (reply,) = await services.say(said)
    assert "it has no endpoint that requests could be sent to" in reply.message.text


async def test_a_private_address_typed_in_chat_is_refused(services: FakeServices) -> None:
    said = await refused(services, "stress test my-model at http://10.9.9.9/v1 with concurrency 2", owns_machine=False)
    assert "10.9.9.9" in said


async def test_a_key_goes_only_to_its_own_host(services: FakeServices) -> None:
    await refused(services, "stress test my-model at http://8.8.8.8/v1 with key k")


@pytest.mark.parametrize(
    "text",
    [
        "evalscope perf --model prod --prompt @/etc/passwd",
        "evalscope perf --model prod --prompt /etc/passwd",
        "/perf prod prompt=@/etc/passwd",
        "/perf prod prompt=/etc/passwd",
        "evalscope perf --model prod --dataset-path /etc/passwd --dataset line_by_line",
        "evalscope perf --model prod --query-template @x",
        "evalscope perf --model prod --headers a=b",
        "evalscope perf --model Qwen/Qwen3 --api local",
        "evalscope perf --model prod --api embedding --url http://10.0.0.5/v1/embeddings",
        "evalscope perf --model prod --tokenizer-path evil/code --dataset random --max-prompt-length 5",
        "evalscope perf --model prod --extra-args '{\"messages\": []}'",
        "evalscope perf --model prod --dataset trie_office_work",
        "stress test prod on faq",
        "stress test prod with random prompts",
        "stress test prod, multi-turn",
        "find the max concurrency of prod with p99 latency under 2 seconds",
        "stress test fake",
        "stress test mock",
        "stress test unknown-model-7b",
    ],
)
async def test_what_cannot_be_run_is_refused_with_a_reason(services: FakeServices, text: str) -> None:
    assert await refused(services, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evalscope perf --model prod --open-loop --number 4", "rate"),
        ("evalscope perf --model prod --parallel 1 2 4 --number 1 2", "number"),
        ("evalscope perf --model tok --dataset random --number 4", "prompt"),
        ("evalscope perf --model prod --dataset faq --number 4", "faq"),
        ("evalscope perf --model prod --dataset org/prompts --number 4", "dataset"),
        ("evalscope perf --model prod --temperature 9 --number 4", "temperature"),
        ("evalscope perf --model prod --url http://10.0.0.5/v1/embeddings --number 4", "embeddings"),
    ],
)
async def test_a_load_that_makes_no_sense_is_refused_by_the_parameter(
    services: FakeServices, text: str, said: str
) -> None:
    assert said in (await refused(services, text)).lower()


async def test_a_registered_models_own_settings_are_used_where_nothing_else_is_said(tmp_path: Path) -> None:
    config = Config.model_validate({
        "models": {"own": {
            "model": "m", "api_url": "http://10.0.0.7/v1",
            "generation_config": {"temperature": 0.3, "max_tokens": 64, "timeout": 5},
        }},
        "defaults": {"model": "own"},
    })  # fmt: skip
    engine = migrated(tmp_path / "own")
    services = FakeServices(Store(engine), config)
    found = await planned(services, "stress test own, 4 requests")
    assert (found.temperature, found.max_tokens) == (0.3, (64,))
    said = await planned(services, "evalscope perf --model own --number 4 --temperature 0.9 --max-tokens 8 16")
    assert (said.temperature, said.max_tokens) == (0.9, (8, 16))
    unsaid = (await services.say("stress test, 4 requests"))[0]
    assert "own" in unsaid.message.model_dump_json()
    assert services.submitted[-1].spec.model.name == "own"
    engine.dispose()


async def test_random_prompts_need_a_tokenizer_that_may_be_loaded(services: FakeServices) -> None:
    own = await planned(services, "stress test tok, prompt length 512, 4 requests")
    assert (own.plugin, own.tokenizer_path, own.min_prompt_length) == ("random", "/models/t", 512)
    allowed = await planned(
        services,
        "evalscope perf --model prod --dataset random --tokenizer-path Qwen/Q --max-prompt-length 9 --number 4",
    )
    assert (allowed.plugin, allowed.tokenizer_path) == ("random", "Qwen/Q")


async def test_registered_prompts_are_named_and_their_path_stays_on_the_worker(services: FakeServices) -> None:
    found = await planned(services, "stress test prod on chats, 4 requests")
    assert (found.dataset, found.plugin, found.local) == ("chats", "line_by_line", True)
    assert "/data" not in found.model_dump_json()


async def test_what_scopebot_sees_to_itself_is_left_out_and_said(services: FakeServices) -> None:
    reply = (await services.say("evalscope perf --model prod --number 4 --outputs-dir /tmp --debug"))[0]
    assert "--outputs-dir, --debug" in reply.message.model_dump_json()


# the cards


def test_the_status_says_level_requests_and_throughput() -> None:
    progress = Progress(
        attempt=1, phase="evaluating", done=14, total=50, errors=1, rate=4.2, eta=8, level=2, levels=2, updated_at=NOW
    )
    part = progress_part(run(RunState.RUNNING), progress, EN)
    assert (part.done, part.total) == (14, 50)
    assert part.note == "level 2 of 2: concurrency 4, 4.2 requests/s, 8.0 s to go, 1 failed"
    assert "第 2/2 档：并发 4" in progress_part(run(RunState.RUNNING), progress, ZH).note
    message = status_message([run(RunState.RUNNING)], {7: progress}, EN, LINKS)
    assert message.text == "r7: stress testing prod: concurrency 1, 4, 2 levels with 10, 40 requests (50 in all)."


@pytest.mark.parametrize("phase", ["starting", "checking", "loading", "reporting", "ended"])
def test_every_phase_has_its_word(phase: str) -> None:
    progress = Progress.model_validate({"attempt": 1, "phase": phase, "updated_at": NOW})
    for texts in (EN, ZH):
        assert progress_part(run(RunState.RUNNING), progress, texts).note


def test_the_result_has_throughput_and_times_of_each_level() -> None:
    message = result_message(run(RunState.SUCCEEDED, level(1, rps=1.25), level(4)), EN, LINKS)
    throughput, times = tables(message)
    assert throughput.rows == (
        ("1", "40", "100 %", "1.25", "640", "1,280"),
        ("4", "40", "100 %", "5", "640", "1,280"),
    )
    assert times.rows[0] == ("1", "45 (44 / 60 / 98)", "6 (6 / 7 / 9)", "6.1 (6 / 7 / 9.5)", "0.8 (0.7 / 1.1 / 1.4)")
    assert message.text.startswith("r7: prod — at best 5 requests/s at concurrency 4: 640 output tokens/s")
    assert "p99 TTFT 98 ms" in message.text


def test_failed_requests_are_a_warning_with_the_reason() -> None:
    busy = Failure(code="endpoint_busy", params={"url": "http://h", "status": 429, "detail": "slow down"})
    message = result_message(run(RunState.SUCCEEDED, level(1), level(4, succeeded=30, failure=busy)), EN, LINKS)
    assert "At 4: 10 of 40 requests failed" in message.model_dump_json()
    assert "slow down" in message.model_dump_json()
    assert tables(message)[0].rows[1][2] == "75 %"


def test_a_failed_test_still_shows_the_levels_it_finished() -> None:
    failure = Failure(code="endpoint_refused", params={"url": "http://h"})
    cut = level(4, requests=6, succeeded=3, complete=False)
    message = result_message(run(RunState.FAILED, level(1), cut, failure=failure), EN, LINKS)
    assert message.text.startswith("r7 failed: Nothing answers at http://h")
    assert len(tables(message)[0].rows) == 2
    assert "cut short after 6 of 40" in message.model_dump_json()


def test_levels_that_did_not_run_are_counted() -> None:
    assert "1 of 2 levels did not run" in result_message(run(RunState.SUCCEEDED, level(1)), EN, LINKS).model_dump_json()


def test_times_that_were_not_measured_are_no_zeros() -> None:
    plain = level(1, streamed=False, ttft_ms=Spread(), tpot_ms=Spread(), itl_ms=Spread())
    message = result_message(run(RunState.SUCCEEDED, plain, level(4)), EN, LINKS)
    assert tables(message)[1].rows[0][1:4] == ("–", "–", "–")
    assert "did not stream" in message.model_dump_json()


def test_the_web_page_shows_the_same_tables() -> None:
    from bot.web.pages import RunView, render_run
    from jobs.models import Group

    for language, word in (("en", "Figures per level"), ("zh", "各档结果")):
        group = Group.model_validate({
            "id": 1, "platform": "p", "channel": "c", "thread": "t", "user": "u", "language": language,
            "text": "stress test", "created_at": NOW,
        })  # fmt: skip
        ended = run(RunState.SUCCEEDED, level(1), level(4, succeeded=39)).model_copy(update={"ended_at": NOW})
        view = RunView(ended, group, None, {}, "", "/r", lambda failure, _language: failure.code)
        page = render_run(view, "")
        assert word in page
        for table in tables(result_message(ended, Texts(view.group.language), LINKS)):
            for row in table.rows:
                for cell in row:
                    assert cell in page


async def test_results_list_stress_tests_too(services: FakeServices) -> None:
    await services.say("stress test prod with concurrency 1 and 4, 10 requests each")
    number = services.submitted[0].id
    services.store.move(number, RunState.QUEUED, attempt=1)
    services.store.move(number, RunState.RUNNING)
    ended = run(RunState.SUCCEEDED, level(1), level(4))
    services.store.move(number, RunState.SUCCEEDED, result=ended.result)
    (table,) = tables((await services.say("results of prod"))[0].message)
    assert table.rows[0][1:4] == ("prod", "stress test", "5 requests/s")


async def test_a_stress_test_is_run_again_as_it_was_or_on_another_model(services: FakeServices) -> None:
    await services.say("stress test prod with concurrency 1 and 4, 10 requests each")
    first = services.submitted[0]
    await services.say(f"rerun {first.name}")
    assert services.submitted[-1].spec == first.spec
    await services.say(f"rerun {first.name} on tok")
    again = services.submitted[-1].spec
    assert (again.model.name, again.total) == ("tok", 20)
    reply = (await services.say(f"rerun {first.name} with 100 samples"))[0]
    assert reply.refused
    assert "limit" in reply.message.text


async def test_a_stress_test_that_failed_is_gone_on_with(services: FakeServices) -> None:
    await services.say("stress test prod with concurrency 1 and 4, 10 requests each")
    first = services.submitted[0]
    services.store.move(first.id, RunState.QUEUED, attempt=1)
    services.store.move(first.id, RunState.RUNNING)
    services.store.move(first.id, RunState.FAILED, failure=Failure(code="endpoint_refused", params={"url": "http://h"}))
    await services.say(f"resume {first.name}")
    found = services.submitted[-1].spec
    assert isinstance(found, PerfSpec)
    assert (found.resumes, found.number) == (first.id, (10, 10))


def test_a_cancelled_test_shows_what_it_measured() -> None:
    message = result_message(run(RunState.CANCELLED, level(1), level(4, complete=False, requests=9)), EN, LINKS)
    assert "was cancelled" in message.text
    assert len(tables(message)[0].rows) == 2
    assert "cut short" in message.model_dump_json()
