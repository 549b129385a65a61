"""What a workspace holds: people, channels, messages, views and files."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.slack.chance import token

KEPT_VERSIONS = 20
"""Earlier contents that are kept of one message."""


@dataclass
class Person:
    """Somebody in a workspace."""

    id: str
    name: str
    real_name: str
    locale: str = "en-US"
    tz: str = "Europe/Berlin"
    tz_offset: int = 3600
    is_bot: bool = False
    deleted: bool = False

    def shown(self, team: str, *, locale: bool = False) -> dict[str, Any]:
        """Return what users.info shows."""
        profile = {"real_name": self.real_name, "display_name": self.name, "team": team}
        shown = {
            "id": self.id, "team_id": team, "name": self.name, "real_name": self.real_name, "deleted": self.deleted,
            "tz": self.tz, "tz_label": self.tz, "tz_offset": self.tz_offset, "is_bot": self.is_bot, "is_admin": False,
            "profile": profile, "is_app_user": False, "updated": 1_700_000_000,
        }  # fmt: skip
        return shown | ({"locale": self.locale} if locale else {})


@dataclass
class Message:
    """A message in a channel; ephemeral ones are kept elsewhere."""

    ts: str
    channel: str
    user: str
    text: str
    by_bot: bool = False
    thread_ts: str | None = None
    subtype: str | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    edited: dict[str, str] | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    at: float = field(default_factory=time.time)
    changed_at: float = 0.0
    versions: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_VERSIONS))

    @property
    def in_channel(self) -> bool:
        """Whether the channel itself shows it, not only a thread."""
        return self.thread_ts in {None, self.ts} or self.subtype == "thread_broadcast"

    def remember(self) -> None:
        """Keep what it says now, before that changes."""
        self.versions.append({"at": self.changed_at or self.at, "text": self.text, "blocks": self.blocks})


@dataclass
class Channel:
    """A conversation of any kind."""

    id: str
    name: str
    kind: str
    """`channel` (public), `group` (private), `im` or `mpim`."""
    members: set[str] = field(default_factory=set)
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)
    creator: str = ""

    def shown(self, team: str, bot: str) -> dict[str, Any]:
        """Return what conversations.info shows."""
        shown: dict[str, Any] = {
            "id": self.id, "created": 1_700_000_000, "is_archived": self.archived, "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim", "is_channel": self.kind == "channel", "is_org_shared": False,
            "is_group": self.kind == "group", "is_private": self.kind != "channel", "context_team_id": team,
        }  # fmt: skip
        if self.kind == "im":
            return shown | {"user": next(iter(self.members - {bot}), bot), "is_open": True}
        topic = {"value": "", "creator": "", "last_set": 0}
        return shown | {
            "name": self.name, "name_normalized": self.name, "is_general": self.name == "general",
            "is_member": bot in self.members, "creator": self.creator, "is_ext_shared": False, "is_shared": False,
            "topic": topic, "purpose": topic,
        }  # fmt: skip


@dataclass
class File:
    """A file, uploaded by a bot or a person."""

    id: str
    name: str
    mimetype: str
    user: str
    size: int = 0
    title: str = ""
    content: bytes = b""
    uploaded: bool = False
    complete: bool = False
    ready_at: float = 0.0
    channels: list[str] = field(default_factory=list)

    def shown(self, url: str) -> dict[str, Any]:
        """Return what files.info and messages show; `url` is the server's."""
        link = f"{url}/files/{self.id}"
        return {
            "id": self.id, "name": self.name, "title": self.title or self.name, "mimetype": self.mimetype,
            "filetype": self.name.rpartition(".")[2] or "text", "user": self.user, "size": self.size,
            "mode": "hosted", "is_external": False, "is_public": False, "created": 1_700_000_000,
            "url_private": f"{link}/{self.name}", "url_private_download": f"{link}/download/{self.name}",
            "permalink": link, "channels": list(self.channels),
        }  # fmt: skip


