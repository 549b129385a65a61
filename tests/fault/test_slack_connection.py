"""The connection comes back by itself from whatever Slack or the network does, and nothing said meanwhile is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from support.slack.control import Slack

import bot.slack.socket
from bot.slack.socket import Connection

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture
def slack(server: Slack) -> Slack:
    server.reset()
    server.configure(retry_delays=[0.5] * 20, ack_within=1.0)
    return server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PING_EVERY", 0.6), ("OPEN_WITHIN", 2.0), ("FIRST_WAIT", 0.2), ("LINGERS", 0.5)):
        monkeypatch.setattr(bot.slack.socket, name, seconds)
    for name in ("LONGEST_WAIT", "UNREACHED_WAIT"):
        monkeypatch.setattr(bot.slack.socket, name, 1.0)


class Hearing:
    """A connection, and what was heard by it."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.heard: Counter[str] = Counter()
        client = AsyncWebClient(token=slack.bot_token(), base_url=slack.api_url, retry_handlers=[])
        app = AsyncApp(client=client, process_before_response=True)
        app.middleware(self._keep)
        self.connection = Connection(app, slack.app_token)

    async def _keep(self, body: dict[str, Any]) -> BoltResponse:
        if body["event"]["type"] == "message":
            self.heard[body["event"]["text"]] += 1
        return BoltResponse(status=200, body="")

    async def hears(self, text: str, within: float = 10.0) -> None:
        """Have somebody say something, and wait until it was heard."""
        await self.slack.aio.say("ann", "general", text)
        await until(lambda: self.heard[text], within)


async def until(true: Callable[[], Any], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def hearing(slack: Slack, *, connects: bool = True) -> AsyncIterator[Hearing]:
    hearing = Hearing(slack)
    running = asyncio.create_task(hearing.connection.run())
    try:
        if connects:
            await slack.aio.wait_for(lambda: slack.sockets() == 1)
        yield hearing
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await slack.aio.wait_for(lambda: slack.sockets() == 0)
    assert not slack.violations()


@pytest.mark.parametrize("reason", ["refresh_requested", "warning", "link_disabled"])
async def test_a_socket_that_slack_takes_away_is_replaced(slack: Slack, reason: str) -> None:
    async with hearing(slack) as bot:
        await bot.hears("before")
        assert slack.disconnect(reason) == 1
        await bot.hears("after", within=3)
        await asyncio.sleep(0.5)
        assert slack.sockets() == 1
    assert bot.heard == {"before": 1, "after": 1}
    assert not slack.unacked()


async def test_being_sent_away_twice_while_slack_is_slow_leaves_no_deaf_socket(slack: Slack) -> None:
    async with hearing(slack) as bot:
        slack.delay("apps.connections.open", 1.5)
        slack.disconnect("warning", grace=20)
        await asyncio.sleep(0.2)
        slack.disconnect("refresh_requested", grace=20)
        await asyncio.sleep(3)
        assert slack.sockets() == 1, "another one would take a share of what people say, and never acknowledge it"
        for number in range(6):
            await bot.hears(f"after {number}", within=1)
    assert set(bot.heard.values()) == {1}


async def test_too_many_sockets_make_no_hot_loop(slack: Slack) -> None:
    async with hearing(slack) as bot:
        slack.configure(sockets=0)
        slack.cut()
        await asyncio.sleep(3)
        assert len(slack.calls("apps.connections.open")) < 12
        slack.configure(sockets=10)
        await bot.hears("after", within=8)
    assert bot.heard == {"after": 1}


async def test_sockets_that_are_taken_away_at_once_make_no_hot_loop(slack: Slack) -> None:
    async with hearing(slack) as bot:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            await slack.aio.disconnect("refresh_requested", grace=0.0)
            await asyncio.sleep(0.02)
        assert len(slack.calls("apps.connections.open")) < 8
        await bot.hears("after", within=5)
    assert bot.heard == {"after": 1}


async def test_refused_tickets_are_not_tried_for_ever(slack: Slack) -> None:
    async with hearing(slack) as bot:
        slack.refuse_tickets(3)
        slack.cut()
        await bot.hears("after")
    assert bot.heard == {"after": 1}


@pytest.mark.parametrize("fault", ["fail", "ratelimit", "error"])
async def test_slack_gives_no_address_for_a_while(slack: Slack, fault: str) -> None:
    async with hearing(slack) as bot:
        if fault == "fail":
            slack.fail("apps.connections.open", 503, times=3)
        elif fault == "ratelimit":
            slack.ratelimit("apps.connections.open", retry_after=2)
        else:
            slack.error("apps.connections.open", "invalid_auth", times=3)
        slack.cut()
        await bot.hears("after", within=20)
        if fault == "ratelimit":
            _, refused, again = [call["at"] for call in slack.calls("apps.connections.open")]
            assert again - refused >= 2
    assert bot.heard == {"after": 1}


@pytest.mark.parametrize("sever", [False, True])
async def test_a_network_that_swallows_everything(slack: Slack, *, sever: bool) -> None:
    async with hearing(slack) as bot:
        slack.dark(2.5, sever=sever)
        await asyncio.sleep(0.5)
        await bot.hears("in the dark", within=12)
        await bot.hears("after", within=3)
    assert bot.heard["after"] == 1


async def test_a_server_that_stands_still(slack: Slack) -> None:
    async with hearing(slack) as bot:
        slack.pause()
        await asyncio.sleep(2.5)
        slack.resume()
        await bot.hears("after", within=8)
    assert bot.heard == {"after": 1}
