"""Shortcut buttons: which are shown, what each does, and that what starts something starts it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.database import migrated
from support.services import FakeServices, FixedLinks

from handlers import shortcuts
from handlers.cards import result_message, status_message
from handlers.group_cards import joint_result
from handlers.incoming import Incoming, Place
from handlers.message import Buttons, Log, Message
from handlers.presses import Presses
from handlers.registry import Intent, intents
from handlers.texts import Texts
from jobs.config import Config
from jobs.lifecycle import RunState
from jobs.models import EvalSpec, Reproduce, Run, RunResult
from jobs.store import Store

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}},
    "access": {"admins": ["admin"]},
})  # fmt: skip
EN, LINKS = Texts("en"), FixedLinks()
POST = "post:1"
STRANGER = {"user": "another", "owns_machine": False}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


def shown(message: Message) -> dict[str, str]:
    return {
        button.id: button.label
        for part in message.parts
        if isinstance(part, Buttons) and part.shortcuts
        for button in part.items
    }


def end(services: FakeServices, run_id: int, state: RunState = RunState.SUCCEEDED) -> Run:
    services.store.move(run_id, RunState.QUEUED, attempt=1)
    services.store.move(run_id, RunState.RUNNING)
    now = datetime.now(UTC)
    result = RunResult(
        run_id=run_id, attempt=1, state=state, model="prod", started_at=now, ended_at=now,
        reproduce=Reproduce(command="evalscope eval --model qwen-plus", versions={"evalscope": "1.14.1"}),
    )  # fmt: skip
    return services.store.move(run_id, state, result=result)


@pytest.fixture
async def one(services: FakeServices) -> FakeServices:
    """A request for r1."""
    await services.say("evaluate prod on gsm8k, 20 samples")
    return services


@pytest.fixture
async def pair(services: FakeServices) -> FakeServices:
    """A request for r1 and r2."""
    await services.say("evaluate prod and mock on gsm8k, 20 samples")
    return services


# which are shown


def test_while_a_run_goes_on_it_can_be_cancelled_and_its_log_be_seen(one: FakeServices) -> None:
    message = status_message([one.store.run(1)], {}, EN, LINKS)
    assert shown(message) == {"do:cancel:r1": "Cancel", "do:logs:r1": "Logs"}
    assert isinstance(message.parts[-1], Buttons), "at the end"


def test_while_several_go_on_all_of_them_can_be_cancelled_and_no_log_be_seen(pair: FakeServices) -> None:
    message = status_message(pair.store.group_runs(1), {}, EN, LINKS)
    assert shown(message) == {"do:cancel:g1": "Cancel"}


async def test_what_is_being_cancelled_is_not_offered_to_be(one: FakeServices) -> None:
    one.store.move(1, RunState.QUEUED, attempt=1)
    one.store.ask_to_cancel(1)
    assert list(shown(status_message([one.store.run(1)], {}, EN, LINKS))) == ["do:logs:r1"]


def test_at_the_end_the_status_offers_nothing_and_the_result_what_comes_next(one: FakeServices) -> None:
    ended = end(one, 1)
    assert shown(status_message([ended], {}, EN, LINKS)) == {}
    offered = {"do:rerun:r1": "Re-run", "do:full:r1": "Full run", "do:cli:r1": "Copy as CLI"}
    assert shown(result_message(ended, EN, LINKS)) == offered
    assert shown(joint_result([ended], EN, LINKS)) == offered


def test_the_buttons_are_told_in_the_language_of_the_thread(one: FakeServices) -> None:
    ended = end(one, 1)
    assert list(shown(result_message(ended, Texts("zh"), LINKS)).values()) == ["重跑", "全量运行", "复制为命令行"]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("gsm8k, 20 samples", True), ("gsm8k, 1319 samples", False), ("all of gsm8k", False), ("faq, 5 samples", True)],
)
async def test_a_full_run_is_offered_where_a_limit_kept_it_from_the_whole(
    services: FakeServices, asked: str, *, part: bool
) -> None:
    services.config = Config.model_validate({
        "models": CONFIG.model_dump(mode="json")["models"],
        "datasets": {"faq": {"benchmark": "general_qa", "local_path": "/data/faq"}},
        "defaults": {"confirm_above_samples": 5000},
    })  # fmt: skip
    await services.say(f"evaluate prod on {asked}")
    assert shortcuts.is_part(services.store.run(1)) is part


async def test_a_stress_test_has_no_full_run(services: FakeServices) -> None:
    await services.say("stress test prod with concurrency 1, 10 requests")
    assert not shortcuts.is_part(services.store.run(1))


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
async def test_what_did_not_finish_can_be_resumed_while_its_files_are_there(one: FakeServices, state: RunState) -> None:
    ended = end(one, 1, state)
    assert "do:resume:r1" in shown(result_message(ended, EN, LINKS))
    one.store.let_files_go(datetime.now(UTC))
    assert "do:resume:r1" not in shown(result_message(one.store.run(1), EN, LINKS))


def test_of_several_the_result_offers_to_resume_what_nobody_went_on_with(pair: FakeServices) -> None:
    runs = [end(pair, 1), end(pair, 2, RunState.FAILED)]
    assert shown(joint_result(runs, EN, LINKS)) == {"do:resume:g1": "Resume"}
    assert shown(joint_result(runs, EN, LINKS, followed={2: runs[0]})) == {}


async def test_of_some_of_a_request_no_button_means_all_of_it(pair: FakeServices) -> None:
    for _ in range(2):
        await pair.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await pair.say("status of r1 and r3")
    assert shown(reply.message) == {}
    for run in (1, 3):
        end(pair, run, RunState.FAILED)
    for asked in ("status of r1 and r3", "results of r1 and r3"):
        (reply,) = await pair.say(asked)
        assert shown(reply.message) == {}


def test_a_button_is_shown_where_its_intent_is_there(one: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def few() -> Mapping[str, Intent]:
        return {name: intent for name, intent in intents().items() if name != "logs"}

    monkeypatch.setattr(shortcuts, "intents", few)
    assert list(shown(status_message([one.store.run(1)], {}, EN, LINKS))) == ["do:cancel:r1"]


# what they do


async def test_cancel_ends_a_run_and_is_answered_to_who_pressed(one: FakeServices) -> None:
    reply = await one.press("do:cancel:r1")
    assert (reply.message.text, reply.private) == ("Cancelled: r1.", True)
    assert one.store.run(1).state is RunState.CANCELLED


async def test_cancel_of_a_request_ends_all_of_it_however_many_and_nothing_else(services: FakeServices) -> None:
    spec = EvalSpec.model_validate({
        "model": {"name": "m", "model": "m", "eval_type": "mock_llm"},
        "datasets": [{"name": "d", "benchmark": "d", "subsets": {"a": 3}}],
    })  # fmt: skip
    for source, count in (("s1", 60), ("s2", 1)):
        services.store.add_group(
            source=source, platform="console", channel="c", thread="t", user="u", language="en", text="x",
            specs=[spec] * count,
        )  # fmt: skip
    assert "r1 – r60" in (await services.press("do:cancel:g1")).message.text
    assert [run.id for run in services.store.runs(states=[RunState.WAITING])] == [61]


async def test_logs_and_the_command_are_for_who_pressed(one: FakeServices) -> None:
    one.logs[1] = "line 1"
    reply = await one.press("do:logs:r1")
    assert reply.private
    assert "line 1" in reply.message.model_dump_json()
    assert (await one.press("do:cli:r1")).refused, "it has none yet"
    end(one, 1)
    reply = await one.press("do:cli:r1")
    assert (reply.private, reply.refused) == (True, False)
    (command,) = [part for part in reply.message.parts if isinstance(part, Log)]
    assert command.text.startswith("evalscope eval --model qwen-plus")


async def test_a_rerun_is_posted_for_all_and_says_what_was_asked_for(one: FakeServices) -> None:
    end(one, 1)
    reply = await one.press("do:rerun:r1")
    assert (reply.group, reply.private) == (2, False)
    old, new = one.store.run(1).spec, one.store.run(2).spec
    assert isinstance(old, EvalSpec)
    assert isinstance(new, EvalSpec)
    assert (new.model, new.datasets, new.limit) == (old.model, old.datasets, old.limit)
    assert one.store.group(2).text == "rerun r1"


async def test_a_full_run_has_no_limit_and_asks_where_that_is_much(one: FakeServices) -> None:
    end(one, 1)
    reply = await one.press("do:full:r1")
    assert (reply.waits, reply.private) == (True, False)
    assert "1,319" in reply.message.text
    await one.say("yes")
    spec = one.store.run(2).spec
    assert isinstance(spec, EvalSpec)
    assert (spec.limit, spec.total) == (None, 1319)


async def test_resume_goes_on_with_a_run_or_with_what_is_left_of_a_request(pair: FakeServices) -> None:
    end(pair, 1)
    end(pair, 2, RunState.FAILED)
    assert (await pair.press("do:resume:g1")).group == 2
    assert [run.spec.resumes for run in pair.store.group_runs(2)] == [2]
    assert (await pair.press("do:resume:r2")).group == 3


async def test_the_answer_is_in_the_language_of_the_thread(services: FakeServices) -> None:
    await services.say("用 gsm8k 评测 prod，20 条")
    assert (await services.press("do:cancel:r1", language="en")).message.text == "已取消：r1。"


@pytest.mark.parametrize(
    "button", ["do:cancel:r99", "do:cancel:g99", "do:explode:r1", "do:cancel:", "do:", "do:cli:r99"]
)
async def test_a_shortcut_to_nothing_is_said_to_be_none(one: FakeServices, button: str) -> None:
    reply = await one.press(button)
    assert (reply.message.text, reply.private) == ("This button is no longer valid; ask again.", True)
    assert (await one.press(button, language="zh")).message.text == "这个按钮已失效，请重新提问。"
    assert one.cancelled == []


@pytest.mark.parametrize(("button", "said"), [("expired", "too old"), ("invalid", "not one that I made")])
async def test_a_button_whose_signature_cannot_be_read_does_nothing(one: FakeServices, button: str, said: str) -> None:
    reply = await one.press(button)
    assert said in reply.message.text
    assert (reply.private, reply.refused) == (True, True)


async def test_what_a_press_of_somebody_elses_question_is_told_is_for_them_alone(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 100 samples")
    assert (await services.press("q1:total", user="another")).private
    assert not (await services.press("q1:total")).private
    assert (await services.press("q1:total")).private, "answered"
    assert (await services.press("q9:total")).private, "unknown"


@pytest.mark.parametrize("button", ["do:status", "do:results", "do:benchmarks", "do:help"])
async def test_a_button_about_no_run_is_answered_to_who_pressed(one: FakeServices, button: str) -> None:
    reply = await one.press(button, language="zh")
    assert (reply.refused, reply.private) == (False, True)
    assert any("\u4e00" <= char <= "\u9fff" for char in reply.message.text)
    assert not (await one.press(button, direct=True)).private, "they are alone there"


@pytest.mark.parametrize("button", ["do:eval", "do:headlines", "do:cancel", "do:rerun"])
async def test_no_button_without_a_run_starts_or_ends_anything(one: FakeServices, button: str) -> None:
    assert (await one.press(button)).refused
    assert (len(one.store.runs()), one.cancelled) == (1, [])


async def test_resume_of_ones_own_paused_run_lets_it_go_on_where_it_is_reported(one: FakeServices) -> None:
    one.store.move(1, RunState.QUEUED, attempt=1)
    one.store.move(1, RunState.RUNNING)
    one.store.move(1, RunState.PAUSED)
    elsewhere = Place(platform="console", channel="d", thread="home")
    reply = await one.press("do:resume:r1", place=elsewhere, post="home:1")
    assert (reply.group, reply.private) == (None, True)
    assert one.store.run(1).state is RunState.WAITING


async def test_somebody_elses_paused_run_is_not_ended_to_go_on_elsewhere(one: FakeServices) -> None:
    one.store.move(1, RunState.QUEUED, attempt=1)
    one.store.move(1, RunState.RUNNING)
    one.store.move(1, RunState.PAUSED)
    elsewhere = Place(platform="console", channel="d", thread="other")
    (reply,) = await one.say("resume r1", place=elsewhere, **STRANGER)
    assert reply.refused
    assert one.store.run(1).state is RunState.PAUSED


# who may


@pytest.mark.parametrize(
    "said", [{"text": "cancel r1"}, {"button": "do:cancel:r1"}, {"button": "do:cancel:g1"}], ids=str
)
async def test_somebody_elses_run_is_not_cancelled(one: FakeServices, said: dict[str, str]) -> None:
    (reply,) = await one.say(said.get("text", ""), button=said.get("button", ""), **STRANGER)
    assert (reply.refused, reply.private) == (True, True)
    assert "the person who asked for it" in reply.message.text
    assert "admins" in reply.message.text
    assert one.cancelled == []


@pytest.mark.parametrize(
    "who",
    [{"user": "u", "owns_machine": False}, {"user": "admin", "owns_machine": False}, {"user": "another"}],
    ids=str,
)
async def test_who_asked_an_admin_and_who_owns_the_machine_may_cancel(
    one: FakeServices, who: dict[str, object]
) -> None:
    assert not (await one.press("do:cancel:r1", **who)).refused
    assert one.cancelled == [1]


async def test_where_one_of_several_may_not_be_cancelled_none_is(one: FakeServices) -> None:
    await one.say("evaluate prod on gsm8k, 20 samples", **STRANGER)
    (reply,) = await one.say("cancel r1 and r2", **STRANGER)
    assert "r1" in reply.message.text
    assert "r2" not in reply.message.text
    assert one.cancelled == []
    await one.say("cancel all", **STRANGER)
    assert one.cancelled == [2]


async def test_a_run_that_has_ended_is_said_to_have_to_anybody(one: FakeServices) -> None:
    end(one, 1)
    (reply,) = await one.say("cancel r1", **STRANGER)
    assert "ended already" in reply.message.text


# once


async def test_from_one_post_a_rerun_is_started_once(one: FakeServices) -> None:
    end(one, 1)
    first = await one.press("do:rerun:r1", post=POST)
    again = await one.press("do:rerun:r1", post=POST, **STRANGER)
    assert first.group == 2
    assert (again.group, again.private, again.refused) == (None, True, True)
    assert again.message.text == "This button was pressed already: r2, waiting."
    assert (await one.press("do:rerun:r1", post="post:2")).group == 3, "another post"
    assert (await one.press("do:full:r1", post=POST)).waits, "another button"


async def test_a_press_that_is_handled_again_after_a_crash_is_answered_as_the_first_time(one: FakeServices) -> None:
    end(one, 1, RunState.FAILED)
    for button in ("do:rerun:r1", "do:resume:r1"):
        first, again = [await one.press(button, post=POST, id=f"press {button}") for _ in range(2)]
        assert first.group == again.group is not None
    assert len(one.store.runs()) == 3


async def test_a_resume_of_a_request_that_is_handled_again_is_answered_as_the_first_time(pair: FakeServices) -> None:
    end(pair, 1)
    end(pair, 2, RunState.FAILED)
    first, again = [await pair.press("do:resume:g1", post=POST, id="press") for _ in range(2)]
    assert first.group == again.group == 2


async def test_a_press_of_which_nothing_came_may_be_made_again(one: FakeServices) -> None:
    assert (await one.press("do:resume:r1", post=POST)).group is None, "it has not ended"
    end(one, 1, RunState.FAILED)
    assert (await one.press("do:resume:r1", post=POST)).group == 2


async def test_what_starts_nothing_may_be_pressed_as_often_as_one_likes(one: FakeServices) -> None:
    for _ in range(2):
        assert not (await one.press("do:logs:r1", post=POST)).refused


async def test_where_the_post_is_not_known_every_press_counts(one: FakeServices) -> None:
    end(one, 1)
    assert [(await one.press("do:rerun:r1")).group for _ in range(2)] == [2, 3]


async def test_while_the_first_press_is_handled_another_is_told_so(one: FakeServices) -> None:
    end(one, 1)
    place = Place(platform="console", channel="c", thread="t")
    earlier = Incoming(id="x", place=place, user="u", button="do:rerun:r1", post=POST)
    assert Presses(one.store.engine).claim(earlier)
    reply = await one.press("do:rerun:r1", post=POST)
    assert reply.message.text == "This button was pressed already."
    assert len(one.store.runs()) == 1
