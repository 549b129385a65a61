"""The Slack double takes manifests that Slack takes, and the app then has just what its manifest says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.slack.control import Impossible, Slack
from support.slack.manifest import problems_of

MANIFEST: dict[str, Any] = {
    "_metadata": {"major_version": 2},
    "display_information": {"name": "Scopebot", "description": "Evaluates models", "background_color": "#1a2b3c"},
    "features": {
        "bot_user": {"display_name": "scopebot", "always_online": True},
        "app_home": {
            "home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False,
        },
        "agent_view": {
            "agent_description": "Evaluates models", "suggested_prompts": [{"title": "Quick", "message": "eval gsm8k"}],
        },
        "slash_commands": [
            {"command": "/eval", "description": "Evaluate", "usage_hint": "model benchmark", "should_escape": False},
        ],
        "shortcuts": [{"name": "Run again", "type": "message", "callback_id": "rerun", "description": "Run it again"}],
        "unfurl_domains": ["reports.example.com"],
    },
    "oauth_config": {
        "scopes": {"bot": ["app_mentions:read", "chat:write", "commands", "im:history", "links:read", "users:read"]},
    },
    "settings": {
        "socket_mode_enabled": True, "org_deploy_enabled": False, "interactivity": {"is_enabled": True},
        "event_subscriptions": {"bot_events": ["app_mention", "message.im", "app_home_opened", "link_shared"]},
    },
}  # fmt: skip


def at(*path: str) -> Callable[[dict[str, Any]], Any]:
    def find(manifest: Any) -> Any:
        for name in path:
            manifest = manifest[name]
        return manifest

    return find


FEATURES, SETTINGS = at("features"), at("settings")
WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown key": lambda m: m.update(colour="red"),
    "an unknown key deep down": lambda m: FEATURES(m)["app_home"].update(tab="home"),
    "no name": lambda m: m["display_information"].pop("name"),
    "a long name": lambda m: m["display_information"].update(name="x" * 36),
    "a command in capitals": lambda m: FEATURES(m)["slash_commands"][0].update(command="/Eval"),
    "a command without its slash": lambda m: FEATURES(m)["slash_commands"][0].update(command="eval"),
    "a command in Chinese": lambda m: FEATURES(m)["slash_commands"][0].update(command="/评测"),
    "a long command": lambda m: FEATURES(m)["slash_commands"][0].update(command="/" + "x" * 32),
    "one of Slack's commands": lambda m: FEATURES(m)["slash_commands"][0].update(command="/status"),
    "a command twice": lambda m: FEATURES(m)["slash_commands"].append(FEATURES(m)["slash_commands"][0]),
    "a command without a description": lambda m: FEATURES(m)["slash_commands"][0].pop("description"),
    "a long hint": lambda m: FEATURES(m)["slash_commands"][0].update(usage_hint="x" * 1001),
    "five prompts": lambda m: FEATURES(m)["agent_view"].update(suggested_prompts=[{"title": "t", "message": "m"}] * 5),
    "both views": lambda m: FEATURES(m).update(assistant_view={"assistant_description": "x"}),
    "a long shortcut": lambda m: FEATURES(m)["shortcuts"][0].update(name="x" * 25),
    "a shortcut without a callback id": lambda m: FEATURES(m)["shortcuts"][0].pop("callback_id"),
    "a shortcut without interactivity": lambda m: SETTINGS(m)["interactivity"].update(is_enabled=False),
    "six domains": lambda m: FEATURES(m).update(unfurl_domains=[f"d{n}.example.com" for n in range(6)]),
    "an unknown event": lambda m: SETTINGS(m)["event_subscriptions"]["bot_events"].append("message.everywhere"),
    "an event without its scope": lambda m: SETTINGS(m)["event_subscriptions"]["bot_events"].append("reaction_added"),
    "an unknown scope": lambda m: m["oauth_config"]["scopes"]["bot"].append("chat:write.everywhere"),
    "commands without their scope": lambda m: m["oauth_config"]["scopes"]["bot"].remove("commands"),
    "no socket and no URL": lambda m: SETTINGS(m).update(socket_mode_enabled=False),
}


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


def test_a_good_manifest_passes() -> None:
    assert problems_of(MANIFEST) == []


@pytest.mark.parametrize("what", WRONG)
def test_a_manifest_is_refused_for(what: str) -> None:
    manifest = copy.deepcopy(MANIFEST)
    WRONG[what](manifest)
    assert len(problems_of(manifest)) >= 1


def test_the_app_has_just_what_its_manifest_says(slack: Slack) -> None:
    slack.use_manifest(MANIFEST)
    assert slack.scopes() == sorted(MANIFEST["oauth_config"]["scopes"]["bot"])
    slack.command("ann", "general", "/eval")
    with pytest.raises(Impossible, match="not a valid command"):
        slack.command("ann", "general", "/other")
    with pytest.raises(Impossible, match="no global shortcut"):
        slack.shortcut("ann", "rerun")
    ts = slack.say("ann", "general", "hello")
    slack.message_shortcut("ann", "rerun", "general", ts)
    slack.react("bob", "general", ts, "eyes")
    slack.mention("ann", "general", "hello")
    slack.dm("ann", "hello")
    # nobody is connected: what is to be delivered waits
    assert sorted(d["what"] for d in slack.deliveries("events_api")) == ["app_mention", "message.im"]


def test_a_wrong_manifest_changes_nothing(slack: Slack) -> None:
    before = slack.scopes()
    with pytest.raises(Impossible, match="refuses the manifest: missing required field"):
        slack.use_manifest({})
    assert slack.scopes() == before


def test_people_cannot_write_to_an_app_without_a_messages_tab(slack: Slack) -> None:
    manifest = copy.deepcopy(MANIFEST)
    manifest["features"]["app_home"]["messages_tab_enabled"] = False
    slack.use_manifest(manifest)
    with pytest.raises(Impossible, match="turned off"):
        slack.dm("ann", "hello")
