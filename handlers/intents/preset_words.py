"""Presets in a sentence: saving one, forgetting one, and using one, with what is to be different."""

from __future__ import annotations

import re

from handlers.intents.admit import refused, settle
from handlers.intents.eval_request import read_eval
from handlers.intents.lexicon import FLAGS, RUN_REF
from handlers.intents.names import mask, mentions
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.perf_request import read_perf
from handlers.intents.phrases import Phrase, phrases
from handlers.intents.settings import READ, read_numbers, read_words
from handlers.registry import intents

_NAME = r"[\"']?(?P<name>[A-Za-z][\w\-]{1,39})[\"']?"
_ZH_NAME = _NAME.replace("<name>", "<zh>")
_SAVES = re.compile(
    rf"\b(?:save|store|keep|remember)\b(?P<what>[^.?!]{{0,60}}?)\bas\s+(?P<as>(?:an?\s+|the\s+)?(?:preset\s+)?(?:called\s+|named\s+)?){_NAME}\s*[.!]?\s*$"
    rf"|(?:保存|存|另存)(?:为|成|到)(?:一个)?(?:预设)?\s*{_ZH_NAME}\s*$",
    FLAGS,
)
_A_RUN = re.compile(r"(?<![\w\-])r#?\d|\b(?:it|this|that|these|those|runs?|settings|setup|config\w*)\b", FLAGS)
"""What can be saved as a preset: "save prod as default" and "keep it as is" mean something else."""
_NO_PRESET = re.compile(
    r"\b(?:results?|scores?|reports?|logs?|outputs?|charts?|tables?|samples)\b|结果|成绩|分数|报告|日志|图表|表格",
    FLAGS,
)
"""What a run leaves behind, which is saved in files: "save the report as pdf"."""
_NO_NAME = frozenset({"default", "defaults", "is", "usual", "well"})
_REMOVES = r"(?:\b(?:forget|delete|remove|drop)\s+(?:the\s+|my\s+|our\s+)?|(?:删除|删掉|去掉|移除)(?:这个|名为)?\s*)"
_FORGETS = re.compile(
    rf"{_REMOVES}(?:preset\s+(?:called\s+|named\s+)?{_NAME}|预设\s*{_ZH_NAME})"
    rf"|(?:把\s*)?预设\s*{_NAME.replace('<name>', '<zh2>')}\s*(?:删除|删掉|删了|去掉)",
    FLAGS,
)
_MODEL_OF = re.compile(
    r"(?:\b(?:on|with|using|use|for)\s+)?(?:the\s+model\s+of\s+(?:run\s+)?r#?(?P<a>\d{1,9})|r#?(?P<b>\d{1,9})'?s?\s+model)\b"
    r"|(?:用|在|换成)?\s*r#?(?P<c>\d{1,9})\s*(?:的|用的)模型(?:上)?",
    FLAGS,
)
_OTHERS = frozenset({"results", "logs", "status", "cancel", "compare", "leaderboard", "diagnose", "help"})
_NOT = re.compile(
    r"\b(?:don'?t|do\s+not|never|not|no)\s+(?:please\s+|you\s+)?$|(?:不要|别|不用|先不|无需|不)(?:再|把)?\s*$", FLAGS
)
_ASKS = re.compile(
    r"^\W*(?:(?:and|so|but|ok|hey|hi)\W+)*(?:how|why|what|who|whose|when|where|which|did|does|has|have|had|was|were|is|are|should)\b"
    r"|怎么|如何|为什么|为啥|谁|什么|哪个|多久|吗",
    FLAGS,
)
_POLITE = re.compile(r"\b(?:can|could|would|will)\s+you\b|\bplease\b|请|能|可以|帮", FLAGS)
_WHAT_IS = re.compile(
    r"^\W*(?:please\s+)?(?:what(?:'s|\s+is|\s+does|\s+are)|show|describe|explain|who\s+(?:saved|made|wrote)|is\s+there)\b"
    r"|是什么|谁(?:存|保存|写)|看看|看一下|查看",
    FLAGS,
)
_ONLY_CHANGES = re.compile(
    rf"(?:[^\w\u4e00-\u9fff]|{READ}|[\x01\x02]|\b(?:please|pls|on|with|at|using|use|for|the|an?|and|but|only|just|instead|of|in|to|by|"
    r"model|models|samples?|questions|limit|now|again|against|once|more|me|this|time|thanks|thx|start|"
    r"kick|off|launch|begin|queue|do|try|let'?s|go|rather|also|want|i|we|you|can|could|would)\b|来一个|来个|安排|开跑|帮我|"
    r"请|用|在|上|模型|换成|改成|换|改|只|条|样本|一下|吧|和|的|来|先|再)*",
    FLAGS,
)
"""A sentence that is a preset's name and what is to be different, and says nothing of it: "smoke on prod"."""


