"""What people write where we report without addressing us: silence, but for commands and answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql
from structlog.testing import capture_logs
from support.database import migrated
from support.services import FakeServices

from bot.services import make_vocabulary
from handlers.overheard import is_command, is_plain_answer
from handlers.understand import understand
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.lifecycle import RunState
from jobs.store import Store

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}},
    "access": {"allow_hosts": ["10.0.0.0/8"]},
})  # fmt: skip
VOCABULARY = make_vocabulary(snapshot(), CONFIG)

ACTING = [
    ("cancel", "cancel"), ("Cancel please", "cancel"), ("cancel r1", "cancel"), ("cancel!", "cancel"),
    ("please cancel it", "cancel"), ("stop the run", "cancel"), ("/cancel", "cancel"), ("/cancel r1", "cancel"),
    ("取消", "cancel"), ("取消一下", "cancel"), ("麻烦取消一下", "cancel"), ("取消 r1", "cancel"),
    ("rerun", "rerun"), ("rerun with 200", "rerun"), ("rerun with 20 samples and temperature 0.2", "rerun"),
    ("rerun on mmlu", "rerun"), ("again with 500", "rerun"), ("rerun r1 with 100 samples on prod, please", "rerun"),
    ("rerun it in full", "rerun"), ("/rerun limit=200", "rerun"), ("重跑，200条", "rerun"),
    ("请重跑，温度0.7", "rerun"),
    ("全量重跑", "rerun"), ("resume", "resume"), ("resume r1", "resume"), ("继续", "resume"), ("继续跑", "resume"),
    ("logs", "logs"), ("show me the logs", "logs"), ("logs of r1", "logs"), ("日志", "logs"), ("r1 的日志", "logs"),
    ("status?", "status"), ("how far?", "status"), ("how far is r1?", "status"), ("进度", "status"),
    ("还要多久", "status"), ("results?", "results"), ("results of r1", "results"), ("结果如何", "results"),
    ("why?", "diagnose"), ("why did it fail?", "diagnose"), ("what went wrong?", "diagnose"), ("/why", "diagnose"),
    ("为什么？", "diagnose"), ("为什么失败了", "diagnose"), ("r1 为什么失败了？", "diagnose"),
    ("怎么回事？", "diagnose"),
]  # fmt: skip

SILENT = [
    "let's cancel the meeting", "I think we should rerun with 200 once the new checkpoint is out",
    "did you see the results?", "stop that nonsense lol", "why don't we use mmlu instead?", "the logs look weird",
    "status of the paper?", "what a score!", "can someone cancel this?", "结果不错", "我们晚点重跑吧",
    "为什么不用更大的模型", "thanks", "ok", "yes", "no", "👍", "好的", "继续努力", "cancel the meeting",
    "cancel my flight please", "stop it", "stop that", "kill it", "why not?", "why is it so slow",
    "why are you laughing", "why did it rain", "results look great", "results are in!", "the results", "progress!",
    "nice progress", "status update at 5pm", "status quo", "logs are on s3", "again with the jokes",
    "again with this", "my resume", "resume attached", "continue the discussion tomorrow",
    "rerun of last week's episode", "rerun it when you have time", "rerun with the new prompt",
    "rerun everything tomorrow", "rerun on Monday", "rerun for the demo", "how far is the office?",
    "how far along are you?", "logs logs logs", "cancel?! no way", "@bob cancel", "<@U123> cancel",
    '<at user_id="ou_1">Bob</at> cancel', "cancel\nand something else", "cancel all", "取消全部", "取消会议",
    "取消今天的例会", "继续讨论", "结果出来了", "日志在哪里存着", "为什么要用这个模型", "重跑一下上周的实验",
    "重跑没有意义", "状态不好", "分数很高", "进度有点慢", "怎么办", "/cancel the meeting", "/shrug cancel",
    "cancel r1 and resume r2", "rerun r1 and evaluate prod on gsm8k", "evaluate prod on gsm8k", "help",
    "headlines off", "which benchmarks are there?", "evaluate prod", "", "why mmlu?", "mmlu is better",
]  # fmt: skip

STRANGE = {"会议", "meeting", "paper", "lol", "@bob"}
"""Words that no command holds."""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine), CONFIG)
    engine.dispose()


@pytest.fixture
async def thread(services: FakeServices) -> FakeServices:
    """A thread about r1."""
    await services.say("evaluate prod on gsm8k, 20 samples")
    return services


def everything_in(services: FakeServices) -> str:
    with services.store.engine.connect() as connection:
        tables = connection.execute(sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return str([connection.execute(sql(f"SELECT * FROM {table}")).all() for table in tables])


@pytest.mark.parametrize(("said", "intent"), ACTING)
async def test_a_complete_command_is_acted_on(thread: FakeServices, said: str, intent: str) -> None:
    parsed = understand(said, await thread.vocabulary(), thread_run="r1")
    assert parsed.intent == intent
    assert await thread.say(said, addressed=False, thread_run=1)


@pytest.mark.parametrize("said", SILENT)
async def test_what_people_say_to_each_other_is_met_with_silence(thread: FakeServices, said: str) -> None:
    before = everything_in(thread)
    with capture_logs() as logged:
        assert await thread.say(said, addressed=False, thread_run=1) == []
    assert logged == []
    assert everything_in(thread) == before


@pytest.mark.parametrize(
    "around", ["I think {}", "hm, {}", "{} lol", "did you mean {}?", "我觉得{}", "{} 对吧？明天再说"]
)
def test_a_command_inside_a_sentence_is_none(around: str) -> None:
    for said in [*(said for said, _ in ACTING), *SILENT]:
        sentence = around.format(said)
        parsed = understand(sentence, VOCABULARY, thread_run="r1")
        assert not is_command(sentence, parsed, VOCABULARY), sentence


async def test_what_an_overheard_command_does_is_what_it_says(thread: FakeServices) -> None:
    await thread.say("rerun with 7", addressed=False, thread_run=1)
    assert thread.store.run(2).spec.limit == 7  # type: ignore[union-attr]
    await thread.say("cancel", addressed=False, thread_run=1)
    assert thread.store.run(1).state is RunState.CANCELLED


async def test_where_no_run_is_known_a_command_means_nothing(thread: FakeServices) -> None:
    for said in ("cancel", "logs", "why?", "rerun with 200"):
        assert await thread.say(said, addressed=False) == []
    assert thread.cancelled == []


async def test_where_several_runs_are_meant_only_what_is_about_all_of_them_is_complete(services: FakeServices) -> None:
    await services.say("evaluate prod and mock on gsm8k, 20 samples")
    assert await services.say("logs", addressed=False, thread_run=2) == []
    assert await services.say("rerun with 200", addressed=False, thread_run=2) == []
    assert await services.say("logs of r1", addressed=False, thread_run=2)
    await services.say("cancel", addressed=False, thread_run=2)
    assert services.cancelled == [1, 2]


async def test_a_secret_that_is_overheard_is_neither_answered_nor_kept(thread: FakeServices) -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    assert await thread.say(f"the key is {key}", addressed=False, thread_run=1) == []
    assert await thread.say(f"rerun with key {key}", addressed=False, thread_run=1) == []
    assert key not in everything_in(thread)


async def test_somebody_elses_run_is_not_cancelled_and_only_they_read_why(thread: FakeServices) -> None:
    (reply,) = await thread.say("cancel", addressed=False, thread_run=1, user="another", owns_machine=False)
    assert reply.private
    assert thread.cancelled == []


async def test_an_answer_of_who_was_asked_is_taken_and_nobody_elses(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    assert await services.say("gsm8k", addressed=False, user="another") == []
    assert await services.say("I think gsm8k is too easy for that", addressed=False) == []
    assert await services.say("<@U2> gsm8k", addressed=False) == []
    assert not services.store.runs()
    (reply,) = await services.say("gsm8k please", addressed=False)
    assert reply.group is not None


async def test_a_yes_to_a_question_is_taken_from_who_was_asked_alone(services: FakeServices) -> None:
    await services.say("evaluate mock on mmlu, 100 samples")
    assert await services.say("ok", addressed=False, user="another") == []
    assert await services.say("<@U2> yes", addressed=False) == []
    (reply,) = await services.say("yes please", addressed=False)
    assert reply.group is not None


async def test_chatter_leaves_an_open_request_open(services: FakeServices) -> None:
    await services.say("evaluate prod, 20 samples")
    assert await services.say("did you see the status of r9?", addressed=False) == []
    assert (await services.say("gsm8k", addressed=False))[0].group is not None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    "cancel",
                    "stop",
                    "rerun",
                    "resume",
                    "logs",
                    "status",
                    "results",
                    "why",
                    "the",
                    "run",
                    "r1",
                    "r2",
                    "it",
                ),
                *(
                    "this",
                    "with",
                    "200",
                    "samples",
                    "gsm8k",
                    "prod",
                    "on",
                    "and",
                    "please",
                    ",",
                    "?",
                    "!",
                    "取消",
                    "重跑",
                ),
                *("继续", "日志", "状态", "结果", "为什么", "一下", "吧", "条", "温度", "0.7", *STRANGE),
            ]
        ),
        max_size=14,
    ).map(" ".join)
)
def test_no_command_holds_a_word_that_belongs_to_none(said: str) -> None:
    if is_command(said, understand(said, VOCABULARY, thread_run="r1"), VOCABULARY):
        assert not set(said.split()) & STRANGE


@pytest.mark.parametrize(
    "unit", ["r1 and ", "please ", "一下", "with 5 ", "cancel ", "取消", "a=1 ", "吧", "r1,", "1 "]
)
def test_no_text_takes_long(unit: str) -> None:
    for said in (unit * (110 // len(unit)) + "x", f"rerun {unit * (100 // len(unit))}x"):
        parsed = understand(said, VOCABULARY, thread_run="r1")
        started = time.thread_time()
        is_command(said, parsed, VOCABULARY)
        is_plain_answer(said, VOCABULARY)
        assert time.thread_time() - started < 0.5
