"""How Slack's places are written: `T1/C1` is a channel of a workspace, `T1/@U1` one's conversation with us alone.

Messages, and the threads under them, are `C1/1700000000.000100`: the channel that has them, and their timestamp.
Users are `slack:U1`.
"""

from __future__ import annotations

from typing import NamedTuple

from handlers.incoming import Place

NAME = "slack"


class Spot(NamedTuple):
    """A message."""

    channel: str
    ts: str


def channel_of(team: str, channel: str) -> str:
    """Return a channel as a place has it."""
    return f"{team}/{channel}"


def direct_of(team: str, user: str) -> str:
    """Return a person's conversation with us as a place has it."""
    return f"{team}/@{user}"


def team_of(place: Place) -> str:
    """Return the workspace of a place."""
    return place.channel.partition("/")[0]


def target_of(place: Place) -> str:
    """Return what Slack posts to: a channel, or a user whose direct conversation it opens."""
    return place.channel.partition("/")[2].removeprefix("@")


def is_direct(place: Place) -> bool:
    """Tell whether a place is a conversation of one person and us."""
    return "/@" in place.channel


def spot_id(channel: str, ts: str) -> str:
    """Return a message's id."""
    return f"{channel}/{ts}"


def spot_of(message_id: str) -> Spot:
    """Return the message of an id; without a channel and timestamp for the id of one that is in no history."""
    channel, _, ts = message_id.partition("/")
    return Spot(channel, ts)


def user_of(user: str) -> str:
    """Return a person as Slack has them."""
    return user.removeprefix(f"{NAME}:")


def message_source(team: str, channel: str, ts: str) -> str:
    """Return the id of what was said in a message, whatever event tells of it."""
    return f"{NAME}:{team}:{channel}:{ts}"


def spot_of_source(source: str) -> tuple[str, Spot] | None:
    """Return the workspace and the message of an id; None where it is not of a message, but of a click or a command."""
    parts = source.partition("#")[0].split(":")
    if len(parts) != 4 or parts[0] != NAME or not parts[2] or parts[2][0] not in "CDG":
        return None
    return parts[1], Spot(parts[2], parts[3])
