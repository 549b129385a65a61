"""Whether a line on each result is posted into a channel as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.database import migrated
from support.services import FakeServices

from handlers.channel_settings import ChannelSettings
from handlers.incoming import Place
from jobs.store import Store


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    engine = migrated(tmp_path / "db")
    yield FakeServices(Store(engine))
    engine.dispose()


@pytest.fixture
def channels(services: FakeServices) -> ChannelSettings:
    return ChannelSettings(services.store.engine)


def test_where_nobody_set_anything_results_are_announced(channels: ChannelSettings) -> None:
    assert channels.headlines("slack", "C1")


def test_it_is_set_for_one_channel_as_often_as_one_likes(channels: ChannelSettings) -> None:
    for on in (False, False, True, False):
        channels.set_headlines("slack", "C1", on=on)
        assert channels.headlines("slack", "C1") is on
    assert channels.headlines("slack", "C2")
    assert channels.headlines("feishu", "C1")


@pytest.mark.parametrize(
    ("said", "on"),
    [
        ("headlines off", False), ("turn headlines off", False), ("/headlines off", False), ("/播报 关闭", False),
        ("stop posting results in the channel", False), ("stop posting the results here", False),
        ("don't post headlines here", False), ("please don't announce results in this channel", False),
        ("结果不要发到频道", False), ("关闭频道播报", False), ("别把结果发到群里", False),
        ("headlines on", True), ("turn the headlines on again", True), ("/headlines on", True), ("/播报 打开", True),
        ("post results in the channel again", True), ("打开频道播报", True), ("结果发到频道", True),
        ("恢复频道播报", True),
    ],
)  # fmt: skip
async def test_a_sentence_sets_it_for_the_channel_it_is_said_in(
    services: FakeServices, channels: ChannelSettings, said: str, *, on: bool
) -> None:
    channels.set_headlines("console", "c", on=not on)
    await services.say(said)
    assert channels.headlines("console", "c") is on


@pytest.mark.parametrize("said", ["headlines", "/headlines", "are headlines on?", "频道播报"])
async def test_without_on_or_off_it_says_which_it_is(
    services: FakeServices, channels: ChannelSettings, said: str
) -> None:
    (reply,) = await services.say(said)
    assert any(word in reply.message.text for word in ("posted into this channel", "播报一行"))
    channels.set_headlines("console", "c", on=False)
    (reply,) = await services.say(said)
    assert any(word in reply.message.text for word in ("stay in their threads", "只留在"))
    assert not channels.headlines("console", "c")


async def test_what_is_set_in_a_thread_holds_for_its_channel(services: FakeServices, channels: ChannelSettings) -> None:
    await services.say("headlines off", place=Place(platform="slack", channel="C1", thread="1.2"))
    assert not channels.headlines("slack", "C1")


async def test_a_direct_conversation_has_no_channel(services: FakeServices, channels: ChannelSettings) -> None:
    (reply,) = await services.say("headlines off", direct=True)
    assert "no channel" in reply.message.text
    assert channels.headlines("console", "c")


@pytest.mark.parametrize(
    "said", ["stop r1", "what's the headline score of r1?", "结果", "results here please", "取消", "show the results"]
)
async def test_what_is_about_something_else_sets_nothing(
    services: FakeServices, channels: ChannelSettings, said: str
) -> None:
    await services.say(said)
    assert channels.headlines("console", "c")
