"""What is seen of a load from inside: what counts, why requests failed, when it is given up, how it is ended."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import EndpointBroken
from jobs.evalscope.load import GaveUp, LoadObserver, message, reason
from jobs.evalscope.observer import ERRORS_IN_A_ROW
from jobs.models import Progress
from tests.support.endpoint import wait_until

URL = "http://h/v1"
OK = SimpleNamespace(success=True)


def failed(error: str = "", status: int | None = None) -> Any:
    """What EvalScope keeps of a request that failed."""
    return SimpleNamespace(success=False, error=error, status_code=status)


def observer(told: list[Progress] | None = None) -> LoadObserver:
    return LoadObserver(attempt=2, tell=(told if told is not None else []).append, model="tiny", url=URL)


def test_requests_of_the_warm_up_do_not_count_and_the_others_do() -> None:
    load = observer()
    load.expect((4, 8))
    load.level_begins(warmup=2, concurrency=1)
    for _ in range(5):
        load.request_ended(OK)
    load.request_ended(failed("overloaded", 503))
    progress = load.progress()
    assert (progress.done, progress.total, progress.errors) == (4, 12, 1)
    assert (progress.level, progress.levels, progress.phase, progress.attempt) == (1, 2, "evaluating", 2)
    assert progress.rate is not None
    assert progress.eta == pytest.approx(8 / progress.rate)


def test_what_an_earlier_attempt_finished_counts_among_the_done() -> None:
    load = observer()
    load.expect((4, 8), before=1, done=4)
    load.level_begins(warmup=0, concurrency=4)
    load.request_ended(OK)
    progress = load.progress()
    assert (progress.done, progress.total, progress.level) == (5, 12, 2)


def test_a_load_that_the_clock_ends_has_no_total_and_no_time_to_go() -> None:
    load = observer()
    load.expect((1000,), timed=True)
    load.level_begins(warmup=0, concurrency=1)
    for _ in range(3):
        load.request_ended(OK)
    progress = load.progress()
    assert (progress.done, progress.total, progress.eta) == (3, None, None)


@pytest.mark.parametrize(("concurrency", "patience"), [(1, ERRORS_IN_A_ROW), (50, 100)])
def test_it_is_given_up_with_so_many_failures_in_a_row_and_more_where_more_are_sent_at_once(
    concurrency: int, patience: int
) -> None:
    load = observer()
    load.level_begins(warmup=0, concurrency=concurrency)
    for _ in range(patience - 1):
        load.request_ended(failed("gone", 500))
    load.request_ended(OK)  # one that works, and the count begins anew
    for _ in range(patience - 1):
        load.request_ended(failed("gone", 500))
    assert not load.gave_up
    load.request_ended(failed("gone", 500))
    assert load.gave_up
    load.request_ended(OK)
    assert load.gave_up, "what was under way changes nothing"


async def test_once_given_up_neither_a_request_nor_a_level_begins() -> None:
    load = observer()
    load.level_begins(warmup=0, concurrency=1)
    load.request_begins()
    for _ in range(ERRORS_IN_A_ROW):
        load.request_ended(failed("gone", 500))
    with pytest.raises(GaveUp):
        load.request_begins()
    with pytest.raises(GaveUp):
        load.level_begins(warmup=0, concurrency=1)


def test_ending_the_load_cancels_what_is_under_way_from_another_thread() -> None:
    load = observer()
    load.level_begins(warmup=0, concurrency=1)
    under_way = threading.Event()

    async def send() -> None:
        load.request_begins()
        under_way.set()
        await asyncio.sleep(60)

    ended: list[type[BaseException]] = []

    def run() -> None:
        try:
            asyncio.run(send())
        except BaseException as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert under_way.wait(10)
    load.end_load()
    thread.join(10)
    assert ended == [asyncio.CancelledError]
    load.end_load()  # its loop is closed by now
    with pytest.raises(GaveUp):
        load.level_begins(warmup=0, concurrency=1)


def test_a_load_that_was_ended_before_it_began_does_not_begin() -> None:
    load = observer()
    load.end_load()
    with pytest.raises(GaveUp):
        load.level_begins(warmup=0, concurrency=1)


def test_the_cause_is_the_most_frequent_reason_of_a_level_or_of_all() -> None:
    load = observer()
    assert load.cause() is None
    load.expect((1, 5, 5), before=1)
    load.level_begins(warmup=0, concurrency=1)
    for status in (503, 503, 429):
        load.request_ended(failed("no", status))
    load.level_begins(warmup=0, concurrency=1)
    for _ in range(4):
        load.request_ended(failed("slow down", 429))
    codes = {level: None if (found := load.failure(level)) is None else found.code for level in (1, 2, 3)}
    assert codes == {1: None, 2: "endpoint_broken", 3: "endpoint_busy"}
    overall = load.cause()
    assert overall is not None
    assert overall.code == "endpoint_busy"


def test_a_key_that_the_endpoint_quotes_is_not_in_the_reason() -> None:
    load = observer()
    load.level_begins(warmup=0, concurrency=1)
    load.request_ended(failed('{"error": {"message": "no such key: hunter2"}}', 401))
    found = load.failure(1, secret="hunter2")
    assert found is not None
    assert found.code == "endpoint_denied"
    assert found.params["detail"] == "no such key: [key]"


def test_progress_is_told_while_it_goes_on_and_once_more_at_the_end() -> None:
    told: list[Progress] = []
    load = observer(told)
    load.start()
    load.enter("loading")
    wait_until(lambda: bool(told))
    load.enter("reporting")
    load.stop()
    assert told[-1].phase == "reporting"
    assert not load._thread.is_alive()


@pytest.mark.parametrize(
    ("output", "code", "params"),
    [
        (failed("busy", 429), "endpoint_busy", {"detail": "busy"}),
        (failed('{"error": {"message": "no model tiny"}}', 404), "endpoint_wrong_model", {"model": "tiny"}),
        (
            failed("aiohttp: Cannot connect [Scopebot's address rule refuses a connection to 10.0.0.1']"),
            "host_refused",
            {"host": "10.0.0.1"},
        ),
        (failed("Traceback …\nasyncio.TimeoutError: "), "endpoint_silent", {"url": URL}),
        (failed("aiohttp.client_exceptions.ServerDisconnectedError"), "endpoint_refused", {"url": URL}),
        (failed("Traceback …\nConnectionResetError: [Errno 104]"), "endpoint_refused", {"url": URL}),
        (failed("the stream ended early"), "endpoint_broken", {"status": 200, "detail": "the stream ended early"}),
        (failed(""), "endpoint_broken", {"status": 200, "detail": ""}),
    ],
)
def test_a_failed_request_says_why(output: Any, code: str, params: dict[str, Any]) -> None:
    found = reason(output, URL, "tiny")
    assert found.code == code
    assert params.items() <= found.params.items()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"error": {"message": "slow down"}}', "slow down"),
        ('{"error": "slow down"}', "slow down"),
        ('{"detail": "x"}', '{"detail": "x"}'),
        ("[1]", "[1]"),
        ("<html>\n  portal\n</html>", "<html> portal </html>"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_endpoints_own_words_are_told_briefly(text: str, said: str) -> None:
    assert message(text) == said
    assert len(EndpointBroken(url=URL, status=500, detail=message(text)).params["detail"]) <= 300
