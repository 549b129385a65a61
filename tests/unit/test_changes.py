"""Messages that are edited or deleted: what has not begun follows them, what has goes on as first asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.conversation import converse
from handlers.incoming import Incoming, Place
from handlers.reply import Reply
from jobs.config import Config
from jobs.lifecycle import RunState
from jobs.models import Run
from jobs.store import Store

CONFIG = Config.model_validate({"models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}}})
SAID = "evaluate prod on gsm8k, 20 samples"
INSTEAD = "evaluate prod on gsm8k, 30 samples"
MESSAGE = "message:1"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


async def edit(services: FakeServices, text: str, about: str = MESSAGE, **changes: object) -> list[Reply]:
    return await services.say(text, kind="edited", about=about, **changes)


async def delete(services: FakeServices, about: str = MESSAGE) -> list[Reply]:
    return await services.say("", kind="deleted", about=about)


def begin(services: FakeServices, run_id: int = 1) -> None:
    services.store.move(run_id, RunState.QUEUED, attempt=1)
    services.store.move(run_id, RunState.RUNNING)


def runs(services: FakeServices) -> list[tuple[RunState, object]]:
    return [(run.state, limit_of(run)) for run in reversed(services.store.runs())]


def limit_of(run: Run) -> object:
    return getattr(run.spec, "limit", None)


# edited


@pytest.mark.parametrize(
    "text", [SAID, f"  {SAID} ", "Please evaluate prod on GSM8K with 20 samples!", "用 gsm8k 评测 prod，20 条"]
)
@pytest.mark.parametrize("begun", [False, True])
async def test_an_edit_that_asks_for_the_same_changes_nothing(
    services: FakeServices, text: str, *, begun: bool
) -> None:
    await services.say(SAID, id=MESSAGE)
    if begun:
        begin(services)
    assert await edit(services, text) == []
    assert len(services.store.runs()) == 1
    assert services.cancelled == []


async def test_what_has_not_begun_is_withdrawn_and_the_new_text_is_taken_instead(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    told, reply = await edit(services, INSTEAD)
    assert told.message.text == "You edited your message, so r1 will not run. Instead:"
    assert reply.group == 2
    assert runs(services) == [(RunState.CANCELLED, 20), (RunState.WAITING, 30)]


async def test_a_run_that_waits_at_a_worker_is_withdrawn_too(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    services.store.move(1, RunState.QUEUED, attempt=1)
    await edit(services, INSTEAD)
    assert services.cancelled == [1]
    assert services.store.run(1).cancel_asked


async def test_what_has_begun_goes_on_as_first_asked_and_it_is_said_how_to_run_the_other(
    services: FakeServices,
) -> None:
    await services.say(SAID, id=MESSAGE)
    begin(services)
    (reply,) = await edit(services, INSTEAD)
    assert "r1 had begun" in reply.message.text
    assert "`cancel r1`" in reply.message.text
    assert len(services.store.runs()) == 1
    assert services.cancelled == []


async def test_what_has_ended_stands(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    begin(services)
    services.store.move(1, RunState.FAILED)
    (reply,) = await edit(services, INSTEAD)
    assert "r1 had already finished" in reply.message.text
    assert len(services.store.runs()) == 1


async def test_of_several_runs_all_are_withdrawn_or_none(services: FakeServices) -> None:
    await services.say("evaluate prod and mock on gsm8k, 20 samples", id=MESSAGE)
    begin(services, 2)
    (reply,) = await edit(services, INSTEAD)
    assert "r2 had begun" in reply.message.text
    assert services.store.run(1).state is RunState.WAITING


async def test_every_request_of_a_message_follows_it(services: FakeServices) -> None:
    await services.say(f"{SAID}; evaluate mock on gsm8k, 20 samples", id=MESSAGE)
    await edit(services, INSTEAD)
    assert [state for state, _ in runs(services)] == [RunState.CANCELLED, RunState.CANCELLED, RunState.WAITING]


async def test_a_second_edit_withdraws_what_the_first_one_led_to(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    await edit(services, INSTEAD)
    told, _ = await edit(services, "evaluate prod on gsm8k, 40 samples")
    assert told.message.text == "You edited your message, so r2 will not run. Instead:"
    assert runs(services) == [(RunState.CANCELLED, 20), (RunState.CANCELLED, 30), (RunState.WAITING, 40)]
    assert await edit(services, "evaluate prod on gsm8k, 40 samples") == []
    begin(services, 3)
    (reply,) = await edit(services, SAID)
    assert "r3 had begun" in reply.message.text


@pytest.mark.parametrize("first", [SAID, "evaluate prod, 20 samples", "evaluate mock on mmlu, 100 samples"])
@pytest.mark.parametrize("then", [INSTEAD, "evaluate prod, 5 samples", "evaluate mock on mmlu, 200 samples"])
async def test_an_edit_that_is_handled_again_after_a_crash_leads_to_the_same(
    services: FakeServices, first: str, then: str
) -> None:
    await services.say(first, id=MESSAGE)
    once, again = [await edit(services, then, id="edit") for _ in range(2)]
    assert once == again != []
    assert len(services.store.runs()) <= 2


@pytest.mark.parametrize("then", ["2", "no"])
async def test_an_edit_of_an_answer_that_is_handled_again_leads_to_the_same(services: FakeServices, then: str) -> None:
    await services.say("evaluate mock on mmlu, 100 samples")
    await services.say("yes", id=MESSAGE)
    once, again = [await edit(services, then, id="edit") for _ in range(2)]
    assert once == again != []
    assert len(services.store.runs()) <= 2


async def test_an_open_request_is_withdrawn_for_the_new_text(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate prod, 20 samples", id=MESSAGE)
    assert reply.missing == "datasets"
    (reply,) = await edit(services, SAID)
    assert reply.group == 1
    assert (await services.say("mmlu"))[0].refused, "nothing is open"


async def test_a_question_is_withdrawn_for_the_new_text_and_its_buttons_say_so(services: FakeServices) -> None:
    (reply,) = await services.say("evaluate mock on mmlu, 100 samples", id=MESSAGE)
    assert reply.waits
    (reply,) = await edit(services, SAID)
    assert reply.group == 1
    pressed = await services.press("q1:total")
    assert "was edited or deleted" in pressed.message.text
    assert (pressed.refused, pressed.private) == (True, True)
    assert (await services.say("yes"))[0].refused
    assert len(services.store.runs()) == 1


async def test_what_an_answer_started_was_asked_for_by_the_message(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 100 samples", id=MESSAGE)
    await services.press("q1:total")
    told, _ = await edit(services, INSTEAD)
    assert "r1 will not run" in told.message.text
    await services.say("evaluate prod, 20 samples", id="message:2")
    await services.say("gsm8k")
    told, _ = await edit(services, INSTEAD, about="message:2")
    assert "r3 will not run" in told.message.text


async def test_an_answer_can_be_edited(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 100 samples")
    await services.say("1", id=MESSAGE)
    assert await edit(services, "yes please") == [], "the same option"
    told, reply = await edit(services, "2")
    assert "r1 will not run" in told.message.text
    assert reply.group == 2
    assert runs(services) == [(RunState.CANCELLED, 2), (RunState.WAITING, 100)]
    await edit(services, "no")
    assert [state for state, _ in runs(services)] == [RunState.CANCELLED] * 2


async def test_what_completed_a_request_can_be_edited(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    await services.say("gsm8k", id=MESSAGE)
    assert await edit(services, "GSM8K") == []
    told, reply = await edit(services, "aime24")
    assert "r1 will not run" in told.message.text
    assert reply.group == 2
    assert services.store.run(2).spec.covers == ("aime24",)
    assert services.store.group(2).text == "evaluate prod, 20 samples\naime24"


async def test_an_edit_into_something_that_starts_nothing_takes_back_what_waits(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    told, *_ = await edit(services, "never mind, thanks")
    assert "r1 will not run" in told.message.text
    assert services.store.run(1).state is RunState.CANCELLED


async def test_an_edit_into_a_word_to_others_takes_back_what_waits_without_more_words(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    (told,) = await edit(services, "let's talk about gsm8k tomorrow", addressed=False)
    assert told.message.text == "You edited your message, so r1 will not run."


@pytest.mark.parametrize("first", ["status", "help"])
async def test_of_what_only_told_something_an_edit_is_heard_where_it_now_starts_something(
    services: FakeServices, first: str
) -> None:
    await services.say(first, id=MESSAGE)
    assert await edit(services, f"{first}?") == []
    assert await edit(services, "results") == []
    (reply,) = await edit(services, SAID)
    assert reply.group == 1


async def test_of_what_was_not_understood_every_edit_is_heard(services: FakeServices) -> None:
    (reply,) = await services.say("sttuuaas", id=MESSAGE)
    assert reply.refused
    assert await edit(services, "status") == []
    place = Place(platform="console", channel="c", thread="t")
    edited = Incoming(id="edit", place=place, user="u", text="status", kind="edited", about=MESSAGE)
    replies = await converse(edited, services, was_refused=True)
    assert "Nothing is running" in replies[0].message.text


async def test_a_secret_that_is_edited_in_is_warned_of_and_not_kept(services: FakeServices) -> None:
    await services.say("status", id=MESSAGE)
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    replies = await edit(services, f"status with {key}")
    assert "looks like a secret" in replies[0].message.text


async def test_an_edit_in_chinese_is_answered_in_it(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    begin(services)
    (reply,) = await edit(services, "用 gsm8k 评测 prod，30 条")
    assert "`取消 r1`" in reply.message.text


# deleted


async def test_of_a_message_that_is_deleted_nothing_is_said_where_nothing_was_asked(services: FakeServices) -> None:
    assert await delete(services) == []
    await services.say("status", id=MESSAGE)
    assert await delete(services) == []


async def test_what_a_deleted_message_left_open_is_closed_without_a_word(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples", id=MESSAGE)
    await services.say("evaluate mock on mmlu, 100 samples", id="message:2")
    assert await delete(services) == []
    assert await delete(services, "message:2") == []
    assert (await services.say("gsm8k"))[0].refused
    assert (await services.press("q1:total")).refused
    assert not services.store.runs()


async def test_what_has_not_begun_is_cancelled_with_its_message(services: FakeServices) -> None:
    await services.say(SAID, id=MESSAGE)
    await services.say(SAID)
    assert await delete(services) == []
    assert [state for state, _ in runs(services)] == [RunState.CANCELLED, RunState.WAITING]


async def test_what_runs_goes_on_and_it_is_said_how_to_end_it(services: FakeServices) -> None:
    await services.say("evaluate prod and mock on gsm8k, 20 samples", id=MESSAGE)
    begin(services, 2)
    (reply,) = await delete(services)
    assert "r2 was deleted" in reply.message.text
    assert "`cancel r2`" in reply.message.text
    assert services.cancelled == [1]
    services.store.move(2, RunState.FAILED)
    assert await delete(services) == []


async def test_of_a_deleted_message_it_is_told_in_the_language_it_was_answered_in(services: FakeServices) -> None:
    await services.say("用 gsm8k 评测 prod，20 条", id=MESSAGE)
    begin(services)
    (reply,) = await delete(services)
    assert "`取消 r1`" in reply.message.text
