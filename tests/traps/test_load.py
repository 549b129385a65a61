"""What endpoints do to stress tests: they end in seconds, say why, and keep what was measured."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from horses import Horses, model
from support.endpoint import Endpoint, fails, refusing_url, unanswered_url
from support.streaming import Pace, Streaming

from jobs.models import ModelTarget, PerfSpec

SOON = 15
KEY = "pk-stress-0123456789abcdef"


def load(target: ModelTarget, **fields: Any) -> PerfSpec:
    known = {
        "model": target, "parallel": (1, 4), "number": (4, 16), "sleep_interval": 0, "max_tokens": (8,),
        "dataset": "prompts", "plugin": "line_by_line", "local": True,
    }  # fmt: skip
    return PerfSpec.model_validate(known | fields)


def test_a_dead_endpoint_fails_in_seconds(horses: Horses) -> None:
    with refusing_url() as url:
        ended = horses.evaluate(load(model(url)), within=SOON)
    assert (ended.code, ended.result.perf) == ("endpoint_refused", ())


def test_an_endpoint_that_never_answers_fails_in_seconds(horses: Horses) -> None:
    with unanswered_url() as url:
        ended = horses.evaluate(load(model(url)), within=25)
    assert ended.code == "endpoint_silent"


@pytest.mark.parametrize(("status", "code"), [(401, "endpoint_denied"), (404, "endpoint_wrong_model")])
def test_an_endpoint_that_refuses_is_not_put_under_load(horses: Horses, status: int, code: str) -> None:
    with Endpoint(fails(status)) as endpoint:
        ended = horses.evaluate(load(model(endpoint.url)), within=SOON)
        assert ended.code == code
        assert endpoint.completions == []


def test_an_endpoint_that_dies_under_load_keeps_the_levels_before(horses: Horses) -> None:
    with Streaming(Pace(dies_after=4)) as server:
        ended = horses.evaluate(load(model(server.url), number=(4, 100)), within=SOON)
    assert (ended.code, ended.failure.params["status"]) == ("endpoint_broken", 500)
    first, second = ended.result.perf
    assert (first.succeeded, first.complete, first.failure) == (4, True, None)
    assert (second.succeeded, second.complete) == (0, False)
    assert second.failure is not None
    assert second.failure.params["detail"] == "the engine is gone"
    assert 20 <= len(server.bodies) - 4 < 40  # it did not go on for the other requests


def test_an_endpoint_that_hangs_under_load_is_given_up(horses: Horses) -> None:
    with Streaming(Pace(hangs_after=12)) as server:
        ended = horses.evaluate(load(model(server.url), parallel=(8,), number=(400,), read_timeout=1), within=20)
    assert ended.code == "endpoint_silent"
    (level,) = ended.result.perf
    assert not level.complete
    assert level.succeeded >= 8


def test_some_failed_requests_are_a_warning_with_the_endpoints_reason(horses: Horses) -> None:
    with Streaming(Pace(fails=5)) as server:
        ended = horses.evaluate(load(model(server.url), parallel=(2,), number=(20,)), within=SOON)
    assert ended.code == "succeeded"
    (level,) = ended.result.perf
    assert (level.requests, level.succeeded, level.complete) == (20, 16, True)
    assert level.failure is not None
    assert (level.failure.code, level.failure.params["status"]) == ("endpoint_broken", 503)
    assert ended.progress.errors == 4


def test_when_all_fail_the_run_fails_with_the_endpoints_reason(horses: Horses) -> None:
    with Streaming(Pace(dies_after=0)) as server:
        ended = horses.evaluate(load(model(server.url), parallel=(2,), number=(6,)), within=SOON)
    assert (ended.code, ended.failure.params["detail"]) == ("endpoint_broken", "the engine is gone")


def test_prompts_of_a_length_nobody_wrote_are_said_to_be_missing(horses: Horses) -> None:
    with Streaming() as server:
        ended = horses.evaluate(load(model(server.url), min_prompt_length=9000), within=SOON)
    assert (ended.code, ended.failure.params["min"]) == ("no_prompt_fits", 9000)


def test_the_address_rule_holds_at_connect_time_also_with_uvloop(horses: Horses) -> None:
    with Streaming() as server:
        ended = horses.evaluate(load(model(server.url, network="checked")), within=SOON)
        assert ended.code == "host_refused"
        assert server.bodies == []


def test_the_load_itself_cannot_reach_what_the_rule_refuses(horses: Horses) -> None:
    """The check before is passed over: what remains is the guard under uvloop's own connections."""
    with Streaming() as server:
        ended = horses.evaluate(
            load(model(server.url, network="checked")), within=SOON,
            before="from jobs.evalscope import preflight; preflight.check_endpoint = lambda *_: None",
        )  # fmt: skip
        assert ended.code == "host_refused"
        assert server.bodies == []
        assert "uvloop event loop policy installed" in ended.output + ended.log + bench_log(ended)


