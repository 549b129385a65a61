"""How Feishu's places are written: `oc_…` is a group, `@ou_…` a person's conversation with us alone.

Messages, and the threads under them, are known by the message's id (`om_…`). Users are `feishu:ou_…`.
"""

from __future__ import annotations

from typing import NamedTuple

from handlers.incoming import Place

NAME = "feishu"


class Receiver(NamedTuple):
    """Whom Feishu is to deliver a message to: `kind` says what its `id` is."""

    kind: str
    id: str


def direct_of(user: str) -> str:
    """Return a person's conversation with us as a place has it."""
    return f"@{user}"


def is_direct(place: Place) -> bool:
    """Tell whether a place is a conversation of one person and us."""
    return place.channel.startswith("@")


def receiver_of(place: Place) -> Receiver:
    """Return what Feishu posts to."""
    if is_direct(place):
        return Receiver("open_id", place.channel.removeprefix("@"))
    return Receiver("chat_id", place.channel)


def user_of(user: str) -> str:
    """Return a person as Feishu has them."""
    return user.removeprefix(f"{NAME}:")


def message_source(message_id: str) -> str:
    """Return the id of what was said in a message, whatever event tells of it."""
    return f"{NAME}:{message_id}"


def message_of_source(source: str) -> str | None:
    """Return the message of an id; None where it is not of a message, but of a press or a menu."""
    name, _, message_id = source.partition("#")[0].partition(":")
    plain = name == NAME and message_id.startswith("om_") and ":" not in message_id
    return message_id if plain else None
