"""A question that has buttons is answered in words as well."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from support.database import migrated
from support.services import FakeServices

from handlers import questions
from handlers.answers import decided
from handlers.incoming import Place
from handlers.questions import Option, QuestionRow, Questions
from handlers.reply import Reply
from jobs.config import Config
from jobs.db import transaction
from jobs.lifecycle import RunState
from jobs.store import Store

CONFIG = Config.model_validate({"models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}}})
ASKING = "evaluate mock on mmlu, 100 samples"
"""Asks: about 100 in all, 100 per subset, or cancel."""
ELSEWHERE = Place(platform="console", channel="c", thread="elsewhere")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


async def ask(services: FakeServices, text: str = ASKING) -> None:
    (reply,) = await services.say(text)
    assert reply.waits


async def only(services: FakeServices, text: str, **changes: object) -> Reply:
    (reply,) = await services.say(text, **changes)
    return reply


@pytest.mark.parametrize(
    "said",
    [
        "yes", "Yes please!", "ok", "OK", "okay, go ahead", "sure", "go", "go ahead", "run it", "do it", "confirm",
        "yep", "👍", ":+1:", "好", "好的", "是", "是的", "可以", "确认", "行", "跑吧", "好的，跑吧", "那就跑吧",
        "<@U0BOT> yes", "1", "第一个",
        "About 100 in all (2 per subset: 114)", "about 100 in all (2 per subset: 114)",
    ],
)  # fmt: skip
async def test_a_yes_takes_the_first_option(services: FakeServices, said: str) -> None:
    await ask(services)
    reply = await only(services, said)
    assert reply.group is not None
    assert [run.spec.limit for run in services.submitted] == [2]  # type: ignore[union-attr]
    assert services.store.group(reply.group).text == ASKING


@pytest.mark.parametrize("said", ["2", "number 2", "第二个", "100 per subset: 5,700", "选2"])
async def test_a_number_or_a_label_takes_its_option(services: FakeServices, said: str) -> None:
    await ask(services)
    await only(services, said)
    assert [run.spec.limit for run in services.submitted] == [100]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "said",
    [
        "no", "No thanks", "cancel", "never mind", "nevermind", "forget it", "ok, never mind", "don't run it", "stop",
        "不", "不要", "不用了", "取消", "算了", "算了吧", "3", "Cancel",
    ],
)  # fmt: skip
async def test_a_no_takes_the_option_that_cancels(services: FakeServices, said: str) -> None:
    await ask(services)
    assert (await only(services, said)).message.text == "Cancelled; nothing was run."
    assert (await services.press("q1:total")).refused
    assert not services.store.runs()


@pytest.mark.parametrize(
    "said", ["not sure", "yes and no", "no, go ahead", "yesterday", "7", "100", "what does it cost?", "maybe", "好不好"]
)
async def test_what_is_neither_answers_nothing(services: FakeServices, said: str) -> None:
    await ask(services)
    await services.say(said)
    assert not services.store.runs()
    assert (await services.press("q1:total")).group is not None, "it is open still"


async def test_an_answer_needs_a_question_that_is_open(services: FakeServices) -> None:
    assert (await only(services, "yes")).refused
    await ask(services)
    await only(services, "yes")
    assert (await only(services, "yes")).refused
    assert len(services.store.runs()) == 1


async def test_an_answer_is_taken_from_who_was_asked_and_where_they_were_asked(services: FakeServices) -> None:
    await ask(services)
    assert (await only(services, "yes", user="another")).refused
    assert (await only(services, "yes", place=ELSEWHERE)).refused
    assert not services.store.runs()


async def test_the_newest_question_is_meant(services: FakeServices) -> None:
    await ask(services)
    await ask(services, "evaluate mock on mmlu, 200 samples")
    await only(services, "2")
    assert [run.spec.limit for run in services.submitted] == [200]  # type: ignore[union-attr]


async def test_an_answer_to_something_that_was_asked_later_is_none_to_the_question(services: FakeServices) -> None:
    await ask(services)
    assert (await only(services, "evaluate prod, 20 samples")).missing == "datasets"
    assert (await only(services, "ok")).refused
    assert not services.store.runs()


async def test_an_answer_that_is_handled_again_after_a_crash_starts_the_same_run(services: FakeServices) -> None:
    await ask(services)
    first, again = [await only(services, "yes", id="answer") for _ in range(2)]
    assert first.group == again.group is not None
    assert len(services.store.runs()) == 1


async def test_a_day_later_a_word_is_no_answer_and_the_button_still_is(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(services)
    monkeypatch.setattr(questions, "OPEN_FOR", timedelta(0))
    assert (await only(services, "yes")).refused
    assert (await services.press("q1:total")).group is not None


async def test_a_question_of_before_labels_were_kept_is_read_and_answered(services: FakeServices) -> None:
    await ask(services)
    with transaction(services.store.engine) as session:
        options = [{"id": "total", "specs": []}, {"id": "cancel", "specs": []}]
        session.execute(update(QuestionRow).values(options={"options": options}))
    question = Questions(services.store.engine).get(1)
    assert question is not None
    assert question.options == (Option(id="total"), Option(id="cancel"))
    assert (await only(services, "no")).message.text == "Cancelled; nothing was run."


async def test_a_question_is_answered_in_its_own_language(services: FakeServices) -> None:
    await ask(services, "用 mmlu 评测 mock，100 条")
    assert (await only(services, "no")).message.text == "已取消，没有运行任何任务。"


# a direct conversation


async def test_in_a_direct_conversation_a_question_is_answered_from_any_thread_and_stays_in_its_own(
    services: FakeServices,
) -> None:
    await ask(services)
    reply = await only(services, "yes", place=ELSEWHERE, direct=True)
    assert reply.place == Place(platform="console", channel="c", thread="t")
    assert services.store.group(reply.group or 0).thread == "t"


async def test_in_a_direct_conversation_an_open_request_is_completed_where_it_was_made(services: FakeServices) -> None:
    await only(services, "evaluate prod, 20 samples")
    reply = await only(services, "gsm8k", place=ELSEWHERE, direct=True)
    assert reply.place == Place(platform="console", channel="c", thread="t")
    assert services.store.group(reply.group or 0).thread == "t"
    assert (await only(services, "gsm8k", place=ELSEWHERE, direct=True)).refused, "it was completed"


async def test_in_a_direct_conversation_other_requests_stay_where_they_are_said(services: FakeServices) -> None:
    await ask(services)
    reply = await only(services, "evaluate prod on gsm8k, 20 samples", place=ELSEWHERE, direct=True)
    assert reply.place is None
    assert services.store.group(reply.group or 0).thread == "elsewhere"


async def test_another_channel_is_another_conversation(services: FakeServices) -> None:
    await ask(services)
    other = Place(platform="console", channel="d", thread="t")
    assert (await only(services, "yes", place=other, direct=True)).refused


# a run that is paused


@pytest.fixture
async def paused(services: FakeServices) -> FakeServices:
    """A run whose first answers could not be read."""
    await services.say("evaluate prod on gsm8k, 20 samples")
    services.store.move(1, RunState.QUEUED, attempt=1)
    services.store.move(1, RunState.RUNNING)
    services.store.move(1, RunState.PAUSED)
    return services


@pytest.mark.parametrize("said", ["go on", "Go on please", "continue", "yes", "ok", "继续", "继续跑吧", "好的"])
async def test_a_paused_run_goes_on_by_a_word(paused: FakeServices, said: str) -> None:
    assert "r1" in (await only(paused, said, thread_run=1)).message.text
    assert paused.store.run(1).state is RunState.WAITING


@pytest.mark.parametrize("said", ["stop", "stop it", "no", "停止", "不", "算了", "cancel", "取消"])
async def test_a_paused_run_is_stopped_by_a_word(paused: FakeServices, said: str) -> None:
    await only(paused, said, thread_run=1)
    assert paused.store.run(1).state is RunState.CANCELLED


async def test_a_paused_run_is_decided_about_by_who_was_asked(paused: FakeServices) -> None:
    await paused.say("go on", thread_run=1, user="another", owns_machine=False)
    await paused.say("no", thread_run=1, user="another", owns_machine=False)
    assert paused.store.run(1).state is RunState.PAUSED


async def test_in_a_direct_conversation_a_paused_run_is_decided_about_from_any_thread(paused: FakeServices) -> None:
    reply = await only(paused, "go on", place=ELSEWHERE, direct=True)
    assert reply.place == Place(platform="console", channel="c", thread="t")
    assert paused.store.run(1).state is RunState.WAITING


@pytest.mark.parametrize("said", ["go on then", "yes", "继续"])
async def test_where_nothing_is_paused_a_word_decides_nothing(services: FakeServices, said: str) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    await services.say(said)
    assert services.store.run(1).state is RunState.WAITING
    assert len(services.store.runs()) == 1


def test_words_that_decide_both_decide_nothing() -> None:
    assert decided("stop, no, go on") is None
    assert decided("cancel") is None, "a request of its own"


@pytest.mark.parametrize("unit", ["ok ", "好", "不", "嗯", "it ", "吧了", "不不了", "run it ", "跑继续跑", "hm "])
def test_no_text_takes_long(unit: str) -> None:
    started = datetime.now(UTC)
    assert decided(unit * (90 // len(unit)) + "x") is None
    assert datetime.now(UTC) - started < timedelta(seconds=1)
