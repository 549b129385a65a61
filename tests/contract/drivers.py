"""The platforms that hold the conversation; another one adds its driver here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from conversation import Driver, Seen
from support.bot_process import ROOT, STRANGERS
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import buttons, shown, tables

from bot.settings import BotSettings
from bot.slack.manifest import manifest
from jobs.db import migrate, open_engine
from jobs.store import Store

WORKER_WITHIN = 60.0


class ConsoleDriver(Driver):
    """A console in a process of its own, which is told what to say as JSON lines; see `console_process.py`."""

    where = ("console", "console")

    def __init__(self, folder: Path, config: str) -> None:
        (folder / "scopebot.toml").write_text(config, encoding="utf-8")
        self._log = folder / "console.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)}
        environment |= {"PYTHONPATH": str(ROOT), "SCOPEBOT_DATA_DIR": str(folder), "SCOPEBOT_PORT": "0"}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("console_process.py"))], env=environment, cwd=folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
            )  # fmt: skip
        self._posts: dict[str, dict[str, Any]] = {}
        self._spoken, self._handled = 0, 0
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self.until(lambda: self._handled > 0, WORKER_WITHIN, "a console")
        self._handled = 0
        self._engine = open_engine(f"sqlite:///{folder / 'scopebot.db'}")
        migrate(self._engine)
        self.store = Store(self._engine)

    def say(self, text: str, copies: int = 1) -> None:
        assert copies == 1
        assert self._process.stdin is not None
        self._spoken += 1
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()

    def press(self, label: str) -> None:
        self.say(label)  # a button is pressed by typing what it says

    def seen(self) -> Sequence[Seen]:
        return [_of_parts(message) for message in list(self._posts.values())]

    def heard(self) -> bool:
        assert self._process.poll() is None, self.trouble()
        return self._handled == self._spoken

    def trouble(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._reading.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._engine.dispose()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message["kind"] == "handled":
                self._handled += 1
            else:
                self._posts[message["id"]] = message


def _of_parts(message: Mapping[str, Any]) -> Seen:
    """Return what a person reads of a message as the console prints it for programs."""
    lines, columns, labels = [str(message["text"])], [], []
    for part in message["parts"]:
        kind = part["type"]
        if kind == "table":
            columns.append(tuple(part["columns"]))
            lines += [" | ".join(row) for row in (part["columns"], *part["rows"])]
        elif kind == "buttons":
            labels += [item["label"] for item in part["items"]]
        elif kind == "fields":
            lines += [text for item in part["items"] for text in item]
        else:
            lines += [str(part[name]) for name in ("title", "label", "text", "note", "score") if part.get(name)]
    return Seen("\n".join(lines), tuple(columns), tuple(labels))


class SlackDriver(Driver):
    """Ann, in a thread of a channel, where each message mentions the bot, or alone with the bot."""

    delivers_copies = True

    def __init__(self, bot: SlackBot, *, direct: bool) -> None:
        self._bot, self._slack, self._direct = bot, bot.slack, direct
        self._thread: str | None = None
        self._channel = self._slack.dm_channel("ann") if direct else self._slack.add_channel("contract")
        place = f"@{self._slack.user('ann')}" if direct else self._channel
        self.where = ("slack", f"{self._slack.team_id()}/{place}")
        self.store = bot.store

    def say(self, text: str, copies: int = 1) -> None:
        self._slack.duplicate(copies, same_event=False)
        if self._direct:
            self._slack.dm("ann", text)
        else:
            ts = self._slack.mention("ann", self._channel, text, self._thread)
            self._thread = self._thread or ts
        self._slack.duplicate(1)

    def press(self, label: str) -> None:
        messages = [message for message in self._messages() if label in buttons(message)]
        self._slack.ack(self._slack.press("ann", self._channel, messages[-1]["ts"], label))

    def seen(self) -> Sequence[Seen]:
        return [
            Seen(shown(message), tuple(tuple(rows[0]) for rows in tables(message)), tuple(buttons(message)))
            for message in self._messages()
        ]

    def heard(self) -> bool:
        if not all(one["acked_at"] for one in self._slack.deliveries()):
            return False
        with self._bot.redis() as redis:
            return not redis.xlen("scopebot:inbox:slack")

    def trouble(self) -> str:
        return self._bot.log

    def _messages(self) -> list[dict[str, Any]]:
        posts = [message for message in self._slack.messages(self._channel) if message.get("bot_id")]
        return sorted([*posts, *self._slack.ephemerals("ann", self._channel)], key=lambda message: message["ts"])


class FeishuDriver(Driver):
    """Ann, in a thread of a group, where each message mentions the bot, or alone with the bot."""

    delivers_copies = True

    def __init__(self, bot: FeishuBot, *, direct: bool) -> None:
        self._bot, self._feishu, self._direct = bot, bot.feishu, direct
        self._thread: str | None = None
        self._chat = self._feishu.p2p("ann") if direct else self._feishu.add_chat("contract")
        self.where = ("feishu", f"@{self._feishu.user('ann')}" if direct else self._chat)
        self.store = bot.store

    def say(self, text: str, copies: int = 1) -> None:
        self._feishu.configure(copies=copies, same_event=False)
        if self._direct:
            self._feishu.dm("ann", text)
        else:
            said = self._feishu.mention("ann", self._chat, text, self._thread)
            self._thread = self._thread or said
        self._feishu.configure(copies=1)

    def press(self, label: str) -> None:
        messages = [message for message in self._feishu.ours(self._chat) if label in self._feishu.buttons(message)]
        self._feishu.press("ann", messages[-1]["message_id"], label)

    def seen(self) -> Sequence[Seen]:
        feishu = self._feishu
        posts = [
            Seen(
                feishu.shown(message),
                tuple(tuple(rows[0]) for rows in feishu.tables(message)),
                tuple(feishu.buttons(message)),
            )
            for message in feishu.ours(self._chat)
        ]
        return [*posts, *(Seen(text) for text in feishu.ephemerals("ann", self._chat))]

    def heard(self) -> bool:
        if self._feishu.unacked():
            return False
        with self._bot.redis() as redis:
            return not redis.xlen("scopebot:inbox:feishu")

    def trouble(self) -> str:
        return self._bot.log


# how each is opened, with a folder and a scopebot.toml of its own


@contextmanager
def console(folder: Path, config: str) -> Iterator[list[Driver]]:
    """Open the console."""
    driver = ConsoleDriver(folder, config)
    try:
        yield [driver]
    finally:
        driver.close()


@contextmanager
def slack(folder: Path, config: str) -> Iterator[list[Driver]]:
    """Open Slack: a channel and direct messages, with one bot."""
    with Slack() as server:
        server.use_manifest(manifest(BotSettings()))
        with SlackBot(folder, server, workers=1, config=config) as bot:
            yield [SlackDriver(bot, direct=False), SlackDriver(bot, direct=True)]
            assert not server.violations()
            assert not server.unacked()


@contextmanager
def feishu(folder: Path, config: str) -> Iterator[list[Driver]]:
    """Open Feishu: a group and direct messages, with one bot."""
    with Feishu() as server, FeishuBot(folder, server, workers=1, config=config) as bot:
        yield [FeishuDriver(bot, direct=False), FeishuDriver(bot, direct=True)]
        assert not server.violations()
        assert not server.unacked()


PLATFORMS: Mapping[str, Callable[[Path, str], AbstractContextManager[list[Driver]]]] = {
    "console": console,
    "slack": slack,
    "feishu": feishu,
}
