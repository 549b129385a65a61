"""The bot's one process with its real parts: Valkey, database, worker, web server, reporter."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio
from support.endpoint import refusing_url

from bot.app import Bot, open_bot
from bot.settings import BotSettings
from handlers.incoming import Incoming, Place
from handlers.message import Link, Progress
from jobs.embedded import EmbeddedServer, living_server
from jobs.errors import ConfigInvalid
from jobs.lifecycle import RunState
from jobs.models import Run
from tests.support.listening import Recorder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bot")


def settings(folder: Path) -> BotSettings:
    return BotSettings(data_dir=folder, port=0, redis_url=None, database_url=None, artifacts_url=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(folder: Path) -> AsyncIterator[Bot]:
    async with open_bot(settings(folder), workers=1) as bot:
        while not await bot.services.workers():
            await asyncio.sleep(0.1)
        yield bot


def said(recorder: Recorder, text: str, number: int) -> Incoming:
    place = Place(platform=recorder.name, channel="c", thread="t")
    return Incoming(id=f"i{number}", place=place, user="u", text=text, owns_machine=True)


async def evaluate(bot: Bot, recorder: Recorder, number: int) -> Run:
    (posted,) = await bot.receive(recorder, said(recorder, "/eval mock sample_mcq limit=4", number))
    assert posted.reply.group is not None, posted.reply.message
    await asyncio.wait_for(bot.reporter.settled([posted.reply.group]), 60)
    (run,) = bot.services.store.group_runs(posted.reply.group)
    return run


@pytest.mark.asyncio(loop_scope="module")
async def test_a_preset_that_is_none_ends_the_start_with_its_name_and_field(tmp_path: Path) -> None:
    (tmp_path / "scopebot.toml").write_text("[presets.smoke]\nlimit = -1\n")
    with pytest.raises(ConfigInvalid) as caught:
        async with open_bot(settings(tmp_path), workers=0):
            pass
    assert str(caught.value.params["reason"]).startswith("presets.smoke: limit")
    assert living_server(tmp_path) is None


@pytest.mark.asyncio(loop_scope="module")
async def test_a_message_becomes_one_status_message_and_one_result(bot: Bot) -> None:
    recorder = Recorder()
    run = await evaluate(bot, recorder, 1)
    assert run.state is RunState.SUCCEEDED
    assert len(recorder.posts) == 2
    assert recorder.posts["m1"].text.startswith(f"{run.name}: mock_llm — sample_mcq")
    status_edits = [(message, final) for message_id, message, final in recorder.edits if message_id == "m0"]
    assert [final for _, final in status_edits].count(True) == 1
    assert status_edits[-1][1]
    bar = next(part for part in status_edits[-1][0].parts if isinstance(part, Progress))
    assert (bar.done, bar.total) == (8, 8)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_report_follows_the_scores_as_a_link_in_the_result(bot: Bot) -> None:
    recorder = Recorder()
    await evaluate(bot, recorder, 2)
    for _ in range(200):
        if any(message_id == "m1" for message_id, _, _ in recorder.edits):
            break
        await asyncio.sleep(0.1)
    links = [part for _, message, _ in recorder.edits[-1:] for part in message.parts if isinstance(part, Link)]
    async with aiohttp.ClientSession() as session:
        for link in links:
            async with session.get(link.url) as answer:
                assert answer.status == 200, link
    assert [link.label for link in links] == ["Run page", "Report"]


@pytest.mark.asyncio(loop_scope="module")
async def test_eleven_copies_of_a_message_run_once_and_are_answered_once(bot: Bot) -> None:
    recorder = Recorder()
    before = len(bot.services.store.runs(limit=1000))
    copy = said(recorder, "/eval mock sample_qa limit=1", 3)
    told = await asyncio.gather(*(bot.receive(recorder, copy) for _ in range(11)))
    assert len(bot.services.store.runs(limit=1000)) == before + 1
    assert {posted.message_id for (posted,) in told} == {"m0"}, "each copy's sender is told of the one answer"
    assert not await bot.accept(recorder, copy)
    assert told[0][0].reply.group is not None
    await bot.reporter.settled([told[0][0].reply.group])
    assert len(recorder.posts) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_process_uses_the_first_ones_server_and_workers(bot: Bot, folder: Path) -> None:
    recorder = Recorder()
    async with open_bot(settings(folder), workers=1) as second:
        assert second.url == bot.url
        assert (
            second.services._queue.connection_pool.connection_kwargs["port"]
            == (bot.services._queue.connection_pool.connection_kwargs["port"])
        )
        assert len(await second.services.workers()) == 1
        run = await evaluate(second, recorder, 4)
        assert run.state is RunState.SUCCEEDED
    assert await bot.redis.ping()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_process_takes_over_when_the_first_one_ends(tmp_path: Path) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(open_bot(settings(tmp_path), workers=0))
        async with open_bot(settings(tmp_path), workers=1) as second:
            assert not await second.services.workers()
            await first.aclose()
            for _ in range(300):
                if await second.services.workers():
                    break
                await asyncio.sleep(0.1)
            assert await second.services.workers()
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{second.services.links.public_url}/readyz") as got,
            ):  # type: ignore[attr-defined]
                assert got.status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_the_health_pages_answer(bot: Bot) -> None:
    async with aiohttp.ClientSession(bot.url) as session:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with session.get(path) as answer:
                assert answer.status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_run_that_was_recorded_but_not_sent_is_sent_at_the_next_start(
    tmp_path: Path, add_run: Callable[..., Run]
) -> None:
    async with open_bot(settings(tmp_path), workers=0) as first:
        add_run(first.services.store)
    async with open_bot(settings(tmp_path), workers=1) as again:
        for _ in range(600):
            if again.services.store.run(1).state is not RunState.WAITING:
                break
            await asyncio.sleep(0.1)
        assert again.services.store.run(1).attempt == 1


def test_serve_answers_and_leaves_nothing_behind_on_sigterm(tmp_path: Path) -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "serve"], stderr=subprocess.PIPE, text=True,
        env=clean | {"SCOPEBOT_DATA_DIR": str(tmp_path), "SCOPEBOT_PORT": "0"},
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr:
        assert any("Scopebot is ready" in line for line in process.stderr)
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("worker" in child.cmdline() for child in children)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert gone
    assert not (tmp_path / "valkey" / "server.json").exists()


def test_a_bot_that_starts_before_its_redis_says_so_and_goes_on_when_it_comes(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "redis") as server:
        server_state = living_server(tmp_path / "redis")
        assert server_state is not None
        os.kill(server_state.pid, signal.SIGKILL)
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "serve"], stderr=subprocess.PIPE, text=True,
            env=clean | {"SCOPEBOT_DATA_DIR": str(tmp_path), "SCOPEBOT_PORT": "0", "REDIS_URL": server.url},
        )  # fmt: skip
        assert process.stderr is not None
        with process.stderr:
            waiting = process.stderr.readline()
            assert "waiting for Redis" in waiting
            assert "REDIS_URL" in waiting
            assert server_state.password not in waiting
            time.sleep(1.5)
            assert process.poll() is None
            assert server.revive()
            assert any("Scopebot is ready" in line for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_a_bot_that_waits_for_its_redis_can_be_ended(tmp_path: Path) -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    with refusing_url() as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "serve"], stderr=subprocess.PIPE, text=True,
            env=clean | {
                "SCOPEBOT_DATA_DIR": str(tmp_path), "REDIS_URL": url.replace("http", "redis").removesuffix("/v1"),
            },
        )  # fmt: skip
        assert process.stderr is not None
        with process.stderr:
            assert "waiting for Redis" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@pytest.mark.slow
def test_a_local_worker_dies_with_a_bot_that_is_killed(tmp_path: Path) -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "REDIS", "DATABASE"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "serve"], stderr=subprocess.PIPE, text=True,
        env=clean | {"SCOPEBOT_DATA_DIR": str(tmp_path), "SCOPEBOT_PORT": "0"},
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr:
        assert any("Scopebot is ready" in line for line in process.stderr)
        workers = [
            child for child in psutil.Process(process.pid).children(recursive=True) if "worker" in child.cmdline()
        ]
        process.kill()
        process.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    from jobs.embedded import EmbeddedServer

    EmbeddedServer(tmp_path).close()  # the server outlives a killed bot; the next user stops it


def test_the_bot_process_imports_no_heavy_library_and_no_sdk_before_its_first_use() -> None:
    code = (
        "import sys, bot.app, bot.cli, bot.platforms.console\n"
        "heavy = {'evalscope', 'pandas', 'torch', 'scipy', 'matplotlib', 'numpy', 'openai', 'alembic', 'slack_bolt',"
        " 'slack_sdk', 'lark_oapi'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"
