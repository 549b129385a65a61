"""Why a run waits, failed or ended; what a pasted error means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.commands.diagnose import LINES, error_lines
from handlers.incoming import Place as Where
from handlers.message import Buttons, Link, Log, Message, Text
from handlers.pasted_errors import explain
from handlers.texts import Texts
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.dispatch import Place
from jobs.lifecycle import RunState
from jobs.models import BenchmarkResult, Failure, MetricResult, Progress, Run, RunResult, Verdict
from jobs.store import Store

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5/v1"}},
    "datasets": {"faq": {"benchmark": "general_qa", "local_path": "/data/faq", "private": True}},
})  # fmt: skip
NOW = datetime.now(UTC)
LOG = """2026-01-01 10:00:00 - evalscope - INFO: loading gsm8k
2026-01-01 10:00:01 - evalscope - WARNING: slow
Traceback (most recent call last):
  File "client.py", line 10, in post
    raise error
openai.APIConnectionError: Connection error to http://10.0.0.5/v1
2026-01-01 10:00:02 - evalscope - INFO: bye"""


@pytest.fixture
async def services(tmp_path: Path) -> FakeServices:
    """A request for r1, in a thread."""
    engine = migrated(tmp_path / "db")
    services = FakeServices(Store(engine), CONFIG)
    await services.say("evaluate prod on gsm8k, 20 samples")
    return services


@pytest.fixture(autouse=True)
def disposed(services: FakeServices) -> Iterator[None]:
    yield
    services.store.engine.dispose()


def texts_of(message: Message) -> str:
    return " ".join([message.text, *(part.text for part in message.parts if isinstance(part, Text))])


def log_of(message: Message) -> str:
    return next((part.text for part in message.parts if isinstance(part, Log)), "")


def run_it(services: FakeServices, run_id: int = 1) -> None:
    services.store.move(run_id, RunState.QUEUED, attempt=1)
    services.store.move(run_id, RunState.RUNNING)


def fail(services: FakeServices, run_id: int = 1) -> Run:
    run_it(services, run_id)
    failure = Failure(code="endpoint_refused", params={"url": "http://10.0.0.5/v1"})
    return services.store.move(run_id, RunState.FAILED, failure=failure)


def result(state: RunState, *, errored: int = 0) -> RunResult:
    metric = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100, score=0.5,
        num=20,
    )  # fmt: skip
    benchmark = BenchmarkResult(
        name="gsm8k", benchmark="gsm8k", metrics=(metric,), requested=20, succeeded=20 - errored, errored=errored
    )
    return RunResult(
        run_id=1, attempt=1, state=state, model="prod", benchmarks=(benchmark,), started_at=NOW, ended_at=NOW
    )


async def why(services: FakeServices, text: str = "why?", **changes: object) -> Message:
    (reply,) = await services.say(text, thread_run=1, **changes)
    return reply.message


async def test_of_a_run_that_waits_it_says_for_what(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    async def places() -> dict[int, Place]:
        return {1: Place(position=3, starts_in=120, reason="workers_busy")}

    monkeypatch.setattr(services, "places", places)
    said = (await why(services)).text
    assert said.startswith("r1 has not begun: number 3 in line: all workers are busy")
    assert "2 min" in said
    services.alive = []
    assert "No worker is alive" in (await why(services)).text


async def test_of_a_run_that_goes_on_it_says_what_it_does(services: FakeServices) -> None:
    run_it(services)
    services.progresses[1] = Progress(
        attempt=1, phase="evaluating", benchmark="gsm8k", done=5, total=20, errors=2, updated_at=NOW
    )
    said = (await why(services)).model_dump_json()
    assert "r1 is running" in said
    assert "evaluating gsm8k" in said
    assert "2 failed" in said
    services.store.ask_to_cancel(1)
    assert "is being cancelled" in (await why(services)).text


async def test_of_a_paused_run_it_asks_again_what_the_pause_asks(services: FakeServices) -> None:
    run_it(services)
    services.store.move(1, RunState.PAUSED)
    message = await why(services)
    assert "no answer could be read" in message.text
    assert any(isinstance(part, Buttons) for part in message.parts)
    elsewhere = await why(services, "why r1", place=Where(platform="console", channel="c", thread="other"))
    assert "no answer could be read" in elsewhere.text
    assert not any(isinstance(part, Buttons) for part in elsewhere.parts), "its place is where the run is reported"


async def test_of_a_failed_run_it_says_why_what_its_log_says_and_how_to_go_on(services: FakeServices) -> None:
    fail(services)
    services.logs[1] = LOG
    message = await why(services, "why did it fail?")
    assert message.text.startswith("r1 failed: Nothing answers at http://10.0.0.5/v1")
    assert log_of(message).splitlines()[0] == "Traceback (most recent call last):"
    assert log_of(message).splitlines()[-1].startswith("openai.APIConnectionError")
    assert "`resume r1`" in texts_of(message)
    assert any(isinstance(part, Link) for part in message.parts)
    assert "r1 失败" in (await why(services, "为什么失败了？")).text


async def test_a_log_is_shown_without_secrets(services: FakeServices) -> None:
    fail(services)
    services.logs[1] = "ERROR: Incorrect API key provided: sk-abcdefghijklmnopqrstuvwxyz0123456789"
    shown = log_of(await why(services))
    assert "Incorrect API key" in shown
    assert "sk-abc" not in shown


async def test_the_log_of_a_private_set_stays_on_its_signed_page(services: FakeServices) -> None:
    await services.say("/eval prod faq limit=2")
    fail(services, 2)
    services.logs[2] = "ERROR: What is our salary?"
    message = await why(services, "why did r2 fail?")
    assert "salary" not in message.model_dump_json()
    assert "only on its page" in texts_of(message) or "shown on its page" in texts_of(message)


async def test_where_the_files_are_gone_it_says_to_run_it_again(services: FakeServices) -> None:
    fail(services)
    services.logs[1] = LOG
    services.store.let_files_go(datetime.now(UTC))
    message = await why(services)
    assert log_of(message) == ""
    assert "`rerun r1`" in texts_of(message)


async def test_of_a_cancelled_run_it_says_that_and_what_is_kept(services: FakeServices) -> None:
    run_it(services)
    services.store.move(1, RunState.CANCELLED, result=result(RunState.CANCELLED, errored=8))
    message = await why(services)
    assert message.text.startswith("r1 was cancelled")
    assert "12 finished samples are kept: `resume r1`" in texts_of(message)


async def test_of_a_run_that_succeeded_it_says_what_was_wrong_all_the_same(services: FakeServices) -> None:
    run_it(services)
    services.store.move(1, RunState.SUCCEEDED, result=result(RunState.SUCCEEDED, errored=3))
    verdict = Verdict(dataset="gsm8k", question="q", answer="a", extracted="", score=0)
    services.progresses[1] = Progress(attempt=1, phase="ended", verdicts=(verdict,), updated_at=NOW)
    message = await why(services)
    assert "Not all of it went well" in message.text
    assert "3 of 20 samples of gsm8k failed" in texts_of(message)
    assert "1 of the first 1 answers" in texts_of(message)


async def test_of_a_run_that_succeeded_well_it_says_so_and_where_to_look(services: FakeServices) -> None:
    run_it(services)
    services.store.move(1, RunState.SUCCEEDED, result=result(RunState.SUCCEEDED))
    message = await why(services)
    assert "succeeded and no errors are known: gsm8k 50.0 %" in message.text
    assert any(isinstance(part, Link) for part in message.parts)


async def test_where_several_were_asked_for_the_failed_ones_are_told_about(services: FakeServices) -> None:
    await services.say("evaluate prod and mock on gsm8k, 20 samples")
    fail(services, 3)
    (reply,) = await services.say("why did it fail?", thread_run=3)
    assert reply.message.text.startswith("r3 failed")
    fail(services, 2)
    (reply,) = await services.say("what went wrong?", thread_run=3)
    assert texts_of(reply.message).count(" failed: Nothing answers") == 2


async def test_where_no_run_is_meant_it_asks_which_and_takes_the_answer(services: FakeServices) -> None:
    fail(services)
    (reply,) = await services.say("why did it fail?")
    assert (reply.waits, reply.missing) == (True, "run")
    assert "`why r12`" in reply.message.text
    assert (await services.say("r1"))[0].message.text.startswith("r1 failed")


async def test_a_run_that_is_not_there_is_said(services: FakeServices) -> None:
    assert (await why(services, "why did r99 fail?")).text == "There is no run r99."


def test_the_lines_that_tell_of_an_error_are_few_and_the_last_ones() -> None:
    many = "\n".join(f"ERROR: no {n}" for n in range(100))
    shown = error_lines(many).splitlines()
    assert len(shown) <= LINES
    assert shown[-1] == "ERROR: no 99"
    deep = "Traceback (most recent call last):\n" + "  File\n" * 60 + "ValueError: x"
    shown = error_lines(deep).splitlines()
    assert (shown[0], shown[-1]) == ("Traceback (most recent call last):", "ValueError: x")
    assert len(shown) <= LINES
    assert error_lines("INFO: all is well\nINFO: bye") == ""
    assert error_lines("") == ""
    assert len(error_lines("ERROR: " + "x" * 10_000)) < 400


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("openai.APIConnectionError: Connection error.", "Nothing answers at the endpoint"),
        ("requests.ConnectionError: http://10.0.0.5:8000/v1 refused", "Nothing answers at http://10.0.0.5:8000/v1"),
        ("Error code: 401 - {'error': 'invalid key'}", "refuses the key (401)"),
        ("AuthenticationError: Incorrect API key provided", "refuses the key"),
        ("Error code: 404 - The model `qwen-x` does not exist", "does not know the model qwen-x"),
        ("Error code: 429 - slow down", "over its rate limit"),
        ("HTTP/1.1 502 Bad Gateway", "fails itself (502)"),
        ("BadRequestError: maximum context length is 4096 tokens", "does not accept the request"),
        ("httpx.ReadTimeout: timed out", "did not answer in time"),
        ("json.decoder.JSONDecodeError: Expecting value: line 1", "not as an OpenAI-compatible API"),
        ("LookupError: Resource punkt_tab not found", "NLTK"),
        ("ConnectionError: Couldn't reach 'gsm8k' on the Hub", "hub cannot be reached"),
        ("ModuleNotFoundError: No module named 'vlmeval.api'", "pip install vlmeval"),
        ("ImportError: please `pip install evalscope[perf]`: No module named 'x'", "pip install evalscope[perf]"),
        ("ValueError: Benchmark 'gsm9k' not found", "Did you mean: gsm8k"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("torch.OutOfMemoryError: CUDA out of memory", "GPU's memory is full"),
        ("process ended by signal 9", "ran out of memory"),
    ],
)
def test_a_pasted_error_is_known_by_its_words(error: str, said: str) -> None:
    explained = explain(error, Texts("en"), snapshot())
    assert explained is not None
    assert said in explained
    assert not re.search(r"(?:^|[\s“(])\?", explained), "no fact is left open"
    assert explain(error, Texts("zh"), snapshot()) != explained


def test_an_error_that_is_not_known_is_not_guessed() -> None:
    assert explain("ValueError: the frobnicator is upside down", Texts("en"), snapshot()) is None


@pytest.mark.parametrize(
    "text",
    [
        "/why openai.APIConnectionError: Connection error.",
        "why: openai.APIConnectionError: Connection error.",
        'Traceback (most recent call last):\n  File "x.py", line 1\nopenai.APIConnectionError: Connection error.',
    ],
)
async def test_a_pasted_error_is_explained_without_a_run(services: FakeServices, text: str) -> None:
    (reply,) = await services.say(text)
    assert "Is the server running" in reply.message.text


async def test_an_error_nobody_knows_is_asked_about_by_its_run(services: FakeServices) -> None:
    (reply,) = await services.say("why ValueError: the frobnicator is upside down")
    assert "Tell me which run" in reply.message.text
    fail(services)
    assert (await why(services, "why ValueError: the frobnicator is upside down")).text.startswith("r1 failed")
