"""Groups in Feishu: mentions, replies in threads, topics, buttons with their toasts, results."""

from __future__ import annotations

import json

import pytest
from support.feishu_bot import FeishuBot
from support.feishu_room import Group

from jobs.lifecycle import RunState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def group(bot: FeishuBot) -> Group:
    return Group(bot)


def test_a_run_is_shown_in_one_card_that_is_patched_and_its_result_mentions_who_asked(group: Group) -> None:
    with group:
        asked = group.ask("wang", "用 prod 评测 gsm8k，20 条")
        status = group.answer(asked)
        assert status["thread_id"], "it is answered in a thread"
        assert "等待中" in group.shown(status)
        assert group.feishu.buttons(status) == ["取消", "日志"]
        group.begin(group.run, rate=2.0, eta=6.5, done=7, total=20)
        group.until(lambda: "7 / 20" in group.shown(status), "progress")
        assert group.feishu.message(status["message_id"])["card"]["header"]["template"] == "blue"
        group.end(group.run)
        group.told()
        _, result = group.thread(asked)
        assert group.feishu.message(status["message_id"])["card"]["header"]["template"] == "green"
        assert f"<at id={group.feishu.user('wang')}></at>" in json.dumps(result["card"])
        (table,) = group.feishu.tables(result)
        assert "分数" in table[0]
        assert any("50" in cell for cell in table[1])
        assert "复现命令" in group.shown(result)
        assert {"重跑", "复制命令"} & set(group.feishu.buttons(result)), group.feishu.buttons(result)
        (headline,) = group.headlines()
        assert group.run.name in headline
        mine = [one["emoji"] for one in group.feishu.reactions() if one["message_id"] == asked]
        assert mine == ["OnIt", "DONE"]


def test_in_a_chat_of_topics_all_is_said_in_the_topic_and_no_line_becomes_one(bot: FeishuBot) -> None:
    with Group(bot, "topic") as group:
        asked = group.ask("ann", "evaluate prod on gsm8k, 20 samples")
        group.answer(asked)
        group.end(group.run)
        group.told()
        assert len(group.thread(asked)) == 2
        assert group.headlines() == []


def test_people_talk_in_a_thread_and_only_a_complete_command_is_acted_on(group: Group) -> None:
    with group:
        asked = group.ask("ann", "evaluate prod on gsm8k, 20 samples")
        for said in ("looks good to me", "小王你看看这个", "why not try another one?"):
            group.say("bob", said, asked)
        assert len(group.thread(asked)) == 1
        group.begin(group.run)
        group.say("ann", "取消", asked)
        assert group.bot.store.run(group.run.id).cancel_asked


def test_what_nobody_said_to_us_outside_of_a_thread_leaves_no_trace(group: Group) -> None:
    with group:
        group.say("ann", "evaluate prod on gsm8k, 20 samples")
        assert group.runs == []
        assert group.feishu.ours(group.chat) == []


def test_a_reply_that_mentions_us_asks_in_the_same_conversation(group: Group) -> None:
    with group:
        asked = group.ask("ann", "evaluate prod on gsm8k, 20 samples")
        group.ask("ann", "status", asked)
        assert len(group.thread(asked)) == 2
        assert group.run.name in group.shown(group.thread(asked)[-1])


def test_a_question_is_answered_by_its_button_once_by_who_was_asked(group: Group) -> None:
    with group:
        asked = group.ask("wang", "用 prod 评测 mmlu，100 条")
        question = group.answer(asked)
        first = group.feishu.buttons(question)[0]
        refused = group.press("bob", question, first)
        assert refused["toast"]["content"] not in {"", "收到"}, "another person is told why in the toast"
        assert group.runs == []
        taken = group.press("wang", question, first, copies=3)
        assert taken["toast"]["content"] == "收到"
        assert len(group.runs) == 1
        assert first in group.shown(question)
        assert group.feishu.buttons(group.feishu.message(question["message_id"])) == []


def test_a_button_that_was_never_shown_is_refused_and_told_so(group: Group) -> None:
    with group:
        asked = group.ask("ann", "evaluate prod on gsm8k, 20 samples")
        status = group.answer(asked)
        forged = group.feishu.forge("bob", status["message_id"], {"v": "do:cancel:r1"})
        group.settle()
        assert forged["toast"]["content"]
        assert group.bot.store.run(group.run.id).state is not RunState.CANCELLED
        assert group.feishu.forge("bob", status["message_id"], {"other": 1}) == {}


def test_what_is_for_one_person_alone_is_shown_to_nobody_else(group: Group) -> None:
    with group:
        asked = group.ask("ann", "evaluate prod on gsm8k, 20 samples")
        status = group.answer(asked)
        group.end(group.run)
        group.told()
        result = group.thread(asked)[-1]
        group.press("bob", result, "Copy as CLI")
        (alone,) = group.feishu.ephemerals("bob", group.chat)
        assert "evalscope eval" in alone
        assert group.feishu.ephemerals("ann", group.chat) == []
        assert len(group.thread(asked)) == 2
        assert status["message_id"]


def test_a_command_in_chinese_is_understood_with_full_width_marks(group: Group) -> None:
    with group:
        group.ask("wang", "／评测 prod gsm8k limit＝２０")
        assert group.run.spec.total == 20
        group.ask("wang", "用ｐｒｏｄ评测ｇｓｍ８ｋ，３０条")
        assert group.run.spec.total == 30


def test_messages_of_other_bots_and_of_other_kinds_are_passed_over(group: Group) -> None:
    with group:
        group.say("cli_other", "evaluate prod on gsm8k", sender_type="app", mention=True)
        for kind, content in (("image", {"image_key": "img_1"}), ("file", {"file_key": "f"}), ("sticker", {})):
            group.say("ann", "", kind=kind, content=content)
        group.feishu.read("ann", group.say("ann", "hello"))
        group.settle()
        assert group.feishu.ours(group.chat) == []


def test_a_rich_message_that_mentions_us_is_heard(group: Group) -> None:
    with group:
        pieces = [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": " evaluate prod on gsm8k, 20 samples"}]
        asked = group.say("ann", "", kind="post", content={"title": "", "content": [pieces]}, mention=True)
        group.answer(asked)
        assert group.run.spec.total == 20