def bench_log(ended: Any) -> str:
    path = ended.work / "perf" / "benchmark.log"
    return path.read_text() if path.exists() else ""


def test_a_key_goes_to_the_endpoint_and_into_no_file(horses: Horses) -> None:
    with Streaming() as server:
        toml = '[keys.k]\nenv = "STRESS_KEY"\nhosts = ["127.0.0.1"]\n'
        ended = horses.evaluate(
            load(model(server.url, key="k"), parallel=(2,), number=(4,)), toml=toml, environment={"STRESS_KEY": KEY},
            within=SOON,
        )  # fmt: skip
        assert ended.code == "succeeded"
        assert server.keys == {f"Bearer {KEY}"}
    holding = [path for path in ended.folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == []
    assert ended.result.reproduce is not None
    assert '"$STRESS_KEY"' in ended.result.reproduce.command


def test_a_second_attempt_runs_only_the_levels_that_are_left(horses: Horses) -> None:
    with Streaming(Pace(dies_after=4)) as server:
        spec = load(model(server.url), number=(4, 100))
        first = horses.evaluate(spec, within=SOON)
        server.pace = Pace()
        sent = len(server.bodies)
        second = horses.evaluate(spec, again=first, within=SOON)
        assert second.code == "succeeded", second.log[-3000:]
        assert len(server.bodies) - sent == 100
    assert [level.succeeded for level in second.result.perf] == [4, 100]
    assert second.result.perf[0] == first.result.perf[0]
    assert (second.progress.done, second.progress.level, second.progress.levels) == (104, 2, 2)


def test_a_run_that_is_told_to_end_keeps_the_level_it_was_in(horses: Horses) -> None:
    """A signal's handler raises in the main thread, as RQ's time limit does."""
    before = """
        import signal, threading, os
        from rq.timeouts import JobTimeoutException
        def late(*_): raise JobTimeoutException("too long")
        signal.signal(signal.SIGALRM, late)
        signal.alarm(6)
    """
    with Streaming(Pace(first=0.05)) as server:
        begun = time.monotonic()
        ended = horses.evaluate(load(model(server.url), parallel=(2,), number=(100_000,)), within=30, before=before)
    assert time.monotonic() - begun < 40
    assert ended.code == "run_timed_out"
    (level,) = ended.result.perf
    assert not level.complete
    assert level.succeeded > 5
    assert level.ttft_ms.p50 is not None


def test_evalscope_still_tests_a_dead_connection_for_hours_by_default(horses: Horses) -> None:
    """Why `no_test_connection` is set; when this fails, EvalScope mended it."""
    found = horses.plain("""
        from evalscope.perf.arguments import Arguments
        args = Arguments(model="x", number=1)
        found = [args.total_timeout, args.no_test_connection]
    """)
    assert found == [21600, False]


def test_evalscope_still_keeps_no_reason_of_a_failed_request(horses: Horses) -> None:
    """Why the plugin is observed; when this fails, EvalScope's own table has it."""
    found = horses.plain("""
        import sqlite3
        from evalscope.perf.utils.db_util import create_result_table
        connection = sqlite3.connect(":memory:")
        create_result_table(connection.cursor())
        found = [row[1] for row in connection.execute("PRAGMA table_info(result)")]
    """)
    assert "success" in json.dumps(found)
    assert "error" not in json.dumps(found)


def test_a_cancelled_test_keeps_the_level_it_was_in(horses: Horses) -> None:
    """EvalScope takes SIGTERM for itself, but not in a thread: Scopebot's own handler hears it."""
    before = """
        import os, signal, threading, time
        from jobs import cancel
        def soon():
            time.sleep(5)
            redis = Redis.from_url(settings.redis_url)
            for number in range(1, 1000):
                cancel.ask(redis, number)
            os.kill(os.getpid(), signal.SIGTERM)
        threading.Thread(target=soon, daemon=True).start()
    """
    with Streaming(Pace(first=0.05)) as server:
        ended = horses.evaluate(load(model(server.url), parallel=(2,), number=(100_000,)), within=30, before=before)
    for number in range(1, 1000):
        horses.redis.delete(f"scopebot:run:{number}:cancel")
    assert str(ended.result.state) == "cancelled"
    (level,) = ended.result.perf
    assert not level.complete
    assert level.succeeded > 5
