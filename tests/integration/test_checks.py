"""Checks before cost: what would stop a run later is said while it waits, and before anything is paid."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator

import psutil
import pytest
import pytest_asyncio

from bot.app import Bot, open_bot
from bot.settings import BotSettings
from handlers.incoming import Incoming
from jobs.catalog import snapshot
from jobs.events import Event, read_progress
from jobs.fleet import living_workers
from jobs.ledger import Ledger
from jobs.lifecycle import ENDED, RunState
from jobs.models import Failure, Run
from jobs.queue import JobPayload
from jobs.tasks import Check
from jobs.workspace import Workspace
from tests.support.endpoint import MODEL, Answer, Call, Endpoint, completion
from tests.support.listening import Recorder

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
NUMBERS = itertools.count(1)


def slow_with_one_model(call: Call) -> Answer:
    if call.body["model"] != MODEL:
        return Answer(404, {"error": {"message": f"The model {call.body['model']} does not exist", "code": "none"}})
    if call.question != "Hi":
        time.sleep(2)
    return Answer(body=completion(call, "ANSWER: A"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(slow_with_one_model) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def endless() -> Iterator[Endpoint]:
    """Answers so slowly that a run of it outlasts any test, however busy this machine is."""

    def behave(call: Call) -> Answer:
        if call.question != "Hi":
            time.sleep(5)
        return Answer(body=completion(call, "ANSWER: A"))

    with Endpoint(behave) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint, endless: Endpoint) -> AsyncIterator[Bot]:
    folder = tmp_path_factory.mktemp("checks")
    (folder / "scopebot.toml").write_text(
        f"""
        [models.slow]
        model = "{MODEL}"
        api_url = "{endpoint.url}"
        [models.endless]
        model = "{MODEL}"
        api_url = "{endless.url}"
        [models.wrong]
        model = "gpt-17"
        api_url = "{endpoint.url}"
        [models.keyless]
        model = "{MODEL}"
        api_url = "{endpoint.url}"
        key = "nobody"
        [keys.nobody]
        env = "A_VARIABLE_THAT_NO_WORKER_HAS"
        [datasets.lost]
        benchmark = "general_mcq"
        local_path = "{folder}/lost"
        [datasets.hollow]
        benchmark = "general_qa"
        local_path = "{folder}/hollow"
        """,
        encoding="utf-8",
    )
    (folder / "hollow").mkdir()
    settings = BotSettings(data_dir=folder, port=0, redis_url=None, database_url=None, artifacts_url=None)
    async with open_bot(settings, workers=1) as bot:
        await until(lambda: len(light_processes(bot)) == 1)
        yield bot


def light_processes(bot: Bot) -> list[psutil.Process]:
    """Return the light process of this bot's worker, without the checks that it forks."""
    found = []
    for worker in living_workers(bot.services._queue):
        with contextlib.suppress(psutil.Error):  # gone, or about to be
            children = psutil.Process(int(worker["pid"])).children()
            found += [child for child in children if "--checks" in child.cmdline()]
    return found


async def until(holds: Callable[[], object], within: float = 60.0) -> float:
    begun = time.monotonic()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() - begun < within, "it never held"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def ask(bot: Bot, recorder: Recorder, text: str) -> Run:
    incoming = Incoming(id=f"c{next(NUMBERS)}", place=recorder.place, user="u", text=text, owns_machine=True)
    (posted,) = await bot.receive(recorder, incoming)
    assert posted.reply.group is not None, posted.reply.message
    (run,) = bot.services.store.group_runs(posted.reply.group)
    return run


@pytest_asyncio.fixture(loop_scope="module")
async def busy(bot: Bot) -> AsyncIterator[Run]:
    """Keep the one worker busy for as long as the test lasts."""
    long = await ask(bot, Recorder(), "/eval endless sample_mcq eval_batch_size=1")
    await until(lambda: bot.services.store.run(long.id).state is RunState.RUNNING)
    yield long
    assert bot.services.store.run(long.id).state is RunState.RUNNING, "the others waited for nothing"
    await bot.services.cancel(bot.services.store.run(long.id))
    await until(lambda: bot.services.store.run(long.id).state in ENDED)


CANNOT_SUCCEED = [
    ("/eval wrong sample_mcq limit=2", "endpoint_wrong_model", MODEL),
    ("/eval keyless sample_mcq limit=2", "key_missing", "A_VARIABLE_THAT_NO_WORKER_HAS"),
    ("/eval slow lost limit=2", "dataset_missing", "lost"),
    ("/eval slow hollow limit=2", "dataset_missing", "hollow"),
    ("/eval tiny sample_mcq limit=2 api_url=http://127.0.0.1:9/v1", "endpoint_refused", "127.0.0.1:9"),
    ("/perf wrong parallel=1 number=2", "endpoint_wrong_model", MODEL),
]


