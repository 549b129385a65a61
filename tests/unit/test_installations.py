"""Installing the app in several workspaces: what is kept of each, and the way there and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from itsdangerous import URLSafeTimedSerializer
from redis.asyncio import Redis
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Engine, func, select, text
from support.database import migrated

from bot.settings import BotSettings
from bot.slack.installations import InstallationRow, Installations
from bot.slack.manifest import SCOPES
from bot.slack.oauth import STATE_FOR, SignedStates, make_flow
from jobs.db import reading, transaction
from jobs.embedded import EmbeddedServer

# slack_sdk names the client by a class that aiohttp will take away
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

ACME: dict[str, Any] = {"enterprise_id": None, "team_id": "T1"}


def bot(team: str | None = "T1", token: str = "xoxb-1", **fields: Any) -> Bot:
    known = {
        "bot_id": "B1",
        "bot_user_id": "U1",
        "app_id": "A1",
        "team_name": "Acme",
        "bot_scopes": "chat:write,commands",
    }
    return Bot(**known, team_id=team, bot_token=token, installed_at=1_000.5, **fields)


def installation(**fields: Any) -> Installation:
    known = {"bot_id": "B1", "bot_user_id": "U1", "team_id": "T1", "bot_token": "xoxb-1", "user_id": "U7"}
    return Installation(**known | fields)


# the store


async def test_what_is_needed_of_an_installation_comes_back_and_nothing_else_is_kept(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save(installation(user_token="xoxp-secret", bot_scopes="chat:write", team_name="Acme"))
    found = await store.async_find_bot(**ACME)
    assert found is not None
    assert (found.bot_token, found.bot_id, found.bot_user_id, found.team_name) == ("xoxb-1", "B1", "U1", "Acme")
    assert list(found.bot_scopes) == ["chat:write"]
    whole = await store.async_find_installation(**ACME, user_id="U8")
    assert whole is not None
    assert (whole.bot_token, whole.user_token) == ("xoxb-1", None)
    with reading(engine) as session:
        kept = session.execute(select(InstallationRow.installation)).scalar_one()
    assert "xoxp" not in kept
    assert "U7" not in kept


async def test_a_workspace_that_installs_again_has_its_newest_token_only(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save_bot(bot())
    await store.async_save_bot(bot(token="xoxb-2"))
    found = await store.async_find_bot(**ACME)
    assert found is not None
    assert found.bot_token == "xoxb-2"
    assert store.teams() == ("T1",)


async def test_each_workspace_has_its_own_token(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save_bot(bot())
    await store.async_save_bot(bot("T2", "xoxb-2"))
    tokens = [await store.async_find_bot(enterprise_id="E1", team_id=team) for team in ("T1", "T2", "T3")]
    assert [found and found.bot_token for found in tokens] == ["xoxb-1", "xoxb-2", None]
    assert store.teams() == ("T1", "T2")


async def test_an_organization_is_found_from_any_of_its_workspaces(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save_bot(bot(None, enterprise_id="E1", is_enterprise_install=True))
    found = await store.async_find_bot(enterprise_id="E1", team_id="T9", is_enterprise_install=True)
    assert found is not None
    assert found.is_enterprise_install
    assert await store.async_find_bot(enterprise_id="E1", team_id="T9") is None


async def test_a_workspace_that_removed_the_app_is_forgotten(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save_bot(bot())
    await store.async_save_bot(bot("T2"))
    await store.async_delete_all(**ACME)
    await store.async_delete_all(**ACME)
    assert await store.async_find_bot(**ACME) is None
    assert store.teams() == ("T2",)


async def test_a_person_whose_token_is_revoked_does_not_take_the_bot_along(engine: Engine) -> None:
    store = Installations(engine)
    await store.async_save_bot(bot())
    await store.async_delete_installation(**ACME, user_id="U7")
    assert store.teams() == ("T1",)
    await store.async_delete_installation(**ACME)
    assert store.teams() == ()


async def test_an_installation_without_a_bot_or_a_workspace_is_refused(engine: Engine) -> None:
    store = Installations(engine)
    for wrong in (installation(bot_token=None), installation(team_id=None)):
        with pytest.raises(ValueError, match="installation"):
            await store.async_save(wrong)
    assert await store.async_find_bot(enterprise_id=None, team_id=None) is None


def test_two_processes_that_save_one_workspace_at_once_leave_one_row(engine: Engine) -> None:
    gate, failed = threading.Barrier(4), list[BaseException]()

    def save(number: int) -> None:
        gate.wait()
        try:
            asyncio.run(Installations(engine).async_save_bot(bot(token=f"xoxb-{number}")))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with reading(engine) as session:
        assert session.execute(select(func.count()).select_from(InstallationRow)).scalar_one() == 1


# the states


async def test_a_state_is_good_once_in_any_process_with_the_same_key(client: Redis) -> None:
    state = await SignedStates("key", client).async_issue()
    other = SignedStates("key", client)
    assert not await SignedStates("another key", client).async_consume(state)
    assert await other.async_consume(state)
    assert not await other.async_consume(state)
    assert not await SignedStates("key", client).async_consume(state)


async def test_of_many_that_use_a_state_at_once_one_may(client: Redis) -> None:
    states = SignedStates("key", client)
    state = await states.async_issue()
    used = await asyncio.gather(*(states.async_consume(state) for _ in range(10)))
    assert sorted(used) == [False] * 9 + [True]


async def test_a_state_that_is_too_old_or_made_up_is_not_good(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    states = SignedStates("key", client)
    state = await states.async_issue()
    for wrong in ("", "x", state[:-1], state + "x"):
        assert not await states.async_consume(wrong)
    real = URLSafeTimedSerializer.loads

    def later(self: URLSafeTimedSerializer, value: str, max_age: int) -> Any:
        return real(self, value, max_age=max_age - STATE_FOR - 1)

    monkeypatch.setattr(URLSafeTimedSerializer, "loads", later)
    assert not await states.async_consume(state)


async def test_the_mark_of_a_used_state_outlives_the_state(client: Redis) -> None:
    states = SignedStates("key", client)
    assert await states.async_consume(await states.async_issue())
    (key,) = await client.keys("scopebot:slack:state:*")
    assert await client.ttl(key) > STATE_FOR


# the way there and back


class Slack:
    """Plays the two methods that an installation calls."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: dict[str, Any] = {
            "ok": True, "access_token": "xoxb-new", "token_type": "bot", "scope": "chat:write,commands",
            "bot_user_id": "UBOT", "app_id": "A1", "team": {"id": "T1", "name": "<Acme> & Co"}, "enterprise": None,
            "authed_user": {"id": "U7"}, "is_enterprise_install": False,
        }  # fmt: skip

    async def access(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append({"authorization": request.headers.get("Authorization", "")} | form)
        return web.json_response(self.answer)

    async def test(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer xoxb-new"
        return web.json_response({"ok": True, "bot_id": "B1", "url": "https://acme.slack.com/", "team_id": "T1"})


class Way:
    """One installation, as a browser goes through it."""

    def __init__(self, slack: Slack, server: TestServer, engine: Engine, redis: Redis) -> None:
        self.slack = slack
        self.store, self.redis = Installations(engine), redis
        settings = BotSettings(
            slack_client_id="1.2", slack_client_secret="hush", public_url="https://bot.example.com/", secret_key="k"
        )
        client = AsyncWebClient(base_url=f"http://127.0.0.1:{server.port}/api/")
        self.flow = make_flow(settings, self.store, client, redis)
        self.base = f"http://127.0.0.1:{server.port}"

    async def begin(self, query: str = "") -> tuple[str, str]:
        """Open the install link; return the address it leads to, and the cookie it gives."""
        answer = await self.flow.handle_installation(AsyncBoltRequest(body="", query=query))
        assert answer.status == 302
        return answer.headers["location"][0], answer.headers["set-cookie"][0].partition(";")[0]

    async def come_back(self, query: str, cookie: str, language: str = "") -> BoltResponse:
        headers = {"cookie": cookie} | ({"accept-language": language} if language else {})
        return await self.flow.handle_callback(AsyncBoltRequest(body="", query=query, headers=headers))

    async def state(self) -> tuple[str, str]:
        address, cookie = await self.begin()
        return parse_qs(urlsplit(address).query)["state"][0], cookie


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = migrated(tmp_path / "scopebot.db")
    yield engine
    engine.dispose()


@pytest.fixture
async def way(database: Engine, redis_server: EmbeddedServer) -> AsyncIterator[Way]:
    slack = Slack()
    app = web.Application()
    app.add_routes([web.post("/api/oauth.v2.access", slack.access), web.post("/api/auth.test", slack.test)])
    server = TestServer(app)
    await server.start_server()
    async with Redis.from_url(redis_server.url.removesuffix("/0") + "/1") as redis:
        yield Way(slack, server, database, redis)
    await server.close()


async def test_the_install_link_leads_to_the_slack_of_the_client_with_all_scopes(way: Way) -> None:
    address, _ = await way.begin("team=T1")
    asked = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{way.base}/oauth/v2/authorize?")
    assert set(SCOPES) <= set(asked["scope"][0].split(","))
    assert asked["client_id"] == ["1.2"]
    assert asked["redirect_uri"] == ["https://bot.example.com/slack/oauth_redirect"]
    assert asked["team"] == ["T1"]
    assert "user_scope" not in asked


async def test_what_a_link_says_of_the_team_cannot_change_where_slack_leads(way: Way) -> None:
    address, _ = await way.begin("team=T1%26redirect_uri%3Dhttps://evil.example.com")
    assert "evil" not in address
    assert "team=" not in address


async def test_the_slack_of_an_installation_without_another_one_is_slacks_own(way: Way) -> None:
    settings = BotSettings(slack_client_id="1.2", slack_client_secret="hush", public_url=None, secret_key="k")
    flow = make_flow(settings, way.store, AsyncWebClient(base_url=settings.slack_api_url), way.redis)
    assert flow.settings.authorization_url == "https://slack.com/oauth/v2/authorize"
    assert flow.redirect_uri is None


async def test_an_installation_is_kept_and_told_without_a_script(way: Way) -> None:
    state, cookie = await way.state()
    answer = await way.come_back(f"code=c1&state={state}", cookie)
    assert answer.status == 200
    assert "Scopebot is in &lt;Acme&gt; &amp; Co" in answer.body
    assert "<script" not in answer.body
    assert "Expires=Thu, 01 Jan 1970" in answer.headers["set-cookie"][0]
    assert way.slack.asked[0]["code"] == "c1"
    assert way.slack.asked[0]["redirect_uri"] == "https://bot.example.com/slack/oauth_redirect"
    found = await way.store.async_find_bot(**ACME)
    assert found is not None
    assert (found.bot_token, found.bot_id, found.bot_user_id) == ("xoxb-new", "B1", "UBOT")


async def test_the_way_back_is_open_once_and_in_one_browser(way: Way) -> None:
    state, cookie = await way.state()
    _, other = await way.state()
    assert "not begun in this browser" in (await way.come_back(f"code=c1&state={state}", other)).body
    assert (await way.come_back(f"code=c1&state={state}", cookie)).status == 200
    again = await way.come_back(f"code=c1&state={state}", cookie)
    assert (again.status, "used before" in again.body) == (401, True)
    assert len(way.slack.asked) == 1


@pytest.mark.parametrize(
    ("language", "said"), [("", "was declined"), ("zh-CN,zh;q=0.9", "被拒绝"), ("de,en;q=0.5", "was declined")]
)
async def test_who_declines_is_told_how_to_go_on_in_their_language(way: Way, language: str, said: str) -> None:
    answer = await way.come_back("error=access_denied", "", language)
    assert (answer.status, said in answer.body) == (200, True)


async def test_what_slack_says_in_the_address_is_not_shown(way: Way) -> None:
    assert "img" not in (await way.come_back("error=%3Cimg%20src%3Dx%3E", "")).body


async def test_a_code_that_slack_does_not_take_installs_nothing(way: Way) -> None:
    way.slack.answer = {"ok": False, "error": "invalid_code"}
    state, cookie = await way.state()
    answer = await way.come_back(f"code=c1&state={state}", cookie)
    assert (answer.status, "did not confirm" in answer.body) == (401, True)
    assert way.store.teams() == ()


async def test_slack_that_is_away_ends_in_a_page_too(way: Way) -> None:
    state, cookie = await way.state()
    way.flow.client.base_url = "http://127.0.0.1:1/api/"
    assert "did not confirm" in (await way.come_back(f"code=c1&state={state}", cookie)).body


async def test_a_database_that_does_not_take_it_ends_in_a_page_too(way: Way, database: Engine) -> None:
    state, cookie = await way.state()
    with transaction(database) as session:
        session.execute(text("DROP TABLE slack_installations"))
    answer = await way.come_back(f"code=c1&state={state}", cookie)
    assert (answer.status, "could not be kept" in answer.body) == (500, True)
