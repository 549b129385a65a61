"""Runs that are described instead of named: "the last one", "my gsm8k run from yesterday", "昨天那次 mmlu"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from handlers.intents.lexicon import FLAGS, RUN_RANGE, RUN_REF, RUN_WORDS
from handlers.intents.names import MARKS, Mention, mask
from handlers.registry import MOST_RUNS

LAST = "last"
"""How a request names the newest run."""

_NOUN = r"(?:runs?|jobs?|evaluations?|evals?|stress[\s-]tests?|load[\s-]tests?|tests?|tasks?|benchmarks?|one|attempt)"
_NOUN_ZH = r"(?:运行|评测|任务|测试|压测|那次|一次|那个|次)"
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS: tuple[tuple[str, str], ...] = (
    ("before_yesterday", r"(?:the\s+)?day\s+before\s+yesterday(?:'?s)?|前天"),
    ("yesterday", r"yesterday(?:'?s)?|last\s+night(?:'?s)?|昨[天日晚]"),
    ("today", r"today(?:'?s)?|this\s+(?:morning|afternoon|evening)(?:'?s)?|tonight(?:'?s)?|今[天日早晚]"),
    *((day, rf"(?:last\s+|on\s+)?{day}(?:'?s)?") for day in _DAY_NAMES),
    *((day, f"上?(?:周|星期|礼拜){'一二三四五六日'[place]}") for place, day in enumerate(_DAY_NAMES)),
)
_DAY_WORDS = tuple((day, re.compile(rf"(?<![\w\-])(?:{said})(?![A-Za-z])", FLAGS)) for day, said in _DAYS)
_ANY_DAY = "(?:" + "|".join(said for _, said in _DAYS) + ")"
_MARK = rf"[{MARKS['model']}{MARKS['dataset']}]++"  # taken whole: a name is never half of one
_DESCRIBED = re.compile(
    rf"(?<![\w\-])(?:(?P<mine>my|our)|the|that|this)?\s*(?:(?P<day>{_ANY_DAY})\s+)?(?P<last>last|latest|most\s+recent|newest|previous)?\s*"
    rf"(?P<names>(?:{_MARK}\s*+(?:(?:/|and|on|,)\s*+)?+){{0,6}}+){_NOUN}(?!\w)"
    rf"(?P<after>(?:\s+(?:on|of|for|with)\s+{_MARK}){{0,4}})(?:\s+(?:from|of|on)?\s*(?P<day2>{_ANY_DAY})(?![A-Za-z]))?"
    rf"|(?P<mine_zh>我)?的?\s*(?P<day_zh>{_ANY_DAY})?\s*的?(?P<last_zh>最近|最新|上|刚才|刚刚)?的?(?:那|这|一)?\s*"
    rf"(?P<names_zh>(?:{_MARK}\s*+(?:[在和、的上]\s*+){{0,4}}+){{0,6}}+)的?(?:那|这|一)?{_NOUN_ZH}",
    FLAGS,
)


@dataclass(frozen=True)
class Described:
    """A run that is described: how a request says so, and where the description stands."""

    args: dict[str, JsonValue]
    start: int
    end: int


def described_run(text: str, found: Sequence[Mention], *, to_change: bool = False) -> Described | None:
    """Return the run that a sentence describes; None where it describes none, or says no more than "the run".

    `to_change`: what stands behind it says how another one is to be ("the gsm8k run on prod").
    """
    masked = mask(text, found)
    for match in _DESCRIBED.finditer(masked):
        said = match.groupdict()
        start, end = match.span()
        if to_change and said["after"] and not said["day2"]:
            end = match.start("after")
        which: dict[str, JsonValue] = {"mine": True} if said["mine"] or said["mine_zh"] else {}
        inside = [mention for mention in found if start <= mention.start and mention.end <= end]
        models = [value for mention in inside if mention.kind == "model" for value in mention.values]
        datasets = [value for mention in inside if mention.kind == "dataset" for value in mention.values]
        day = said["day"] or said["day2"] or said["day_zh"]
        which |= {"model": models[0]} if models else {}
        which |= {"datasets": list[JsonValue](datasets)} if datasets else {}
        which |= {"day": _day(day)} if day else {}
        last = said["last"] or said["last_zh"]
        if last and not which.keys() - {"mine"}:
            return Described({"run": LAST}, start, end)
        if which.keys() - {"mine"}:
            return Described({"which": which}, start, end)
    return None


def _day(said: str) -> str:
    return next(day for day, pattern in _DAY_WORDS if pattern.fullmatch(said))


def runs_of(masked: str) -> list[str]:
    """Return the runs that are named, each once: r12, R12, run 12, 运行12, r1 and r2, r1 - r3."""
    said: list[tuple[int, int]] = []
    for match in RUN_RANGE.finditer(masked):
        low, high = sorted((int(match[1]), int(match[2])))
        said += [(match.start(), number) for number in range(low, min(high, low + MOST_RUNS) + 1)]
    rest = RUN_RANGE.sub(lambda match: " " * len(match[0]), masked)
    said += [(match.start(), int(match[1])) for match in RUN_REF.finditer(rest)]
    said += [(match.start(), int(match[1] or match[2])) for match in RUN_WORDS.finditer(rest)]
    return list(dict.fromkeys(f"r{number}" for _, number in sorted(said)))


def without_runs(text: str) -> str:
    """Return `text` without the names of runs."""
    return RUN_WORDS.sub(" ", RUN_REF.sub(" ", RUN_RANGE.sub(" ", text)))
