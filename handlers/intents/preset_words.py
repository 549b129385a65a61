"""Presets in a sentence: saving one, forgetting one, and using one, with what is to be different."""

from __future__ import annotations

import re

from pydantic import JsonValue

from handlers.intents.admit import settle
from handlers.intents.eval_request import read_eval
from handlers.intents.lexicon import FLAGS, RUN_REF
from handlers.intents.names import mask, mentions
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.phrases import phrases
from handlers.registry import intents

_NAME = r"[\"']?(?P<name>[A-Za-z][\w\-]{1,39})[\"']?"
_SAVES = re.compile(
    rf"\b(?:save|store|keep|remember)\b[^.?!]{{0,60}}?\bas\s+(?:an?\s+|the\s+)?(?:preset\s+)?(?:called\s+|named\s+)?{_NAME}\s*[.!]?\s*$"
    rf"|(?:保存|存|另存)(?:为|成|到)(?:一个)?(?:预设)?\s*{_NAME.replace('<name>', '<zh>')}\s*$",
    FLAGS,
)
_FORGETS = re.compile(
    rf"\b(?:forget|delete|remove|drop)\s+(?:the\s+|my\s+)?preset\s+(?:called\s+|named\s+)?{_NAME}"
    rf"|(?:删除|删掉|去掉|移除)(?:这个|名为)?预设\s*{_NAME.replace('<name>', '<zh>')}",
    FLAGS,
)
_MODEL_OF = re.compile(
    r"(?:\b(?:on|with|using|use|for)\s+)?(?:the\s+model\s+of\s+(?:run\s+)?r#?(?P<a>\d{1,9})|r#?(?P<b>\d{1,9})'?s?\s+model)\b"
    r"|(?:用|在|换成)?\s*r#?(?P<c>\d{1,9})\s*(?:的|用的)模型(?:上)?",
    FLAGS,
)
_OTHERS = frozenset({"results", "logs", "status", "cancel", "compare", "leaderboard", "diagnose", "help"})


def read_preset(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return what a sentence asks for of presets; None where it is about none."""
    if (saves := _SAVES.search(text)) is not None:
        run = RUN_REF.search(text[: saves.end()])
        args: dict[str, JsonValue] = {"name": (saves["name"] or saves["zh"]).lower()}
        return settle(intents()["save"], args | ({"run": f"r{int(run[1])}"} if run else {}))
    if (forgets := _FORGETS.search(text)) is not None:
        return settle(intents()["forget"], {"name": (forgets["name"] or forgets["zh"]).lower()})
    return _used(text, vocabulary)


def _used(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the evaluation that names a preset, or a run's model."""
    named = None
    if vocabulary.presets:
        longest = sorted(map(re.escape, vocabulary.presets), key=len, reverse=True)
        named = re.compile(rf"(?<![\w\-./])(?:{'|'.join(longest)})(?![\w\-]|[./]\w)", FLAGS).search(text)
    of = _MODEL_OF.search(text)
    if named is None and of is None:
        return None
    rest = text if named is None else f"{text[: named.start()]} , {text[named.end() :]}"
    rest = _MODEL_OF.sub(" , ", rest)
    masked = mask(rest, mentions(rest, vocabulary))
    words = phrases(masked)
    if any(phrase.intent in _OTHERS and not phrase.weak for phrase in words):
        return None
    if named is None and not any(phrase.intent == "eval" for phrase in words):
        return None
    args, out = read_eval(intents()["eval"], rest, vocabulary)
    args |= {} if named is None else {"preset": named[0].lower()}
    args |= {} if of is None else {"model_of": f"r{int(of['a'] or of['b'] or of['c'])}"}
    return settle(intents()["eval"], args, out)
