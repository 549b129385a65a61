"""Times that come again, in sentences: cron, time zone and what is left of the sentence."""

from __future__ import annotations

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from handlers.intents.clean import clean
from handlers.intents.when import read_when


@pytest.mark.parametrize(
    ("text", "cron", "zone"),
    [
        ("every Monday at 9:00 post the leaderboard", "0 9 * * 1", None),
        ("run gsm8k on prod every weekday at 9:30 Berlin time", "30 9 * * 1-5", "Europe/Berlin"),
        ("每周一早上9点发排行榜", "0 9 * * 1", None),
        ("每个工作日早上9点用 gsm8k 评测 prod", "0 9 * * 1-5", None),
        ("every night at 2 run gsm8k on prod", "0 2 * * *", None),
        ("every night at 10 run gsm8k on prod", "0 22 * * *", None),
        ("every 6 hours run mmlu on prod with 50 samples", "0 */6 * * *", None),
        ("every 30 minutes check prod", "*/30 * * * *", None),
        ("每天凌晨两点半跑一次 ceval，模型 prod", "30 2 * * *", None),
        ("每周一三五晚上8点压测 prod", "0 20 * * 1,3,5", None),
        ("每周一和周四 10:15 跑 gsm8k", "15 10 * * 1,4", None),
        ("每月1号上午10点发排行榜", "0 10 1 * *", None),
        ("on mondays and thursdays at 6pm UTC rerun r12", "0 18 * * 1,4", "UTC"),
        ("daily at noon, evaluate prod on gsm8k", "0 12 * * *", None),
        ("Mon-Fri 08:15 Asia/Shanghai evaluate prod", "15 8 * * 1-5", "Asia/Shanghai"),
        ("每小时跑一次 gsm8k", "0 * * * *", None),
        ("weekly on Friday at 17:00 New York time post the leaderboard", "0 17 * * 5", "America/New_York"),
        ("周一到周五 9:30 跑 gsm8k", "30 9 * * 1-5", None),
        ("每两小时压测 prod", "0 */2 * * *", None),
        ("at half past nine every day run gsm8k on prod", "30 9 * * *", None),
        ("on the 1st of every month at 8am compare prod and qwen-plus", "0 8 1 * *", None),
        ("每天 9:00 和 18:00 跑 gsm8k", "0 9,18 * * *", None),
        ("schedule gsm8k on prod daily at 7 pm PST", "0 19 * * *", "America/Los_Angeles"),
        ("每天早上八点（北京时间）跑 ceval", "0 8 * * *", "Asia/Shanghai"),
        ("every other day at 10 run ifeval on prod", "0 10 */2 * *", None),
        ("every weekend at 8:00 run gsm8k", "0 8 * * 0,6", None),
        ("every day at 12:30 am UTC+8 run gsm8k", "30 0 * * *", "Etc/GMT-8"),
        ("every monday evaluate prod on gsm8k", None, None),
        ("每周跑一次 gsm8k", None, None),
    ],
)
def test_a_time_that_comes_again_is_read(text: str, cron: str | None, zone: str | None) -> None:
    when = read_when(clean(text))
    assert when is not None
    assert (when.cron, when.timezone) == (cron, zone)


@pytest.mark.parametrize(
    "text",
    ["evaluate prod on gsm8k", "run nightly-math", "on prod at 10 rps", "前 20 条", "r12 跑到哪了", "10 requests each"],
)
def test_what_does_not_come_again_is_no_time(text: str) -> None:
    assert read_when(text) is None


def test_what_is_left_of_the_sentence_is_what_is_to_be_done() -> None:
    when = read_when("every evening at 8 stress test prod at 10 rps")
    assert when is not None
    assert when.rest == "stress test prod at 10 rps"


@given(
    st.lists(
        st.sampled_from([
            "every", "每", "day", "周", "一", "monday", "and", "at", "9", ":30", "am", "pm", "点", "半", "月", "号",
            "time", "Berlin", "UTC", "UTC+99", "25", "99", "零", "hours", "minutes", "一百", "weekday", "the", "of",
            "month",
        ]),
        max_size=10,
    )
)  # fmt: skip
def test_whatever_is_read_is_a_time_that_a_clock_can_show(words: list[str]) -> None:
    for text in (" ".join(words), "".join(words)):
        when = read_when(text)
        if when is not None and when.cron is not None:
            assert croniter.is_valid(when.cron), when.cron
