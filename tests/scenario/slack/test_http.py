"""Without Socket Mode Slack sends requests to the bot's own web server: signed ones are heard, and no others."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Room, shown

from bot.cli import main
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow
PUBLIC = "https://scopebot.example.com"
ASKED = "evaluate prod on gsm8k, 20 samples"


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    printed = CliRunner().invoke(main, ["manifest", "slack", "--json", "--http", PUBLIC])
    with Slack() as slack:
        slack.use_manifest(json.loads(printed.stdout))
        yield slack


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/slack/events"


@pytest.fixture(scope="module")
def bot(slack: Slack, port: int, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    more = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": slack.signing_secret, "SCOPEBOT_PUBLIC_URL": PUBLIC}
    with SlackBot(tmp_path_factory.mktemp("bot"), slack, SCOPEBOT_PORT=str(port), **more) as bot:
        bot.until(lambda: slack.http_mode(url), 60, "the address verified")
        yield bot


@pytest.fixture
def room(slack: Slack, bot: SlackBot, url: str) -> Iterator[Room]:
    slack.forget()
    yield Room(bot)
    slack.http_mode(url)
    slack.configure(ack_within=3.0, retry_delays=[1, 1, 1])
    assert not slack.violations()


def test_a_challenge_is_answered_only_where_it_is_signed(room: Room, url: str) -> None:
    assert room.slack.http_mode(url)
    assert not room.slack.http_mode(url, signs="bad")
    assert not room.slack.http_mode(url, signs="old")


@pytest.mark.parametrize("signs", ["bad", "old"])
def test_what_is_signed_badly_or_long_ago_is_not_heard(room: Room, url: str, signs: str) -> None:
    slack = room.slack
    slack.configure(retry_delays=[0.1])
    slack.http_mode(url, signs=signs, verify=False)
    slack.mention("ann", room.channel, ASKED)
    slack.command("ann", room.channel, "/eval", "prod gsm8k limit=20")
    slack.shortcut("ann", "new_evaluation")
    room.until(lambda: len([one for one in slack.deliveries() if one["status"] == 401]) == 6, "refusals")
    assert not [one for one in slack.deliveries() if one["acked_at"]]
    slack.http_mode(url)
    slack.forget()
    room.ask("bob", "status")
    assert not room.runs
    assert not slack.views("ann")


def test_everything_goes_over_one_address_and_is_acknowledged_in_time(room: Room) -> None:
    slack = room.slack
    ts = room.ask("ann", ASKED)
    room.press("ann", room.thread(ts)[0], "Cancel")
    assert room.run.state is RunState.CANCELLED
    assert "Cancelled" in room.whispers("ann")[0]
    slack.command("ann", room.channel, "/eval", "prod gsm8k limit=20")
    slack.command("bob", room.channel, "/scopebot", "status")
    room.settle()
    (told,) = slack.ephemerals("bob", room.channel)
    assert told["source"] == "response_url"
    slack.command("ann", room.channel, "/eval")
    (view,) = room.until(lambda: slack.views("ann"), "a form")
    assert slack.options("ann", view["id"], "benchmarks", "gsm8k")[0]["value"] == "gsm8k"
    values = {"model": "prod", "datasets": ["gsm8k"]}
    assert set(slack.submit("ann", view["id"], values | {"limit": "lots"})["errors"]) == {"limit"}
    sent = slack.submit("ann", view["id"], values | {"limit": "20"})
    assert (sent["problem"], sent["open"]) == ("", [])
    room.settle()
    assert len(room.runs) == 3
    slack.open_home("ann")
    room.until(lambda: slack.home("ann"), "a home")
    slack.message_shortcut("bob", "rerun_this", room.channel, ts)
    room.settle()
    assert len(room.runs) == 4
    taken = [one["acked_at"] - one["sent_at"] for one in slack.deliveries()]
    assert max(taken) < 1.0
    assert not slack.unacked()


def test_what_is_sent_again_because_the_answer_was_late_is_acted_on_once(room: Room) -> None:
    slack = room.slack
    slack.configure(ack_within=0.0001, retry_delays=[0.2, 0.2, 0.2])
    ts = slack.mention("ann", room.channel, ASKED)
    room.until(lambda: len(slack.unacked()) >= 2, "all tries, of the mention and of the message")
    slack.configure(ack_within=3.0)
    assert {one["attempt"] for one in slack.deliveries("events_api")} == {0, 1, 2, 3}
    room.until(lambda: room.thread(ts), "an answer")
    slack.forget()
    room.ask("bob", "status")
    assert [len(room.runs), len(room.thread(ts))] == [1, 1]


def test_links_that_people_get_begin_with_the_public_address(room: Room) -> None:
    ts = room.ask("ann", ASKED)
    assert f"{PUBLIC}/runs/{room.run.name}?t=" in shown(room.thread(ts)[0])


def test_without_a_secret_nobody_is_heard_and_the_log_says_why(slack: Slack, tmp_path: Path) -> None:
    with SlackBot(tmp_path, slack, SLACK_APP_TOKEN="") as bot:
        bot.until(lambda: "SLACK_SIGNING_SECRET" in bot.log, 60, "a word on it")
        body = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
        stamp = str(int(time.time()))
        signature = hmac.new(b"", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}
        with closing(http.client.HTTPConnection(urlsplit(bot.url).netloc, timeout=10)) as connection:
            connection.request("POST", "/slack/events", body, headers)
            assert connection.getresponse().status == 404
