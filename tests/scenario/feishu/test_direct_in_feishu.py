"""What one says to the bot alone in Feishu: in words, by its menu, in forms; and how it greets."""

from __future__ import annotations

from typing import Any

import pytest
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from support.feishu_room import SOON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Direct:
    """One person's conversation with the bot."""

    def __init__(self, bot: FeishuBot, user: str) -> None:
        self.bot, self.feishu, self.user = bot, bot.feishu, user
        self.chat = bot.feishu.p2p(user)

    def ours(self) -> list[dict[str, Any]]:
        return self.feishu.ours(self.chat)

    def next(self, count: int) -> dict[str, Any]:
        """Wait until the bot has said so much, and return the last of it."""
        self.bot.until(lambda: len(self.ours()) >= count, SOON, f"{count} posts")
        assert len(self.ours()) == count, [self.feishu.shown(message) for message in self.ours()]
        return self.ours()[-1]


@pytest.fixture(autouse=True)
def _nothing_refused(feishu: Feishu, bot: FeishuBot) -> Any:
    yield
    assert feishu.violations() == []
    assert bot.until(lambda: not feishu.unacked(), SOON, "acknowledgements")


def test_a_direct_message_is_answered_in_its_thread_in_its_language(bot: FeishuBot) -> None:
    direct = Direct(bot, "wang")
    said = direct.feishu.dm("wang", "帮助")
    answer = direct.next(1)
    assert answer["root_id"] == said
    assert "我用 EvalScope 评测模型" in direct.feishu.shown(answer)


def test_a_person_who_opens_the_conversation_is_greeted_once(bot: FeishuBot) -> None:
    direct = Direct(bot, "chen")
    direct.feishu.enter("chen")
    greeting = direct.next(1)
    assert "你好！我用 EvalScope 评测模型" in direct.feishu.shown(greeting)
    assert "gsm8k" in direct.feishu.shown(greeting)
    assert "root_id" not in greeting
    direct.feishu.enter("chen")
    direct.feishu.menu("chen", "status")  # which is answered later
    assert "没有" in direct.feishu.shown(direct.next(2))


def test_a_group_that_it_is_added_to_is_greeted_once(feishu: Feishu, bot: FeishuBot) -> None:
    chat = feishu.add_chat("new")
    feishu.set_chat("new", bot=False)
    feishu.add_bot("wang", "new")
    bot.until(lambda: feishu.ours(chat), SOON, "a greeting")
    (event,) = [one for one in feishu.deliveries("im.chat.member.bot.added_v1") if one["acked_at"]]
    assert "大家好" in feishu.shown(feishu.ours(chat)[0])
    assert event


def test_a_menu_is_answered_as_the_command_it_stands_for(bot: FeishuBot) -> None:
    direct = Direct(bot, "bob")
    direct.feishu.dm("bob", "please tell me what you can do, I am new here")  # he writes English
    direct.next(1)
    direct.feishu.menu("bob", "benchmarks")
    assert direct.feishu.tables(direct.next(2))


def test_a_command_alone_brings_a_form_which_is_read_field_by_field_and_sent_off_once(bot: FeishuBot) -> None:
    direct = Direct(bot, "ann")
    feishu = direct.feishu
    feishu.dm("ann", "/评测")
    form = direct.next(1)
    assert "新建评测" in feishu.shown(form)
    assert "gsm8k" in feishu.shown(form)

    wrong = feishu.submit("ann", form["message_id"], {"model": "prod", "datasets": [], "limit": "many"})
    assert wrong["toast"]["type"] == "error"
    again = feishu.message(form["message_id"])
    errors = [text for text in feishu.shown(again).splitlines() if "many" in text or "评测集" in text]
    assert errors
    assert bot.runs() == []
    assert "many" in str(again["card"]), "what was typed stays"

    sent = feishu.submit(
        "ann", form["message_id"], {"model": "prod", "datasets": ["gsm8k"], "limit": "20", "temperature": "0.5"}
    )
    assert sent["toast"] == {"type": "success", "content": "收到"}
    status = direct.next(2)
    (run,) = bot.runs()
    assert run.spec.total == 20
    assert status["root_id"] == form["root_id"]
    closed = feishu.message(form["message_id"])
    assert "limit=20" in feishu.shown(closed)
    assert feishu.buttons(closed) == []
    assert not [element for element in closed["card"]["body"]["elements"] if element["tag"] == "form"]


def test_its_commands_are_offered_while_one_types(feishu: Feishu, bot: FeishuBot) -> None:
    bot.until(lambda: len(feishu.commands()) >= 20, SOON, "commands")
    by_name = {command["command"]: command for command in feishu.commands()}
    assert by_name["eval"]["description"]["i18n"]["en_us"] == "evaluate a model on benchmarks"
    assert "压测" in by_name
    bot.stop()
    bot.start()
    assert len(feishu.commands()) == len(by_name)
