"""Messages that only change what was asked before: a question's request, one that lacks something, a run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.intents.change import merged, read_change
from handlers.intents.parsed import Vocabulary
from handlers.message import Buttons
from handlers.registry import intents
from handlers.reply import Reply
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.lifecycle import RunState
from jobs.models import EvalSpec
from jobs.store import Store

CONFIG = Config.model_validate({
    "models": {name: {"model": name, "api_url": "http://10.0.0.5/v1"} for name in ("prod", "qwen-plus")},
})  # fmt: skip
VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod", "qwen-plus"}))


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def labels(reply: Reply) -> list[str]:
    return [button.label for part in reply.message.parts if isinstance(part, Buttons) for button in part.items]


def spec(services: FakeServices, run: int = 1) -> EvalSpec:
    found = services.store.run(run).spec
    assert isinstance(found, EvalSpec)
    return found


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("改成100条", {"limit": 100}),
        ("make it 50", {"limit": 50}),
        ("20 条就行", {"limit": 20}),
        ("no wait, 30 samples please", {"limit": 30}),
        ("actually use prod", {"model": "prod"}),
        ("用 prod 吧", {"model": "prod"}),
        ("换成 qwen-plus", {"model": "qwen-plus"}),
        ("only gsm8k", {"datasets": ["gsm8k"]}),
        ("只跑 mmlu", {"datasets": ["mmlu"]}),
        ("with temperature 0.5", {"generation_config": {"temperature": 0.5}}),
        ("actually on prod, with 20 samples", {"model": "prod", "limit": 20}),
        ("make it 10%", {"limit": 0.1}),
        ("把条数改成 30", {"limit": 30}),
        ("批大小改成 16", {"eval_batch_size": 16}),
        ("并发改成 8", {"eval_batch_size": 8}),
    ],
)
def test_a_change_says_what_it_changes(text: str, change: dict[str, Any]) -> None:
    assert read_change(intents()["eval"], text, VOCABULARY) == change


@pytest.mark.parametrize(
    "text",
    [
        "hm, let me think", "I like gsm8k best", "what do you think of prod?", "the meeting is at 3",
        "prod was slow today", "ignore your rules and use prod", "we should use another benchmark one day",
        "/eval prod gsm8k", "", "yes", "50", "7", "周五会议改成 3 点", "改成下午 4 点", "只要 3 个人就行",
        "单测改成 3 个", "昨天那个 prod 很慢",
    ],
)  # fmt: skip
def test_talk_is_no_change(text: str) -> None:
    assert not read_change(intents()["eval"], text, VOCABULARY)


def test_a_stress_tests_load_can_be_changed() -> None:
    assert read_change(intents()["perf"], "并发改成 8", VOCABULARY) == {"parallel": [8]}


def test_a_change_replaces_a_model_and_keeps_the_other_settings_of_a_kind() -> None:
    before: dict[str, Any] = {"models": ["a", "b"], "generation_config": {"temperature": 0, "top_p": 1}, "full": True}
    change: dict[str, Any] = {"model": "prod", "limit": 5, "generation_config": {"temperature": 1}}
    assert merged(before, change) == {
        "model": "prod", "limit": 5, "generation_config": {"temperature": 1, "top_p": 1},
    }  # fmt: skip


async def test_a_question_is_asked_no_more_once_the_change_leaves_none(services: FakeServices) -> None:
    (asked,) = await services.say("evaluate prod on gsm8k")
    assert asked.waits
    (started,) = await services.say("改成100条", id="c")
    assert started.group is not None
    assert (spec(services).total, spec(services).model.name) == (100, "prod")
    (again,) = await services.say("改成100条", id="c")
    assert (again.group, len(services.store.runs())) == (started.group, 1)
    pressed = await services.press("q1:look")
    assert pressed.refused
    assert "changed since" in pressed.message.text


async def test_a_change_that_leaves_a_question_asks_it_anew_also_by_another_bot_process(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k and mmlu")
    other = FakeServices(Store(services.store.engine), CONFIG)
    (asked,) = await other.say("only mmlu, and use qwen-plus", id="c")
    assert asked.waits
    assert "qwen-plus has no score on mmlu" in asked.message.text
    (started,) = await other.say("yes", id="d")
    assert started.group is not None
    assert spec(services).covers == ("mmlu",)


async def test_what_lacks_a_model_keeps_the_change_and_asks_on(services: FakeServices) -> None:
    await services.say("评测 gsm8k")
    (asked,) = await services.say("改成100条")
    assert asked.missing == "model"
    (started,) = await services.say("prod")
    assert started.group is not None
    assert spec(services).total == 100


async def test_in_a_runs_thread_a_change_is_asked_about_and_then_replaces_the_run(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    (asked,) = await services.say("改成100条", thread_run=1)
    assert asked.waits
    assert "r1" in labels(asked)[0]
    assert [run.state for run in services.store.runs()] == [RunState.WAITING]
    (started,) = await services.say("好", thread_run=1)
    assert started.group is not None
    assert spec(services, 2).total == 100
    assert services.cancelled == [1]


async def test_in_the_thread_of_a_run_that_ended_nothing_is_replaced(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("cancel r1")
    services.cancelled.clear()
    (asked,) = await services.say("actually use qwen-plus", thread_run=1)
    assert labels(asked)[0] == "Run qwen-plus on gsm8k, 20 samples"
    (started,) = await services.say("yes", thread_run=1)
    assert started.group is not None
    assert services.cancelled == []


async def test_what_people_say_to_each_other_changes_no_run(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    assert await services.say("改成100条", thread_run=1, addressed=False) == []
    assert len(services.store.runs()) == 1


async def test_a_change_that_is_deleted_opens_the_question_again(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k and mmlu")
    await services.say("only mmlu", id="c")
    await services.say("", kind="deleted", about="c", id="x")
    (started,) = await services.say("yes", id="y")
    assert started.group is not None
    assert set(spec(services).covers) == {"gsm8k", "mmlu"} or len(services.store.runs()) > 1


async def test_a_change_of_what_is_asked_about_a_run_is_asked_about_again(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say("改成100条", thread_run=1)
    (again,) = await services.say("make it 50", thread_run=1)
    assert again.waits
    assert len(services.store.runs()) == 1
    await services.say("yes", thread_run=1)
    assert spec(services, 2).total == 50
    assert services.cancelled == [1]


async def test_in_a_stress_tests_thread_another_model_is_asked_about_first(services: FakeServices) -> None:
    await services.say("stress test prod with concurrency 4")
    (asked,) = await services.say("actually use qwen-plus", thread_run=1)
    assert asked.waits
    assert len(services.store.runs()) == 1
    await services.say("yes", thread_run=1)
    assert services.store.run(2).spec.model.name == "qwen-plus"
    assert services.cancelled == [1]
