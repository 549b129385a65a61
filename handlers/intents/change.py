"""A message that only changes what was asked before: "改成100条", "make it 50", "actually use prod", "only gsm8k"."""

from __future__ import annotations

import re

from pydantic import JsonValue

from handlers.intents.clean import clean
from handlers.intents.grammar import parse_as
from handlers.intents.lexicon import FLAGS
from handlers.intents.names import mask, mentions
from handlers.intents.not_ours import is_chat, is_not_ours, wanders
from handlers.intents.numbers import NUMBER
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.setting_words import EN_UNIT, ZH_UNIT
from handlers.registry import Intent

LONGEST = 160
_MARK = (
    r"(?:(?:no|nah|wait|sorry|oh|hm+|ok(?:ay)?|well|actually|rather|instead|better|let'?s|please|pls|just|only|make|change|"
    r"switch|set|use|take|try|it|that|this|them|to|with|on|do|go|and|but|for|the|an?|of|run|want|i|we|should|be|models?|"
    r"benchmarks?|limit|samples?)(?![A-Za-z])|"
    r"不对|不是|不|还是|那就|那|就|请|改用|改成|改为|改|换成|换为|换用|换|用|拿|只要|只跑|只测|只|跑|测|成|为|到|模型|数据集|评测集|条数|"
    r"吧|了|一下|行|即可|好|够|呢|啊|的)"
)
_GAP = r"[\s,.!?;:~…，。！？；：、()（）\"“”‘’'\-–—]*+"
"""What stands between words: `\\W` would be every Chinese word too, where only ASCII letters count as such."""
_MARKS = rf"{_GAP}(?:{_MARK}{_GAP})*+"
_BARE = re.compile(rf"{_MARKS}(?P<n>{NUMBER}\s*%?)\s*(?:{EN_UNIT}|{ZH_UNIT})?{_MARKS}", FLAGS)
_NAME_ONLY = re.compile(rf"{_MARKS}(?:(?:[\x01\x02]++|和){_MARKS})*+", FLAGS)
_COUNTS = re.compile(
    rf"(?:{NUMBER})\s*(?:%|percent\b|{EN_UNIT}|条|道|题|样本)|\b(?:limit|samples?|questions?)\b|条数|样本|题数",
    FLAGS,
)
"""Words that make a number one of samples: "3 点" and "3 个人" are none."""
_SAYS_CHANGE = re.compile(
    r"\b(?:make|change|switch|set|actually|instead|rather|only|just|use|with|wait|no)\b|改|换|不对|还是|只|就行|就好|设",
    FLAGS,
)


def read_change(intent: Intent, text: str, vocabulary: Vocabulary) -> dict[str, JsonValue] | None:
    """Return what a message changes of a request of `intent`; None where it is no change, or says more than one."""
    said = clean(text)
    if not said or len(said) > LONGEST or said.startswith("/") or is_not_ours(said):
        return None
    fields = intent.args.model_fields
    bare = _BARE.fullmatch(said) if "limit" in fields else None
    if bare is not None and bare["n"].strip() != said.strip(" .!?。"):  # a number alone may be that of an answer
        return _known(parse_as(intent, f"{bare['n']} samples", vocabulary), intent)
    found = mentions(said, vocabulary)
    masked = mask(said, found)
    if is_chat(masked):
        return None
    args = _known(parse_as(intent, said, vocabulary), intent)
    if args and "limit" in args and _COUNTS.search(said) is None:
        return None
    names_alone = bool(found) and _NAME_ONLY.fullmatch(masked) is not None
    says_so = _SAYS_CHANGE.search(masked) is not None and not wanders(masked, (), _OWN_WORDS)
    return args if args and (names_alone or says_so) else None


_OWN_WORDS = 4
"""Words of a setting's own beside those of the change: "make the batch size 8"."""


def merged(before: dict[str, JsonValue], change: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a request's values with those that a change puts in their place; settings of one kind stay together."""
    left = dict(before)
    if {"model", "models"} & change.keys():
        left = {name: value for name, value in left.items() if name not in {"model", "models"}}
    for name, value in change.items():
        earlier = left.get(name)
        left[name] = {**earlier, **value} if isinstance(earlier, dict) and isinstance(value, dict) else value
    if "limit" in change:
        left.pop("full", None)
    return left


def _known(parsed: Parsed, intent: Intent) -> dict[str, JsonValue] | None:
    """Return the values of a reading that holds nothing but such; None where something of it was refused."""
    if parsed.refused or parsed.more:
        return None
    args = {name: value for name, value in parsed.args.items() if name not in {"run", "runs", "which"}}
    return args if args.keys() <= intent.args.model_fields.keys() else None
