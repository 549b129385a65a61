"""The OpenAPI as the bot calls it, and what it refuses."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from support.feishu.cards import check_card
from support.feishu.emoji import EMOJI
from support.feishu.limits import EACH, METHOD, Limits
from support.feishu.world import Chat, Json, Refused, World, public

Answer = Callable[["Call"], Awaitable[Json]]
MOST_CARD, MOST_TEXT = 30 * 1024, 150 * 1024
MOST_UUID = 50
MOST_IMAGE, MOST_FILE = 10 * 1024 * 1024, 30 * 1024 * 1024
FILE_TYPES = {"opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"}
SENDS = ("im:message:send_as_bot", "im:message")
READS = ("im:message:readonly", "im:message")


class Call:
    """One call: its path's parts, its query, and its body."""

    def __init__(self, request: web.Request, body: Json, form: dict[str, Any]) -> None:
        self.path = dict(request.match_info)
        self.query = dict(request.query)
        self.body, self.form = body, form

    def only(self, *names: str) -> None:
        """Refuse a body with anything but these."""
        if unknown := self.body.keys() - set(names):
            raise Refused(230001, f"unknown fields {sorted(unknown)}")


class Api:
    """Answers the bot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.limits = Limits(world)
        self.routes: dict[tuple[str, str], Answer] = {
            ("GET", "/open-apis/bot/v3/info"): self._bot,
            ("GET", "/open-apis/application/v6/scopes"): self._scopes,
            ("POST", "/open-apis/im/v1/messages"): self._create,
            ("POST", "/open-apis/im/v1/messages/{message_id}/reply"): self._reply,
            ("PATCH", "/open-apis/im/v1/messages/{message_id}"): self._patch,
            ("GET", "/open-apis/im/v1/messages/{message_id}"): self._get,
            ("DELETE", "/open-apis/im/v1/messages/{message_id}"): self._delete,
            ("GET", "/open-apis/im/v1/messages"): self._list,
            ("POST", "/open-apis/im/v1/messages/{message_id}/reactions"): self._react,
            ("GET", "/open-apis/im/v1/chats/{chat_id}"): self._chat,
            ("POST", "/open-apis/im/v1/images"): self._image,
            ("POST", "/open-apis/im/v1/files"): self._file,
            ("POST", "/open-apis/ephemeral/v1/send"): self._ephemeral,
            ("GET", "/open-apis/application/v7/app_slash_commands"): self._list_commands,
            ("POST", "/open-apis/application/v7/app_slash_commands"): self._add_command,
            ("PATCH", "/open-apis/application/v7/app_slash_commands/{command_id}"): self._change_command,
            ("DELETE", "/open-apis/application/v7/app_slash_commands/{command_id}"): self._drop_command,
        }  # fmt: skip

    def admit(self, request: web.Request, method: str) -> None:
        """Refuse a call without a token that is good, or one too many."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            raise Refused(99991661, "Missing access token for authorization.")
        if self._world.tokens.get(given, 0.0) < time.monotonic():
            raise Refused(99991663, "Invalid access token for authorization.", meant=True)
        self.limits.count(method, METHOD)

    # messages

    async def _create(self, call: Call) -> Json:
        self._needs(*SENDS)
        call.only("receive_id", "msg_type", "content", "uuid")
        kind, receiver = call.query.get("receive_id_type"), str(call.body.get("receive_id"))
        if kind == "open_id":
            if receiver not in self._world.users.values():
                raise Refused(230013, "Bot has NO availability to this user.")
            chat = self._world.p2p(receiver)
        elif kind == "chat_id" and receiver in self._world.chats:
            chat = self._world.chats[receiver]
        else:
            raise Refused(230001, f"invalid receive_id {kind} {receiver}")
        return self._post(call, chat)

    async def _reply(self, call: Call) -> Json:
        self._needs(*SENDS)
        call.only("msg_type", "content", "uuid", "reply_in_thread")
        parent = self._message(call.path["message_id"])
        return self._post(
            call, self._world.chats[parent["chat_id"]], parent, in_thread=call.body.get("reply_in_thread")
        )

    def _post(self, call: Call, chat: Chat, parent: Json | None = None, *, in_thread: bool = False) -> Json:
        self._may_post(chat)
        uuid, kind = str(call.body.get("uuid") or ""), str(call.body.get("msg_type"))
        if len(uuid) > MOST_UUID:
            raise Refused(230001, "uuid is too long")
        if not uuid:
            self._world.violate("a message without a uuid")
        where = f"{uuid} {chat.id if parent is None else parent['message_id']}"
        made_at, known = self._world.uuids.get(where, (0.0, ""))
        if uuid and known and time.monotonic() - made_at < self._world.settings.uuid_life:
            return public(self._world.messages[known])
        self.limits.count(f"posts in {chat.name}", EACH)
        content = str(call.body.get("content"))
        self._check(kind, content)
        sender = {"id": self._world.app_id, "id_type": "app_id", "sender_type": "app", "tenant_key": "tenant"}
        reply_to = None if parent is None else parent["message_id"]
        message = self._world.add_message(chat, sender, kind, content, reply_to=reply_to, in_thread=in_thread)
        if uuid:
            self._world.uuids[where] = (time.monotonic(), message["message_id"])
        return public(message)

    def _may_post(self, chat: Chat) -> None:
        if chat.dissolved:
            raise Refused(232009, "the chat has been dissolved", meant=True)
        if not chat.bot:
            raise Refused(230002, "The bot can not be outside the group.", meant=True)
        if chat.muted:
            raise Refused(230018, "These operations are NOT allowed at current group settings.", meant=True)

    def _check(self, kind: str, content: str) -> None:
        """Refuse content that Feishu does not take."""
        try:
            said = json.loads(content)
        except ValueError:
            raise Refused(230001, "content is not JSON") from None
        size = len(content.encode())
        if size > (MOST_TEXT if kind == "text" else MOST_CARD):
            raise Refused(230025, "The length of the message content reaches its limit.")
        if kind == "interactive":
            self._check_card(said)
        elif kind in {"file", "image"}:
            key = said.get(f"{kind}_key")
            if key not in self._world.files:
                raise Refused(230001, f"no such {kind}")
        elif kind != "text" or not said.get("text"):
            raise Refused(230001, f"no content of {kind}")

    def _check_card(self, card: Any) -> None:
        problems = check_card(card)
        for element in re.findall(r'"img_key": ?"([^"]+)"', json.dumps(card)):
            if element not in self._world.files:
                problems.append(f"no picture {element}")
        for user in re.findall(r"<at id=(ou_\w+)>", json.dumps(card)):
            if user not in self._world.users.values():
                problems.append(f"100290 invalid user {user}")
        if problems:
            raise Refused(230099, f"Failed to create card content, ext={'; '.join(problems[:5])}")

    async def _patch(self, call: Call) -> Json:
        self._needs(*SENDS, "im:message:update")
        call.only("content")
        message = self._message(call.path["message_id"])
        if message["sender"]["id"] != self._world.app_id:
            raise Refused(230012, "Bot is NOT the sender of the message.")
        if "card" not in message:
            raise Refused(230054, "This operation is not supported for this message type.")
        self.limits.count(f"edits of {message['message_id']}", EACH)
        content = str(call.body.get("content"))
        self._check("interactive", content)
        card = json.loads(content)
        if not all((each.get("config") or {}).get("update_multi") for each in (card, message["card"])):
            raise Refused(230001, "update_multi has to be true before and after")
        self._world.show(message, card)
        return {}

    async def _get(self, call: Call) -> Json:
        self._needs(*READS)
        return {"items": [public(self._message(call.path["message_id"], recalled=True))]}

    async def _delete(self, call: Call) -> Json:
        self._needs(*SENDS)
        self._message(call.path["message_id"])["deleted"] = True
        return {}

    async def _list(self, call: Call) -> Json:
        self._needs(*READS)
        kind, container = call.query.get("container_id_type"), call.query.get("container_id")
        size = int(call.query.get("page_size", 20))
        if kind not in {"chat", "thread"} or not 1 <= size <= 50:
            raise Refused(230001, "invalid container or page_size")
        if kind == "thread" and {"start_time", "end_time"} & call.query.keys():
            raise Refused(230001, "a thread knows no start_time")
        found = [
            message
            for message in self._world.messages.values()
            if (message["chat_id"] if kind == "chat" else message.get("thread_id")) == container
            and not (kind == "chat" and message.get("thread_id") and message.get("root_id"))
        ]
        for message in found[:1]:
            if self._world.chats[message["chat_id"]].mode != "p2p":
                self._needs("im:message.group_msg", code=230027)
        since = int(call.query.get("start_time", 0)) * 1000
        found = [message for message in found if int(message["create_time"]) >= since]
        found.sort(key=lambda message: message["message_id"], reverse=call.query.get("sort_type") == "ByCreateTimeDesc")
        begin = int(call.query.get("page_token") or 0)
        more = begin + size < len(found)
        page = {"items": [public(message) for message in found[begin : begin + size]], "has_more": more}
        return page | ({"page_token": str(begin + size)} if more else {})

    async def _react(self, call: Call) -> Json:
        self._needs("im:message.reactions:write_only", "im:message")
        message = self._message(call.path["message_id"])
        emoji = (call.body.get("reaction_type") or {}).get("emoji_type")
        if emoji not in EMOJI:
            raise Refused(231001, f"no reaction {emoji}")
        self._world.reactions.append({"message_id": message["message_id"], "emoji": emoji})
        return {"reaction_id": str(len(self._world.reactions))}

    def _message(self, message_id: str, *, recalled: bool = False) -> Json:
        message = self._world.messages.get(message_id)
        if message is None:
            raise Refused(230001, f"no message {message_id}")
        if message["deleted"] and not recalled:
            raise Refused(230011, "The message is recalled.", meant=True)
        return message

    # what else there is

    async def _bot(self, call: Call) -> Json:
        return {"bot": {"open_id": self._world.bot_open_id, "app_name": "Scopebot", "activate_status": 2}}

    async def _scopes(self, call: Call) -> Json:
        return {"scopes": [{"scope_name": scope, "grant_status": 1} for scope in sorted(self._world.scopes)]}

    async def _chat(self, call: Call) -> Json:
        self._needs("im:chat:readonly", "im:chat:read", "im:chat")
        chat = self._world.chats.get(call.path["chat_id"])
        if chat is None:
            raise Refused(232006, "invalid chat_id")
        if not chat.bot:
            raise Refused(232011, "Operator can NOT be out of the chat.", meant=True)
        topics = chat.mode == "topic"
        return {"chat_mode": chat.mode, "group_message_type": "thread" if topics else "chat", "name": chat.name}

    async def _image(self, call: Call) -> Json:
        self._needs("im:resource", "im:resource:upload")
        if call.form.get("image_type") != "message":
            raise Refused(234001, "image_type is message or avatar")
        return {"image_key": self._upload(call, "image", MOST_IMAGE, "img_")}

    async def _file(self, call: Call) -> Json:
        self._needs("im:resource", "im:resource:upload")
        if call.form.get("file_type") not in FILE_TYPES or not call.form.get("file_name"):
            raise Refused(234001, "file_type or file_name")
        return {"file_key": self._upload(call, "file", MOST_FILE, "file_")}

    def _upload(self, call: Call, name: str, most: int, prefix: str) -> str:
        field = call.form.get(name)
        if not isinstance(field, tuple) or not field[0] or not 0 < len(field[1]) <= most:
            raise Refused(234006, f"no {name}, without a name, empty, or too large")
        key = f"{prefix}{len(self._world.files):04d}"
        self._world.files[key] = {"name": call.form.get("file_name") or field[0], "content": field[1]}
        return key

    async def _ephemeral(self, call: Call) -> Json:
        self._needs(*SENDS)
        call.only("chat_id", "open_id", "msg_type", "card")
        chat = self._world.chats.get(str(call.body.get("chat_id")))
        if chat is None or chat.mode != "group":
            raise Refused(230001, "only in ordinary groups")
        self._may_post(chat)
        if call.body.get("open_id") not in chat.members:
            raise Refused(230013, "Bot has NO availability to this user.")
        self._check("interactive", json.dumps(call.body.get("card"), ensure_ascii=False))
        self._world.ephemerals.append({"user": call.body["open_id"], "chat_id": chat.id, "card": call.body["card"]})
        return {"message_id": f"om_alone_{len(self._world.ephemerals)}"}

    # native slash commands

    async def _list_commands(self, call: Call) -> Json:
        self._has_commands("read")
        return {"items": list(self._world.commands.values()), "has_more": False}

    async def _add_command(self, call: Call) -> Json:
        self._has_commands("write")
        call.only("command", "description", "icon_key")
        name = str(call.body.get("command"))
        if name in {command["command"] for command in self._world.commands.values()}:
            raise Refused(40000000, "the name is taken")
        if not name or name.startswith("/") or len(self._world.commands) >= 100:
            raise Refused(99992402, f"no name of a command: {name}")
        key = f"cmd_{len(self._world.commands)}"
        self._world.commands[key] = {"command_id": key, "command": name, "description": call.body.get("description")}
        return self._world.commands[key]

    async def _change_command(self, call: Call) -> Json:
        self._has_commands("write")
        call.only("description", "icon_key")
        command = self._command(call)
        command["description"] = call.body["description"]
        return command

    async def _drop_command(self, call: Call) -> Json:
        self._has_commands("write")
        command = self._command(call)
        del self._world.commands[command["command_id"]]
        return {}

    def _command(self, call: Call) -> Json:
        found = self._world.commands.get(call.path["command_id"])
        if found is None:
            raise Refused(99992402, "no such command")
        return found

    def _has_commands(self, what: str) -> None:
        if not self._world.settings.has_commands:
            raise Refused(99992404, "not found", 404, meant=True)
        self._needs(f"application:app_slash_command:{what}")

    def _needs(self, *scopes: str, code: int = 99991672) -> None:
        """Refuse a call for which the app has none of these scopes."""
        if not self._world.scopes & set(scopes):
            raise Refused(code, f"Access denied. One of the following scopes is required: {list(scopes)}", meant=True)
