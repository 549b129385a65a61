"""Which intent a sentence asks for: the registered words, and what outranks them."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from handlers.intents.lexicon import FLAGS
from handlers.registry import understood

DESCRIBE = frozenset({
    "what is", "what's", "what does", "tell me about", "describe", "explain", "how many samples does", "what subsets",
    "how big is", "how large is", "how many questions does", "how many questions are in", "介绍一下", "是什么",
    "哪些子集", "多少题", "多少条", "有多大", "测什么", "测的是什么", "考什么",
})  # fmt: skip
"""What asks about one benchmark."""

WEAK = DESCRIBE | {
    "help", "帮助", "帮帮我", "usage", "report", "output of", "输出", "queue", "队列", "报告",
    "基准", "数据集", "how do i", "怎么用", "finished", "why", "how come", "what happened", "为什么", "为啥", "为何",
}  # fmt: skip
"""Phrases that only count when nothing stronger is said: "hi, can you help me evaluate …"."""

CASUAL = frozenset(
    {"run", "运行", "test", "score", "measure", "benchmark", "测试", "跑", "测", "跑个", "跑一下", "测一下", "测一测"}
)
"""Words for evaluating that need something concrete beside them: "this is a test" is no request."""

RUNNING = frozenset({"run", "运行", "跑", "跑个", "跑一下"})
"""Verbs whose object is a benchmark and whose "on …" is a model."""

_NEGATED = re.compile(
    r"(?:don'?t|do\s+not|never|not|stop|without|别|不要|不用|无需|先不)\s*(?:want\s+to\s+|再)?$", FLAGS
)
DENIED = re.compile(
    r"\b(?:don'?t|do\s+not|never|stop)\s+(?:run|evaluat|eval|test|benchmark)|(?:别|不要|不用|先不)\s*再?(?:跑|测|评)",
    FLAGS,
)
_SUGGESTS = re.compile(r"\s*(?:not\b|don'?t\b|do\s+not\b|would\b|should\b|bother\b|wait\b|不(?!行|动|了))", FLAGS)
"""After "why": it is a proposal, and no question about what happened."""
WHY = re.compile(
    r"\W*(?:(?:so|but|and|hey|hi|hello|ok|okay|well|please|pls|then|请问|请|那么?|但是?|所以|你好)[\s,]+)*"
    r"(?:\b(?:why|how\s+come|what\s+went\s+wrong|what(?:'s|\s+is)\s+wrong)\b|(?:请问)?(?:为什么|为啥|为何))",
    FLAGS,
)
"""A sentence that begins so asks for a reason, whatever else it names: "why did it stop?"."""

_NOUN = re.compile(
    r"\b(?:the|this|that|last|latest|previous|my|our|your|each|every|an?|is|was|which|what|of|old|new|good|great|hard|nice|bad|tough|"
    r"popular|favou?rite|interesting|standard|famous|outdated)(?:\s+(?:last|latest|newest|first))?\s+$"
    r"|\b(?:the|this|that|my|our|last)\s+[\x01\x02]+\s*$"
    r"|\b(?:is|was|are|were)\s+(?:an?|the|such\s+an?)\s+(?:\w+\s+){0,2}$",
    FLAGS,
)
_RUN_NUMBER = re.compile(r"\s*#?\s?\d{1,9}\s*(?:$|[?!.,;])", FLAGS)

_MODIFIER = re.compile(
    r"fine-?\s?tuned|(?:just|newly|freshly|self)?-?trained|deployed|(?:pre|post)-?trained|"
    r"(?:微调|训练|部署|精调)\s*(?:过|好|后|完|出来|了|得到)?的|(?:微调|训练|部署|精调)(?:过|好|后|完)|刚?(?:微调|训练|部署)了?的",
    FLAGS,
)
TRAINING = re.compile(
    r"\b(?:(?:pre|re|post)?-?train(?:ing)?|fine-?\s?tun(?:e|ing)|deploy(?:ing|ment)?|serv(?:e|ing)|host(?:ing)?|"
    r"launch|quanti[sz]e|distill?(?:ation)?|lora|sft|rlhf|merge)\b|训练|微调|精调|部署|蒸馏|量化|上线|起一?个服务|启动服务",
    FLAGS,
)  # fmt: skip


class Phrase(NamedTuple):
    """One of an intent's words in a sentence."""

    intent: str
    said: str
    start: int
    end: int

    @property
    def weak(self) -> bool:
        """It only counts when nothing stronger is said."""
        return self.said in WEAK


