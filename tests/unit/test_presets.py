"""Presets and channels' own defaults: said, kept, used, and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.incoming import Place
from handlers.intents.parsed import Vocabulary
from handlers.message import Table
from handlers.presets import wrong_presets
from handlers.reply import Reply
from handlers.understand import understand
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.models import EvalSpec
from jobs.store import Store

CONFIG = Config.model_validate({
    "models": {name: {"model": name, "api_url": "http://10.0.0.5/v1"} for name in ("prod", "qwen-plus")},
    "presets": {"smoke": {"datasets": ["gsm8k"], "limit": 20, "generation_config": {"temperature": 0}}},
    "access": {"admins": ["boss"]},
})  # fmt: skip
VOCABULARY = Vocabulary(
    snapshot(), models=frozenset({"prod", "qwen-plus"}), presets=frozenset({"smoke", "nightly-math"})
)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def spec(services: FakeServices, run: int) -> EvalSpec:
    found = services.store.run(run).spec
    assert isinstance(found, EvalSpec)
    return found


def notes(reply: Reply) -> str:
    return reply.message.model_dump_json()


@pytest.mark.parametrize(
    ("text", "intent", "args"),
    [
        ("run nightly-math", "eval", {"preset": "nightly-math"}),
        ("run nightly-math on prod", "eval", {"preset": "nightly-math", "model": "prod"}),
        ("run nightly-math on r12's model", "eval", {"preset": "nightly-math", "model_of": "r12"}),
        ("evaluate r12's model on mmlu", "eval", {"model_of": "r12", "datasets": ["mmlu"]}),
        ("nightly-math with 20 samples", "eval", {"preset": "nightly-math", "limit": 20}),
        ("跑 nightly-math，模型换成 qwen-plus", "eval", {"preset": "nightly-math", "model": "qwen-plus"}),
        ("用 r12 的模型跑 nightly-math", "eval", {"preset": "nightly-math", "model_of": "r12"}),
        ("/eval preset=smoke limit=5", "eval", {"preset": "smoke", "limit": 5}),
        ("save r12 as nightly-math", "save", {"run": "r12", "name": "nightly-math"}),
        ("save this run as preset fast_check", "save", {"name": "fast_check"}),
        ("把 r12 存为 nightly-math", "save", {"run": "r12", "name": "nightly-math"}),
        ("presets", "presets", {}),
        ("有哪些预设？", "presets", {}),
        ("delete the preset smoke", "forget", {"name": "smoke"}),
        ("删除预设 smoke", "forget", {"name": "smoke"}),
        ("use qwen-plus as the default model here", "defaults", {"model": "qwen-plus"}),
        ("default limit 50 in this channel", "defaults", {"limit": 50}),
        ("set the default model to prod", "defaults", {"model": "prod"}),
        ("no default model", "defaults", {"clear": ["model"]}),
        ("clear the defaults", "defaults", {"clear": ["model", "limit"]}),
        ("默认模型改成 prod", "defaults", {"model": "prod"}),
        ("这个频道默认跑 50 条", "defaults", {"limit": 50}),
        ("清除默认设置", "defaults", {"clear": ["model", "limit"]}),
        ("defaults", "defaults", {}),
    ],
)
def test_presets_and_defaults_are_said(text: str, intent: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.missing) == (intent, args, ())


async def test_a_preset_of_the_configuration_is_run_and_what_is_said_beside_it_takes_its_place(
    services: FakeServices,
) -> None:
    (started,) = await services.say("run smoke on prod")
    assert started.group is not None
    assert "preset smoke" in notes(started)
    assert (spec(services, 1).total, spec(services, 1).generation_config.temperature) == (20, 0)
    await services.say("smoke on qwen-plus with 7 samples and top_p 0.5")
    second = spec(services, 2)
    assert (second.model.name, second.total) == ("qwen-plus", 7)
    assert (second.generation_config.temperature, second.generation_config.top_p) == (0, 0.5)


async def test_a_run_is_saved_as_a_preset_once_and_run_on_another_runs_model(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 30 samples, temperature 0.3")
    await services.say("evaluate qwen-plus on gsm8k, 10 samples")
    for _ in range(2):  # handled again after a crash
        (saved,) = await services.say("save r1 as nightly-math", id="s")
        assert not saved.refused
    (taken,) = await services.say("save r2 as nightly-math")
    assert taken.refused
    (started,) = await services.say("run nightly-math on r2's model")
    assert started.group is not None
    third = spec(services, 3)
    assert (third.model.name, third.total, third.generation_config.temperature) == ("qwen-plus", 30, 0.3)
    (listed,) = await services.say("presets")
    rows = [row for part in listed.message.parts if isinstance(part, Table) for row in part.rows]
    assert [row[0] for row in rows] == ["nightly-math", "smoke"]


@pytest.mark.parametrize("name", ["gsm8k", "prod", "r7", "x", "smoke"])
async def test_a_name_that_means_something_else_is_no_preset(services: FakeServices, name: str) -> None:
    await services.say("evaluate prod on gsm8k, 30 samples")
    (reply,) = await services.say(f"/save run=r1 name={name}")
    assert reply.refused


async def test_a_preset_is_removed_by_who_saved_it_or_an_admin_alone(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 30 samples")
    await services.say("save r1 as mine", owns_machine=False)
    (refused,) = await services.say("delete preset mine", user="eve", owns_machine=False)
    assert refused.refused
    (gone,) = await services.say("delete preset mine", user="boss", owns_machine=False)
    assert not gone.refused
    (unknown,) = await services.say("/eval preset=mine model=prod")
    assert "no preset" in unknown.message.text
    (fixed,) = await services.say("delete preset smoke")
    assert "scopebot.toml" in fixed.message.text


async def test_a_channels_defaults_stand_in_for_what_is_not_said_and_are_told(services: FakeServices) -> None:
    (told,) = await services.say("default model qwen-plus, default limit 20")
    assert "qwen-plus" in told.message.text
    (started,) = await services.say("evaluate on gsm8k")
    assert started.group is not None
    assert (spec(services, 1).model.name, spec(services, 1).total) == ("qwen-plus", 20)
    assert "this channel's default" in notes(started)
    (other,) = await services.say("evaluate prod on gsm8k, 30 samples")
    assert "default" not in notes(other)
    assert (spec(services, 2).model.name, spec(services, 2).total) == ("prod", 30)
    (elsewhere,) = await services.say("evaluate on gsm8k", place=Place(platform="console", channel="other", thread="t"))
    assert elsewhere.missing == "model"
    (cleared,) = await services.say("clear the defaults")
    assert "model none" in cleared.message.text


async def test_all_is_all_whatever_a_channel_means_by_default(services: FakeServices) -> None:
    await services.say("default limit 20")
    (asked,) = await services.say("evaluate prod on all of gsm8k")
    assert "1,319" in asked.message.text


async def test_a_model_that_is_not_registered_is_no_default(services: FakeServices) -> None:
    (reply,) = await services.say("/defaults gpt-9")
    assert reply.refused
    assert "prod" in reply.message.text


async def test_a_stress_test_takes_the_channels_model(services: FakeServices) -> None:
    await services.say("default model qwen-plus")
    (started,) = await services.say("stress test with concurrency 2, 10 requests")
    assert started.group is not None
    assert services.store.run(1).spec.model.name == "qwen-plus"


def test_a_preset_of_the_configuration_that_is_none_is_named_with_what_is_wrong() -> None:
    config = Config.model_validate({"presets": {"bad": {"limit": -1}, "good": {"datasets": ["gsm8k"]}}})
    assert list(wrong_presets(config)) == ["bad"]
    assert "limit" in wrong_presets(config)["bad"]


async def test_a_preset_that_is_none_is_refused_by_its_name(services: FakeServices) -> None:
    services.config = Config.model_validate(
        {"models": CONFIG.model_dump(mode="json")["models"], "presets": {"bad": {"datasets": ["gsm8k"], "nonsense": 1}}}
    )
    (reply,) = await services.say("run bad on prod")
    assert reply.refused
    assert "presets.bad" in reply.message.text
