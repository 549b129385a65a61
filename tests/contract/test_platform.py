"""What every platform keeps to: what is sent is seen, found again, edited in place, and read by whom it is for."""

from __future__ import annotations

import itertools
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from support.feishu.control import Feishu
from support.slack.control import Slack

from bot.platforms.base import Audience, MessageGone, Person, Platform
from bot.platforms.console import ConsolePlatform
from bot.platforms.feishu import FeishuPlatform
from bot.platforms.slack import SlackPlatform
from bot.settings import BotSettings
from handlers.incoming import Place
from handlers.message import Button, Buttons, Chart, Fields, Link, Log, Message, Progress, Series, Table, Text
from jobs.embedded import EmbeddedServer

FIRST, SECOND = Message(text="r1 is waiting."), Message(text="r1 is done.")
GOING_ON = Message(text="r1 goes on.", parts=(Progress(label="r1 running", done=7, total=20),))
PARTS = Message(
    text="All parts.",
    parts=(
        Text(text="a paragraph"),
        Fields(items=(("Model", "qwen-plus"),)),
        Table(columns=("benchmark", "score"), rows=(("gsm8k", "0.71"), ("mmlu", "0.64")), numeric=("score",)),
        Chart(title="Scores", kind="bar", categories=("gsm8k",), series=(Series(name="prod", values=(0.7,)),)),
        Progress(label="r1 running", done=7, total=20, note="evaluating gsm8k"),
        Log(title="The log", text="line 1\nline 2"),
        Link(label="Run page", url="https://bot.example.com/runs/r1"),
        Buttons(items=(Button(id="q1:yes", label="Go on", primary=True), Button(id="q1:no", label="Stop"))),
    ),
)
SEEN = ("a paragraph", "qwen-plus", "gsm8k", "0.64", "r1 running", "line 2", "Run page", "Go on", "Stop")


class Stage(ABC):
    """A platform, and what people see on it."""

    platform: Platform

    @abstractmethod
    def place(self) -> Place:
        """Return a conversation that has begun: what is posted there is in its thread."""

    @abstractmethod
    def opening(self) -> Place | None:
        """Return a conversation that opens with what is posted; None where there is only one, which is open."""

    @abstractmethod
    def shown(self, message_id: str) -> str:
        """Return what a message shows now; empty where it is not there."""

    @abstractmethod
    def alone(self, user: str) -> list[str]:
        """Return what a person reads that nobody else does."""

    @abstractmethod
    def people(self) -> tuple[str, str]:
        """Return two people; twice the same where there is only one."""

    @abstractmethod
    def delete(self, message_id: str) -> bool:
        """Have somebody delete a message; False where nobody can."""

    def private(self) -> Audience:
        """Return the first person alone."""
        return Audience(self.people()[0], private=True)