@functools.cache
def _pattern() -> tuple[re.Pattern[str], dict[str, str]]:
    owner: dict[str, str] = {}
    for intent in understood().values():
        for phrase in (*intent.words.en, *intent.words.zh):
            owner.setdefault(phrase.lower(), intent.name)
    longest = sorted(owner, key=len, reverse=True)
    english = "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in longest if phrase.isascii())
    chinese = "|".join(re.escape(phrase) for phrase in longest if not phrase.isascii())
    return re.compile(rf"(?<![\w\-/])(?:{english})(?![\w\-/])|{chinese}", FLAGS), owner


def phrases(masked: str) -> list[Phrase]:
    """Return the intents' words in `masked` (names blanked), in order; nouns and negated verbs of eval left out."""
    pattern, owner = _pattern()
    found = []
    for match in pattern.finditer(masked):
        said = re.sub(r"\s+", " ", match[0].lower())
        found.append(Phrase(owner[said], said, match.start(), match.end()))
    return [
        phrase
        for place, phrase in enumerate(found)
        if (phrase.intent not in {"eval", "perf"} or _is_verb(masked, phrase, found[place + 1 : place + 2]))
        and not (phrase.intent == "diagnose" and _SUGGESTS.match(masked, phrase.end))
    ]


def _is_verb(masked: str, phrase: Phrase, following: list[Phrase]) -> bool:
    before = masked[max(0, phrase.start - 24) : phrase.start]
    if _NEGATED.search(before):
        return False
    noun = following and following[0].intent not in {"eval", "perf", "help"}
    if noun and masked[phrase.end : following[0].start].strip() in {"", "的"}:
        return False  # "test results", 评测结果
    if phrase.said in CASUAL and phrase.said.isascii() and _NOUN.search(before):
        return False
    if phrase.said in CASUAL and not phrase.said.isascii() and masked[phrase.end : phrase.end + 1] == "了":
        return False  # 跑了一整晚
    return not (phrase.said in {"run", "运行"} and _RUN_NUMBER.match(masked, phrase.end))


def choose(found: list[Phrase], *, concrete: bool) -> str | None:
    """Return the intent that `found` names, first and strong ones before weak; None where none does."""
    strong = [phrase for phrase in found if not phrase.weak]
    if not concrete:
        strong = [phrase for phrase in strong if not (phrase.intent == "eval" and phrase.said in CASUAL)]
        helps = [phrase for phrase in found if phrase.intent == "help"]
        if helps and (
            found[0].said in {"how do i", "怎么用"}
            or all(phrase.intent in {"help", "eval"} or phrase.weak for phrase in found)
        ):
            return "help"
    if strong:
        return strong[0].intent
    return found[0].intent if found and found[0].said not in CASUAL else None


def asks_why(masked: str) -> bool:
    """Tell whether a sentence begins by asking for a reason."""
    why = WHY.match(masked)
    return why is not None and not _SUGGESTS.match(masked, why.end())


def asks_for_training(masked: str, found: list[Phrase], *, has_dataset: bool) -> bool:
    """Tell whether training, deployment or serving is asked for, not the evaluation of what came out of it."""
    plain = _MODIFIER.sub(lambda match: " " * len(match[0]), masked)
    match = TRAINING.search(plain)
    if match is None:
        return False
    verbs = [phrase for phrase in found if phrase.intent == "eval"]
    if not verbs:
        if any(phrase.intent == "perf" for phrase in found):  # "train it and stress test it", not "my serving stack"
            return not plain[: match.start()].strip()
        return all(phrase.weak for phrase in found)
    if match.start() < verbs[0].start:
        return True
    return verbs[0].said in CASUAL and not has_dataset
