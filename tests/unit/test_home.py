"""A person's home: what is theirs, what waits, who works, what came out, and what to begin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.database import migrated
from support.services import FakeServices
from support.slack.blocks import check_view
from support.slack.schema import Report

from bot.render.slack import render_home
from handlers import home as module
from handlers.home import FEW, LATEST, home
from handlers.incoming import Language
from handlers.message import Buttons, Link, Message, Table, Text
from handlers.message import Progress as ProgressPart
from handlers.texts import Texts
from jobs.config import Config
from jobs.dispatch import Place
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Interval,
    MetricResult,
    ModelTarget,
    PerfLevel,
    PerfSpec,
    Progress,
    Run,
    RunResult,
    Spread,
)
from jobs.store import Store

NOW = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)
MODEL = ModelTarget(name="prod", model="qwen-plus", eval_type="openai_api", api_url="http://10.0.0.5/v1")
EN = Texts("en")


class Services(FakeServices):
    """With the places that a test says."""

    found: dict[int, Place]

    async def places(self) -> dict[int, Place]:
        return self.found


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    engine = migrated(tmp_path / "db")
    made = Services(Store(engine), Config())
    made.found = {}
    yield made
    engine.dispose()


def evaluation(*names: str) -> EvalSpec:
    return EvalSpec(
        model=MODEL, limit=20,
        datasets=tuple(DatasetTarget(name=name, benchmark=name, subsets={"main": 100}) for name in names or ("gsm8k",)),
    )  # fmt: skip


def ask(services: Services, user: str = "slack:U1", spec: EvalSpec | PerfSpec | None = None) -> Run:
    count = len(services.store.runs(limit=10_000))
    _, (run,) = services.store.add_group(
        source=f"{user}:{count}", platform="slack", channel="C", thread=str(count), user=user, language="en",
        text="evaluate", specs=[spec or evaluation()],
    )  # fmt: skip
    return run


def begin(services: Services, run: Run, worker: str = "w1") -> Run:
    services.store.move(run.id, RunState.QUEUED, attempt=1, worker=worker)
    return services.store.move(run.id, RunState.RUNNING)


def succeed(services: Services, run: Run, score: float = 0.625) -> None:
    begin(services, run)
    metric = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100,
        score=score, num=20, interval=Interval(low=0.3, high=0.86, method="wilson"),
    )  # fmt: skip
    made: dict[str, Any] = {}
    if isinstance(run.spec, EvalSpec):
        made["benchmarks"] = tuple(
            BenchmarkResult(name=name, benchmark=name, metrics=(metric,), requested=20, succeeded=20, errored=0)
            for name in run.spec.covers
        )
    else:
        made["perf"] = (
            PerfLevel(
                concurrency=4, planned=10, requests=10, succeeded=10, seconds=5, rps=2, output_tokens_per_second=40,
                total_tokens_per_second=60, latency_s=Spread(p99=1.5),
            ),
        )  # fmt: skip
    result = RunResult(
        run_id=run.id, attempt=1, state=RunState.SUCCEEDED, model="prod", started_at=NOW, ended_at=NOW, **made
    )
    services.store.move(run.id, RunState.SUCCEEDED, result=result)


async def shown(
    services: Services, *, language: Language = "en", timezone: str = "", user: str = "slack:U1"
) -> Message:
    return await home(user, language, timezone, services)


def titles(message: Message) -> list[str]:
    return [part.text for part in message.parts if isinstance(part, Text)]


def tables(message: Message) -> list[Table]:
    return [part for part in message.parts if isinstance(part, Table)]


def buttons(message: Message) -> list[str]:
    return [item.id for part in message.parts if isinstance(part, Buttons) for item in part.items]


async def test_where_nothing_happened_yet_it_says_so_and_what_to_begin(services: Services) -> None:
    message = await shown(services)
    said = titles(message)
    assert said.count(EN("home.none")) == 3
    assert buttons(message) == ["open:eval", "open:perf", "do:status", "do:results", "do:benchmarks", "do:help"]


async def test_only_what_this_installation_can_do_has_a_button(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "intents", lambda: {"eval": None, "help": None})
    assert buttons(await shown(services)) == ["open:eval", "do:help"]


async def test_each_of_ones_own_runs_has_its_progress_and_can_be_cancelled(services: Services) -> None:
    mine, other = begin(services, ask(services)), begin(services, ask(services, "slack:U2"))
    services.progresses[mine.id] = Progress(
        attempt=1, phase="evaluating", benchmark="gsm8k", done=5, total=20, updated_at=NOW
    )
    message = await shown(services)
    (bar,) = [part for part in message.parts if isinstance(part, ProgressPart)]
    assert (bar.done, bar.total) == (5, 20)
    assert all(word in bar.label for word in (mine.name, "prod", "gsm8k"))
    assert f"do:cancel:{mine.name}" in buttons(message)
    assert f"do:cancel:{other.name}" not in buttons(message)
    assert all(part.shortcuts for part in message.parts if isinstance(part, Buttons))


async def test_a_paused_run_can_be_gone_on_with(services: Services) -> None:
    run = begin(services, ask(services))
    services.store.move(run.id, RunState.PAUSED)
    assert {f"do:resume:{run.name}", f"do:cancel:{run.name}"} <= set(buttons(await shown(services)))


async def test_all_peoples_runs_that_wait_stand_in_the_order_they_start_in(services: Services) -> None:
    first, second, third = ask(services), ask(services, "slack:U2"), ask(services)
    services.found = {
        first.id: Place(position=2, starts_in=90, reason="workers_busy"),
        second.id: Place(position=1, starts_in=None, reason="next"),
    }
    message = await shown(services)
    queue = tables(message)[0]
    assert [row[0] for row in queue.rows] == [second.name, first.name, third.name]
    assert "number 2" in queue.rows[1][3]
    assert "1 min 30 s" in queue.rows[1][3]
    assert [row[4] for row in queue.rows] == ["", "yours", "yours"]
    assert EN("home.queue", count=3) in titles(message)


async def test_a_worker_says_its_version_its_gpus_and_what_it_does(services: Services) -> None:
    run = begin(services, ask(services, "slack:U2"), worker="w1")
    services.alive = [
        {"name": "w1", "evalscope": "1.14.1", "gpus": "2 × NVIDIA H100 80GB HBM3"},
        {"name": "w2", "evalscope": "1.14.1"},
    ]
    (workers,) = tables(await shown(services))
    assert workers.rows == (
        ("w1", "EvalScope 1.14.1", "2 × NVIDIA H100 80GB HBM3", f"{run.name} (prod)"),
        ("w2", "EvalScope 1.14.1", "no GPU", "free"),
    )


async def test_without_a_worker_it_says_how_to_start_one(services: Services) -> None:
    services.alive = []
    assert EN("status.no_workers") in titles(await shown(services))


async def test_the_last_results_are_ones_own_with_interval_and_link(services: Services) -> None:
    succeed(services, ask(services, "slack:U2"))
    for _ in range(LATEST + 1):
        succeed(services, ask(services))
    message = await shown(services)
    latest = tables(message)[-1]
    assert [row[0] for row in latest.rows] == ["r7", "r6", "r5", "r4", "r3"]
    assert latest.rows[0][1:3] == ("prod", "gsm8k")
    assert latest.rows[0][4] == "62.5 % [30.0 – 86.0 %]"
    assert Link(label="r7", url="http://bot/runs/r7") in message.parts
    assert EN("home.latest.own") in titles(message)


async def test_where_one_has_none_the_last_results_are_everybodys(services: Services) -> None:
    succeed(services, ask(services, "slack:U2", evaluation("gsm8k", "mmlu")))
    succeed(services, ask(services, "slack:U2", PerfSpec(model=MODEL, parallel=(4,), number=(10,), dataset="d",
                                                         plugin="openqa")))  # fmt: skip
    message = await shown(services)
    perf, both = tables(message)[-1].rows
    assert EN("home.latest") in titles(message)
    assert "2 requests/s" in perf[4]
    assert both[4].count("62.5 %") == 2
    assert "mmlu" in both[4]


@pytest.mark.parametrize(
    ("timezone", "default", "moment", "named"),
    [
        ("Asia/Shanghai", "UTC", "+08", "Asia/Shanghai"), ("", "Asia/Tokyo", "+09", "Asia/Tokyo"),
        ("Nowhere/Else", "UTC", "+00", "UTC"), ("../../etc/passwd", "UTC", "+00", "UTC"), ("", "No/Such", "+00", "UTC"),
    ],
)  # fmt: skip
async def test_moments_are_in_the_persons_time_zone_else_the_installations(
    services: Services, timezone: str, default: str, moment: str, named: str
) -> None:
    services.config = Config.model_validate({"defaults": {"timezone": default}})
    run = ask(services)
    succeed(services, run)
    ended = services.store.run(run.id).ended_at
    assert ended is not None
    table = tables(await shown(services, timezone=timezone))[-1]
    assert named in table.columns[3]
    local = datetime.strptime(f"{table.rows[0][3]} {moment}00", "%Y-%m-%d %H:%M %z")
    assert abs((local - ended).total_seconds()) < 60


async def test_it_is_in_the_persons_language(services: Services) -> None:
    ask(services)
    succeed(services, ask(services))
    for part in (await shown(services, language="zh")).parts:
        said = part.text if isinstance(part, Text) else part.items[0].label if isinstance(part, Buttons) else "中"
        assert any("\u4e00" <= char <= "\u9fff" for char in said)


async def test_many_runs_are_counted_and_few_of_them_shown(services: Services) -> None:
    for _ in range(FEW + 3):
        ask(services)
    message = await shown(services)
    assert len([part for part in message.parts if isinstance(part, ProgressPart)]) == FEW
    assert len(tables(message)[0].rows) == FEW
    assert titles(message).count(EN("home.more", count=3)) == 2


async def test_it_costs_two_queries_however_much_there_is(services: Services) -> None:
    for _ in range(5):
        ask(services)
        succeed(services, ask(services))
    asked: list[str] = []
    event.listen(services.store.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    await shown(services)
    assert len([query for query in asked if query.startswith("SELECT")]) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_it_fits_into_slacks_home_however_much_there_is(services: Services, language: Language) -> None:
    names = tuple(f"benchmark_{n}" for n in range(60))
    for _ in range(FEW + 3):
        begin(services, ask(services, spec=evaluation(*names)))
        succeed(services, ask(services, spec=evaluation(*names)))
        ask(services)
    services.alive = [{"name": f"worker-{n}", "evalscope": "1.14.1", "gpus": "8 × H100"} for n in range(60)]
    message = await shown(services, language=language)
    report = Report(surface="home")
    check_view(render_home(message, value=lambda button: button.id, texts=Texts(language)), report)
    assert not report.problems
