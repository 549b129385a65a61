"""What Feishu delivers → what we hear. Pure functions over the SDK's events; None for what is not for us."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.feishu.address import NAME, direct_of, message_source
from handlers.incoming import Incoming, Place, Request
from handlers.registry import intents
from handlers.typed import as_command

OUR_MENUS = "scopebot:"
"""What the key of a menu may begin with."""


def message_heard(event: Any, bot: str) -> Incoming | None:
    """Return what a message says to us, or what people say in a thread; `bot` is our own open id."""
    sender, message = event.event.sender, event.event.message
    if sender is None or message is None or sender.sender_type != "user" or not message.message_id:
        return None
    user = str(sender.sender_id.open_id or "")
    direct = message.chat_type == "p2p"
    mentioned = any(_id_of(mention) == bot for mention in message.mentions or ())
    root = str(message.root_id or "")
    text = _text(message, bot)
    if not user or not text or (not direct and not mentioned and not root):
        return None
    channel = direct_of(user) if direct else str(message.chat_id)
    return Incoming(
        id=message_source(message.message_id),
        place=Place(platform=NAME, channel=channel, thread=root or str(message.message_id)),
        user=f"{NAME}:{user}", text=text, addressed=direct or mentioned, direct=direct, fills_forms=True,
    )  # fmt: skip


def edited_at(event: Any) -> str:
    """Return when a message was edited, empty where it was not: Feishu then delivers it again, if it does."""
    message = event.event.message
    created, updated = str(message.create_time or ""), str(message.update_time or "")
    return updated if updated and updated != created else ""


def as_edit(said: Incoming, when: str) -> Incoming:
    """Return a message that was heard before as what it says now."""
    return said.model_copy(update={"id": f"{said.id}:edited:{when}", "kind": "edited", "about": said.id})


def as_recall(said: Incoming) -> Incoming:
    """Return that a message was taken back."""
    return said.model_copy(update={"id": f"{said.id}:deleted", "kind": "deleted", "about": said.id, "text": ""})


def menu_heard(event: Any) -> Incoming | None:
    """Return what a menu of the bot asks for; its key is the name of what it asks for."""
    operator = event.event.operator
    user = str(operator.operator_id.open_id or "") if operator is not None and operator.operator_id else ""
    asked = str(event.event.event_key or "").removeprefix(OUR_MENUS)
    if not user or asked not in intents():
        return None
    return Incoming(
        id=f"{NAME}:menu:{event.header.event_id}", place=Place(platform=NAME, channel=direct_of(user), thread=""),
        user=f"{NAME}:{user}", text=as_command(Request(intent=asked)), direct=True, fills_forms=True,
    )  # fmt: skip


def _id_of(mention: Any) -> str:
    return str(mention.id.open_id or "") if mention.id is not None else ""


def _text(message: Any, bot: str) -> str:
    """Return what a message says in words: us not mentioned in it, others by name."""
    try:
        content = json.loads(message.content or "{}")
    except ValueError:
        return ""
    if not isinstance(content, dict):
        return ""
    if message.message_type == "text":
        said = str(content.get("text") or "")
    elif message.message_type == "post":
        said = _post_text(content)
    else:
        return ""
    for mention in message.mentions or ():
        if mention.key:
            name = " " if _id_of(mention) == bot else f"@{mention.name or ''}"
            said = name.join(re.split(rf"{re.escape(mention.key)}(?!\d)", said))
    return said.strip()


def _post_text(content: dict[str, Any]) -> str:
    """Return the text of a rich message, a line for each paragraph."""
    paragraphs = [
        "".join(_piece(piece) for piece in paragraph if isinstance(piece, dict))
        for paragraph in content.get("content") or ()
    ]
    return "\n".join(line for line in (str(content.get("title") or ""), *paragraphs) if line.strip())


def _piece(piece: dict[str, Any]) -> str:
    tag = piece.get("tag")
    if tag == "a":  # what it leads to is what is meant, whatever it is called
        return str(piece.get("href") or piece.get("text") or "")
    if tag == "at":
        return str(piece.get("user_id") or "")
    return str(piece.get("text") or "")
