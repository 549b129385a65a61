"""Slack's Web API methods: their parameters, the scope each needs, and its rate limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One method."""

    required: frozenset[str]
    optional: frozenset[str]
    scopes: tuple[str, ...]
    """One of these; `*` stands for the kind of the channel (channels, groups, im, mpim)."""
    per_minute: int
    json: bool
    """Whether it takes its parameters as JSON; else a JSON body is ignored, as Slack does."""


def _method(params: str, scopes: str = "", per_minute: int = 50, *, json: bool = False) -> Method:
    """Read a method from words: a parameter with `!` is required."""
    words = params.split()
    return Method(
        frozenset(word[:-1] for word in words if word.endswith("!")),
        frozenset(word for word in words if not word.endswith("!")),
        tuple(scopes.split()),
        per_minute,
        json,
    )


_LOOK = "as_user link_names parse username icon_emoji icon_url"
_CONTENT = "text blocks attachments markdown_text"

METHODS: dict[str, Method] = {
    "api.test": _method("error foo", "", 1000, json=True),
    "auth.test": _method("", "", 600, json=True),
    "auth.revoke": _method("test", "", 50),
    "apps.connections.open": _method("", "", 10, json=True),
    "oauth.v2.access": _method("code client_id client_secret redirect_uri grant_type refresh_token", "", 600),
    "chat.postMessage": _method(
        f"channel! {_CONTENT} {_LOOK} thread_ts reply_broadcast unfurl_links unfurl_media mrkdwn metadata",
        "chat:write", 0, json=True,
    ),
    "chat.update": _method(
        f"channel! ts! {_CONTENT} as_user link_names parse metadata file_ids reply_broadcast", "chat:write", 50,
        json=True,
    ),
    "chat.delete": _method("channel! ts! as_user", "chat:write", 50, json=True),
    "chat.postEphemeral": _method(f"channel! user! {_CONTENT} {_LOOK} thread_ts", "chat:write", 100, json=True),
    "chat.getPermalink": _method("channel! message_ts!", "", 100),
    "chat.unfurl": _method(
        "channel ts source unfurl_id unfurls metadata user_auth_blocks user_auth_message user_auth_required"
        " user_auth_url",
        "links:write", 50, json=True,
    ),
    "conversations.replies": _method(
        "channel! ts! cursor inclusive include_all_metadata latest limit oldest", "*:history"
    ),
    "conversations.history": _method("channel! cursor inclusive include_all_metadata latest limit oldest", "*:history"),
    "conversations.open": _method("channel users return_im prevent_creation", "im:write mpim:write", 50, json=True),
    "conversations.info": _method("channel! include_locale include_num_members", "*:read"),
    "conversations.members": _method("channel! cursor limit", "*:read", 100),
    "conversations.list": _method("cursor exclude_archived limit types", "channels:read groups:read", 20),
    "conversations.join": _method("channel!", "channels:join", 50, json=True),
    "users.info": _method("user! include_locale", "users:read", 100),
    "users.list": _method("cursor include_locale limit", "users:read", 20),
    "reactions.add": _method("channel! timestamp! name!", "reactions:write", 50, json=True),
    "reactions.remove": _method("channel! timestamp! name!", "reactions:write", 20, json=True),
    "reactions.get": _method("channel timestamp file file_comment full", "reactions:read", 50),
    "views.open": _method("view! trigger_id interactivity_pointer", "", 100, json=True),
    "views.update": _method("view! view_id external_id hash", "", 100, json=True),
    "views.push": _method("view! trigger_id interactivity_pointer", "", 100, json=True),
    "views.publish": _method("user_id! view! hash", "", 100, json=True),
    "files.getUploadURLExternal": _method("filename! length! alt_txt snippet_type", "files:write", 20),
    "files.completeUploadExternal": _method(
        "files! channel_id channels initial_comment thread_ts blocks", "files:write", 100, json=True
    ),
    "files.info": _method("file! count cursor limit page", "files:read", 100),
    "files.delete": _method("file!", "files:write", 50, json=True),
    "assistant.threads.setSuggestedPrompts": _method(
        "channel_id! prompts! thread_ts title", "assistant:write", 50, json=True
    ),
    "assistant.threads.setStatus": _method(
        "channel_id! thread_ts! status! loading_messages icon_emoji icon_url username", "assistant:write chat:write",
        600, json=True,
    ),
    "assistant.threads.setTitle": _method("channel_id! thread_ts! title!", "assistant:write", 50, json=True),
    "team.info": _method("team domain include_slackbot_availability", "team:read", 50),
    "bots.info": _method("bot", "users:read", 50),
}  # fmt: skip

STRUCTURED = {"blocks", "attachments", "metadata", "view", "unfurls", "files", "prompts", "loading_messages"}
"""Parameters that are JSON: as they are in a JSON body, as text in a form."""
FLAGS = {
    "reply_broadcast", "unfurl_links", "unfurl_media", "mrkdwn", "as_user", "link_names", "inclusive", "return_im",
    "include_all_metadata", "include_locale", "include_num_members", "exclude_archived", "prevent_creation", "full",
    "include_slackbot_availability", "user_auth_required", "test",
}  # fmt: skip
NUMBERS = {"limit", "length", "count", "page"}

_SCOPES = (
    "app_mentions:read assistant:write channels:history channels:join channels:read chat:write chat:write.public"
    " commands files:read files:write groups:history groups:read im:history im:read im:write links:read links:write"
    " mpim:history mpim:read mpim:write reactions:read reactions:write team:read users:read"
)
ALL_SCOPES = frozenset(_SCOPES.split())
