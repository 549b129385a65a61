"""What a card has no room for in Feishu: files before it, charts as pictures; each made once."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from support.feishu.control import Feishu
from support.feishu.shown import elements_of

from bot.platforms.base import Audience
from bot.platforms.feishu import FeishuPlatform
from bot.settings import BotSettings
from handlers.incoming import Place
from handlers.message import Chart, Message, Series, Table
from jobs.embedded import EmbeddedServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ROWS = tuple((f"评测集 {n}", f"{n} %", "x" * 60) for n in range(600))
BIG = Message(text="所有分数", parts=(Table(columns=("名称", "分数", "说明"), rows=ROWS),))
LONG = Message(
    text="吞吐",
    parts=(
        Chart(
            title="吞吐", kind="line", categories=tuple(map(str, range(200))),
            series=(Series(name="prod", values=tuple(map(float, range(200)))),),
        ),
    ),
)  # fmt: skip


@pytest_asyncio.fixture
async def platform(feishu: Feishu, redis_server: EmbeddedServer, tmp_path: Path) -> AsyncIterator[FeishuPlatform]:
    settings = BotSettings(
        data_dir=tmp_path, feishu_domain=feishu.domain, feishu_app_id=feishu.app_id,
        feishu_app_secret=feishu.app_secret,
    )  # fmt: skip
    feishu.forget()
    async with Redis.from_url(redis_server.url) as redis:
        platform = FeishuPlatform(SimpleNamespace(settings=settings, redis=redis))  # type: ignore[arg-type]
        yield platform
        await platform.close()
    assert feishu.violations() == []


def thread_of(feishu: Feishu, name: str) -> Place:
    chat = feishu.add_chat(name)
    return Place(platform="feishu", channel=chat, thread=feishu.say("ann", chat, "scores"))


async def test_rows_without_room_are_in_a_file_in_the_thread_before_the_card(
    feishu: Feishu, platform: FeishuPlatform
) -> None:
    place = thread_of(feishu, "big")
    sent = await platform.send(place, BIG, key="result:g1")
    file, card = feishu.ours(place.channel, place.thread)
    assert (file["msg_type"], card["message_id"]) == ("file", sent)
    (key,) = feishu.files()
    read = list(csv.reader(io.StringIO(feishu.file(key).removeprefix("\ufeff"))))
    assert read[1:] == [list(row) for row in ROWS]
    assert "table-1.csv" in feishu.shown(card)
    assert await platform.send(place, BIG, key="result:g1") == sent
    assert len(feishu.ours(place.channel, place.thread)) == 2, "sent again it is there once"


async def test_a_chart_of_many_figures_is_a_picture_that_an_edit_keeps(
    feishu: Feishu, platform: FeishuPlatform
) -> None:
    place, before = thread_of(feishu, "chart"), len(feishu.files())
    sent = await platform.send(place, LONG, key="result:g2")
    (picture,) = [each for each in elements_of(feishu.message(sent)["card"]) if each["tag"] == "img"]
    assert picture["img_key"] in feishu.files()
    await platform.edit(place, sent, LONG, key="result:g2")
    assert len(feishu.files()) == before + 1
    assert feishu.message(sent)["card"] == feishu.versions(sent)[0]["card"]


async def test_where_pictures_may_not_be_uploaded_a_chart_is_told_as_text(
    feishu: Feishu, platform: FeishuPlatform
) -> None:
    feishu.scopes(remove=["im:resource"])
    place = thread_of(feishu, "no pictures")
    sent = await platform.send(place, LONG, key="result:g3")
    feishu.scopes(grant=["im:resource"])
    assert "▇" in feishu.shown(feishu.message(sent))


async def test_a_chat_takes_no_more_than_it_may_however_much_is_due(feishu: Feishu, platform: FeishuPlatform) -> None:
    import asyncio

    place = thread_of(feishu, "busy")

    async def post(number: int) -> None:
        await platform.turn(place, Audience(), urgent=False)
        await platform.send(place, Message(text=f"m{number}"), key=f"m{number}")

    await asyncio.gather(*map(post, range(14)))
    assert len(feishu.ours(place.channel, place.thread)) == 14
