"""The first verdicts: which are kept, when they stop a run, where they are shown, and who decides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.database import migrated

from handlers.message import Buttons, Message, Table
from handlers.paused import paused_message
from handlers.submit import with_first_looks
from handlers.texts import Texts
from handlers.verdicts import verdicts_part
from jobs.evalscope.first_look import LENGTH, FirstLook
from jobs.evalscope.samples import Sample
from jobs.lifecycle import RunState
from jobs.models import (
    VERDICTS,
    DatasetTarget,
    EvalSpec,
    ModelTarget,
    Progress,
    Run,
    RunResult,
    Verdict,
)
from jobs.store import Store
from tests.support.services import FakeServices, FixedLinks

NOW = datetime.now(UTC)


def sample(extracted: str | None, *, dataset: str = "gsm8k", question: str = "2 + 2?", score: float = 0.0) -> Sample:
    return Sample(dataset, "main", "1", "1", question, "4", "four", extracted, {"accuracy": score}, 1, 1, 0.1)


def spec(**changes: Any) -> EvalSpec:
    model = ModelTarget(name="tiny", model="tiny", eval_type="openai_api", api_url="http://h/v1")
    facts: dict[str, Any] = {"model": model, "datasets": (DatasetTarget(name="gsm8k", benchmark="gsm8k"),)}
    return EvalSpec(**(facts | changes))


def progress(*verdicts: Verdict, attempt: int = 1) -> Progress:
    return Progress(attempt=attempt, phase="evaluating", verdicts=verdicts, updated_at=NOW)


def verdict(question: str = "What is 2 + 2?") -> Verdict:
    return Verdict(dataset="gsm8k", question=question, answer="I am a teapot", extracted="", score=0.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    engine = migrated(tmp_path / "test.db")
    return Store(engine)


def paused(store: Store, source: str = "m1", user: str = "u", **changes: Any) -> Run:
    _, (run,) = store.add_group(
        source=source, platform="console", channel="c", thread="t", user=user, language="en", text="x",
        specs=[spec(first_look=("gsm8k",), pause_if_unreadable=True, **changes)],
    )  # fmt: skip
    store.move(run.id, RunState.QUEUED, attempt=1, worker="w")
    store.move(run.id, RunState.RUNNING)
    result = RunResult(run_id=run.id, attempt=1, state=RunState.PAUSED, model="tiny", started_at=NOW, ended_at=NOW)
    return store.move(run.id, RunState.PAUSED, result=result)


@given(st.lists(st.sampled_from(["", "none", "  ", None, "[]", "4", "A"]), max_size=12))
def test_it_stops_exactly_with_the_fifth_of_five_that_could_not_be_read(extracted: list[str | None]) -> None:
    look = FirstLook(("gsm8k",))
    told = [look.take(sample(one)) for one in extracted]
    readable = [bool((one or "").strip()) and one not in {"none", "[]"} for one in extracted]
    stops = len(extracted) >= VERDICTS and not any(readable[:VERDICTS])
    assert [place for place, one in enumerate(told, 1) if one] == ([VERDICTS] if stops else [])
    assert len(look.verdicts) == min(len(extracted), VERDICTS)


def test_each_benchmark_has_first_verdicts_of_its_own_and_others_have_none() -> None:
    look = FirstLook(("gsm8k", "arc"))
    for name in ("gsm8k", "arc", "mmlu"):
        for _ in range(7):
            look.take(sample("4", dataset=name))
    assert [v.dataset for v in look.verdicts] == ["gsm8k"] * VERDICTS + ["arc"] * VERDICTS


def test_a_question_behind_worked_examples_is_kept_by_its_end_within_the_length() -> None:
    look = FirstLook(("gsm8k",))
    look.take(sample("4", question="Example. " * 200 + "What is 2 + 2?\ud83d"))
    (kept,) = look.verdicts
    assert "What is 2 + 2?" in kept.question
    assert len(kept.question) <= LENGTH


def test_the_first_run_of_a_pair_looks_and_a_later_one_does_not(store: Store) -> None:
    (first,) = with_first_looks([spec()], store)
    assert isinstance(first, EvalSpec)
    assert (first.first_look, first.pause_if_unreadable) == (("gsm8k",), True)
    _, (run,) = store.add_group(
        source="1", platform="p", channel="c", thread="t", user="u", language="en", text="x", specs=[first]
    )
    for state in (RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED):
        store.move(run.id, state)
    two = (DatasetTarget(name="gsm8k", benchmark="gsm8k"), DatasetTarget(name="arc", benchmark="arc"))
    looked = with_first_looks([first, spec(datasets=two)], store)
    assert [s.first_look for s in looked if isinstance(s, EvalSpec)] == [(), ("arc",)]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ModelTarget(name="tiny", model="mock_llm", eval_type="mock_llm")},
        {"datasets": (DatasetTarget(name="gsm8k", benchmark="gsm8k", subsets={"main": 1000}),), "limit": 5},
    ],
    ids=["mock", "five samples"],
)
def test_a_mock_model_and_a_tiny_run_are_never_paused(store: Store, changes: dict[str, Any]) -> None:
    (looked,) = with_first_looks([spec(**changes)], store)
    assert isinstance(looked, EvalSpec)
    assert not looked.pause_if_unreadable


@pytest.mark.parametrize(
    "dataset",
    [
        DatasetTarget(name="gsm8k", benchmark="general_qa", private=True),
        DatasetTarget(name="gsm8k", benchmark="gpqa_diamond"),
    ],
    ids=["private", "gated"],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_samples_of_private_and_gated_sets_are_not_shown_in_the_chat(store: Store, dataset: Any, language: Any) -> None:
    run = paused(store, datasets=(dataset,))
    parts = verdicts_part(run, progress(verdict(), verdict()), Texts(language), FixedLinks())
    shown = Message(text="", parts=tuple(parts)).model_dump_json()
    assert "What is" not in shown
    assert "teapot" not in shown
    assert "/runs/r1" in shown
    assert not any(isinstance(part, Table) for part in parts)


def test_an_open_sets_first_verdicts_are_a_table_of_question_answer_what_was_read_and_right(store: Store) -> None:
    run = paused(store)
    right = verdict().model_copy(update={"extracted": "4", "score": 1.0})
    parts = verdicts_part(run, progress(verdict(), right), Texts("en"), FixedLinks())
    (table,) = [part for part in parts if isinstance(part, Table)]
    assert table.columns == ("Question", "Answer", "Read as", "Right")
    assert [row[2:] for row in table.rows] == [("(nothing)", "✗"), ("4", "✓")]


def buttons(message: Message) -> dict[str, str]:
    return {b.label: b.id for part in message.parts if isinstance(part, Buttons) for b in part.items}


@pytest.mark.asyncio
async def test_go_on_lets_it_wait_for_a_worker_that_will_not_pause_it_again(store: Store) -> None:
    services, run = FakeServices(store), paused(store)
    go_on = buttons(paused_message(run, progress(verdict()), Texts("en"), FixedLinks()))["Go on"]
    reply = await services.press(go_on, id="press")
    now = store.run(run.id)
    assert (now.state, reply.refused) == (RunState.WAITING, False)
    assert isinstance(now.spec, EvalSpec)
    assert not now.spec.pause_if_unreadable
    assert now.result is None
    again = await services.press(go_on, id="press")
    assert again.message.text == reply.message.text, "the same press handled again after a crash"
    assert (await services.press(go_on)).refused, "another press"
    assert len(services.submitted) == 1


@pytest.mark.asyncio
async def test_stop_keeps_the_partial_score(store: Store) -> None:
    services, run = FakeServices(store), paused(store)
    await services.press(buttons(paused_message(run, None, Texts("en"), FixedLinks()))["Stop"])
    now = store.run(run.id)
    assert now.state is RunState.CANCELLED
    assert now.result is not None
    assert now.result.state is RunState.CANCELLED


@pytest.mark.asyncio
async def test_nobody_else_decides_and_not_from_another_place_and_not_by_an_old_question(store: Store) -> None:
    services, run = FakeServices(store), paused(store)
    for button, changes in (("r1-a1:go_on", {"user": "x"}), ("r9-a1:go_on", {}), ("r1-a2:stop", {})):
        reply = await services.press(button, **changes)
        assert reply.refused, button
    elsewhere = {"place": {"platform": "console", "channel": "c", "thread": "other"}}
    from handlers.incoming import Place

    assert (await services.press("r1-a1:stop", place=Place(**elsewhere["place"]))).refused
    assert store.run(run.id).state is RunState.PAUSED


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "state"), [("resume r1", RunState.WAITING), ("cancel r1", RunState.CANCELLED)])
async def test_a_paused_run_is_decided_in_words_too(store: Store, text: str, state: RunState) -> None:
    services = FakeServices(store)
    paused(store)
    await services.say(text)
    assert store.run(1).state is state
