"""Questions about EvalScope's parameters, versions and commands, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.intents.parsed import Vocabulary
from handlers.message import Link, Message, Table
from handlers.understand import understand
from jobs.catalog import BenchmarkInfo, BenchmarkParameter, Catalog, ParameterInfo, snapshot
from jobs.config import Config
from jobs.models import EvalSpec
from jobs.store import Store

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}), datasets=frozenset({"seed"}))
PUBLISHED = Catalog(
    evalscope_version="1.14.1",
    benchmarks=(
        BenchmarkInfo(
            name="tau_bench", pretty_name="Tau", parameters=(BenchmarkParameter(name="user_model", help="Who asks."),)
        ),
    ),
    parameters=(
        ParameterInfo(
            command="perf", name="sla_num_runs", flags=("--sla-num-runs",), kind="int", default=3, help="How often."
        ),
        ParameterInfo(command="eval", name="limit", flags=("--limit",), kind="float", help="How many."),
        ParameterInfo(command="eval", name="work_dir", flags=("--work-dir",), help="Where."),
        ParameterInfo(command="perf", name="number", flags=("-n", "--number"), kind="ints", help="How many requests."),
        ParameterInfo(command="eval", name="generation_config.top_p", kind="float", help="Of the mass."),
    ),
)  # fmt: skip


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    config = Config.model_validate({"models": {"prod": {"model": "m", "api_url": "http://10.0.0.5/v1"}}})
    yield FakeServices(Store(engine), config)
    engine.dispose()


def whole(message: Message) -> str:
    return message.model_dump_json()


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("What does --sla-num-runs do?", {"about": "sla_num_runs"}),
        ("--sla-num-runs 是什么意思？", {"about": "sla_num_runs"}),
        ("--sla-num-runs 有什么作用", {"about": "sla_num_runs"}),
        ("what does `--limit` mean", {"about": "limit"}),
        ("what does —limit mean", {"about": "limit"}),
        ("what is limit in perf?", {"about": "limit", "command": "perf"}),
        ("what does `evalscope perf --number` mean?", {"about": "number", "command": "perf"}),
        ("what's the eval_batch_size parameter?", {"about": "eval_batch_size"}),
        ("what is eval batch size?", {"about": "eval_batch_size"}),
        ("explain the perf parameter open_loop", {"about": "open_loop", "command": "perf"}),
        ("how do I use --judge?", {"about": "judge"}),
        ("what is temperature?", {"about": "temperature"}),
        ("what does the frobnicate parameter do?", {"about": "frobnicate"}),
        ("what does --frobnicate do?", {"about": "frobnicate"}),
        ("limit 参数是什么意思", {"about": "limit"}),
        ("perf 里的 parallel 是什么意思？", {"about": "parallel", "command": "perf"}),
        ("解释一下 eval_batch_size", {"about": "eval_batch_size"}),
        ("什么是 top_p", {"about": "top_p"}),
        ("help --limit", {"about": "limit"}),
        ("help limit", {"about": "limit"}),
        ("/help --limit", {"about": "limit"}),
        ("/help limit", {"about": "limit"}),
    ],
)
def test_a_question_about_a_parameter_is_one(text: str, args: dict[str, str]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.refused) == ("help", args, ())


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("what is gsm8k?", "benchmarks"),
        ("what is the throughput of prod at concurrency 16?", "perf"),
        ("evaluate prod on gsm8k with limit 5", "eval"),
        ("how do I evaluate a model?", "help"),
        ("what is prod?", None),
        ("what is seed?", None),
        ("what is love?", None),
        ("evalscope eval --model m --datasets gsm8k", "eval"),
    ],
)
def test_what_asks_something_else_is_read_as_before(text: str, intent: str | None) -> None:
    parsed = understand(text, VOCABULARY)
    assert parsed.intent == intent or (intent is None and "about" not in parsed.args)


async def test_a_parameter_is_explained_in_evalscopes_words_once_a_worker_has_published_them(
    services: FakeServices,
) -> None:
    services.catalog = PUBLISHED
    said = whole((await services.say("What does --sla-num-runs do?"))[0].message)
    assert "How often." in said
    assert '"3"' in said
    assert "first worker" not in said


@pytest.mark.parametrize(
    ("text", "told"),
    [("What does --sla-num-runs do?", "first worker"), ("--sla-num-runs 是什么意思？", "第一个 worker")],
)
async def test_before_the_first_worker_the_facts_are_told_and_that_the_rest_comes(
    services: FakeServices, text: str, told: str
) -> None:
    said = whole((await services.say(text))[0].message)
    assert told in said
    assert '"3"' in said
    assert "--sla-num-runs" in said


async def test_a_catalog_without_parameters_is_helped_out_by_the_shipped_one(services: FakeServices) -> None:
    services.catalog = Catalog(evalscope_version="1.14.1", benchmarks=())
    assert "--sla-num-runs" in (await services.say("What does --sla-num-runs do?"))[0].message.text


async def test_a_parameter_of_another_command_is_told_where_it_is(services: FakeServices) -> None:
    services.catalog = PUBLISHED
    (reply,) = await services.say("what is limit in perf?")
    assert "`evalscope perf` has no `limit`, `evalscope eval` has" in reply.message.text
    assert "--number" in reply.message.text
    assert "How many." in whole(reply.message)


async def test_an_unknown_parameter_is_answered_with_the_nearest(services: FakeServices) -> None:
    (reply,) = await services.say("what does --sla-num-run-count do?")
    assert "--sla-num-runs" in reply.message.text
    (refused,) = await services.say("evalscope eval --model prod --datasets gsm8k --limits 5")
    assert refused.refused
    assert "--limit" in refused.message.text
    assert "/help eval" in refused.message.text
    assert not services.submitted


async def test_why_a_parameter_does_not_come_from_chat_is_told(services: FakeServices) -> None:
    services.catalog = PUBLISHED
    assert "left out of a command" in whole((await services.say("what does --work-dir do?"))[0].message)
    assert "not supported here yet" in whole((await services.say("what does --sla-num-runs do?"))[0].message)
    assert '["From chat","yes"]' in whole((await services.say("what does --limit do?"))[0].message)
    assert '["From chat","yes"]' in whole((await services.say("what is top_p?"))[0].message)


async def test_a_benchmarks_own_parameter_is_explained(services: FakeServices) -> None:
    services.catalog = PUBLISHED
    said = whole((await services.say("what does the user_model parameter do?"))[0].message)
    assert "Who asks." in said
    assert "tau_bench" in said
    assert "user_model" in whole((await services.say("what is tau_bench?"))[0].message)


@pytest.mark.parametrize("command", ["eval", "perf", "benchmark-info", "service", "app"])
async def test_the_help_of_a_command_names_every_flag_it_has(services: FakeServices, command: str) -> None:
    said = whole((await services.say(f"evalscope {command} --help"))[0].message)
    flags = {info.flags[-1] for info in snapshot().parameters if info.command == command and info.flags}
    assert not {flag for flag in flags if flag not in said and "--no-" not in flag}


async def test_the_help_of_evalscope_is_what_can_be_asked_for(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope --help")
    assert any(isinstance(part, Table) and len(part.rows) > 5 for part in reply.message.parts)


async def test_the_version_is_that_of_the_workers(services: FakeServices) -> None:
    services.alive = [{"name": "w1", "evalscope": "1.14.1"}, {"name": "w2", "evalscope": "1.15.0"}]
    said = whole((await services.say("evalscope --version"))[0].message)
    assert "1.14.1, 1.15.0 on 2" in said
    assert "w2" in said
    services.alive = []
    (reply,) = await services.say("evalscope -v")
    assert snapshot().evalscope_version in reply.message.text
    assert "No worker is alive" in whole(reply.message)


async def test_the_dashboard_is_linked_where_there_is_one_and_the_runs_pages_in_any_case(
    services: FakeServices,
) -> None:
    (reply,) = await services.say("open the dashboard")
    assert "SCOPEBOT_DASHBOARD_URL" in reply.message.text
    assert not [part for part in reply.message.parts if isinstance(part, Link)]
    await services.say("evaluate prod on gsm8k, 20 samples")
    (run,) = services.submitted
    assert isinstance(run.spec, EvalSpec)
    services.dashboard_url = "https://dash.example/evalscope"
    (reply,) = await services.say("evalscope service --port 9000")
    links = [part.url for part in reply.message.parts if isinstance(part, Link)]
    assert links == ["https://dash.example/evalscope", services.links.run_url(run.id)]
    assert "--port" in whole(reply.message)
    assert not reply.refused


async def test_a_pasted_tag_list_means_any_of_the_tags_a_sentence_all(services: FakeServices) -> None:
    (pasted,) = await services.say("evalscope benchmark-info --list --tag Math Coding")
    (said,) = await services.say("which benchmarks test math and coding?")
    assert "Math, Coding" in pasted.message.text
    counts = [int(reply.message.text.rpartition(" ")[2].rstrip(".")) for reply in (pasted, said) if reply.message.parts]
    assert counts[0] > 20
    assert counts[0] > (counts[1] if len(counts) > 1 else 0)


async def test_changing_evalscopes_own_files_is_refused(services: FakeServices) -> None:
    (reply,) = await services.say("evalscope benchmark-info --all --update")
    assert reply.refused
    assert "`update`" in reply.message.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run_task({'eval_backend': 'RAGEval', 'eval_config': {'tool': 'MTEB'}})", "RAG evaluation"),
        ("evalscope evla --model m", "It has: eval, perf"),
        ("run_task({'model': 'prod', 'datasets': ['gsm8k'], 'limit': n})", "`limit` is computed"),
        ("run_task({'model': 'prod'", "not valid Python"),
        ("evalscope eval --model prod --datasets gsm8k --dry-run", "would run nothing"),
        ("CUDA_VISIBLE_DEVICES=0 evalscope eval --model prod --datasets gsm8k", "CUDA_VISIBLE_DEVICES"),
        ("nohup evalscope eval --model prod --datasets gsm8k &", "shell syntax"),
        ("evalscope eval --model $MODEL --datasets gsm8k", "shell variable"),
        ("evalscope eval --model prod --datasets 'gsm8k", "never closed"),
    ],
)
async def test_what_cannot_be_done_is_told_with_its_reason_and_nothing_is_run(
    services: FakeServices, text: str, told: str
) -> None:
    (reply,) = await services.say(text)
    assert reply.refused
    assert told in reply.message.text
    assert not services.submitted


async def test_a_snippet_submits_the_run_that_its_command_would(services: FakeServices) -> None:
    await services.say("evalscope eval --model prod --datasets gsm8k --limit 20 --timeout 30 --ignore-errors")
    await services.say("run_task({'model': 'prod', 'datasets': ['gsm8k'], 'limit': 20, 'timeout': 30, 'debug': True})")
    await services.say("model: prod\ndatasets: [gsm8k]\nlimit: 20\ngeneration_config:\n  timeout: 30")
    first, *others = [run.spec for run in services.submitted]
    assert len(others) == 2
    assert all(other == first for other in others)
    assert isinstance(first, EvalSpec)
    assert first.generation_config.timeout == 30
