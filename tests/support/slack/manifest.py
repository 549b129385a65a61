"""App manifests: checked as strictly as Slack does, then the app has just what its manifest says."""

from __future__ import annotations

from typing import Any

from support.slack.delivery import KINDS
from support.slack.methods import ALL_SCOPES
from support.slack.schema import Check, Report, boolean, integer, listing, record, string
from support.slack.world import App

BUILT_IN = {
    "/archive", "/away", "/active", "/call", "/collapse", "/dm", "/dnd", "/expand", "/feed", "/feedback", "/giphy",
    "/help", "/huddle", "/invite", "/join", "/kick", "/leave", "/me", "/msg", "/mute", "/open", "/people", "/pref",
    "/prefs", "/remind", "/remove", "/rename", "/search", "/shortcuts", "/shrug", "/star", "/status", "/topic",
    "/trigger", "/who", "/apps", "/canvas", "/close",
}  # fmt: skip

SCOPES = ALL_SCOPES | {
    "bookmarks:read", "bookmarks:write", "calls:read", "calls:write", "canvases:read", "canvases:write",
    "channels:manage", "chat:write.customize", "conversations.connect:read", "dnd:read", "emoji:read",
    "groups:write", "incoming-webhook", "links.embed:write", "metadata.message:read", "pins:read", "pins:write",
    "remote_files:read", "remote_files:share", "remote_files:write", "usergroups:read", "usergroups:write",
    "users.profile:read", "users:read.email", "users:write", "search:read.public",
}  # fmt: skip
"""The bot scopes there are, used here or not."""

_WEB = string(3000, pattern=r"https://\S+")


def _command_name(value: Any, pointer: str, report: Report) -> None:
    string(32, pattern=r"/[a-z0-9_-]{1,31}")(value, pointer, report)
    report.expect(value not in BUILT_IN, pointer, f"{value} is one of Slack's own commands")


def _unique(field: str) -> Check:
    def check(value: Any, pointer: str, report: Report) -> None:
        names = (
            [one[field] for one in value if isinstance(one, dict) and field in one] if isinstance(value, list) else []
        )
        report.expect(len(names) == len(set(names)), pointer, f"{field} must be unique")

    return check


def _both(*checks: Check) -> Check:
    def check(value: Any, pointer: str, report: Report) -> None:
        for each in checks:
            each(value, pointer, report)

    return check


_PROMPTS = listing(record({"title": string(75), "message": string(2000)}), 4)
_FEATURES = record(
    {},
    {
        "bot_user": record({"display_name": string(80)}, {"always_online": boolean}),
        "app_home": record(
            {},
            dict.fromkeys(("home_tab_enabled", "messages_tab_enabled", "messages_tab_read_only_enabled"), boolean),
        ),
        "agent_view": record({"agent_description": string(300)}, {"suggested_prompts": _PROMPTS}),
        "assistant_view": record({"assistant_description": string(300)}, {"suggested_prompts": _PROMPTS}),
        "slash_commands": _both(
            listing(
                record(
                    {"command": _command_name, "description": string(2000)},
                    {"usage_hint": string(1000), "should_escape": boolean, "url": _WEB},
                ),
                50,
            ),
            _unique("command"),
        ),
        "shortcuts": _both(
            listing(
                record({
                    "name": string(24), "type": string(among=("message", "global")), "callback_id": string(255),
                    "description": string(150),
                }),
                10,
            ),
            _unique("callback_id"),
        ),
        "unfurl_domains": listing(string(255, pattern=r"[a-z0-9-]+(\.[a-z0-9-]+)+"), 5),
    },
)  # fmt: skip
_EVENT = string(among=tuple(KINDS))
_SETTINGS = record(
    {},
    {
        "socket_mode_enabled": boolean,
        "org_deploy_enabled": boolean,
        "token_rotation_enabled": boolean,
        "is_hosted": boolean,
        "function_runtime": string(among=("remote", "slack")),
        "allowed_ip_address_ranges": listing(string(), 10),
        "incoming_webhooks": record({}, {"incoming_webhooks_enabled": boolean}),
        "interactivity": record({"is_enabled": boolean}, {"request_url": _WEB, "message_menu_options_url": _WEB}),
        "event_subscriptions": record(
            {}, {"request_url": _WEB, "bot_events": listing(_EVENT, 100), "user_events": listing(_EVENT, 100)}
        ),
    },
)
_MANIFEST = record(
    {
        "display_information": record(
            {"name": string(35)},
            {
                "description": string(140), "long_description": string(4000, 174),
                "background_color": string(pattern=r"#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})"),
            },
        ),
    },
    {
        "_metadata": record({}, {"major_version": integer(1, 2), "minor_version": integer(0)}),
        "features": _FEATURES,
        "oauth_config": record(
            {},
            {
                "scopes": record(
                    {},
                    {
                        "bot": listing(string(among=tuple(sorted(SCOPES))), 255),
                        "user": listing(string(), 255), "bot_optional": listing(string(), 255),
                    },
                ),
                "redirect_urls": listing(string(3000, pattern=r"https?://\S+"), 1000),
                "token_management_enabled": boolean,
            },
        ),
        "settings": _SETTINGS,
    },
)  # fmt: skip


