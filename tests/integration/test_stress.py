"""Stress tests through a real worker, against a real server that streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.services import FixedLinks
from support.streaming import Pace, Streaming

from handlers.cards import result_message
from handlers.message import Table
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import ModelTarget, PerfSpec

if TYPE_CHECKING:
    from support.workers import Ended, Office


pytestmark = pytest.mark.slow


def load(url: str, **fields: Any) -> PerfSpec:
    target = ModelTarget(name="prod", model="tiny", eval_type="openai_api", api_url=url, network="registered")
    known = {
        "model": target, "parallel": (1, 4), "number": (4, 12), "sleep_interval": 0, "max_tokens": (8,),
        "dataset": "prompts", "plugin": "line_by_line", "local": True,
    }  # fmt: skip
    return PerfSpec.model_validate(known | fields)


@pytest.fixture(scope="module")
def served() -> Any:
    with Streaming(Pace(first=0.05, each=0.01, tokens=8)) as server:
        yield server


@pytest.fixture(scope="module")
def ended(run_to_end: Callable[..., Ended], served: Streaming) -> Ended:
    return run_to_end(load(served.url))


def test_each_level_has_its_figures_and_they_are_the_servers_own_pace(ended: Ended) -> None:
    assert (ended.run.state, ended.run.failure) == (RunState.SUCCEEDED, None)
    assert ended.run.result is not None
    levels = ended.run.result.perf
    assert [(level.concurrency, level.requests, level.succeeded) for level in levels] == [(1, 4, 4), (4, 12, 12)]
    for level in levels:
        assert level.complete
        assert level.streamed
        assert level.output_tokens == 8
        assert level.ttft_ms.p50 is not None
        assert 50 <= level.ttft_ms.p50 < 400
        assert level.tpot_ms.p50 is not None
        assert 8 <= level.tpot_ms.p50 < 80
        assert level.latency_s.p50 is not None
        assert 0.12 <= level.latency_s.p50 < 1.2
        assert level.itl_ms.avg is not None
        assert level.output_tokens_per_second == pytest.approx(8 * level.rps, rel=0.01)
    assert levels[1].rps > 1.3 * levels[0].rps


def test_the_result_that_was_stored_is_the_one_that_was_announced(ended: Ended) -> None:
    assert ended.kept == ended.run.result
    assert ended.kept.benchmarks == ()


def test_the_progress_ends_with_every_request_of_every_level(ended: Ended) -> None:
    progress = ended.progress
    assert (progress.done, progress.total, progress.errors) == (16, 16, 0)
    assert (progress.level, progress.levels) == (2, 2)


def test_the_servers_side_agrees(ended: Ended, served: Streaming) -> None:
    assert ended.run.state is RunState.SUCCEEDED
    assert len(served.bodies) == 16
    assert served.most_at_once == 4
    assert all(body["stream"] and body["max_tokens"] == 8 and body["model"] == "tiny" for body in served.bodies)
    assert len({body["messages"][0]["content"] for body in served.bodies}) > 10


def test_the_figures_files_and_report_are_kept(ended: Ended, office: Office) -> None:
    run = ended.run.id
    summary = json.loads(office.artifacts.read(run, "perf/parallel_4_number_12/benchmark_summary.json"))
    assert summary["Success Requests"] == 12
    report = office.artifacts.read(run, "reports/report.html")
    assert b"/static/plotly.min.js" in report
    assert b"modelscope.cn" not in report.split(b"</head>")[0]
    assert "report" in [event.what for _, event in ended.events]


def test_the_line_that_reproduces_it_is_an_evalscope_command_without_a_key(ended: Ended, served: Streaming) -> None:
    assert ended.kept.reproduce is not None
    command = ended.kept.reproduce.command
    assert command.startswith("evalscope perf --model tiny --api openai")
    assert f"--url {served.url}/chat/completions" in command
    assert "--number 4 12" in command
    assert "--parallel 1 4" in command
    assert "api-key" not in command


def test_the_message_has_a_row_per_level(ended: Ended) -> None:
    message = result_message(ended.run, Texts("en"), FixedLinks())
    throughput, times = [part for part in message.parts if isinstance(part, Table)]
    assert [row[0] for row in throughput.rows] == ["1", "4"]
    assert [row[0] for row in times.rows] == ["1", "4"]
    assert throughput.rows[0][2] == "100 %"


def test_a_rate_of_arrivals_is_held(run_to_end: Callable[..., Ended], served: Streaming) -> None:
    ended = run_to_end(load(served.url, open_loop=True, rate=(20,), number=(30,), parallel=(1,)))
    assert ended.run.result is not None
    (level,) = ended.run.result.perf
    assert (level.concurrency, level.rate, level.succeeded) == (None, 20, 30)
    assert 6 < level.rps < 30


def test_a_level_may_end_by_the_clock(run_to_end: Callable[..., Ended], served: Streaming) -> None:
    ended = run_to_end(load(served.url, parallel=(2,), number=(1000,), duration=1.0))
    assert ended.run.result is not None
    (level,) = ended.run.result.perf
    assert level.complete
    assert 2 <= level.requests < 40
    assert 0.9 < level.seconds < 8


@pytest.mark.parametrize("fails", [0, 3])
def test_an_endpoint_that_does_not_stream_has_no_times_per_token_also_where_requests_fail(
    run_to_end: Callable[..., Ended], fails: int
) -> None:
    with Streaming(Pace(first=0.01, each=0.001, streams=False, fails=fails)) as server:
        ended = run_to_end(load(server.url, parallel=(2,), number=(6 if fails else 4,)))
    assert ended.run.result is not None
    (level,) = ended.run.result.perf
    assert not level.streamed
    assert (level.ttft_ms.avg, level.tpot_ms.avg, level.succeeded) == (None, None, 4)
    message = result_message(ended.run, Texts("en"), FixedLinks())
    assert "did not stream" in message.model_dump_json()


@pytest.fixture(scope="module")
def office(worker_process: Office) -> Office:
    return worker_process
