"""Several workspaces: each installs the app over the link, is answered with its own token, and apart from others."""

from __future__ import annotations

import http.client
import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from click.testing import CliRunner
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Json, button, everything_in, shown

from bot.cli import main
from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import Run

pytestmark = pytest.mark.slow
PUBLIC = "https://scopebot.example.com"
ASKED = "evaluate prod on gsm8k, 20 samples"


class Page(NamedTuple):
    """What the web server answers."""

    status: int
    headers: http.client.HTTPMessage
    text: str


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack(teams=4) as slack:
        env = {"SLACK_CLIENT_ID": slack.client_id, "SCOPEBOT_PUBLIC_URL": PUBLIC}
        printed = CliRunner().invoke(main, ["manifest", "slack", "--json"], env=env)
        slack.use_manifest(json.loads(printed.stdout))
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    keys = {"SLACK_CLIENT_ID": slack.client_id, "SLACK_CLIENT_SECRET": slack.client_secret, "SLACK_BOT_TOKEN": ""}
    with SlackBot(tmp_path_factory.mktemp("bot"), slack, **keys) as bot:
        yield bot


@pytest.fixture(autouse=True)
def _checked(slack: Slack) -> Iterator[None]:
    slack.forget()
    yield
    assert not slack.violations()


def get(bot: SlackBot, path: str, cookie: str = "") -> Page:
    with closing(http.client.HTTPConnection(urlsplit(bot.url).netloc, timeout=10)) as connection:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        return Page(answer.status, answer.headers, answer.read().decode())


def begin(bot: SlackBot) -> tuple[str, str]:
    """Open the install link; return the state and the cookie it gives."""
    page = get(bot, "/slack/install")
    assert page.status == 302
    (state,) = parse_qs(urlsplit(page.headers["Location"]).query)["state"]
    return state, page.headers["Set-Cookie"].partition(";")[0]


def finish(bot: SlackBot, team: str, state: str, cookie: str) -> Page:
    """Allow the app in a workspace, and be led back."""
    code = bot.slack.authorize(team=team)
    return get(bot, f"/slack/oauth_redirect?{urlencode({'code': code, 'state': state})}", cookie)


def install(bot: SlackBot, *teams: str) -> None:
    for team in teams:
        page = finish(bot, team, *begin(bot))
        assert page.status == 200
        assert f"Scopebot is in Team {team[1:]}" in page.text


def installed(bot: SlackBot) -> list[str]:
    with closing(sqlite3.connect(bot.folder / "scopebot.db")) as database:
        rows = database.execute("SELECT team FROM slack_installations ORDER BY team").fetchall()
    return [f"T{int(team[1:])}" for (team,) in rows]


def ours(slack: Slack, team: str, channel: str = "general") -> list[Json]:
    return [message for message in slack.messages(channel, team=team) if message.get("bot_id")]


def mention(bot: SlackBot, team: str, text: str, user: str = "ann", channel: str = "general") -> Json:
    """Say something in a channel of a workspace, and return the bot's answer."""
    where = bot.slack.channel(channel, team)
    ts = bot.slack.mention(user, where, text, team=team)
    found: list[Json] = bot.until(lambda: bot.slack.thread(where, ts, team=team)[1:], 10, f"an answer in {team}")
    return found[0]


def hold(bot: SlackBot, run: Run) -> None:
    """Have a run begin, and go on for as long as the test does not end it."""
    bot.begin(run)
    with bot.redis() as redis:
        redis.set(lease_key(run.id), 1)


def due(bot: SlackBot) -> int:
    with closing(sqlite3.connect(bot.folder / "scopebot.db")) as database:
        rows = database.execute("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')").fetchone()
    return int(rows[0])


def test_only_a_state_of_ours_that_is_new_leads_to_an_installation(slack: Slack, bot: SlackBot) -> None:
    state, cookie = begin(bot)
    assert finish(bot, "T1", "made-up", "slack-app-oauth-state=made-up").status == 401
    assert finish(bot, "T1", state, "").status == 400
    assert installed(bot) == []
    assert finish(bot, "T1", state, cookie).status == 200
    assert finish(bot, "T3", state, cookie).status == 401
    assert installed(bot) == ["T1"]
    install(bot, "T2")
    assert installed(bot) == ["T1", "T2"]
    assert slack.bot_token("T1") != slack.bot_token("T2")


