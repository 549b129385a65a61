"""The smaller parts of the Feishu platform: references, languages, toasts, frames, commands."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from support.feishu import frames as by_hand

from bot.feishu import frames
from bot.feishu.address import message_of_source, message_source
from bot.feishu.commands import commands
from bot.feishu.people import KEPT, People
from bot.feishu.presses import Toasts
from bot.feishu.references import reference_of, uuid_of


def test_a_post_is_known_by_its_key_and_by_nothing_else() -> None:
    keys = [f"feishu:om_{n}/{m}" for n in range(500) for m in range(4)]
    assert len({reference_of(key) for key in keys}) == len(keys)
    assert len({uuid_of(key, way) for key in keys for way in ("", "chat")}) == 2 * len(keys)
    assert all(len(uuid_of(key, "thread")) <= 50 for key in keys)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (message_source("om_1"), "om_1"), (f"{message_source('om_1')}#1", "om_1"), ("feishu:press:e1", None),
        ("feishu:om_1:edited:5", None), ("slack:T1:C1:1.2", None), ("result:g1", None),
    ],
)  # fmt: skip
def test_a_mark_is_put_on_messages_alone(source: str, message: str | None) -> None:
    assert message_of_source(source) == message


class Hashes:
    """The few commands of Redis that are used, in memory; `away` while Redis is."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self.away = False

    async def hget(self, name: str, key: str) -> bytes | None:
        from redis.exceptions import ConnectionError as Away

        if self.away:
            raise Away
        return self.kept.get(name, {}).get(key)

    async def hset(self, name: str, key: str, value: str) -> int:
        self.kept.setdefault(name, {})[key] = value.encode()
        return 1


def people(redis: Hashes, domain: str = "https://open.feishu.cn") -> People:
    return People(cast("Any", redis), domain)


async def test_a_person_speaks_what_they_wrote_last_also_after_a_restart() -> None:
    redis = Hashes()
    known = people(redis)
    assert (await known.get("ou_1")).language == "zh", "as most do there"
    await known.heard("ou_1", "please evaluate prod on gsm8k")
    assert (await known.get("ou_1")).language == "en"
    await known.heard("ou_1", "ok")
    await known.heard("ou_1", "/status")
    assert (await people(redis).get("ou_1")).language == "en"
    await known.heard("ou_1", "取消")
    assert redis.kept[KEPT] == {"ou_1": b"zh"}


async def test_on_lark_one_speaks_english_until_one_does_not() -> None:
    assert (await people(Hashes(), "https://open.larksuite.com").get("ou_1")).language == "en"


async def test_who_is_not_known_while_redis_is_away_is_answered_all_the_same() -> None:
    redis = Hashes()
    redis.away = True
    assert (await people(redis).get("ou_1")).language == "zh"


async def test_a_toast_says_what_is_told_first_and_is_answered_once() -> None:
    toasts = Toasts()
    with toasts.waiting("feishu:press:e1") as toast:
        assert not toasts.tell("https://elsewhere", "x")
        assert not toasts.tell("toast:feishu:press:e2", "x")
        assert not toasts.tell("toast:feishu:press:e1", "x" * 301), "too long for one"
        assert toasts.tell("toast:feishu:press:e1", "only ann may do that")
        assert not toasts.tell("toast:feishu:press:e1", "again")
        toasts.came_of("feishu:press:e1/0", "taken")
        assert await toast.told("otherwise") == {"toast": {"type": "info", "content": "only ann may do that"}}
    assert not toasts.tell("toast:feishu:press:e1", "late")


async def test_a_toast_comes_in_time_also_where_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.feishu.presses.TOLD_WITHIN", 0.05)
    with Toasts().waiting("feishu:press:e1") as toast:
        async with asyncio.timeout(1):
            assert await toast.told("taken") == {"toast": {"type": "info", "content": "taken"}}


def test_frames_are_read_and_written_as_others_do() -> None:
    ping = by_hand.read(frames.ping(33554678))
    assert (ping.method, ping.headers, ping.service) == (by_hand.CONTROL, {"type": "ping"}, 33554678)
    event = by_hand.Frame(by_hand.DATA, {"type": "event", "message_id": "m", "sum": "1", "seq": "0"}, b"{}", service=7)
    read = frames.read(by_hand.write(event))
    assert frames.header(read, "message_id") == "m"
    ack = by_hand.read(frames.answer(read, frames.TOLD, 0.0, {"toast": {"content": "收到"}}))
    assert ack.headers["message_id"] == "m"
    assert "biz_rt" in ack.headers
    assert ack.payload.startswith(b'{"code": 200, "data": "')


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x08", b"x" * 100, bytes(range(256))])
def test_what_is_no_frame_is_passed_over(data: bytes) -> None:
    read = frames.read(data)
    assert read is None or frames.header(read, "type") != "event"


def test_parts_of_an_event_are_joined_in_any_order_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = frames.Parts()

    def part(name: str, seq: int, payload: bytes, count: int = 3) -> Any:
        headers = {"type": "event", "message_id": name, "sum": str(count), "seq": str(seq)}
        return frames.read(by_hand.write(by_hand.Frame(by_hand.DATA, headers, payload, service=7)))

    assert parts.whole(part("a", 2, b"c")) is None
    assert parts.whole(part("a", 0, b"a")) is None
    assert parts.whole(part("b", 0, b"x", count=1)) == b"x"
    assert parts.whole(part("a", 1, b"b")) == b"abc"
    assert parts.whole(part("c", 0, b"lost")) is None
    monkeypatch.setattr("bot.feishu.frames.PARTS_KEPT", 0.0)
    assert parts.whole(part("d", 0, b"x")) is None
    assert len(parts._waiting) == 1


def test_every_command_has_a_name_that_feishu_takes_and_says_what_it_does() -> None:
    made = commands()
    assert {"eval", "评测", "perf", "压测", "help"} <= made.keys()
    assert len(made) <= 100
    assert all(not name.startswith("/") and description["i18n"]["zh_cn"] for name, description in made.items())
