"""What `scopebot doctor` says of Slack: each thing that can be wrong, and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.oauth.installation_store import Bot
from support.database import migrated

from bot.doctor import Finding, _guarded, _slack_checks
from bot.settings import BotSettings
from bot.slack.installations import Installations
from bot.slack.manifest import LINK_SCOPES, SCOPES

BOT, APP = "xoxb-1-secret", "xapp-1-A1-secret"
Look = Callable[..., Awaitable[dict[str, Finding]]]


class Slack:
    """Plays auth.test and apps.connections.open; knows one token of each kind."""

    def __init__(self) -> None:
        self.scopes: set[str] | None = {*SCOPES}
        self.errors: dict[str, str] = {}
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.asked.append(method)
        right = {"auth.test": BOT, "apps.connections.open": APP}[method]
        error = self.errors.get(method)
        if error is None and request.headers.get("Authorization") != f"Bearer {right}":
            error = "invalid_auth"
        if error is not None:
            return web.json_response({"ok": False, "error": error})
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
        body = {"ok": True, "team": "Acme", "user": "scopebot", "url": "wss://slack/link/?ticket=secret"}
        return web.json_response(body, headers=headers)


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
async def look(slack: Slack, tmp_path: Path) -> AsyncIterator[Look]:
    """Look at settings, all of them unset but those that are given; return the findings by name."""
    app = web.Application()
    app.add_routes([web.post("/api/{method}", slack.answer)])
    server = TestServer(app)
    await server.start_server()
    names = ("bot_token", "app_token", "signing_secret", "client_id", "client_secret")
    known: dict[str, Any] = {f"slack_{name}": None for name in names}
    known |= {
        "slack_api_url": f"http://127.0.0.1:{server.port}/api/", "public_url": None, "data_dir": tmp_path,
        "database_url": None,
    }  # fmt: skip

    async def look(**fields: Any) -> dict[str, Finding]:
        settings = BotSettings(**known | fields)
        checks = _slack_checks(settings)
        found = [await asyncio.to_thread(_guarded, what, check, settings) for what, check in checks]
        assert "secret" not in str(found)  # no token is ever shown
        assert all(finding.ok or finding.remedy for finding in found)
        return {finding.what: finding for finding in found}

    yield look
    await server.close()


async def test_without_any_setting_slack_is_not_set_and_not_asked(look: Look, slack: Slack) -> None:
    assert await look() == {"Slack": Finding("Slack", True, "not set")}
    assert slack.asked == []


async def test_with_both_tokens_all_is_well(look: Look) -> None:
    found = await look(slack_bot_token=BOT, slack_app_token=APP)
    assert [(finding.what, finding.ok) for finding in found.values()] == [("Slack", True), ("Slack messages", True)]
    assert found["Slack"].state == f"scopebot in Acme, {len(SCOPES)} scopes"
    assert found["Slack messages"].state == "Socket Mode"


async def test_missing_scopes_are_named_with_the_page_that_adds_them(look: Look, slack: Slack) -> None:
    slack.scopes = {*SCOPES} - {"im:history", "users:read"}
    found = (await look(slack_bot_token=BOT, slack_app_token=APP))["Slack"]
    assert not found.ok
    assert "add im:history, users:read" in found.remedy
    assert "OAuth & Permissions → Bot Token Scopes" in found.remedy
    assert "Reinstall" in found.remedy


async def test_links_need_their_scopes_only_with_a_public_address(look: Look, slack: Slack) -> None:
    known = {"slack_bot_token": BOT, "slack_app_token": APP, "public_url": "https://bot.example.com"}
    assert "links:read, links:write" in (await look(**known))["Slack"].remedy
    slack.scopes = {*SCOPES, *LINK_SCOPES}
    assert (await look(**known))["Slack"].ok


async def test_scopes_that_slack_does_not_tell_are_not_called_missing(look: Look, slack: Slack) -> None:
    slack.scopes = None
    assert (await look(slack_bot_token=BOT, slack_app_token=APP))["Slack"].state == "scopebot in Acme"


async def test_swapped_tokens_are_found_without_asking_slack(look: Look, slack: Slack) -> None:
    found = await look(slack_bot_token=APP, slack_app_token=BOT)
    assert found["Slack"].state == "SLACK_BOT_TOKEN holds an app-level token (xapp-…)"
    assert "OAuth & Permissions" in found["Slack"].remedy
    assert found["Slack messages"].state == "SLACK_APP_TOKEN holds a bot token (xoxb-…)"
    assert "connections:write" in found["Slack messages"].remedy
    assert slack.asked == []


@pytest.mark.parametrize(
    ("token", "said"), [("xoxp-1", "a user token"), ("xoxe.xoxb-1", "rotated"), ("hello", "no token of Slack's")]
)
async def test_other_tokens_in_place_of_the_bots_are_told_apart(look: Look, token: str, said: str) -> None:
    assert said in (await look(slack_bot_token=token, slack_app_token=APP))["Slack"].state


@pytest.mark.parametrize(
    ("error", "state", "remedy"),
    [
        ("invalid_auth", "does not take SLACK_BOT_TOKEN (invalid_auth)", "Copy it anew"),
        ("token_revoked", "SLACK_BOT_TOKEN was revoked", "Reinstall"),
        ("account_inactive", "SLACK_BOT_TOKEN was revoked", "Reinstall"),
    ],
)
async def test_a_bot_token_that_slack_refuses(look: Look, slack: Slack, error: str, state: str, remedy: str) -> None:
    slack.errors["auth.test"] = error
    found = (await look(slack_bot_token=BOT, slack_app_token=APP))["Slack"]
    assert (found.ok, state in found.state, remedy in found.remedy) == (False, True, True)


@pytest.mark.parametrize(
    ("error", "state", "remedy"),
    [
        ("invalid_auth", "does not take SLACK_APP_TOKEN", "App-Level Tokens"),
        ("missing_scope", "may not open connections", "connections:write"),
        ("some_error", "some_error", "Socket Mode → Enable Socket Mode"),
    ],
)
async def test_an_app_token_that_slack_refuses(look: Look, slack: Slack, error: str, state: str, remedy: str) -> None:
    slack.errors["apps.connections.open"] = error
    found = (await look(slack_bot_token=BOT, slack_app_token=APP))["Slack messages"]
    assert (found.ok, state in found.state, remedy in found.remedy) == (False, True, True)


async def test_asking_too_often_is_no_fault_of_the_settings(look: Look, slack: Slack) -> None:
    slack.errors["apps.connections.open"] = "ratelimited"
    assert (await look(slack_bot_token=BOT, slack_app_token=APP))["Slack messages"].ok


async def test_without_an_app_token_requests_need_a_secret_and_an_https_address(look: Look) -> None:
    known: dict[str, Any] = {"slack_bot_token": BOT}
    nothing = (await look(**known))["Slack messages"]
    assert all(name in nothing.remedy for name in ("SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SCOPEBOT_PUBLIC_URL"))
    known["slack_signing_secret"] = BOT
    assert "holds a bot token" in (await look(**known))["Slack messages"].state
    known["slack_signing_secret"] = "0123456789abcdef"
    assert "SCOPEBOT_PUBLIC_URL is not set" in (await look(**known))["Slack messages"].state
    assert "https://" in (await look(**known, public_url="http://bot.example.com"))["Slack messages"].state
    fine = (await look(**known, public_url="https://bot.example.com/"))["Slack messages"]
    assert (fine.ok, fine.state) == (True, "as requests to https://bot.example.com/slack/events")


async def test_an_app_token_alone_lacks_the_bots(look: Look) -> None:
    found = (await look(slack_app_token=APP))["Slack"]
    assert (found.ok, "SLACK_BOT_TOKEN is not set" in found.state) == (False, True)


@pytest.mark.parametrize(
    ("given", "missing"), [("client_id", "SLACK_CLIENT_SECRET"), ("client_secret", "SLACK_CLIENT_ID")]
)
async def test_half_of_what_installs_need_is_named(look: Look, given: str, missing: str) -> None:
    found = (await look(slack_app_token=APP, slack_bot_token=BOT, **{f"slack_{given}": "secret"}))["Slack installs"]
    assert (found.ok, found.state) == (False, f"{missing} is not set, and the other one is")


async def test_installs_need_an_https_address_and_are_counted(look: Look, tmp_path: Path) -> None:
    known = {"slack_app_token": APP, "slack_client_id": "1.2", "slack_client_secret": "secret"}
    assert not (await look(**known))["Slack installs"].ok
    known["public_url"] = "https://bot.example.com"
    found = await look(**known)
    assert found["Slack installs"].state == "https://bot.example.com/slack/install"
    assert (found["Slack"].ok, found["Slack"].state) == (True, "no workspace has installed it yet")
    engine = migrated(tmp_path / "scopebot.db")
    bot = Bot(team_id="T1", bot_token="xoxb-2", bot_id="B1", bot_user_id="U1", installed_at=1.0)
    await Installations(engine).async_save_bot(bot)
    engine.dispose()
    assert (await look(**known))["Slack"].state == "workspaces that installed it: 1"
    found = await look(**known, slack_bot_token=BOT)
    assert found["Slack"].state == "workspaces that installed it: 1; SLACK_BOT_TOKEN is not used"


async def test_a_slack_that_does_not_answer_is_a_finding(look: Look) -> None:
    found = await look(slack_bot_token=BOT, slack_app_token=APP, slack_api_url="http://127.0.0.1:1/api/")
    assert not any(finding.ok for finding in found.values())
    assert "SLACK_API_URL" in found["Slack"].remedy