@dataclass
class Ephemeral:
    """A message that one person sees."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None = None
    source: str = "chat.postEphemeral"
    at: float = field(default_factory=time.time)


@dataclass
class View:
    """A modal that is open, or a Home tab."""

    id: str
    user: str
    content: dict[str, Any]
    hash: str
    root: str
    previous: str | None = None
    values: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """What people put into elements so far, by block and action id."""


class Workspace:
    """One workspace, and the app's installation in it."""

    def __init__(self, number: int, scopes: frozenset[str]) -> None:
        self.number = number
        self.id = f"T{number:08d}"
        self.name = f"Team {number}"
        self.domain = f"team{number}"
        self.scopes = scopes
        self.bot_token = f"xoxb-{number}-{token(8)}"
        self.bot_id = f"B{number:08d}"
        self.token_state = ""
        """Why the token is refused: `token_revoked`, `account_inactive`; empty where it is not."""
        self.old = frozenset[str]()
        """Block types it does not know."""
        self._numbers = itertools.count(1)
        self._last = 0
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.ephemerals: list[Ephemeral] = []
        self.modals: dict[str, list[View]] = {}
        """Each person's stack of modals, the topmost last."""
        self.homes: dict[str, View] = {}
        self.files: dict[str, File] = {}
        self.unfurls: list[dict[str, Any]] = []
        self.prompts: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.link_posts: dict[str, tuple[str, str, list[str]]] = {}
        """Links that were shared, by unfurl id: channel, ts, urls."""
        self.options: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """The options last answered, by container and action id."""
        self.chosen: dict[tuple[str, str, str], dict[str, Any]] = {}
        """What is chosen in messages' menus, by ts, block id and action id."""
        self.bot = self.add_person("scopebot", "Scopebot", is_bot=True)

    def new_id(self, letter: str) -> str:
        """Return an id that looks like Slack's."""
        return f"{letter}0{self.number}{next(self._numbers):06d}"

    def new_ts(self) -> str:
        """Return the time now as a ts that nothing else has, later than all before."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def add_person(self, name: str, real_name: str = "", **fields: Any) -> Person:
        """Have somebody join the workspace."""
        person = Person(self.new_id("U"), name, real_name or name.title(), **fields)
        self.people[person.id] = person
        return person

    def add_channel(self, name: str, kind: str = "channel", members: set[str] | None = None) -> Channel:
        """Make a channel of people."""
        letter = {"channel": "C", "group": "C", "im": "D", "mpim": "G"}[kind]
        channel = Channel(self.new_id(letter), name, kind, set(members or ()), creator=next(iter(members or {""})))
        self.channels[channel.id] = channel
        return channel

    def person(self, key: str) -> Person | None:
        """Find somebody by id or name."""
        return self.people.get(key) or next((p for p in self.people.values() if p.name == key.lstrip("@")), None)

    def channel(self, key: str) -> Channel | None:
        """Find a channel by id or name."""
        key = key.lstrip("#")
        return self.channels.get(key) or next((c for c in self.channels.values() if c.name == key), None)

    def open_im(self, user: str) -> Channel:
        """Find or make the bot's direct messages with somebody."""
        pair = {user, self.bot.id}
        found = next((c for c in self.channels.values() if c.kind == "im" and c.members == pair), None)
        return found or self.add_channel(f"dm-{self.people[user].name}", "im", pair)

    def view(self, view_id: str) -> View | None:
        """Find an open modal or a Home tab."""
        modals = (view for stack in self.modals.values() for view in stack)
        return next((view for view in itertools.chain(modals, self.homes.values()) if view.id == view_id), None)

    def thread(self, channel: Channel, ts: str) -> Iterator[Message]:
        """Go through a thread, its parent first."""
        parent = channel.messages[ts]
        yield parent
        yield from (channel.messages[reply] for reply in parent.replies if reply in channel.messages)

    def shown(self, message: Message, *, metadata: bool = False) -> dict[str, Any]:
        """Return a message as Slack's APIs show it."""
        shown: dict[str, Any] = {
            "type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": self.id,
        }  # fmt: skip
        if message.subtype:
            shown["subtype"] = message.subtype
        if message.by_bot:
            profile = {"id": self.bot_id, "app_id": "A00000001", "name": "scopebot", "team_id": self.id}
            shown |= {"bot_id": self.bot_id, "app_id": "A00000001", "bot_profile": profile}
        for name in ("blocks", "attachments", "files", "edited", "thread_ts"):
            if getattr(message, name):
                shown[name] = getattr(message, name)
        if message.reactions:
            shown["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
            ]
        if message.replies:
            parts = self.channels[message.channel].messages
            users = list(dict.fromkeys(parts[ts].user for ts in message.replies if ts in parts))
            shown |= {
                "thread_ts": message.ts, "reply_count": len(message.replies), "reply_users": users,
                "reply_users_count": len(users), "latest_reply": message.replies[-1], "is_locked": False,
                "subscribed": True,
            }  # fmt: skip
        elif message.thread_ts and message.thread_ts in self.channels[message.channel].messages:
            shown["parent_user_id"] = self.channels[message.channel].messages[message.thread_ts].user
        if metadata and message.metadata:
            shown["metadata"] = message.metadata
        return shown


def populate(workspace: Workspace) -> Workspace:
    """Give a workspace some people and channels."""
    one = workspace.add_person("ann", "Ann Adams", locale="en-US", tz="America/New_York", tz_offset=-18000).id
    two = workspace.add_person("bob", "Bob Brown", locale="en-GB", tz="Europe/London", tz_offset=0).id
    three = workspace.add_person("chen", "陈晨", locale="zh-CN", tz="Asia/Shanghai", tz_offset=28800).id
    people, bot = {one, two, three}, workspace.bot.id
    workspace.add_channel("general", "channel", people | {bot})
    workspace.add_channel("evals", "channel", people | {bot})
    workspace.add_channel("random", "channel", people)
    workspace.add_channel("inner", "group", people | {bot})
    workspace.add_channel("hidden", "group", people)
    workspace.add_channel("old", "channel", people | {bot}).archived = True
    return workspace
