"""The server as a test sees it: `with Feishu() as feishu:` starts it, and people do what the test has them do.

Chats and people are named by id or name (`general`, `topics`; `ann`, `bob`, `chen`, `wang`). It blocks, and may be
used from several threads.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from support.feishu.shown import buttons_of, shown, tables_of

__all__ = ["Feishu", "Impossible"]
TESTS = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


class Impossible(Exception):
    """What a test asked for cannot be done."""


class Feishu:
    """The server's process, for as long as the block lasts."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.feishu.server"], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        assert self._process.stdout is not None
        self.domain = self._process.stdout.readline().strip()
        about = self._do("about")
        self.app_id, self.app_secret = str(about["app_id"]), str(about["app_secret"])
        self.encrypt_key, self.verification_token = str(about["encrypt_key"]), str(about["verification_token"])
        self.bot_open_id = str(about["bot_open_id"])
        self._users: dict[str, str] = about["users"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def pause(self) -> None:
        """Stop the process, its connections open, until `resume`."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have the process go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    # who and what there is

    def user(self, name: str) -> str:
        """Return somebody's open id."""
        return self._users[name]

    def chat(self, name: str) -> str:
        """Return a chat's id."""
        return str(self._do("about")["chats"][name])

    def p2p(self, user: str) -> str:
        """Return the id of somebody's conversation with the bot."""
        return str(self._do("p2p", user=user))

    def add_chat(self, name: str, mode: str = "group") -> str:
        """Make a chat (group or topic) that all and the bot are in; return its id."""
        return str(self._do("add_chat", name=name, mode=mode))

    # what people do

    def say(self, user: str, chat: str, text: str, reply_to: str | None = None, **more: Any) -> str:
        """Write a message; return its id. See `Ops.say` for other kinds of messages and senders."""
        return str(self._do("say", user=user, chat=chat, text=text, reply_to=reply_to, **more))

    def mention(self, user: str, chat: str, text: str, reply_to: str | None = None) -> str:
        """Write a message that begins with the bot's name; return its id."""
        return self.say(user, chat, text, reply_to, mention=True)

    def dm(self, user: str, text: str, reply_to: str | None = None, **more: Any) -> str:
        """Write to the bot alone; return the message's id."""
        return str(self._do("dm", user=user, text=text, reply_to=reply_to, **more))

    def say_many(self, messages: list[Json], over: float = 0.0) -> list[str]:
        """Write many messages, evenly over some seconds."""
        return list(self._do("say_many", messages=messages, over=over))

    def edit(self, user: str, message_id: str, text: str, *, mention: bool = False) -> None:
        """Change what was written."""
        self._do("edit", user=user, message_id=message_id, text=text, mention=mention)

    def recall(self, user: str, message_id: str) -> None:
        """Take a message back."""
        self._do("recall", user=user, message_id=message_id)

    def remove(self, message_id: str) -> None:
        """Have a group's owner take a message of the bot's back."""
        self._do("remove", message_id=message_id)

    def press(self, user: str, message_id: str, what: str, copies: int = 1) -> Json:
        """Press a button by its label; return {toast, card}."""
        return dict(self._do("press", user=user, message_id=message_id, what=what, copies=copies))

    def forge(self, user: str, message_id: str, value: Any) -> Json:
        """Send what no button says; return {toast, card}."""
        return dict(self._do("forge", user=user, message_id=message_id, value=value))

    def submit(self, user: str, message_id: str, values: Json, copies: int = 1) -> Json:
        """Fill the form of a card in and send it off; return {toast, card}."""
        return dict(self._do("submit", user=user, message_id=message_id, values=values, copies=copies))

    def menu(self, user: str, event_key: str) -> str:
        """Use a menu of the bot; return the event's id."""
        return str(self._do("menu", user=user, event_key=event_key))

    def enter(self, user: str) -> None:
        """Open the conversation with the bot."""
        self._do("enter", user=user)

    def add_bot(self, user: str, chat: str) -> None:
        """Bring the bot into a chat."""
        self._do("add_bot", user=user, chat=chat)

    def read(self, user: str, message_id: str) -> None:
        """Read a message."""
        self._do("read", user=user, message_id=message_id)

    def redeliver(self, event_id: str, *, new_id: bool = False) -> str:
        """Deliver an event once more, as hours later; return its id."""
        return str(self._do("redeliver", event_id=event_id, new_id=new_id))

    # settings and faults

    def configure(self, **values: Any) -> None:
        """Set times and numbers; see `world.Settings`."""
        self._do("configure", **values)

    def set_chat(self, chat: str, **values: Any) -> None:
        """Set a chat's facts: bot, dissolved, muted."""
        self._do("set_chat", chat=chat, **values)

    def scopes(self, *, grant: Any = (), remove: Any = ()) -> None:
        """Grant and remove scopes."""
        self._do("scopes", grant=list(grant), remove=list(remove))

    def use_webhook(self, url: str, *, encrypted: bool = True, forged: bool = False) -> None:
        """Deliver as requests to a URL."""
        self._do("use_webhook", url=url, encrypted=encrypted, forged=forged)

    def challenge(self) -> Json:
        """Have the URL verified; return {status, body}."""
        return dict(self._do("challenge"))

    def expire_tokens(self) -> None:
        """Have all tokens end now."""
        self._do("expire_tokens")

    def forget(self) -> None:
        """Forget what was called, delivered and violated so far."""
        self._do("forget")

    def fault(self, method: str, kind: str, value: float = 0, times: int = 1, *, after: bool = False) -> None:
        """Have something happen to calls of a method: status, code, ratelimit, lose (after), delay."""
        self._do("fault", method=method, kind=kind, value=value, times=times, after=after)

    def dark(self, seconds: float) -> None:
        """Let nothing through for some seconds."""
        self._do("dark", seconds=seconds)

    def refuse_endpoint(self, seconds: float, code: int = 1000040343) -> None:
        """Give no address to connect to out for some seconds."""
        self._do("refuse_endpoint", seconds=seconds, code=code)

    def half_dead(self) -> None:
        """Have open connections let nothing through any more, without a word."""
        self._do("half_dead")

    def close_sockets(self) -> int:
        """Close the bot's connections; return how many."""
        return int(self._do("close_sockets"))

    def cut(self) -> int:
        """Break the bot's connections; return how many."""
        return int(self._do("cut"))

    # what is to be seen

    def messages(self, chat: str) -> list[Json]:
        """Return all messages of a chat, those of its threads as well, oldest first."""
        return list(self._do("messages", chat=chat))

    def message(self, message_id: str) -> Json:
        """Return a message as it is now, with its card."""
        return dict(self._do("message", message_id=message_id))

    def versions(self, message_id: str) -> list[Json]:
        """Return how a message looked, one edit after another."""
        return list(self._do("versions", message_id=message_id))

    def thread(self, chat: str, root: str) -> list[Json]:
        """Return what was answered to a message, oldest first."""
        return [message for message in self.messages(chat) if message.get("root_id") == root]

    def ours(self, chat: str, root: str | None = None) -> list[Json]:
        """Return what the bot posted in a chat, or under a message."""
        found = self.messages(chat) if root is None else self.thread(chat, root)
        return [message for message in found if message["sender"]["id"] == self.app_id]

    def ephemerals(self, user: str, chat: str) -> list[str]:
        """Return what one person alone was shown in a chat."""
        found = self._do("facts", what="ephemerals")
        mine = [one for one in found if (one["user"], one["chat_id"]) == (self._users.get(user, user), chat)]
        return [shown({"card": one["card"]}) for one in mine]

    @staticmethod
    def shown(message: Json) -> str:
        """Return all the text that people read of a message."""
        return shown(message)

    @staticmethod
    def buttons(message: Json) -> list[str]:
        """Return what a message's buttons say."""
        return [str(button["text"]["content"]) for button in buttons_of(message)]

    @staticmethod
    def tables(message: Json) -> list[list[list[str]]]:
        """Return a message's tables: rows of cells, the names of the columns first."""
        return tables_of(message)

    def files(self) -> Json:
        """Return what was uploaded, by key: {name, size}."""
        return dict(self._do("facts", what="files"))

    def file(self, key: str) -> str:
        """Return the text of a file that was uploaded."""
        return str(self._do("file", key=key))

    def reactions(self) -> list[Json]:
        """Return all reactions of the bot."""
        return list(self._do("facts", what="reactions"))

    def commands(self) -> list[Json]:
        """Return the native slash commands."""
        return list(self._do("facts", what="commands").values())

    def token_fetches(self) -> int:
        """Return how often a token was asked for."""
        return int(self._do("facts", what="token_fetches"))

    def calls(self, method: str = "") -> list[Json]:
        """Return the calls of methods that begin so: {method, path, at, code}."""
        return [call for call in self._do("facts", what="calls") if call["method"].startswith(method)]

    def violations(self) -> list[str]:
        """Return what the bot must not have done."""
        return list(self._do("facts", what="violations"))

    def deliveries(self, kind: str = "") -> list[Json]:
        """Return the events of a kind: {id, kind, sent_at, acked_at, tries, over}."""
        return [one for one in self._do("deliveries") if one["kind"].startswith(kind)]

    def unacked(self) -> list[Json]:
        """Return the events that the bot has not acknowledged."""
        return [one for one in self.deliveries() if one["acked_at"] is None]

    def sockets(self) -> int:
        """Return how many connections the bot has."""
        return int(self._do("sockets"))

    def wait_for(self, true: Callable[[], Any], within: float, what: str = "it") -> Any:
        """Wait for something."""
        deadline = time.monotonic() + within
        while not (found := true()):
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
            time.sleep(0.02)
        return found

    def _do(self, op: str, **args: Any) -> Any:
        request = urllib.request.Request(
            f"{self.domain}/_control",
            json.dumps({"op": op, "args": args}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        if "error" in said:
            raise Impossible(said["error"])
        return said["result"]
