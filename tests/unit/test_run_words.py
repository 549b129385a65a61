"""Runs that are described: how requests say which, and which run it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from support.database import migrated
from support.services import FakeServices

from handlers.described import day_of
from handlers.intents.parsed import Vocabulary
from handlers.understand import understand
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.db import transaction
from jobs.store import RunRow, Store

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod", "qwen-plus"}))
GSM8K, MMLU = {"datasets": ["gsm8k"]}, {"datasets": ["mmlu"]}


@pytest.mark.parametrize(
    ("text", "intent", "args"),
    [
        ("cancel the last one", "cancel", {"run": "last"}),
        ("show the logs of my last run", "logs", {"run": "last"}),
        ("why did my last run fail?", "diagnose", {"run": "last"}),
        ("取消最近那次", "cancel", {"run": "last"}),
        ("rerun the last one with 50 samples", "rerun", {"run": "last", "limit": 50}),
        ("rerun my gsm8k run from yesterday", "rerun", {"which": {"mine": True, **GSM8K, "day": "yesterday"}}),
        ("rerun the gsm8k run on prod", "rerun", {"which": GSM8K, "model": "prod"}),
        ("logs of yesterday's mmlu run", "logs", {"which": {**MMLU, "day": "yesterday"}}),
        ("昨天那次评测的日志", "logs", {"which": {"day": "yesterday"}}),
        ("重跑昨天的 gsm8k 那次，换成 prod", "rerun", {"which": {**GSM8K, "day": "yesterday"}, "model": "prod"}),
        ("cancel my prod run", "cancel", {"which": {"mine": True, "model": "prod"}}),
        ("how is my gsm8k run going?", "status", {"which": {"mine": True, **GSM8K}}),
        ("cancel the run", "cancel", {}),
        ("rerun r12 with 20", "rerun", {"run": "r12", "limit": 20}),
    ],
)
def test_a_description_says_which_run(text: str, intent: str, args: dict[str, Any]) -> None:
    parsed = understand(text, VOCABULARY)
    assert (parsed.intent, parsed.args) == (intent, args)


@pytest.mark.parametrize(
    ("said", "day"),
    [("today", 18), ("yesterday", 17), ("before_yesterday", 16), ("monday", 16), ("wednesday", 11), ("sunday", 15)],
)
def test_a_day_is_that_of_the_persons_zone(said: str, day: int) -> None:
    now = datetime(2026, 11, 17, 22, 0, tzinfo=UTC)  # Wednesday the 18th in Shanghai
    assert day_of(said, ZoneInfo("Asia/Shanghai"), now) == date(2026, 11, day)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(
        Store(engine), Config.model_validate({"models": {"prod": {"model": "m", "api_url": "http://h/v1"}}})
    )
    engine.dispose()


async def test_the_newest_run_that_fits_is_meant_and_one_of_another_day_is_not(services: FakeServices) -> None:
    for said in (
        "evaluate prod on gsm8k, 20 samples",
        "evaluate prod on mmlu, 5 per subset",
        "evaluate prod on gsm8k, 30 samples",
    ):
        await services.say(said)
    with transaction(services.store.engine) as session:
        session.execute(update(RunRow).where(RunRow.id == 1).values(created_at=datetime.now(UTC) - timedelta(days=1)))
    (newest,) = await services.say("status of my gsm8k run")
    assert "r3" in newest.message.model_dump_json()
    (old,) = await services.say("cancel my gsm8k run from yesterday")
    assert "r1" in old.message.text
    (last,) = await services.say("cancel the last one")
    assert "r3" in last.message.text


async def test_a_run_that_nothing_fits_is_told_and_nothing_is_done(services: FakeServices) -> None:
    await services.say("evaluate prod on gsm8k, 20 samples")
    (reply,) = await services.say("cancel my mmlu run from yesterday")
    assert reply.refused
    assert "mmlu, yesterday" in reply.message.text
    assert not services.cancelled


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "word", ["prod", "gsm8k", "the", "my", "yesterday", "every day at 9", "9:30", "last", "昨天", "那次", "http://h/v1"]
)
def test_a_word_said_over_and_over_takes_no_time(word: str) -> None:
    for text in (f"{word} " * 300, word * 300, f"{word}, and " * 200):
        understand(text, VOCABULARY)
