"""The app's manifest: within Slack's limits, and nothing in it that nobody handles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bot.cli import main
from bot.settings import BotSettings
from bot.slack import manifest as module
from bot.slack.manifest import (
    EVENTS,
    LINK_EVENTS,
    LINK_SCOPES,
    RESERVED,
    SCOPES,
    call_of,
    manifest,
    unfurl_domain,
)
from handlers.intents.parsed import Vocabulary
from handlers.intents.slash import parse_slash
from handlers.registry import intents
from handlers.understand import understand
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}))
NEEDS = {
    "app_mention": "app_mentions:read", "message.channels": "channels:history", "message.groups": "groups:history",
    "message.im": "im:history", "message.mpim": "mpim:history", "member_joined_channel": "channels:read",
    "link_shared": "links:read",
}  # fmt: skip
"""The scope without which Slack does not send an event."""


def settings(**fields: Any) -> BotSettings:
    return BotSettings(**{"public_url": None, "slack_client_id": None} | fields)


def command_names() -> list[str]:
    return [str(command["command"]) for command in manifest(settings())["features"]["slash_commands"]]


def test_every_command_is_a_name_that_slack_takes() -> None:
    names = command_names()
    assert all(re.fullmatch(r"/[a-z0-9_-]{1,31}", name) for name in names)
    assert not {name.removeprefix("/") for name in names} & RESERVED
    assert len(set(names)) == len(names) <= 50
    assert "/eval" in names
    assert "/scopebot" in names
    assert not {"/status", "/help"} & set(names)


def test_every_command_leads_to_its_intent_and_every_intent_has_one() -> None:
    for intent in intents().values():
        parsed = parse_slash(call_of(intent), VOCABULARY)
        assert parsed is not None
        assert parsed.intent == intent.name
        assert call_of(intent).partition(" ")[0] in command_names()
    assert call_of(intents()["status"]) == "/scopebot status"
    assert call_of(intents()["eval"]) == "/eval"


def test_hints_say_what_a_command_takes() -> None:
    hints = {
        command["command"]: command.get("usage_hint") for command in manifest(settings())["features"]["slash_commands"]
    }
    assert (hints["/headlines"], hints["/cancel"], hints["/why"]) == ("[on|off]", "[run]", "[run] [name=value …]")


def test_the_suggested_prompts_name_only_models_that_are_registered(tmp_path: Path) -> None:
    def suggested(toml: str) -> list[str]:
        (tmp_path / "scopebot.toml").write_text(toml, encoding="utf-8")
        made = manifest(settings(config_path=tmp_path / "scopebot.toml"))
        return [prompt["message"] for prompt in made["features"]["agent_view"]["suggested_prompts"]]

    bare = suggested("")
    assert bare[0] == "evaluate mock on sample_mcq"
    assert not [sentence for sentence in bare if "qwen-plus" in sentence or "prod" in sentence]
    assert "evaluate mine on" in suggested('[models.mine]\nmodel = "m"\napi_url = "http://h/v1"\n')[0]


def test_texts_keep_to_slacks_limits() -> None:
    made = manifest(settings())
    about, features = made["display_information"], made["features"]
    assert len(about["name"]) <= 35
    assert len(about["description"]) <= 140
    assert 174 < len(about["long_description"]) <= 4000
    assert re.fullmatch(r"[a-z0-9._-]{1,80}", features["bot_user"]["display_name"])
    for command in features["slash_commands"]:
        assert 0 < len(command["description"]) <= 2000
        assert len(command.get("usage_hint", "-")) in range(1, 1001)
        assert command["should_escape"] is False
    for shortcut in features["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert 0 < len(shortcut["description"]) <= 150
    assert len(features["agent_view"]["agent_description"]) <= 300


def test_suggested_prompts_are_understood_as_what_their_titles_say() -> None:
    prompts = manifest(settings())["features"]["agent_view"]["suggested_prompts"]
    understood = [understand(prompt["message"], VOCABULARY).intent for prompt in prompts]
    assert understood == ["eval", "benchmarks", "status"], "no endpoint is registered that could be tested"
    assert all(prompt["title"][0].isupper() for prompt in prompts)


def test_a_shortcut_is_there_only_with_its_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifest(settings())["features"]["shortcuts"]
    assert {(found["callback_id"], found["type"]) for found in made} == {
        ("new_evaluation", "global"), ("rerun_this", "message"),
    }  # fmt: skip
    fewer = {name: intent for name, intent in intents().items() if name not in {"rerun", "eval"}}
    monkeypatch.setattr(module, "intents", lambda: fewer)
    features = manifest(settings())["features"]
    assert features["shortcuts"] == []
    assert "/eval" not in [command["command"] for command in features["slash_commands"]]


def test_each_event_comes_with_the_scope_it_needs() -> None:
    made = manifest(settings(public_url="https://bot.example.com"))
    granted = set(made["oauth_config"]["scopes"]["bot"])
    assert granted == {*SCOPES, *LINK_SCOPES}
    assert made["settings"]["event_subscriptions"]["bot_events"] == [*EVENTS, *LINK_EVENTS]
    assert {NEEDS[event] for event in (*EVENTS, *LINK_EVENTS) if event in NEEDS} <= granted


def test_socket_mode_names_no_address() -> None:
    made = manifest(settings())
    assert made["settings"]["socket_mode_enabled"] is True
    assert "http" not in json.dumps(made)
    assert "redirect_urls" not in made["oauth_config"]
    assert made["settings"]["interactivity"]["is_enabled"] is True
    assert made["settings"]["org_deploy_enabled"] is made["settings"]["token_rotation_enabled"] is False


def test_http_mode_sends_everything_to_one_address() -> None:
    made = manifest(settings(public_url="https://bot.example.com/eval/"), http=True)
    there = "https://bot.example.com/eval/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == there
    assert made["settings"]["interactivity"] == {
        "is_enabled": True, "request_url": there, "message_menu_options_url": there,
    }  # fmt: skip
    assert {command["url"] for command in made["features"]["slash_commands"]} == {there}


def test_many_workspaces_are_led_back_to_the_public_address() -> None:
    many = {"slack_client_id": "1.2"}
    with_address = manifest(settings(public_url="https://bot.example.com/", **many))
    assert with_address["oauth_config"]["redirect_urls"] == ["https://bot.example.com/slack/oauth_redirect"]
    for address in (None, "http://127.0.0.1:8080"):
        assert "redirect_urls" not in manifest(settings(public_url=address, **many))["oauth_config"]


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("https://Bot.Example.com:8443/x", "bot.example.com"),
        ("http://bot.example.com", None),
        ("https://10.0.0.5", None),
        ("https://[::1]:8080", None),
        ("https://localhost", None),
        ("https://bot", None),
        ("https://bot.local", None),
        ("https://bot.localhost.", None),
        ("", None),
        (None, None),
    ],
)
def test_links_are_unfurled_only_where_their_domain_is_public(address: str | None, domain: str | None) -> None:
    own = settings(public_url=address)
    made = manifest(own)
    assert unfurl_domain(own) == domain
    assert made["features"].get("unfurl_domains") == ([domain] if domain else None)
    assert ("links:read" in made["oauth_config"]["scopes"]["bot"]) is (domain is not None)
    assert ("link_shared" in made["settings"]["event_subscriptions"]["bot_events"]) is (domain is not None)


def _printed(*args: str, **environment: str) -> Result:
    unset = dict.fromkeys(("SCOPEBOT_PUBLIC_URL", "SLACK_CLIENT_ID"))
    return CliRunner().invoke(main, ["manifest", "slack", *args], env=unset | environment)


def test_it_is_printed_as_yaml_or_json() -> None:
    as_yaml, as_json = _printed(), _printed("--json")
    assert as_yaml.exit_code == as_json.exit_code == 0
    assert yaml.safe_load(as_yaml.output) == json.loads(as_json.output) == manifest(settings())


def test_an_address_for_requests_may_be_given_and_must_be_https() -> None:
    made = yaml.safe_load(_printed("--http", "https://bot.example.com").output)
    assert made == manifest(settings(public_url="https://bot.example.com"), http=True)
    refused = _printed("--http", "http://bot.example.com")
    assert refused.exit_code == 2
    assert "--http" in refused.output
