"""What there is in the tenant: people, chats, messages, the app and what it may do."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from support.feishu.shown import degraded

Json = dict[str, Any]
SCOPES = frozenset({
    "im:message:send_as_bot", "im:message.p2p_msg:readonly", "im:message.group_at_msg:readonly", "im:message.group_msg",
    "im:message:readonly", "im:message.reactions:write_only", "im:resource", "im:chat:readonly",
    "application:app_slash_command:read", "application:app_slash_command:write",
})  # fmt: skip
PEOPLE = {"ann": "Ann", "bob": "Bob", "chen": "陈晨", "wang": "小王"}


class Refused(Exception):
    """Feishu's answer to what it does not do."""

    def __init__(self, code: int, msg: str, status: int = 400, *, meant: bool = False) -> None:
        self.code, self.msg, self.status = code, msg, status
        self.meant = meant
        """It is what a test provoked, and no fault of the bot's."""
        super().__init__(f"{code} {msg}")


@dataclass
class Settings:
    """What a test can set."""

    ack_within: float = 3.0
    redeliver: list[float] = field(default_factory=lambda: [15.0, 300.0, 3600.0, 21600.0])
    """Seconds after a delivery that was not acknowledged at which it is made again."""
    copies: int = 1
    same_event: bool = True
    ping_every: int = 2
    token_life: float = 7200.0
    uuid_life: float = 3600.0
    enforce: bool = True
    """Refuse what is over the limits; it is counted either way."""
    edits_told: bool = True
    """An edit is delivered as the message once more."""
    has_commands: bool = False
    """The tenant has native slash commands."""
    sockets: int = 50


@dataclass
class Chat:
    """A chat; `mode` is group, topic or p2p."""

    id: str
    name: str
    mode: str
    members: set[str]
    bot: bool = True
    dissolved: bool = False
    muted: bool = False


class World:
    """The tenant."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.app_id, self.app_secret = "cli_" + secrets.token_hex(8), secrets.token_hex(16)
        self.encrypt_key, self.verification_token = secrets.token_hex(8), secrets.token_hex(8)
        self.bot_open_id = "ou_" + secrets.token_hex(12)
        self.scopes = set(SCOPES)
        self.users = {name: "ou_" + secrets.token_hex(12) for name in PEOPLE}
        self.chats: dict[str, Chat] = {}
        self.messages: dict[str, Json] = {}
        self.versions: dict[str, list[Json]] = {}
        self.ephemerals: list[Json] = []
        self.reactions: list[Json] = []
        self.files: dict[str, Json] = {}
        self.commands: dict[str, Json] = {}
        self.tokens: dict[str, float] = {}
        """When each ends."""
        self.token_fetches = 0
        self.calls: list[Json] = []
        self.violations: list[str] = []
        self.uuids: dict[str, tuple[float, str]] = {}
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self.add_chat("general", "group")
        self.add_chat("topics", "topic")

    # chats

    def add_chat(self, name: str, mode: str) -> str:
        """Make a chat that all are in."""
        chat = Chat("oc_" + secrets.token_hex(8), name, mode, set(self.users.values()))
        self.chats[chat.id] = chat
        return chat.id

    def chat(self, name: str) -> Chat:
        """Return a chat by its id or name."""
        found = self.chats.get(name) or next((chat for chat in self.chats.values() if chat.name == name), None)
        if found is None:
            raise KeyError(f"no chat {name}")
        return found

    def user(self, name: str) -> str:
        """Return somebody's open id."""
        return self.users.get(name, name)

    def p2p(self, user: str) -> Chat:
        """Return a person's conversation with the bot."""
        name = f"p2p:{self.user(user)}"
        try:
            return self.chat(name)
        except KeyError:
            made = self.chat(self.add_chat(name, "p2p"))
            made.members = {self.user(user)}
            return made

    # messages

    def add_message(
        self, chat: Chat, sender: Json, kind: str, content: str, *, reply_to: str | None = None, in_thread: bool = False
    ) -> Json:
        """Put a message into a chat; in a chat of topics, each that answers nothing begins one."""
        now = str(int(time.time() * 1000))
        message: Json = {
            "message_id": f"om_{next(self._numbers):04d}{secrets.token_hex(8)}", "msg_type": kind, "create_time": now,
            "update_time": now, "deleted": False, "updated": False, "chat_id": chat.id, "sender": sender,
            "body": {"content": content}, "mentions": [],
        }  # fmt: skip
        if kind == "interactive":
            message["card"] = json.loads(content)
            message["body"] = {"content": degraded(message["card"])}
        if reply_to is not None:
            parent = self.messages[reply_to]
            root = self.messages[parent.get("root_id") or reply_to]
            message |= {"root_id": root["message_id"], "parent_id": reply_to}
            if in_thread or parent.get("thread_id"):
                thread = root.setdefault("thread_id", "omt_" + secrets.token_hex(6))
                message["thread_id"] = thread
        elif chat.mode == "topic":
            message["thread_id"] = "omt_" + secrets.token_hex(6)
        self.messages[message["message_id"]] = message
        self.versions[message["message_id"]] = [dict(message)]
        return message

    def show(self, message: Json, card: Json) -> None:
        """Have a message show another card."""
        message |= {"card": card, "body": {"content": degraded(card)}, "updated": True}
        self.changed(message)

    def changed(self, message: Json) -> None:
        """Take note of how a message looks now."""
        message["update_time"] = str(int(time.time() * 1000))
        self.versions[message["message_id"]].append(dict(message))

    # the app

    def new_token(self) -> tuple[str, float]:
        """Give out a token: the one there is while more than half an hour of it is left, else a new one."""
        self.token_fetches += 1
        now = time.monotonic()
        for token, ends_at in self.tokens.items():
            if ends_at - now > 1800:
                return token, ends_at - now
        token = "t-" + secrets.token_hex(16)
        self.tokens[token] = now + self.settings.token_life
        return token, self.settings.token_life

    def violate(self, said: str) -> None:
        """Take note of what the bot must not do."""
        self.violations.append(said)


def public(message: Json) -> Json:
    """Return a message as the OpenAPI gives it."""
    return {name: value for name, value in message.items() if name != "card"}
