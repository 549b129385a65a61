"""A request that lacks one thing is asked for it and completed by the answer, also across a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.database import migrated

from handlers import open_requests
from handlers.incoming import Place
from handlers.message import Buttons
from handlers.reply import Reply
from jobs.config import Config
from jobs.models import EvalSpec, PerfSpec, Run
from jobs.store import Store
from tests.support.services import FakeServices

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}},
    "access": {"allow_hosts": ["10.0.0.0/8"]},
})  # fmt: skip


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def only(services: FakeServices) -> Run:
    (run,) = services.store.runs()
    return run


@pytest.mark.parametrize(
    ("first", "answer", "model", "datasets"),
    [
        ("evaluate prod", "gsm8k", "prod", ("gsm8k",)),
        ("evaluate prod, 20 samples", "gsm8k please", "prod", ("gsm8k",)),
        ("evaluate prod", "on gsm8k and aime24, 20 samples each", "prod", ("gsm8k", "aime24")),
        ("评测 prod", "gsm8k，二十条", "prod", ("gsm8k",)),
        ("evaluate gsm8k, 20 samples", "prod", "prod", ("gsm8k",)),
        ("评测 gsm8k", "prod，前20条", "prod", ("gsm8k",)),
        ("evaluate gsm8k, 20 samples", "qwen-max at http://10.0.0.9/v1", "qwen-max", ("gsm8k",)),
        ("/eval qwen-max gsm8k limit=20", "http://10.0.0.9/v1", "qwen-max", ("gsm8k",)),
        ("evaluate qwen-max on gsm8k, 20 samples", "prod", "prod", ("gsm8k",)),
        ("/eval prod gsm8k,aime2424 limit=20", "aime24", "prod", ("gsm8k", "aime24")),
        ("/eval prod limit=20", "run it on gsm8k", "prod", ("gsm8k",)),
    ],
)
async def test_the_answer_completes_what_was_asked_for(
    services: FakeServices, first: str, answer: str, model: str, datasets: tuple[str, ...]
) -> None:
    (asked,) = await services.say(first)
    assert asked.missing, asked.message.text
    assert not services.store.runs()
    (reply,) = await services.say(answer)
    if reply.waits:  # so many samples that it asks
        reply = await services.press("q1:whole")
    spec = only(services).spec
    assert isinstance(spec, EvalSpec)
    said = any(word in first + answer for word in ("20", "二十"))
    assert (spec.model.name, spec.covers, spec.limit) == (model, datasets, 20 if said else None)


async def test_a_stress_test_and_a_run_are_completed_too(services: FakeServices) -> None:
    await services.say("/perf parallel=1,2 number=10")
    await services.say("prod")
    run = only(services)
    assert isinstance(run.spec, PerfSpec)
    assert run.spec.parallel == (1, 2)
    await services.say("cancel r1")
    assert (await services.say("resume"))[0].missing == "run"
    await services.say("r1")
    assert len(services.store.runs()) == 2


async def test_the_answer_is_taken_after_a_restart_and_in_the_language_of_the_question(services: FakeServices) -> None:
    await services.say("评测 prod")
    restarted = FakeServices(services.store, CONFIG)
    restarted._ids = services._ids
    (reply,) = await restarted.say("gsm8k")
    assert "条" in reply.message.text
    assert services.store.group(1).text == "评测 prod\ngsm8k" if services.store.runs() else reply.waits


async def test_an_answer_that_is_handled_again_after_a_crash_starts_the_same_run(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    first = (await services.say("gsm8k", id="answer"))[0]
    again = (await services.say("gsm8k", id="answer"))[0]
    assert first.group == again.group is not None
    assert len(services.store.runs()) == 1
    assert (await services.say("gsm8k"))[0].refused, "it was answered"


@pytest.mark.parametrize(
    "changes", [{"user": "x"}, {"place": Place(platform="console", channel="c", thread="other")}], ids=["user", "place"]
)
async def test_nobody_elses_word_and_none_from_elsewhere_is_an_answer(
    services: FakeServices, changes: dict[str, object]
) -> None:
    await services.say("evaluate prod, 20 samples")
    assert (await services.say("gsm8k", **changes))[0].refused
    assert not services.store.runs()


async def test_another_request_leaves_the_question_aside(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    await services.say("status")
    assert (await services.say("gsm8k"))[0].refused
    assert not services.store.runs()


async def test_an_answer_that_comes_much_later_is_none(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    await services.say("evaluate prod, 20 samples")
    monkeypatch.setattr(open_requests, "OPEN_FOR", timedelta(0))
    assert (await services.say("gsm8k"))[0].refused


async def test_what_is_no_answer_leaves_it_open(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    await services.say("hmm, let me think")
    await services.say("gsm8k")
    assert only(services).spec.covers == ("gsm8k",)


async def test_a_press_of_what_is_offered_answers_as_the_word_would_and_once(services: FakeServices) -> None:
    (asked,) = await services.say("evaluate on gsm8k, 20 samples")
    assert "pick:prod" in ids_of(asked)
    (nobodys,) = await services.say("", button="pick:prod", user="somebody else")
    assert (nobodys.refused, nobodys.private) == (True, True)
    (started,) = await services.say("", button="pick:prod")
    assert started.group is not None
    (again,) = await services.say("", button="pick:prod")
    assert again.refused
    assert len(services.store.runs()) == 1


@pytest.mark.parametrize(
    ("said", "offered"),
    [
        ("evaluate prod on something for long context, 20 samples", ["needle_haystack", "longbench_v2"]),
        ("评测 prod 的智能体能力", ["tau_bench"]),
        ("帮我看看 prod 数学怎么样", ["gsm8k", "math_500", "aime24", "competition_math"]),
        ("evaluate prod", ["gsm8k", "mmlu", "ceval", "humaneval", "ifeval"]),
    ],
)
async def test_a_need_without_a_name_is_answered_with_benchmarks_for_it(
    services: FakeServices, said: str, offered: list[str]
) -> None:
    (asked,) = await services.say(said)
    assert [button.removeprefix("pick:") for button in ids_of(asked)] == offered
    assert not services.submitted
    (started,) = await services.say("", button=f"pick:{offered[0]}")
    assert started.group is not None or started.waits


def ids_of(reply: Reply) -> list[str]:
    return [button.id for part in reply.message.parts if isinstance(part, Buttons) for button in part.items]


async def test_a_name_that_is_unknown_offers_the_three_nearest(services: FakeServices) -> None:
    (asked,) = await services.say("evaluate prod on gsm9k_bench, 20 samples")
    offered = ids_of(asked)
    assert len(offered) == 3
    (started,) = await services.say("", button=offered[0])
    assert started.group is not None or started.waits
