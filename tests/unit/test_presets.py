"""Presets and channels' own defaults: said, kept, used, and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.channel_settings import ChannelDefaults, ChannelSettings
from handlers.incoming import Place
from handlers.intents.llm_prompt import messages
from handlers.intents.llm_reading import read_answer
from handlers.intents.parsed import Vocabulary
from handlers.message import Table
from handlers.presets import check_presets, wrong_presets
from handlers.reply import Reply
from handlers.understand import understand
from jobs.catalog import snapshot
from jobs.config import Config, KeyEntry
from jobs.errors import ConfigInvalid
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


@pytest.mark.parametrize(
    "text",
    [
        "don't run nightly-math", "please do not run nightly-math on prod", "不要跑 nightly-math",
        "why did nightly-math fail?", "how do I run nightly-math?", "how long does nightly-math take?",
        "let's not run nightly-math", "别再跑 nightly-math", "is nightly-math still there?",
        "what happens if you run nightly-math?", "nightly-math is slow on prod",
        "thanks, nightly-math was great", "I love nightly-math", "there is smoke coming out of the server",
        "cancel nightly-math", "rename nightly-math to other", "train prod on nightly-math", "deploy nightly-math",
        "what is nightly-math?", "show me nightly-math", "nightly-math 是什么？", "delete nightly-math",
        "forget nightly-math", "删除 nightly-math", "stress test prod with nightly-math",
    ],
)  # fmt: skip
def test_a_preset_that_is_only_spoken_of_is_not_run(text: str) -> None:
    parsed = understand(text, VOCABULARY)
    assert not any("preset" in request.args for request in (parsed, *parsed.more))


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("start nightly-math", {}), ("can you run nightly-math?", {}), ("能跑一下 nightly-math 吗", {}),
        ("nightly-math again please", {}), ("来一个 nightly-math", {}), ("do nightly-math on prod", {"model": "prod"}),
        ("/eval nightly-math", {}), ("/eval nightly-math limit=5", {"limit": 5}),
        ("/eval nightly-math on prod", {"model": "prod"}), ("run nightly-math but don't stream", {"stream": False}),
        ("don't run the old one, run nightly-math", {}),
    ],
)  # fmt: skip
def test_a_preset_is_run_in_the_words_that_people_have_for_it(text: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args, parsed.missing) == ("eval", {"preset": "nightly-math", **args}, ())


@pytest.mark.parametrize(
    "text",
    [
        "don't save r12 as fast", "don't delete preset smoke", "save the results of r12 as csv", "keep prod as default",
        "run gsm8k on prod and save the report as pdf", "keep it as is",
        "remember prod as our-best", "把 r12 的结果存为 csv",
    ],
)  # fmt: skip
def test_what_is_no_preset_is_neither_saved_nor_removed(text: str) -> None:
    assert understand(text, VOCABULARY).intent not in {"save", "forget"}


def test_a_known_preset_is_removed_without_the_word() -> None:
    parsed = understand("delete nightly-math", VOCABULARY)
    assert (parsed.intent, parsed.args) == ("forget", {"name": "nightly-math"})


async def test_a_stress_test_by_a_preset_is_refused_not_run_without_it(services: FakeServices) -> None:
    (reply,) = await services.say("stress test prod with smoke")
    assert reply.refused
    assert "preset" in reply.message.text


async def test_another_model_has_nothing_of_how_the_presets_own_is_reached(services: FakeServices) -> None:
    await services.say("evaluate mock on gsm8k, 5 samples")
    assert spec(services, 1).model.eval_type == "mock_llm"
    await services.say("save r1 as mocked")
    await services.say("run mocked on prod")
    model = spec(services, 2).model
    assert (model.name, model.model, model.eval_type, model.network) == ("prod", "prod", "openai_api", "registered")
    await services.say("run mocked")
    assert spec(services, 3).model.eval_type == "mock_llm"


async def test_a_preset_keeps_the_key_that_its_run_was_reached_with(services: FakeServices) -> None:
    services.config = CONFIG.model_copy(update={"keys": {"k9": KeyEntry(env="K", hosts=("127.0.0.9",))}})
    await services.say("/eval other gsm8k limit=5 api_url=http://127.0.0.9/v1 api_key_name=k9")
    await services.say("save r1 as keyed")
    await services.say("run keyed")
    assert (spec(services, 2).model.api_url, spec(services, 2).model.key) == ("http://127.0.0.9/v1", "k9")
    await services.say("run smoke on r1's model")
    assert (spec(services, 3).model.api_url, spec(services, 3).model.key) == ("http://127.0.0.9/v1", "k9")
    (refused,) = await services.say("run keyed", owns_machine=False)  # an address of this machine is its owner's alone
    assert refused.refused


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
    assert "this channel's default" in notes(started)
    assert services.store.run(1).spec.model.name == "qwen-plus"


def test_a_preset_of_the_configuration_that_is_none_is_named_with_what_is_wrong() -> None:
    config = Config.model_validate({
        "models": {"prod": {"model": "prod"}},
        "presets": {
            "bad": {"limit": -1}, "good": {"datasets": ["gsm8k"]}, "gsm8k": {"limit": 3}, "Prod": {"limit": 3},
            "r7": {"limit": 3}, "two words": {"limit": 3}, "judged": {"judge": {"model": "prod"}},
            "nested": {"preset": "good"},
        },
    })  # fmt: skip
    wrong = wrong_presets(config)
    assert wrong.keys() == config.presets.keys() - {"good"}
    assert all(field in wrong[name] for name, field in (("bad", "limit"), ("judged", "judge"), ("nested", "preset")))
    with pytest.raises(ConfigInvalid) as caught:
        check_presets(config, Path("scopebot.toml"))
    assert caught.value.params["file"] == "scopebot.toml"
    assert str(caught.value.params["reason"]).startswith("presets.bad: limit")
    check_presets(CONFIG, Path("scopebot.toml"))


async def test_what_a_preset_asks_for_and_cannot_be_done_is_not_left_out(services: FakeServices) -> None:
    judged = {"datasets": ["gsm8k"], "limit": 5, "judge": {"model": "prod"}}
    services.config = CONFIG.model_copy(update={"presets": {"judged": judged}})
    (reply,) = await services.say("run judged on prod")
    assert reply.refused
    assert "presets.judged.judge" in reply.message.text


async def test_a_presets_own_limit_is_not_told_as_the_channels(services: FakeServices) -> None:
    await services.say("default limit 20")
    (by_preset,) = await services.say("run smoke on prod")
    assert "this channel's default" not in notes(by_preset)
    (by_default,) = await services.say("evaluate prod on gsm8k")
    assert "20, this channel's default" in notes(by_default)


def test_who_sets_one_default_leaves_the_other_as_somebody_else_just_set_it(services: FakeServices) -> None:
    settings = ChannelSettings(services.store.engine)
    settings.set_defaults("slack", "C1", {"model": "prod"})
    settings.set_defaults("slack", "C1", {"limit": 50})
    assert settings.defaults("slack", "C1") == ChannelDefaults("prod", 50)
    settings.set_defaults("slack", "C1", {"model": None})
    assert settings.defaults("slack", "C1") == ChannelDefaults(None, 50)


async def test_a_person_alone_with_us_has_defaults_of_their_own(services: FakeServices) -> None:
    await services.say("default model prod")
    alone = Place(platform="console", channel="@u", thread="t")
    await services.say("default model qwen-plus", place=alone, direct=True)
    await services.say("evaluate on gsm8k, 5 samples", place=alone, direct=True)
    await services.say("evaluate on gsm8k, 5 samples")
    assert [spec(services, run).model.name for run in (1, 2)] == ["qwen-plus", "prod"]


@pytest.mark.parametrize(
    ("text", "name", "said", "taken"),
    [
        ("run nightly-math on prod", "preset", "nightly-math", "nightly-math"),
        ("跑 Nightly-Math", "preset", "nightly-math", "nightly-math"),
        ("run gsm8k on prod", "preset", "nightly-math", None),
        ("run nightly-mathematics", "preset", "nightly-math", None),
        ("run other on prod", "preset", "other", None),
        ("run nightly-math on r12's model", "model_of", "r12", "r12"),
        ("run nightly-math on prod", "model_of", "r12", None),
        ("run nightly-math on r123's model", "model_of", "r12", None),
    ],
)
def test_a_model_names_only_the_preset_and_the_run_that_the_message_names(
    text: str, name: str, said: str, taken: str | None
) -> None:
    values = [{"name": name, "value": said}]
    reading = read_answer(json.dumps({"requests": [{"intent": "eval", "values": values}]}), text, VOCABULARY)
    assert reading.parsed is not None
    assert reading.parsed.args.get(name) == taken


def test_a_model_is_told_which_presets_there_are() -> None:
    assert "nightly-math, smoke" in messages("run smoke", VOCABULARY)[0]["content"]


async def test_a_preset_that_is_none_is_refused_by_its_name(services: FakeServices) -> None:
    services.config = Config.model_validate(
        {"models": CONFIG.model_dump(mode="json")["models"], "presets": {"bad": {"datasets": ["gsm8k"], "nonsense": 1}}}
    )
    (reply,) = await services.say("run bad on prod")
    assert reply.refused
    assert "presets.bad" in reply.message.text
