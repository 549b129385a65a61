"""The app as Slack is to know it, generated from the registry: what has no handler does not appear."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bot.slack.prompts import prompts
from handlers.registry import Intent, intents
from handlers.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.settings import BotSettings

OWN_COMMAND: Final = "/scopebot"
EVENTS_PATH: Final = "/slack/events"
INSTALL_PATH: Final = "/slack/install"
REDIRECT_PATH: Final = "/slack/oauth_redirect"
RERUN_THIS: Final = "rerun_this"
NEW_EVALUATION: Final = "new_evaluation"

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "to hear messages that mention it",
    "assistant:write": "to suggest what to say in its own conversation",
    "channels:history": "to hear replies without a mention in threads, in public channels it was invited to",
    "channels:read": "to hear that it was invited to a public channel",
    "chat:write": "to post, and to edit its posts",
    "chat:write.public": "to answer a slash command in a public channel that it is not in",
    "commands": "for slash commands and shortcuts",
    "files:read": "to show pictures that it uploaded in its messages",
    "files:write": "to upload charts as pictures, where a workspace does not draw them itself",
    "groups:history": "as channels:history, in private channels it was invited to",
    "groups:read": "to hear that it was invited to a private channel",
    "im:history": "to hear direct messages",
    "im:write": "to open a conversation with a person who started something elsewhere",
    "mpim:history": "as channels:history, in group direct messages it was added to",
    "reactions:write": "to mark a message as seen, done or failed",
    "users:read": "to answer in a person's language and time zone",
}
"""The bot's scopes, each with what it is for."""
LINK_SCOPES: Mapping[str, str] = {
    "links:read": "to see links to its run pages",
    "links:write": "to show under them what they lead to",
}
"""Those that it has where its web server has a public domain."""
EVENTS: Mapping[str, str] = {
    "app_mention": "somebody mentions it",
    "message.channels": "somebody writes in a public channel that it is in",
    "message.groups": "somebody writes in a private channel that it is in",
    "message.im": "somebody writes to it",
    "message.mpim": "somebody writes in a group direct message that it is in",
    "app_home_opened": "somebody opens its home",
    "member_joined_channel": "it was invited to a channel",
    "app_uninstalled": "a workspace removed it",
    "tokens_revoked": "a workspace took its token away",
}
"""What it hears of, each with what that is."""
LINK_EVENTS: Mapping[str, str] = {"link_shared": "somebody posts a link to one of its run pages"}
"""What it hears of where its web server has a public domain."""

RESERVED: Final = frozenset({
    "active", "apps", "archive", "away", "call", "canvas", "close", "collapse", "commands", "debug", "dm", "dnd",
    "expand", "feed", "feedback", "help", "huddle", "invite", "invite_people", "join", "keys", "kick", "leave", "list",
    "logout", "me", "msg", "mute", "open", "part", "prefs", "pro", "remind", "remove", "rename", "search", "send",
    "shortcuts", "shrug", "star", "status", "topic", "unarchive", "unmute", "unstar", "who", "workflow",
})  # fmt: skip
"""Names that Slack has or had for itself. It refuses a whole manifest for one of them, and says only "invalid name";
no list of them is published, so one too many is better here than one too few."""

_COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")
_PRIVATE_DOMAINS = ("local", "localhost", "internal", "lan", "test", "invalid")
_DESCRIPTION = "Evaluates models with EvalScope: say what to run, and get scores in the thread."
_LONG_DESCRIPTION = (
    "Mention Scopebot and say what to evaluate, in English or Chinese: it says what it will run, shows the progress "
    "with its running score in one message, and posts the scores with their intervals, a link to the run's page and "
    "the exact evalscope command line that reproduces them. It evaluates models and stress tests their endpoints; it "
    "never trains, fine-tunes, deploys or serves them."
)


