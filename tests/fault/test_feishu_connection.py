"""The long connection comes back by itself from whatever Feishu or the network does; nothing said meanwhile is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.feishu.control import Feishu

import bot.feishu.connection
from bot.feishu.connection import Connection
from bot.settings import BotSettings

pytestmark = pytest.mark.fault
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Feishu]:
    with Feishu() as feishu:
        yield feishu


@pytest.fixture
def feishu(server: Feishu) -> Feishu:
    server.configure(redeliver=[0.5] * 40, ack_within=1.0, ping_every=2)
    server.forget()
    return server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {
        "HEARTBEAT": 1.0, "PONG_WITHIN": 1.0, "LOOK_EVERY": 0.3, "FIRST_WAIT": 0.1, "LONGEST_WAIT": 1.0,
        "REFUSED_WAIT": 0.5, "OPEN_WITHIN": 2.0,
    }  # fmt: skip
    for name, seconds in waits.items():
        monkeypatch.setattr(bot.feishu.connection, name, seconds)


class Hearing:
    """A connection, and what was heard by it."""

    def __init__(self, feishu: Feishu) -> None:
        self.feishu = feishu
        self.heard: Counter[str] = Counter()
        self.settings = BotSettings(
            feishu_domain=feishu.domain, feishu_app_id=feishu.app_id, feishu_app_secret=feishu.app_secret
        )

    async def keep(self, payload: bytes) -> dict[str, Any] | None:
        event = json.loads(payload)["event"]
        if "message" in event:
            self.heard[json.loads(event["message"]["content"])["text"]] += 1
        return None

    async def say(self, text: str) -> None:
        await asyncio.to_thread(self.feishu.say, "ann", "general", text)

    async def hears(self, text: str, within: float = 10.0) -> None:
        """Have somebody say something, and wait until it was heard."""
        await self.say(text)
        await until(lambda: self.heard[text], within)


async def until(true: Callable[[], Any], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def hearing(feishu: Feishu, *, connects: bool = True) -> AsyncIterator[Hearing]:
    one = Hearing(feishu)
    async with aiohttp.ClientSession() as session:
        running = asyncio.create_task(Connection(one.settings, session, one.keep).run())
        try:
            if connects:
                await until(lambda: feishu.sockets() == 1)
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    await until(lambda: feishu.sockets() == 0)
    assert not feishu.violations()


async def test_what_is_said_is_heard_once_and_acknowledged_however_large(feishu: Feishu) -> None:
    long = "x" * 70_000
    async with hearing(feishu) as bot:
        await bot.hears("short")
        await bot.hears(long)
    assert bot.heard == {"short": 1, long: 1}
    assert not feishu.unacked()


@pytest.mark.parametrize("end", ["close_sockets", "cut"])
async def test_a_connection_that_ends_is_replaced_and_nothing_is_lost(feishu: Feishu, end: str) -> None:
    async with hearing(feishu) as bot:
        await bot.hears("before")
        for number in range(3):
            assert await asyncio.to_thread(getattr(feishu, end)) == 1
            await bot.hears(f"after {number}", within=5)
        assert feishu.sockets() == 1
    assert set(bot.heard.values()) == {1}
    assert not feishu.unacked()


@pytest.mark.parametrize("code", [1000040343, 1, 403, 1000040350])
async def test_an_address_that_is_refused_for_a_while_is_asked_for_again(feishu: Feishu, code: int) -> None:
    async with hearing(feishu) as bot:
        feishu.refuse_endpoint(2.0, code)
        feishu.close_sockets()
        await bot.say("meanwhile")
        await until(lambda: bot.heard["meanwhile"])
    assert not feishu.unacked()


async def test_a_connection_on_which_nothing_comes_any_more_is_noticed(feishu: Feishu) -> None:
    async with hearing(feishu) as bot:
        await bot.hears("before")
        feishu.half_dead()
        await bot.say("into the void")
        await until(lambda: bot.heard["into the void"], 8)
    assert not feishu.unacked()


async def test_a_network_that_is_gone_for_a_while_is_waited_out(feishu: Feishu) -> None:
    async with hearing(feishu) as bot:
        feishu.dark(4.0)
        await bot.say("in the dark")
        await until(lambda: bot.heard["in the dark"], 15)
    assert not feishu.unacked()


async def test_a_server_that_stands_still_is_noticed_and_found_again(feishu: Feishu) -> None:
    async with hearing(feishu) as bot:
        await bot.hears("before")
        feishu.pause()
        await asyncio.sleep(4)
        feishu.resume()
        await bot.hears("after", within=15)
    assert not feishu.unacked()


async def test_what_could_not_be_kept_is_not_acknowledged_and_comes_again(feishu: Feishu) -> None:
    async with hearing(feishu) as bot:
        keep, failures = bot.keep, iter([True, True])

        async def fail(payload: bytes) -> dict[str, Any] | None:
            if next(failures, False):
                raise ConnectionError("Redis is away")
            return await keep(payload)

        bot.keep = fail  # type: ignore[method-assign]
        async with aiohttp.ClientSession() as session:
            feishu.close_sockets()
            other = asyncio.create_task(Connection(bot.settings, session, bot.keep).run())
            await bot.say("kept in the end")
            await until(lambda: bot.heard["kept in the end"], 15)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)


SLEEPER = """
import asyncio, sys
sys.path[:0] = {paths!r}
import aiohttp
import bot.feishu.connection as connection
from bot.settings import BotSettings
from test_feishu_connection import Hearing
connection.HEARTBEAT = None
connection.LOOK_EVERY = 0.5
connection.ASLEEP = 2.0

async def keep(payload):
    print("heard", flush=True)

async def main():
    async with aiohttp.ClientSession() as session:
        await connection.Connection(BotSettings(), session, keep).run()

asyncio.run(main())
"""


async def test_a_process_that_was_paused_trusts_no_connection_of_before(feishu: Feishu, tmp_path: Path) -> None:
    """Its pings stand still with it, so nothing but the clock tells that it missed what was said."""
    feishu.configure(ping_every=120)
    code = SLEEPER.format(paths=[str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "fault")])
    environment = os.environ | {
        "FEISHU_DOMAIN": feishu.domain, "FEISHU_APP_ID": feishu.app_id, "FEISHU_APP_SECRET": feishu.app_secret,
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=log, stderr=log)
        try:
            await until(lambda: feishu.sockets() == 1, 30)
            process.send_signal(signal.SIGSTOP)
            feishu.say("ann", "general", "while it slept")
            await asyncio.sleep(4)
            feishu.half_dead()  # the way there is gone without a word
            process.send_signal(signal.SIGCONT)
            await until(lambda: not feishu.unacked(), 15)
            assert b"heard" in (tmp_path / "log").read_bytes()
        finally:
            process.kill()
            process.wait()
