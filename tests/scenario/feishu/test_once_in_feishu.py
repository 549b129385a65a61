"""What comes twice acts once, what is edited or taken back is followed, and what fails on the way is posted once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from support.feishu_room import Group

from jobs.lifecycle import RunState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ASKS = "evaluate prod on gsm8k, 20 samples"
REPLY = "POST /open-apis/im/v1/messages/{message_id}/reply"


@pytest.fixture
def group(bot: FeishuBot) -> Group:
    return Group(bot)


def events_of(feishu: Feishu, message_id: str) -> list[dict[str, Any]]:
    return [one for one in feishu.deliveries("im.message.receive") if one["message_id"] == message_id]


def test_copies_and_late_redeliveries_of_a_message_start_one_run(group: Group) -> None:
    feishu = group.feishu
    with group:
        feishu.configure(copies=5, same_event=False)
        asked = feishu.mention("ann", group.chat, ASKS)
        feishu.configure(copies=1, same_event=True)
        group.settle()
        first = events_of(feishu, asked)[0]["id"]
        for new_id in (False, True, True, False):  # as after 15 s, 5 min, 1 h and 6 h
            feishu.redeliver(first, new_id=new_id)
        group.settle()
        assert len(events_of(feishu, asked)) == 9
        assert len(group.runs) == 1
        assert len(group.thread(asked)) == 1


def test_copies_of_a_press_start_one_rerun(group: Group) -> None:
    with group:
        asked = group.ask("ann", ASKS)
        group.end(group.run)
        group.told()
        result = group.thread(asked)[-1]
        group.press("ann", result, "Re-run", copies=4)
        assert len(group.runs) == 2
        again = group.press("ann", result, "Re-run")
        assert "r" in again["toast"]["content"]
        assert len(group.runs) == 2, "each button starts once from each post"


def test_an_edit_changes_what_has_not_begun_and_one_that_is_told_twice_does_so_once(group: Group) -> None:
    feishu = group.feishu
    with group:
        asked = group.ask("ann", ASKS)
        feishu.edit("ann", asked, "evaluate prod on gsm8k, 30 samples", mention=True)
        group.settle()
        first, second = group.runs
        assert group.bot.store.run(first.id).state is RunState.CANCELLED
        assert second.spec.total == 30
        feishu.redeliver(events_of(feishu, asked)[-1]["id"], new_id=True)
        group.settle()
        assert len(group.runs) == 2


def test_a_message_that_is_taken_back_takes_back_what_has_not_begun(group: Group) -> None:
    with group:
        asked = group.ask("ann", ASKS)
        group.feishu.recall("ann", asked)
        group.until(lambda: group.bot.store.run(group.run.id).state is RunState.CANCELLED, "its end")
        group.told()


def test_a_message_that_is_taken_back_after_a_restart_is_known_by_what_it_led_to(group: Group) -> None:
    with group:
        asked = group.ask("ann", ASKS)
        group.bot.stop()
        group.bot.start()
        group.feishu.recall("ann", asked)
        group.until(lambda: group.bot.store.run(group.run.id).state is RunState.CANCELLED, "its end")
        group.told()


def test_where_the_asking_message_is_gone_what_is_said_goes_into_the_group(group: Group) -> None:
    with group:
        asked = group.ask("ann", ASKS)
        group.begin(group.run)
        group.feishu.recall("ann", asked)
        group.settle()
        group.end(group.run)
        group.told()
        assert any("50" in text for text in group.headlines())


@pytest.mark.parametrize("kind", ["lose", "status"])
def test_a_post_whose_answer_was_lost_is_made_once(group: Group, kind: str) -> None:
    with group:
        group.feishu.fault(REPLY, kind, 502, times=2, after=True)
        asked = group.ask("ann", ASKS)
        assert len(group.thread(asked)) == 1
        group.until(lambda: "r" in group.shown(group.thread(asked)[0]), "it")
        group.end(group.run)
        group.told()
        assert len(group.thread(asked)) == 2


def test_a_rate_limit_is_waited_out_for_as_long_as_feishu_says(group: Group) -> None:
    with group:
        group.feishu.fault(REPLY, "ratelimit", 2, times=1)
        since = time.time()
        asked = group.ask("ann", ASKS)
        assert len(group.thread(asked)) == 1
        first, second = [call["at"] for call in group.feishu.calls(REPLY) if call["at"] >= since][:2]
        assert second - first >= 2.0


def test_the_older_way_to_say_too_much_is_understood_as_well(group: Group) -> None:
    with group:
        group.feishu.fault(REPLY, "code", 230020, times=1)
        assert len(group.thread(group.ask("ann", ASKS))) == 1


def test_a_token_that_ended_is_renewed_and_nobody_notices(group: Group) -> None:
    with group:
        before = group.feishu.token_fetches()
        group.feishu.expire_tokens()
        assert len(group.thread(group.ask("ann", ASKS))) == 1
        assert group.feishu.token_fetches() == before + 1


def test_a_card_that_feishu_refuses_is_posted_as_its_text(group: Group) -> None:
    with group:
        group.feishu.fault(REPLY, "code", 230099, times=1)
        asked = group.ask("ann", "status")
        (answer,) = group.thread(asked)
        assert "header" not in answer["card"]
        assert group.shown(answer)


def test_where_it_may_not_post_the_person_is_told_directly(group: Group) -> None:
    with group:
        asked = group.ask("chen", ASKS)
        group.end(group.run)
        group.feishu.set_chat(group.chat, bot=False)
        group.told()
        direct = [group.shown(message) for message in group.feishu.ours(group.feishu.p2p("chen"))]
        assert any("50" in text and "not in that group" in text for text in direct)
        assert len(group.thread(asked)) == 1


def test_a_group_that_was_dissolved_holds_up_nothing(group: Group, bot: FeishuBot) -> None:
    with group:
        group.ask("ann", ASKS)
        group.feishu.set_chat(group.chat, dissolved=True)
        group.end(group.run)
        group.told()
    with Group(bot) as other:
        assert other.thread(other.ask("ann", "status"))


def test_a_post_that_is_older_than_feishus_memory_is_looked_up(group: Group, feishu: Feishu) -> None:
    """The bot dies between a post and its mark, and comes back hours later: Feishu's own memory of an hour is over."""
    with group:
        feishu.configure(uuid_life=0.0)
        feishu.fault(REPLY, "lose", times=1, after=True)
        asked = feishu.mention("ann", group.chat, ASKS)
        group.until(lambda: group.thread(asked), "a post")
        group.bot.kill()
        with group.bot.engine.begin() as connection:
            from sqlalchemy import text

            connection.execute(text("UPDATE outbox SET created_at = datetime(created_at, '-3 hours')"))
        group.bot.start()
        group.settle()
        assert len(group.thread(asked)) == 1
        feishu.configure(uuid_life=3600.0)
        group.end(group.run)
        group.told()
