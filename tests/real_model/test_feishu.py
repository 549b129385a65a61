"""A whole conversation in Feishu, in Chinese, with a real worker and the real model."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot
from talking import CONFIG

from jobs.lifecycle import RunState

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(300)]
SCORED_WITHIN = 150


@pytest.fixture(scope="module")
def feishu() -> Iterator[Feishu]:
    with Feishu() as feishu:
        yield feishu


@pytest.fixture(scope="module")
def bot(feishu: Feishu, model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeishuBot]:
    config = CONFIG.format(url=model_url)
    with FeishuBot(tmp_path_factory.mktemp("bot"), feishu, workers=1, config=config) as bot:
        yield bot


def elements(message: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """Return the components of a card that stand at its root."""
    return [element for element in message["card"]["body"]["elements"] if element["tag"] == tag]


def test_from_a_mention_in_chinese_to_a_score_a_rerun_in_the_thread_and_its_end(feishu: Feishu, bot: FeishuBot) -> None:
    chat = feishu.chat("general")

    def ours(thread: str) -> list[dict[str, Any]]:
        return feishu.ours(chat, thread)

    # a mention whose number can mean two things → a question
    asked = feishu.mention("wang", chat, "用 sample_qa 评测 smollm2，16 条")
    (question,) = bot.until(lambda: ours(asked), 15, "a question")
    choices = feishu.buttons(question)
    assert len(choices) == 3
    assert bot.runs() == []

    # the answer by its button → a toast, and one status card, patched in place as the run goes on
    answer = feishu.press("wang", question["message_id"], choices[0])
    assert answer["toast"]["content"] == "收到"
    status = bot.until(lambda: ours(asked)[1:], 15, "a status card")[0]
    result = bot.until(lambda: ours(asked)[2:], SCORED_WITHIN, "a result")[0]
    bot.until(lambda: "16 / 16" in feishu.shown(feishu.message(status["message_id"])), 10, "the final state")
    (run,) = bot.runs()
    assert run.result is not None
    assert run.result.benchmarks[0].succeeded == 16
    shown = [feishu.shown(version) for version in feishu.versions(status["message_id"])]
    told = sorted({n for n in range(17) for text in shown if f"{n} / 16" in text})
    assert len(told) >= 3, f"its progress was to be seen: {told}"
    assert told[-1] == 16
    assert any("%" in text and "[" in text for text in shown), "the running score with its interval"

    # table, chart, links and buttons; who asked is mentioned; the group reads a line on it
    text = feishu.shown(result)
    assert f"<at id={feishu.user('wang')}>" in json.dumps(result["card"], ensure_ascii=False)
    assert f"{run.name}：" in text or f"{run.name}: " in text
    score = run.result.benchmarks[0].headline
    assert score is not None
    (table,) = elements(result, "table")
    assert any(f"{score.score * 100:.1f}" in str(cell) for cell in table["rows"][0].values())
    (chart,) = elements(result, "chart")
    assert {"en", "zh"} <= set(re.findall(r"\b(?:en|zh)\b", json.dumps(chart["chart_spec"])))
    assert {"重跑", "全量重跑"} & set(feishu.buttons(result))
    page = next(url for url in re.findall(r"https?://[^\s\"')\\]+", json.dumps(result["card"])) if "/runs/" in url)
    with urllib.request.urlopen(page, timeout=10) as opened:
        assert run.name in opened.read().decode()
    lines = lambda: [feishu.shown(m) for m in feishu.ours(chat) if not m.get("root_id")]  # noqa: E731
    bot.until(lambda: any(run.name in line for line in lines()), 15, "a headline")

    # people talk; a reply that is a command and nothing else starts another run, without a mention
    feishu.say("ann", chat, "分数不错嘛，大家看看", reply_to=asked)
    feishu.say("wang", chat, "重跑 20 条", reply_to=asked)
    bot.until(lambda: ours(asked)[3:], 15, "the same question")
    feishu.say("wang", chat, "1", reply_to=asked)
    bot.until(lambda: len(bot.runs()) == 2, 15, "another run")
    again = bot.runs()[1]
    bot.until(lambda: bot.store.run(again.id).state is RunState.RUNNING, 60, "it to begin")
    feishu.say("wang", chat, "取消", reply_to=asked)
    bot.until(lambda: bot.store.run(again.id).state is RunState.CANCELLED, 30, "its end")
    bot.until(lambda: any("已取消" in feishu.shown(message) for message in ours(asked)), 15, "to be told so")
    assert len(bot.runs()) == 2

    # nothing that Feishu would refuse, nothing lost
    assert feishu.violations() == []
    assert feishu.unacked() == []
