"""Questions about one of EvalScope's parameters: "what does --sla-num-runs do?", "perf 的 limit 是什么意思？"."""

from __future__ import annotations

import re

from pydantic import JsonValue

from handlers.intents.admit import settle
from handlers.intents.clean import without_ticks
from handlers.intents.lexicon import FLAGS
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.registry import intents

_LONGEST = 160
_ASKS = re.compile(
    r"\bwhat(?:'s|\s+is|\s+are|\s+does|\s+do)\b|\bmean(?:s|ing)?\b|\b(?:explain|describe)\b|^help\b|\btell me about\b|"
    r"\bhow\s+(?:does|do\s+(?:i|you)\s+use|to\s+use)\b|\b(?:help|docs?|documentation)\s+(?:on|for|about)\b|"
    r"什么|干嘛|作用|含义|意思|怎么用|如何使用|用途|用法|解释|说明|介绍",
    FLAGS,
)
_FLAG = re.compile(r"(?<![\w\-—–])(?:--|[—–]{1,2})([a-z][\w\-]{0,60})(?![\w\-])", FLAGS)
_COMMAND = re.compile(r"(?<![\w\-])(benchmark-info|perf|eval|service)(?![\w\-])", FLAGS)
_WORD = r"(?P<word>[a-z][\w.\-]{0,40}(?:\s[\w\-]{1,20}){0,3}?)"
_NAMES = r"(?:evalscope|eval|perf|benchmark-info)(?:'s)?"
_IN = rf"(?:{_NAMES}\s+){{0,2}}?"
_OF = rf"(?:{_NAMES}\s*){{1,2}}"
_NOUN = r"(?:parameter|param|option|flag|argument|参数|选项|标志)"
_CALLED = rf"(?P<called>{_NOUN})"
_LEADING = re.compile(rf"^(?:{_NAMES}\s+)+(?P<before>{_NOUN}\s+)?", FLAGS)
_ENGLISH = re.compile(
    rf"(?:please\s+)?(?:what(?:'s|\s+is|\s+are|\s+does|\s+do)|explain|describe|tell\s+me\s+about|how\s+do\s+i\s+use|"
    rf"how\s+does|help(?:\s+(?:on|with|about|for))?)\s+(?:the\s+|a\s+)?{_IN}(?:(?P<before>{_NOUN})\s+)?{_WORD}(?:\s+{_CALLED})?"
    rf"(?:\s+(?:in|of|for|from|with)\s+(?:the\s+)?{_OF}(?:command)?)?\s*"
    r"(?:(?:stand|used|good)\s+for|for|do|mean|work)?\s*[?.!]*",
    FLAGS,
)
_CHINESE = re.compile(
    rf"(?:请?(?:解释|说明|介绍)(?:一下|下)?|什么是)?\s*(?:在?\s*{_OF}(?:命令)?(?:里面|里|中|的)?)?\s*(?:的)?"
    rf"(?P<before>{_NOUN})?\s*{_WORD}\s*(?:这个)?{_CALLED}?\s*(?:在\s*{_OF}(?:命令)?(?:里面|里|中)?)?\s*"
    r"(?:是什么意思|是什么|什么意思|有什么用|有啥用|是干什么的|是干啥的|是干啥用的|是做什么的|是做啥的|是干嘛的|的?作用(?:是什么)?|的?含义(?:是什么)?|"
    r"怎么用|怎么设置|如何使用|的?用法|的?意思)?[?.!？。！啊呢的]*",
    FLAGS,
)


def parse_question(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the question about a parameter, None where `text` asks no such thing."""
    said = " ".join(without_ticks(text).split())
    if "\n" in text.strip() or len(said) > _LONGEST or said.startswith("/") or not _ASKS.search(said):
        return None
    flags = [match[1] for match in _FLAG.finditer(said)]
    if len(flags) == 1:
        return _about(flags[0].replace("-", "_").lower(), _FLAG.sub(" ", said))
    if flags:
        return None
    match = _ENGLISH.fullmatch(said) or _CHINESE.fullmatch(said)
    if match is None or _is_name(match["word"], vocabulary):
        return None
    words, called = match["word"].lower(), match["called"] or match["before"]
    known = vocabulary.catalog.parameters_named(words)
    if not known and (leading := _LEADING.match(words)) is not None:  # "perf's parallel", not "eval batch size"
        words, called = words[leading.end() :], called or leading["before"]
        known = vocabulary.catalog.parameters_named(words)
    taken = [info for info in known if info.command in {"eval", "perf"} or _COMMAND.search(said)]
    if not taken and not (called and " " not in words):
        return None
    return _about(re.sub(r"[\s\-]+", "_", words), said.lower().replace(words, " "))


def _about(name: str, rest: str) -> Parsed:
    """`rest` is the question without the name: the command may be in it."""
    args: dict[str, JsonValue] = {"about": name}
    if command := _COMMAND.search(rest):
        args["command"] = command[1].lower()
    return settle(intents()["help"], args)


def _is_name(word: str, vocabulary: Vocabulary) -> bool:
    """Tell whether it is a model or a benchmark that is asked about."""
    return word in vocabulary.models or word in vocabulary.datasets or vocabulary.catalog.find(word) is not None