class ConsoleStage(Stage):
    """There is one person, who sees everything, and nothing of an earlier process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.platform = self._console = ConsolePlatform([], as_json=True, yes=False, echo=False, interactive=False)
        self._capsys = capsys
        self._lines: dict[str, str] = {}

    def place(self) -> Place:
        return self._console.place

    def opening(self) -> Place | None:
        return None

    def shown(self, message_id: str) -> str:
        for line in self._capsys.readouterr().out.splitlines():
            self._lines[json.loads(line)["id"]] = line
        return self._lines.get(message_id, "")

    def alone(self, user: str) -> list[str]:
        self.shown("")
        return list(self._lines.values())

    def people(self) -> tuple[str, str]:
        return "console:me", "console:me"

    def delete(self, message_id: str) -> bool:
        return False


class SlackStage(Stage):
    """A channel of its own with ann and bob."""

    numbers = itertools.count(1)

    def __init__(self, slack: Slack, folder: Path) -> None:
        settings = BotSettings(data_dir=folder, slack_api_url=slack.api_url, slack_bot_token=slack.bot_token())
        self.platform = SlackPlatform(SimpleNamespace(settings=settings))  # type: ignore[arg-type]
        self._slack = slack
        self._channel = slack.add_channel(f"stage-{next(self.numbers)}")

    def place(self) -> Place:
        ts = self._slack.say("ann", self._channel, "evaluate prod on gsm8k")
        return self._at(f"{self._channel}/{ts}")

    def opening(self) -> Place | None:
        return self._at("")

    def _at(self, thread: str) -> Place:
        return Place(platform="slack", channel=f"{self._slack.team_id()}/{self._channel}", thread=thread)

    def shown(self, message_id: str) -> str:
        message = self._slack.message(self._channel, message_id.partition("/")[2])
        return "" if message is None else self._slack.rendered_text(message)

    def alone(self, user: str) -> list[str]:
        name = user.removeprefix("slack:")
        return [self._slack.rendered_text(seen) for seen in self._slack.ephemerals(name, self._channel)]

    def people(self) -> tuple[str, str]:
        return f"slack:{self._slack.user('ann')}", f"slack:{self._slack.user('bob')}"

    def delete(self, message_id: str) -> bool:
        from support.slack_room import call

        call(self._slack, "chat.delete", channel=self._channel, ts=message_id.partition("/")[2])
        return True


class FeishuStage(Stage):
    """A group of its own with ann and bob."""

    numbers = itertools.count(1)

    def __init__(self, feishu: Feishu, folder: Path, redis: Redis) -> None:
        settings = BotSettings(
            data_dir=folder, feishu_domain=feishu.domain, feishu_app_id=feishu.app_id,
            feishu_app_secret=feishu.app_secret,
        )  # fmt: skip
        self.platform = FeishuPlatform(SimpleNamespace(settings=settings, redis=redis))  # type: ignore[arg-type]
        self._feishu = feishu
        self._chat = feishu.add_chat(f"stage-{next(self.numbers)}")

    def place(self) -> Place:
        return self._at(self._feishu.say("ann", self._chat, "evaluate prod on gsm8k"))

    def opening(self) -> Place | None:
        return self._at("")

    def _at(self, thread: str) -> Place:
        return Place(platform="feishu", channel=self._chat, thread=thread)

    def shown(self, message_id: str) -> str:
        return self._feishu.shown(self._feishu.message(message_id)) if message_id.startswith("om_") else ""

    def alone(self, user: str) -> list[str]:
        return self._feishu.ephemerals(user.removeprefix("feishu:"), self._chat)

    def people(self) -> tuple[str, str]:
        return f"feishu:{self._feishu.user('ann')}", f"feishu:{self._feishu.user('bob')}"

    def delete(self, message_id: str) -> bool:
        self._feishu.remove(message_id)
        return True


@pytest.fixture(scope="module")
def feishu() -> Iterator[Feishu]:
    with Feishu() as feishu:
        feishu.configure(uuid_life=0.0)  # its own memory of an hour is over
        yield feishu


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest_asyncio.fixture(params=["console", "slack", "feishu"])
async def stage(
    request: pytest.FixtureRequest, slack: Slack, feishu: Feishu, redis_server: EmbeddedServer, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with Redis.from_url(redis_server.url) as redis:
        if request.param == "console":
            stage: Stage = ConsoleStage(request.getfixturevalue("capsys"))
        else:
            stage = SlackStage(slack, tmp_path) if request.param == "slack" else FeishuStage(feishu, tmp_path, redis)
        yield stage
        await stage.platform.close()
    assert not slack.violations()
    assert not feishu.violations()


def key() -> str:
    return f"source:{secrets.token_hex(4)}/0"


async def test_what_is_sent_is_seen_and_each_post_has_an_id_of_its_own(stage: Stage) -> None:
    place = stage.place()
    one, two = [await stage.platform.send(place, message, key=key()) for message in (FIRST, SECOND)]
    assert one != two
    assert "r1 is waiting." in stage.shown(one)
    assert "r1 is done." in stage.shown(two)


async def test_every_part_of_a_message_is_seen(stage: Stage) -> None:
    seen = stage.shown(await stage.platform.send(stage.place(), PARTS, key=key()))
    assert [word for word in SEEN if word not in seen] == []


@pytest.mark.parametrize("opens", [False, True], ids=["in a thread", "opening one"])
async def test_a_post_is_found_by_its_key_alone_unless_its_screen_is_bound_to_the_process(
    stage: Stage, *, opens: bool
) -> None:
    place = stage.opening() if opens else stage.place()
    if place is None:
        pytest.skip("there is one conversation, which is open")
    since, posted = datetime.now(UTC) - timedelta(hours=2), key()
    assert await stage.platform.find(place, posted, since) is None
    sent = await stage.platform.send(place, FIRST, key=posted)
    found = await stage.platform.find(place, posted, since)
    assert found == (None if stage.platform.session else sent)
    assert await stage.platform.find(place, key(), since) is None
    await stage.platform.edit(place, sent, SECOND, key=posted)
    assert await stage.platform.find(place, posted, since) == found, "edited, it is the same post"


async def test_edits_replace_what_a_message_shows_and_the_final_one_stands(stage: Stage) -> None:
    place, posted = stage.place(), key()
    sent = await stage.platform.send(place, FIRST, key=posted, live=True)
    await stage.platform.edit(place, sent, GOING_ON, key=posted)
    assert "r1 running" in stage.shown(sent)
    assert "waiting" not in stage.shown(sent)
    await stage.platform.edit(place, sent, SECOND, key=posted, final=True)
    assert "r1 is done." in stage.shown(sent)
    assert "r1 running" not in stage.shown(sent)


async def test_what_is_for_one_person_is_read_by_nobody_else(stage: Stage) -> None:
    place, (person, other) = stage.place(), stage.people()
    await stage.platform.send(place, FIRST, key=key(), audience=stage.private())
    assert any("r1 is waiting." in text for text in stage.alone(person))
    assert other == person or not stage.alone(other)


async def test_a_thread_opens_under_the_first_post_and_is_known_by_its_id(stage: Stage) -> None:
    place = stage.opening()
    if place is None:
        pytest.skip("there is one conversation, which is open")
    root = await stage.platform.send(place, FIRST, key=key())
    thread, posted = place.model_copy(update={"thread": root}), key()
    reply = await stage.platform.send(thread, SECOND, key=posted)
    assert reply != root
    assert "r1 is done." in stage.shown(reply)
    assert await stage.platform.find(thread, posted, datetime.now(UTC) - timedelta(hours=2)) == reply
    again = await stage.platform.send(thread, FIRST, key=key(), audience=stage.private())
    assert again not in {root, reply}


async def test_a_message_that_was_deleted_is_said_to_be_gone(stage: Stage) -> None:
    place, posted = stage.place(), key()
    sent = await stage.platform.send(place, FIRST, key=posted)
    if not stage.delete(sent):
        pytest.skip("nobody can delete anything")
    with pytest.raises(MessageGone):
        await stage.platform.edit(place, sent, SECOND, key=posted)


async def test_what_else_a_platform_may_know_is_asked_for_without_harm(stage: Stage) -> None:
    place, (person, _) = stage.place(), stage.people()
    assert isinstance(await stage.platform.person(place, person), Person)
    await stage.platform.mark("no such message", "seen")
    await stage.platform.turn(place, Audience(), urgent=False)
    headline = stage.platform.headline_place(place)
    assert headline is None or headline.thread == ""
    assert isinstance(stage.platform.workspace(place), str)
    assert stage.platform.edit_every > 0