def manifest(settings: BotSettings, *, http: bool = False) -> dict[str, Any]:
    """Return the app's manifest: for Socket Mode, or with `http` for requests to SCOPEBOT_PUBLIC_URL.

    Raises `ValueError` where that is not an https address.
    """
    base = (settings.public_url or "").rstrip("/")
    secure = urlsplit(base).scheme == "https"
    if http and not secure:
        raise ValueError("Slack sends requests to https addresses only")
    url = base + EVENTS_PATH if http else None
    domain = unfurl_domain(settings)
    oauth: dict[str, Any] = {"scopes": {"bot": list(scopes(settings))}}
    if settings.slack_client_id is not None and secure:
        oauth = {"redirect_urls": [base + REDIRECT_PATH]} | oauth
    return {
        "display_information": {
            "name": "Scopebot",
            "description": _DESCRIPTION,
            "long_description": _LONG_DESCRIPTION,
            "background_color": "#2c2d30",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "scopebot", "always_online": True},
            "agent_view": {"agent_description": _DESCRIPTION, "suggested_prompts": prompts("en", settings.config)},
            "shortcuts": _shortcuts(),
            "slash_commands": [_with_url(command, url) for command in _commands()],
        }
        | ({"unfurl_domains": [domain]} if domain else {}),
        "oauth_config": oauth,
        "settings": {
            "event_subscriptions": _with_url({"bot_events": list(events(settings))}, url, "request_url"),
            "interactivity": _with_url({"is_enabled": True}, url, "request_url", "message_menu_options_url"),
            "org_deploy_enabled": False,
            "socket_mode_enabled": not http,
            "token_rotation_enabled": False,
        },
    }


def scopes(settings: BotSettings) -> tuple[str, ...]:
    """Return the bot's scopes, sorted."""
    return tuple(sorted([*SCOPES, *(LINK_SCOPES if unfurl_domain(settings) else ())]))


def events(settings: BotSettings) -> tuple[str, ...]:
    """Return the events that the bot hears of."""
    return (*EVENTS, *(LINK_EVENTS if unfurl_domain(settings) else ()))


def unfurl_domain(settings: BotSettings) -> str | None:
    """Return the domain whose links are shown with what they lead to; None where SCOPEBOT_PUBLIC_URL has none."""
    parts = urlsplit(settings.public_url or "")
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or "." not in host or host.rpartition(".")[2] in _PRIVATE_DOMAINS:
        return None
    try:
        ip_address(host)
    except ValueError:
        return host
    return None


def call_of(intent: Intent) -> str:
    """Return how an intent is called on Slack: `/eval`, or `/scopebot status` where Slack keeps the name for itself."""
    return _native(intent) or f"{OWN_COMMAND} {intent.slash[0].removeprefix('/')}"


def other_calls() -> dict[str, str]:
    """Return the intents that are called otherwise on Slack than by their own command, with how they are."""
    return {name: call for name, intent in intents().items() if (call := call_of(intent)) != intent.slash[0]}


def _native(intent: Intent) -> str | None:
    name = intent.slash[0]
    return name if _COMMAND.fullmatch(name) and name.removeprefix("/") not in RESERVED else None


def _commands() -> list[dict[str, Any]]:
    texts = Texts("en")
    found = [
        {"command": name, "description": texts(f"help.about.{intent.name}"), "usage_hint": _hint(intent)}
        for intent in intents().values()
        if (name := _native(intent)) is not None
    ]
    about = "anything you can say to Scopebot, in words or as a command"
    found.append({"command": OWN_COMMAND, "description": about, "usage_hint": "status | evaluate prod on gsm8k | help"})
    return [{key: text for key, text in command.items() if text} | {"should_escape": False} for command in found]


def _hint(intent: Intent) -> str:
    """Return what may follow a command: its positional fields, optional ones in brackets."""
    fields = intent.args.model_fields
    values = {name: "on|off" if fields[name].annotation == bool | None else name for name in intent.positional}
    said = [value if name in intent.required else f"[{value}]" for name, value in values.items()]
    if set(fields) - {*intent.positional, "runs", "which", *intent.not_yet}:  # several runs are named like one
        said.append("[name=value …]")
    return " ".join(said)


def _shortcuts() -> list[dict[str, str]]:
    known, found = intents(), []
    if "eval" in known:
        about = "Evaluate a model: fill in a form"
        found.append({
            "name": "New evaluation", "type": "global", "callback_id": NEW_EVALUATION, "description": about,
        })  # fmt: skip
    if "rerun" in known:
        about = "Run again what this message is about"
        found.append({"name": "Re-run this", "type": "message", "callback_id": RERUN_THIS, "description": about})
    return found


def _with_url(entry: dict[str, Any], url: str | None, *names: str) -> dict[str, Any]:
    """Return an entry with the address that Slack sends its requests to, if there is one."""
    return entry if url is None else entry | dict.fromkeys(names or ("url",), url)