async def test_what_cannot_succeed_is_said_while_it_waits_behind_a_long_run(bot: Bot, busy: Run) -> None:
    recorder = Recorder()
    asked = [(await ask(bot, recorder, text), code, said) for text, code, said in CANNOT_SUCCEED]
    await until(lambda: sum("failed" in m.text for m in recorder.posts.values()) == len(asked), 90)
    for run, code, said in asked:
        ended = bot.services.store.run(run.id)
        assert (ended.state, ended.attempt) == (RunState.FAILED, 0)
        assert ended.failure is not None
        assert ended.failure.code == code
        (told,) = [m for m in recorder.posts.values() if m.text.startswith(f"{run.name} failed")]
        assert said in told.text


async def test_a_run_that_is_in_order_keeps_waiting_and_says_that_it_was_checked(bot: Bot, busy: Run) -> None:
    recorder = Recorder()
    run = await ask(bot, recorder, "/eval slow sample_mcq limit=1")
    await until(lambda: any("endpoint and data checked" in m.model_dump_json() for _, m, _ in recorder.edits))
    assert bot.services.store.run(run.id).state is RunState.WAITING
    await bot.services.cancel(bot.services.store.run(run.id))


async def test_a_light_process_that_is_killed_is_there_again(bot: Bot, busy: Run) -> None:
    lights = light_processes(bot)
    assert len(lights) == 1, [(p.pid, p.ppid(), p.cmdline(), p.status()) for p in lights]
    killed = lights[0]
    os.kill(killed.pid, signal.SIGKILL)
    await until(lambda: [p for p in light_processes(bot) if p.pid != killed.pid])
    run = await ask(bot, Recorder(), "/eval wrong sample_mcq limit=2")
    await until(lambda: bot.services.store.run(run.id).state is RunState.FAILED)


async def test_a_silent_endpoint_is_no_reason_to_give_up_a_run_that_waits(bot: Bot, busy: Run) -> None:
    with Endpoint(lambda _call: Answer(503, {"error": {"message": "starting"}})) as starting:
        run = await ask(bot, Recorder(), f"/eval tiny sample_mcq limit=2 api_url={starting.url}")
        await until(lambda: starting.calls)
        await asyncio.sleep(1)
        assert bot.services.store.run(run.id).state is RunState.WAITING
    await bot.services.cancel(bot.services.store.run(run.id))


async def test_a_second_benchmark_that_does_not_load_fails_the_run_before_anything_is_paid(
    bot: Bot, endpoint: Endpoint
) -> None:
    endpoint.calls.clear()
    run = await ask(bot, Recorder(), "/eval slow sample_mcq,hollow limit=2")
    await until(lambda: bot.services.store.run(run.id).state in ENDED)
    ended = bot.services.store.run(run.id)
    assert ended.failure is not None
    assert ended.failure.code == "dataset_missing"
    assert endpoint.completions == []


async def test_a_check_of_a_run_that_is_cancelled_or_has_begun_asks_nothing_and_says_nothing(
    bot: Bot, endpoint: Endpoint, busy: Run
) -> None:
    cancelled = await ask(bot, Recorder(), "/eval wrong sample_mcq limit=2")
    await bot.services.cancel(cancelled)
    services, settings = bot.services, BotSettings()
    workspace = Workspace("here", settings, services._queue, services.artifacts, snapshot())
    for run in (cancelled, busy):
        payload = JobPayload(run_id=run.id, attempt=0, spec=run.spec)
        before = [call for call in endpoint.calls if call.body.get("model") != MODEL]
        assert Check(workspace, payload).check() == "late"
        assert [call for call in endpoint.calls if call.body.get("model") != MODEL] == before
    progress = read_progress(services._queue, busy.id)
    assert progress is None or progress.attempt == 1


async def test_a_check_that_comes_too_late_does_not_touch_the_run(bot: Bot) -> None:
    run = await ask(bot, Recorder(), "/eval slow sample_mcq limit=2")
    # what is applied by hand moves the reader's place: nothing of the run may be unread by then
    await until(lambda: bot.services.store.run(run.id).state is RunState.RUNNING)
    late = Event(run_id=run.id, attempt=0, what="refused", failure=Failure(code="endpoint_denied"))
    assert Ledger(bot.services.store.engine).apply([(f"{int(time.time() * 1000)}-0", late)]) == set()
    await until(lambda: bot.services.store.run(run.id).state is RunState.SUCCEEDED)
    progress = read_progress(bot.services._queue, run.id)
    assert progress is not None
    assert progress.attempt == 1
