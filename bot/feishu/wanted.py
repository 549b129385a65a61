"""What the app needs in Feishu's console: its scopes and events, each with what it is for."""

from __future__ import annotations

from collections.abc import Mapping

SCOPES: Mapping[str, str] = {
    "im:message:send_as_bot": "to post, to edit its posts and to show something to one person",
    "im:message.p2p_msg:readonly": "to hear direct messages",
    "im:message.group_at_msg:readonly": "to hear messages that mention it in groups",
    "im:message.group_msg": "to hear replies without a mention in threads, and to look up what it has posted",
    "im:message:readonly": "to look up what it has posted",
    "im:message.reactions:write_only": "to mark a message as seen",
    "im:resource": "to upload charts as pictures and long tables as files",
    "im:chat:readonly": "to know that it was added to a group, and which groups consist of topics",
}
"""The scopes of the tenant that it needs."""
OPTIONAL_SCOPES: Mapping[str, str] = {
    "application:app_slash_command:read": "to see which slash commands it has registered",
    "application:app_slash_command:write": "to have its slash commands offered while one types",
}
"""Those that a tenant may not have."""
EITHER: Mapping[str, tuple[str, ...]] = {
    "im:message:send_as_bot": ("im:message",),
    "im:message:readonly": ("im:message", "im:message.history:readonly"),
    "im:message.p2p_msg:readonly": ("im:message.p2p_msg",),
    "im:message.group_at_msg:readonly": ("im:message.group_at_msg",),
    "im:message.group_msg": ("im:message.group_msg:readonly",),
    "im:message.reactions:write_only": ("im:message",),
    "im:chat:readonly": ("im:chat",),
    "im:resource": ("im:resource:upload",),
}
"""Wider scopes, or older names, that do as well."""
EVENTS: Mapping[str, str] = {
    "im.message.receive_v1": "somebody writes to it, mentions it, or writes in a group that it is in",
    "im.message.recalled_v1": "a message was taken back",
    "im.chat.member.bot.added_v1": "it was added to a group",
    "im.chat.access_event.bot_p2p_chat_entered_v1": "somebody opens the conversation with it",
    "application.bot.menu_v6": "somebody uses its menu",
}
"""What it hears of."""
CALLBACKS: Mapping[str, str] = {"card.action.trigger": "somebody presses a button or sends a form off"}
"""What it answers."""


def missing(granted: frozenset[str]) -> list[str]:
    """Return the scopes that are needed and not granted, by any of their names."""
    return [scope for scope in SCOPES if not granted & {scope, *EITHER.get(scope, ())}]


def importable() -> dict[str, dict[str, list[str]]]:
    """Return the scopes as the console imports them (权限管理 → 批量导入/导出权限)."""
    return {"scopes": {"tenant": sorted(SCOPES), "user": []}}
