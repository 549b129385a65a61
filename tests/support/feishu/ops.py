"""What people do, and what a test sets: each method is one thing that `control.Feishu` asks for by name."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from support.feishu.delivery import Deliveries, Delivery
from support.feishu.faults import Fault, Faults
from support.feishu.shown import buttons_of, elements_of
from support.feishu.world import Chat, Json, World

AT = "@_user_1"


class Ops:
    """Does what a test asks for."""

    def __init__(self, world: World, deliveries: Deliveries, faults: Faults) -> None:
        self._world, self._deliveries, self._faults = world, deliveries, faults

    # what people do

    async def say(
        self,
        user: str,
        chat: str,
        text: str,
        reply_to: str | None = None,
        *,
        mention: bool = False,
        kind: str = "text",
        content: Any = None,
        sender_type: str = "user",
        in_thread: bool = False,
    ) -> str:
        """Write a message; with a mention, the bot's name comes first."""
        where = self._world.chat(chat)
        said = content if content is not None else {"text": f"{AT} {text}" if mention else text}
        message = self._world.add_message(
            where,
            self._sender(user, sender_type),
            kind,
            json.dumps(said, ensure_ascii=False),
            reply_to=reply_to,
            in_thread=in_thread or (reply_to is not None and bool(self._world.messages[reply_to].get("thread_id"))),
        )
        if mention:
            message["mentions"] = [self._mention()]
        self._tell(message, where)
        return str(message["message_id"])

    async def dm(self, user: str, text: str, reply_to: str | None = None, **more: Any) -> str:
        """Write to the bot alone."""
        return await self.say(user, self._world.p2p(user).id, text, reply_to, **more)

    async def say_many(self, messages: list[Json], over: float = 0.0) -> list[str]:
        """Write many messages, evenly over some seconds; each is what `say` takes, or `dm` without a chat."""
        began, ids = time.monotonic(), []
        for number, message in enumerate(messages):
            await asyncio.sleep(max(0.0, began + over * number / len(messages) - time.monotonic()))
            ids.append(await (self.say(**message) if "chat" in message else self.dm(**message)))
        return ids

    async def edit(self, user: str, message_id: str, text: str, *, mention: bool = False) -> None:
        """Change what was written."""
        message = self._own(user, message_id)
        message["body"] = {"content": json.dumps({"text": f"{AT} {text}" if mention else text}, ensure_ascii=False)}
        message["mentions"] = [self._mention()] if mention else []
        await asyncio.sleep(0.002)  # Feishu counts in milliseconds
        self._world.changed(message)
        if self._world.settings.edits_told:
            self._tell(message, self._world.chats[message["chat_id"]])

    async def recall(self, user: str, message_id: str) -> None:
        """Take a message back."""
        message = self._own(user, message_id)
        message["deleted"] = True
        self._world.changed(message)
        now = str(int(time.time() * 1000))
        self._deliveries.deliver("im.message.recalled_v1", {
            "message_id": message_id, "chat_id": message["chat_id"], "recall_time": now, "recall_type": "message_owner",
        })  # fmt: skip

    async def remove(self, message_id: str) -> None:
        """Have a group's owner take a message of the bot's back."""
        self._world.messages[message_id]["deleted"] = True

    async def press(self, user: str, message_id: str, what: str, copies: int = 1) -> Json:
        """Press a button, by its label or what that begins with; return {toast, card}."""
        message = self._world.messages[message_id]
        found = [button for button in buttons_of(message) if button["text"]["content"].startswith(what)]
        if not found:
            raise KeyError(f"no button {what!r} among {[b['text']['content'] for b in buttons_of(message)]}")
        value = next(each["value"] for each in found[0]["behaviors"] if each["type"] == "callback")
        return await self._act(user, message, {"value": value, "tag": "button"}, copies)

    async def forge(self, user: str, message_id: str, value: Any) -> Json:
        """Send what no button says."""
        return await self._act(user, self._world.messages[message_id], {"value": value, "tag": "button"}, 1)

    async def submit(self, user: str, message_id: str, values: Json, copies: int = 1) -> Json:
        """Fill a form in and send it off; what is not given keeps what it shows."""
        message = self._world.messages[message_id]
        form = next(element for element in elements_of(message["card"]) if element["tag"] == "form")
        inner = list(elements_of({"body": {"elements": form["elements"]}}))
        filled: Json = {}
        for element in inner:
            if element["tag"] == "input":
                filled[element["name"]] = element.get("default_value", "")
            elif element["tag"] == "select_static":
                index = element.get("initial_index", 0)
                filled[element["name"]] = element["options"][index - 1]["value"] if index else ""
            elif element["tag"] == "multi_select_static":
                filled[element["name"]] = list(element.get("selected_values") or [])
        if unknown := values.keys() - filled.keys():
            raise KeyError(f"no fields {sorted(unknown)} among {sorted(filled)}")
        filled |= values
        button = next(element for element in inner if element.get("form_action_type") == "submit")
        value = next(each["value"] for each in button["behaviors"] if each["type"] == "callback")
        action = {"value": value, "tag": "button", "name": button["name"], "form_value": filled}
        return await self._act(user, message, action, copies)

    async def menu(self, user: str, event_key: str) -> str:
        """Use a menu of the bot."""
        operator = {"operator_name": user, "operator_id": {"open_id": self._world.user(user)}}
        event = {"operator": operator, "event_key": event_key, "timestamp": int(time.time())}
        self._world.p2p(user)
        return self._deliveries.deliver("application.bot.menu_v6", event).id

    async def enter(self, user: str) -> None:
        """Open the conversation with the bot."""
        chat = self._world.p2p(user)
        last = [message["message_id"] for message in self._world.messages.values() if message["chat_id"] == chat.id]
        event = {"chat_id": chat.id, "operator_id": {"open_id": self._world.user(user)}}
        more = {"last_message_id": last[-1]} if last else {}
        self._deliveries.deliver("im.chat.access_event.bot_p2p_chat_entered_v1", event | more)

    async def add_bot(self, user: str, chat: str) -> None:
        """Bring the bot into a chat."""
        where = self._world.chat(chat)
        where.bot = True
        operator = {"open_id": self._world.user(user)}
        event = {"chat_id": where.id, "operator_id": operator, "external": False, "name": where.name}
        self._deliveries.deliver("im.chat.member.bot.added_v1", event)

    async def read(self, user: str, message_id: str) -> None:
        """Read a message, of which Feishu tells as well."""
        reader = {"reader_id": {"open_id": self._world.user(user)}, "read_time": str(int(time.time() * 1000))}
        self._deliveries.deliver("im.message.message_read_v1", {"reader": reader, "message_id_list": [message_id]})

    async def set_chat(self, chat: str, **values: Any) -> None:
        """Set a chat's facts: bot, dissolved, muted."""
        for name, value in values.items():
            setattr(self._world.chat(chat), name, value)

    async def add_chat(self, name: str, mode: str = "group") -> str:
        """Make a chat; return its id."""
        return self._world.add_chat(name, mode)

    async def redeliver(self, event_id: str, *, new_id: bool = False) -> str:
        """Deliver an event once more, hours later; with another id where Feishu reconnected meanwhile."""
        old = next(delivery for delivery in self._deliveries.all if delivery.id == event_id)
        return self._deliveries.deliver(old.kind, old.event, event_id="" if new_id else old.id).id

    # what a test sets

    async def configure(self, **values: Any) -> None:
        """Set times and numbers; see `world.Settings`."""
        for name, value in values.items():
            if not hasattr(self._world.settings, name):
                raise KeyError(name)
            setattr(self._world.settings, name, value)

    async def scopes(self, grant: Any = (), remove: Any = ()) -> None:
        """Grant and remove scopes."""
        self._world.scopes = (self._world.scopes | set(grant)) - set(remove)

    async def use_webhook(self, url: str, *, encrypted: bool = True, forged: bool = False) -> None:
        """Deliver as requests to a URL; `forged`: by somebody who does not have the keys."""
        self._deliveries.webhook, self._deliveries.encrypted, self._deliveries.forged = url, encrypted, forged

    async def challenge(self) -> Json:
        """Have the URL verified, as the console does when it is saved; return status and body."""
        body = {"challenge": "a1b2", "token": self._world.verification_token, "type": "url_verification"}
        status, said = await self._deliveries.post(body)
        return {"status": status, "body": said}

    async def expire_tokens(self) -> None:
        """Have all tokens end now."""
        self._world.tokens.clear()

    async def forget(self) -> None:
        """Forget what was called, delivered and violated so far."""
        self._world.calls.clear()
        self._world.violations.clear()
        self._deliveries.all = [delivery for delivery in self._deliveries.all if not delivery.done.is_set()]

    # faults

    async def fault(self, method: str, kind: str, value: float = 0, times: int = 1, *, after: bool = False) -> None:
        """Have something happen to calls of a method; see `faults.Fault`."""
        self._faults.due.append(Fault(method, times, kind, value, after))

    async def dark(self, seconds: float) -> None:
        """Let nothing through for some seconds."""
        self._faults.dark_until = time.monotonic() + seconds
        self._deliveries.cut_all()

    async def refuse_endpoint(self, seconds: float, code: int = 1000040343) -> None:
        """Give no address out for some seconds."""
        self._faults.endpoint = (time.monotonic() + seconds, code)

    async def half_dead(self, *, on: bool = True) -> None:
        """Have open connections let nothing through any more, without a word; new ones are as they should be."""
        self._faults.half_dead = on

    async def close_sockets(self) -> int:
        """Close the bot's connections; return how many."""
        return await self._deliveries.close_all()

    async def cut(self) -> int:
        """Break the bot's connections; return how many."""
        return self._deliveries.cut_all()

    # what is to be seen

    async def about(self) -> Json:
        """Return who and what there is."""
        world = self._world
        return {
            "app_id": world.app_id, "app_secret": world.app_secret, "bot_open_id": world.bot_open_id,
            "encrypt_key": world.encrypt_key, "verification_token": world.verification_token, "users": world.users,
            "chats": {chat.name: chat.id for chat in world.chats.values()},
        }  # fmt: skip

    async def p2p(self, user: str) -> str:
        """Return the id of somebody's conversation with the bot."""
        return self._world.p2p(user).id

    async def messages(self, chat: str) -> list[Json]:
        """Return all messages of a chat, those of its threads as well, oldest first."""
        where = self._world.chat(chat).id
        return [message for message in self._world.messages.values() if message["chat_id"] == where]

    async def message(self, message_id: str) -> Json:
        """Return a message as it is now, with its card."""
        return self._world.messages[message_id]

    async def versions(self, message_id: str) -> list[Json]:
        """Return how a message looked, one edit after another."""
        return self._world.versions[message_id]

    async def facts(self, what: str) -> Any:
        """Return one of the lists: calls, violations, ephemerals, reactions, files, commands, token_fetches."""
        found = getattr(self._world, what)
        if what == "files":
            return {key: {"name": file["name"], "size": len(file["content"])} for key, file in found.items()}
        return found

    async def file(self, key: str) -> str:
        """Return the content of a file that was uploaded, as text."""
        return str(self._world.files[key]["content"].decode("utf-8", "replace"))

    async def deliveries(self) -> list[Json]:
        """Return every event: its kind, when it was delivered last and acknowledged, and how often it was tried."""
        return [
            {"id": one.id, "kind": one.kind, "sent_at": one.sent_at, "acked_at": one.acked_at, "tries": one.tries,
             "over": one.done.is_set(), "message_id": (one.event.get("message") or {}).get("message_id")}
            for one in self._deliveries.all
        ]  # fmt: skip

    async def sockets(self) -> int:
        """Return how many connections the bot has."""
        return len([socket for socket in self._deliveries.sockets.values() if not socket.closed])

    # how

    async def _act(self, user: str, message: Json, action: Json, copies: int) -> Json:
        event = {
            "operator": {"tenant_key": "tenant", "open_id": self._world.user(user)}, "token": "c-1", "action": action,
            "host": "im_message",
            "context": {"open_message_id": message["message_id"], "open_chat_id": message["chat_id"]},
        }  # fmt: skip
        deliveries: list[Delivery] = []
        for _ in range(copies):
            known = deliveries[0].id if deliveries else ""
            deliveries.append(self._deliveries.deliver("card.action.trigger", event, event_id=known))
        await deliveries[0].done.wait()
        answer = deliveries[0].answer or {}
        card = (answer.get("card") or {}).get("data")
        if card is not None:
            from support.feishu.cards import check_card

            for problem in check_card(card):
                self._world.violate(f"a callback's card: {problem}")
            self._world.show(message, card)
        return answer

    def _tell(self, message: Json, chat: Chat) -> None:
        """Tell the bot of a message, if it may hear it."""
        mentioned = any(mention["id"]["open_id"] == self._world.bot_open_id for mention in message["mentions"])
        scope = "im:message.p2p_msg:readonly" if chat.mode == "p2p" else "im:message.group_at_msg:readonly"
        heard = scope in self._world.scopes and (mentioned or chat.mode == "p2p")
        if chat.mode != "p2p" and "im:message.group_msg" in self._world.scopes:
            heard = True
        if not heard or not chat.bot:
            return
        names = ("message_id", "root_id", "parent_id", "thread_id", "create_time", "update_time", "chat_id", "mentions")
        said = {name: message[name] for name in names if message.get(name)}
        said |= {
            "chat_type": "p2p" if chat.mode == "p2p" else "group", "message_type": message["msg_type"],
            "content": message["body"]["content"],
        }  # fmt: skip
        sender = message["sender"]
        event = {
            "sender": {"sender_id": {"open_id": sender["id"]}, "sender_type": sender["sender_type"], "tenant_key": "t"},
            "message": said,
        }  # fmt: skip
        self._deliveries.deliver("im.message.receive_v1", event)

    def _sender(self, user: str, sender_type: str) -> Json:
        kind = "open_id" if sender_type == "user" else "app_id"
        return {"id": self._world.user(user), "id_type": kind, "sender_type": sender_type, "tenant_key": "tenant"}

    def _mention(self) -> Json:
        return {"key": AT, "id": {"open_id": self._world.bot_open_id}, "name": "Scopebot", "tenant_key": "tenant"}

    def _own(self, user: str, message_id: str) -> Json:
        message = self._world.messages[message_id]
        assert message["sender"]["id"] == self._world.user(user), "not theirs"
        return message
