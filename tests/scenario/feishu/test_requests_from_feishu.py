"""Feishu's events as requests to the web server: encrypted and signed, or not heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bot_process import CONFIG
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from support.feishu_room import SOON, Group

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def bot(feishu: Feishu, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeishuBot]:
    config = f'{CONFIG}\n[feishu]\nreceive = "webhook"\n'
    keys = {
        "FEISHU_ENCRYPT_KEY": feishu.encrypt_key, "FEISHU_VERIFICATION_TOKEN": feishu.verification_token,
    }  # fmt: skip
    with FeishuBot(tmp_path_factory.mktemp("bot"), feishu, config=config, **keys) as bot:
        url = bot.until(lambda: (bot.folder / "web_url").exists() and bot.url, 30, "a web server")
        feishu.use_webhook(f"{url}/feishu/events")
        bot.until(lambda: feishu.challenge()["status"] == 200, 60, "the SDK")
        yield bot


def test_the_console_verifies_the_address(feishu: Feishu, bot: FeishuBot) -> None:
    assert bot.process
    assert feishu.challenge() == {"status": 200, "body": {"challenge": "a1b2"}}


def test_messages_and_presses_come_as_requests(feishu: Feishu, bot: FeishuBot) -> None:
    with Group(bot) as group:
        asked = group.ask("wang", "用 prod 评测 mmlu，100 条")
        question = group.answer(asked)
        answer = group.press("wang", question, group.feishu.buttons(question)[0])
        assert answer["toast"] == {"type": "success", "content": "收到"}
        assert len(group.runs) == 1
        group.feishu.read("ann", asked)
        group.settle()
    assert feishu.sockets() == 0


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_is_not_from_feishu_is_refused(feishu: Feishu, bot: FeishuBot, *, encrypted: bool) -> None:
    group = Group(bot)
    url = f"{bot.url}/feishu/events"
    feishu.use_webhook(url, encrypted=encrypted, forged=True)
    feishu.configure(redeliver=[])
    asked = feishu.mention("ann", group.chat, "evaluate prod on gsm8k, 20 samples")
    bot.until(lambda: all(one["over"] for one in feishu.deliveries()), SOON, "its end")
    assert [one["message_id"] for one in feishu.unacked()] == [asked]
    feishu.use_webhook(url)
    feishu.configure(redeliver=[0.5] * 20)
    assert group.runs == []
    assert group.thread(asked) == []
    feishu.forget()


def test_without_keys_nobody_is_heard(feishu: Feishu, tmp_path: Path) -> None:
    config = f'{CONFIG}\n[feishu]\nreceive = "webhook"\n'
    with FeishuBot(tmp_path, feishu, config=config) as bot:
        bot.until(lambda: "Feishu is not heard" in bot.log, 60, "a warning")
        feishu.use_webhook(f"{bot.url}/feishu/events", encrypted=False)
        assert feishu.challenge()["status"] == 404