def read_preset(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return what a sentence asks for of presets; None where it is about none."""
    return _saved(text) or _forgotten(text, vocabulary) or _used(text, vocabulary)


def in_command(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return what the words of `/eval` ask for of a preset: "/eval smoke on prod"; None where they name none."""
    used = _used(text, vocabulary)
    return used if used is not None and used.intent == "eval" else None


def _saved(text: str) -> Parsed | None:
    """Return the run that is to be kept under a name."""
    saves = _SAVES.search(text)
    if saves is None:
        return None
    if _NOT.search(text[: saves.start()]):
        return Parsed(intent="none")
    name = (saves["name"] or saves["zh"]).lower()
    said = saves["what"] if saves["name"] else text[: saves.end()]
    called = "preset" in (saves["as"] or "").lower() or saves["zh"] is not None
    if name in _NO_NAME or _NO_PRESET.search(said) or not (called or _A_RUN.search(said)):
        return None
    run = RUN_REF.search(text[: saves.end()])
    return settle(intents()["save"], {"name": name} | ({"run": f"r{int(run[1])}"} if run else {}))


def _forgotten(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the preset that is to be removed; one that is there need not be called a preset."""
    found = _FORGETS.search(text)
    name = next(filter(None, found.groups())) if found is not None else ""
    if found is None and vocabulary.presets:
        found = re.compile(rf"{_REMOVES}(?P<name>{_known(vocabulary)})\W*$", FLAGS).search(text)
        name = found["name"] if found is not None else ""
    if found is None:
        return None
    if _NOT.search(text[: found.start()]):
        return Parsed(intent="none")
    return settle(intents()["forget"], {"name": name.lower()})


def _used(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the evaluation that names a preset, or a run's model."""
    named = re.compile(_known(vocabulary), FLAGS).search(text) if vocabulary.presets else None
    of = _MODEL_OF.search(text)
    if named is None and of is None:
        return None
    rest = text if named is None else f"{text[: named.start()]} , {text[named.end() :]}"
    rest = _MODEL_OF.sub(" , ", rest)
    words = [phrase for phrase in phrases(mask(rest, mentions(rest, vocabulary))) if not phrase.weak]
    if any(phrase.intent in _OTHERS for phrase in words):
        return None
    if named is not None and _WHAT_IS.search(text) and not words:
        return settle(intents()["presets"], {})
    if not _is_order(text, rest, words, vocabulary, named=named is not None):
        return None
    if named is not None and any(phrase.intent == "perf" for phrase in words):
        args, out = read_perf(intents()["perf"], rest, vocabulary)
        return settle(intents()["perf"], args, [*out, refused("preset", "refused.not_yet")])
    args, out = read_eval(intents()["eval"], rest, vocabulary)
    args |= {} if named is None else {"preset": named[0].lower()}
    args |= {} if of is None else {"model_of": f"r{int(of['a'] or of['b'] or of['c'])}"}
    return settle(intents()["eval"], args, out)


def _is_order(text: str, rest: str, words: list[Phrase], vocabulary: Vocabulary, *, named: bool) -> bool:
    """Tell whether a sentence says that it is to be run, and does not ask about it, or say that it is not to be."""
    verbs = [phrase for phrase in words if phrase.intent in ({"eval", "perf"} if named else {"eval"})]
    if verbs:
        asks = _ASKS.search(text) is not None and not _POLITE.search(text)
        return not asks or any(phrase.said.startswith("how") for phrase in verbs)
    return named and "?" not in text and _ONLY_CHANGES.fullmatch(_left(rest, vocabulary)) is not None


def _left(rest: str, vocabulary: Vocabulary) -> str:
    """Return a sentence with its names and settings crossed out."""
    settings = read_words(rest, frozenset(intents()["eval"].args.model_fields), vocabulary.keys)
    settings.left = mask(settings.left, mentions(settings.left, vocabulary))
    read_numbers(settings)
    return settings.left


def _known(vocabulary: Vocabulary) -> str:
    """Return the pattern of the presets' names."""
    longest = sorted(map(re.escape, vocabulary.presets), key=len, reverse=True)
    return rf"(?<![\w\-./])(?:{'|'.join(longest)})(?![\w\-]|[./]\w)"
