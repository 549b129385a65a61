"""Slips of the pen in the words that the grammar lives by: "evalute", "smaples". Names are never touched."""

from __future__ import annotations

import re

from rapidfuzz.distance import OSA

from handlers.intents.lexicon import FAMILIES, FLAGS, words
from handlers.intents.names import dataset_name
from handlers.intents.parsed import Vocabulary

WORDS = words(
    """
    evaluate evaluating evaluation benchmark benchmarks samples sample questions examples problems concurrency
    concurrent parallel requests request temperature stress throughput latency compare comparison leaderboard
    schedule weekday results status cancel resume rerun progress dashboard subset subsets repeats repeat tokens
    streaming duration minutes seconds prompt length judge sandbox monday tuesday wednesday thursday friday saturday
    sunday datasets dataset model models limit every measure scores running continue diagnose random batch users
    """
)
"""What is mended to."""
KEPT = words(
    """
    second states problem example process simple store throughout minute continued cancer compared finish programs
    continues bitch measures scored stores limits judges evolution screaming requested shore stats temperatures
    convince scope measured stealing diagnosis spreading companion statue scare diagnosed sunset questioned donation
    judged modes compassion lengths finishes finished repeal lengthy evaluated token schedules comparisons shores
    resumed compares sundays evacuation ruining ransom scares furnished statues progressed scorer motel examines
    parallels saturdays evacuate swore stressing resumes fridays sturdy evaluations probes progresses modem mondays
    butch continual prowess sampled repent prompts temperate steaming tuesdays thursdays concurrently spores
    stemming weekdays diagnoses wednesdays scorers streamline finisher modal scorn cancels parable sampler fished
    sunsets sores evaluates profess confine motels reruns dilation scopes parallax evers durations modems scheduler
    scheduled questioner evaluator samplers stressed batches judging user result score question
    """
)
"""Words of their own that only look like one of them."""
_WORD = re.compile(r"(?<![\w\-./:=@#])[A-Za-z]{3,14}(?![\w\-./:=@]\w|[\w\-=@])", FLAGS)
_SHORT, _LONG = 5, 8
"""Letters from which on one slip is forgiven, and two."""


SLIPS_EN = {
    "fourty": "forty", "limt": "limit", "evry": "every",
    "waht": "what", "wrnog": "wrong", "plase": "please", "pleae": "please",
    "hepl": "help", "shwo": "show", "thsi": "this", "wiht": "with", "strat": "start", "carshed": "crashed",
    "cancle": "cancel", "rnu": "run", "tset": "test", "comapre": "compare", "loags": "logs", "bacth": "batch",
}  # fmt: skip
"""Short words in which a slip is common, and that are near to too many others to be guessed."""
SLIPS_ZH = {
    "测式": "测试", "侧试": "测试", "平测": "评测", "评侧": "评测", "压侧": "压测", "裁叛": "裁判", "接这": "接着",
    "仪表版": "仪表板", "挺掉": "停掉", "挺止": "停止", "从跑": "重跑", "曲消": "取消", "祥本": "样本",
    "样本树": "样本数", "并法": "并发", "温渡": "温度", "排行版": "排行榜", "进都": "进度", "结过": "结果",
    "基淮": "基准", "数剧集": "数据集", "日治": "日志", "对必": "对比", "摸型": "模型", "磨型": "模型",
    "定是任务": "定时任务", "种字": "种子",
}  # fmt: skip
"""Words that sound or look like one of ours."""
_SLIP_ZH = re.compile("|".join(SLIPS_ZH))
_COUNTED_ZH = re.compile(r"(?<=\d)(\s?)提(?=[,。.\s]|$)")
"""20 提 is 20 题."""


def mend(text: str, vocabulary: Vocabulary) -> str:
    """Return `text` with its misspelt words of ours as they are written."""
    text = _COUNTED_ZH.sub(r"\1题", _SLIP_ZH.sub(lambda match: SLIPS_ZH[match[0]], text))
    return _WORD.sub(lambda match: _mended(match[0], vocabulary), text)


def _mended(said: str, vocabulary: Vocabulary) -> str:
    word = said.lower()
    if word in SLIPS_EN:
        return SLIPS_EN[word]
    if len(word) < _SHORT or word in KEPT or word in WORDS or not (said.islower() or said.istitle()):
        return said
    near = [(slips, known) for known in WORDS if known[0] == word[0] and (slips := _slips(word, known)) is not None]
    if not near or min(near)[0] > (2 if len(word) >= _LONG else 1):
        return said
    if said in vocabulary.models or FAMILIES.fullmatch(said) or dataset_name(said, vocabulary) is not None:
        return said
    return min(near)[1]


def _slips(word: str, known: str) -> int | None:
    """Return how many letters are wrong, missing, doubled or swapped; None for too many."""
    most = 2 if len(known) >= _LONG else 1
    found = OSA.distance(word, known, score_cutoff=most)
    return found if found <= most else None