def test_two_workspaces_with_the_same_names_are_answered_each_with_its_own_token(slack: Slack, bot: SlackBot) -> None:
    install(bot, "T1", "T2")
    slack.forget()
    before = len(bot.runs())
    slack.mention("ann", slack.channel("general", "T1"), ASKED, team="T1")
    slack.mention("chen", slack.channel("general", "T2"), "用 gsm8k 评测 prod，30 条", team="T2")
    slack.command("bob", slack.channel("evals", "T2"), "/eval", "prod gsm8k limit=40", team="T2")
    slack.dm("ann", "evaluate prod on gsm8k, 50 samples", team="T1")
    places = {
        "30 条样本": ("T2", "general"), "20 samples": ("T1", "general"), "40 samples": ("T2", "evals"),
        "50 samples": ("T1", slack.dm_channel("ann", "T1")),
    }  # fmt: skip
    for text, (team, channel) in places.items():
        bot.until(lambda t=text, w=(channel, team): any(t in shown(m) for m in ours(slack, w[1], w[0])), 10, text)
    assert len(bot.runs()) == before + 4
    assert not ours(slack, "T1", "evals")
    runs = bot.runs()[before:]
    for run in runs:
        hold(bot, run)
        bot.store.move(run.id, RunState.FAILED)

    def results(team: str) -> set[str]:
        posts = [post for where, channel in places.values() if where == team for post in ours(slack, team, channel)]
        keys = {str(post["metadata"]["event_payload"]["key"]) for post in posts if post.get("metadata")}
        return keys & {f"result:g{run.group_id}" for run in runs}

    bot.until(lambda: len(results("T1") | results("T2")) == 4, 15, "all results")
    assert len(results("T1")) == len(results("T2")) == 2
    tokens = {call["team"] for call in slack.calls("chat.postMessage")}
    assert tokens == {slack.team_id("T1"), slack.team_id("T2")}


def test_a_button_of_one_workspace_does_nothing_in_another(slack: Slack, bot: SlackBot) -> None:
    install(bot, "T1", "T2")
    status = mention(bot, "T1", ASKED)
    run = bot.runs()[-1]
    (block,) = [block for block in status["blocks"] if block["type"] == "actions"]
    body = {"channel": slack.channel("general", "T2"), "text": "a copy", "blocks": [block]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {slack.bot_token('T2')}"}
    request = urllib.request.Request(f"{slack.api_url}chat.postMessage", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        copy = dict(json.load(answer))
    slack.press("ann", copy["channel"], copy["ts"], button(status, "Cancel"), team="T2")
    (told,) = bot.until(lambda: slack.ephemerals("ann", copy["channel"], team="T2"), 10, "an answer")
    assert "not one that I made" in shown(told)
    assert bot.store.run(run.id).state is RunState.WAITING
    slack.press("ann", status["channel"], status["ts"], button(status, "Cancel"), team="T1")
    bot.until(lambda: bot.store.run(run.id).state is RunState.CANCELLED, 10, "the end")


def test_what_comes_from_a_workspace_that_did_not_install_it_is_ignored(slack: Slack, bot: SlackBot) -> None:
    install(bot, "T1")
    before = len(bot.runs())
    slack.mention("ann", slack.channel("general", "T4"), ASKED, team="T4")
    slack.command("ann", slack.channel("general", "T4"), "/eval", "prod gsm8k limit=20", team="T4")
    slack.open_home("ann", team="T4")
    mention(bot, "T1", "status")
    bot.until(lambda: all(one["acked_at"] for one in slack.deliveries()), 10, "acknowledgements")
    assert len(bot.runs()) == before
    assert not [call for call in slack.calls() if call["team"] == slack.team_id("T4")]
    assert not ours(slack, "T4")


def test_a_workspace_that_removes_it_is_forgotten_and_others_go_on(slack: Slack, bot: SlackBot) -> None:
    install(bot, "T1", "T3")
    for team in ("T3", "T1"):
        slack.open_home("bob", team=team)
        bot.until(lambda team=team: slack.home("bob", team=team), 10, "a home")
    token = slack.bot_token("T3")
    slack.uninstall(team="T3")
    bot.until(lambda: "T3" not in installed(bot), 10, "a workspace that is forgotten")
    assert token not in everything_in(bot)
    status = mention(bot, "T1", ASKED, "bob")
    assert "20 samples" in shown(status)
    run = bot.runs()[-1].name
    bot.until(lambda: f"{run} waiting" in shown(slack.home("bob", team="T1")), 10, "a home that is shown again")
    # and it may come back
    install(bot, "T3")
    assert slack.bot_token("T3") != token
    mention(bot, "T3", "status")


def test_installations_survive_a_restart_and_can_end_right_after_it(slack: Slack, bot: SlackBot) -> None:
    install(bot, "T1", "T2", "T3")
    bot.until(lambda: not due(bot), 10, "all that is due")
    bot.stop()
    bot.start()
    slack.uninstall(team="T3")
    bot.until(lambda: installed(bot) == ["T1", "T2"], 10, "a workspace that is forgotten")
    for team in ("T1", "T2"):
        mention(bot, team, "status", channel="evals")
    assert not slack.unacked()