def problems_of(manifest: Any) -> list[str]:
    """Say what is wrong with a manifest; an event or a command without its scope is wrong too."""
    report = Report("manifest")
    _MANIFEST(manifest, "", report)
    if report.problems:
        return report.problems
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    scopes = set(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", []))
    socket = settings.get("socket_mode_enabled", False)
    interactivity = settings.get("interactivity", {})
    subscriptions = settings.get("event_subscriptions", {})
    events = subscriptions.get("bot_events", [])
    both = "agent_view" in features and "assistant_view" in features
    report.expect(not both, "/features", "agent_view and assistant_view exclude each other")
    for event in events:
        needed = KINDS[event]
        report.expect(not needed or needed in scopes, "/settings/event_subscriptions", f"{event} needs {needed}")
    if not socket:
        report.expect(not events or "request_url" in subscriptions, "/settings", "events need a request_url")
        on = interactivity.get("is_enabled")
        report.expect(not on or "request_url" in interactivity, "/settings", "interactivity needs a request_url")
        for place, command in enumerate(features.get("slash_commands", [])):
            report.expect("url" in command, f"/features/slash_commands/{place}", "missing required field: url")
    has_bot = "bot_user" in features
    report.expect(has_bot or not scopes, "/features", "bot scopes need a bot_user")
    commands = features.get("slash_commands") or features.get("shortcuts")
    report.expect(not commands or "commands" in scopes, "/features", "commands and shortcuts need the scope commands")
    used = features.get("shortcuts") and not interactivity.get("is_enabled")
    report.expect(not used, "/settings/interactivity", "shortcuts need interactivity")
    report.expect(
        "unfurl_domains" not in features or "links:read" in scopes, "/features", "unfurl_domains need links:read"
    )
    return report.problems


def apply(manifest: dict[str, Any], app: App) -> frozenset[str]:
    """Have the app be as its manifest says; return the scopes it is granted."""
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    home = features.get("app_home", {})
    app.events = frozenset(settings.get("event_subscriptions", {}).get("bot_events", []))
    app.commands = {one["command"]: one.get("should_escape", False) for one in features.get("slash_commands", [])}
    app.shortcuts = {one["callback_id"]: one["type"] for one in features.get("shortcuts", [])}
    app.interactive = settings.get("interactivity", {}).get("is_enabled", False)
    app.home_tab = home.get("home_tab_enabled", False)
    app.messages_tab = home.get("messages_tab_enabled", False) and not home.get("messages_tab_read_only_enabled", False)
    app.unfurl_domains = tuple(features.get("unfurl_domains", ()))
    return frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", []))
