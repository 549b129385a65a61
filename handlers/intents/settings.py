"""An evaluation's settings in a sentence: limit, temperature, few-shot, batch size, key, hub …"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from handlers.intents.lexicon import FLAGS, URL
from handlers.intents.numbers import FRACTION, NUMBER, to_number

READ = "\x03"
"""What stands for a character that has been read: no blank, so that nothing is matched across it."""

_N = rf"(?P<n>{NUMBER})"
_IS = r"\s*(?:[=:]|\bto\b|\bof\b|\bat\b|\bis\b|设置?为|设成|调到|改成|为|是|设)?\s*"
_EN_UNIT = r"(?:samples?|questions?|examples?|problems?|items?|prompts?|cases?|rows?|entries|instances?|data\s*points?|records?)(?!\w)"
_ZH_UNIT = r"(?:条|道题?|题(?!目?集)|个?(?:样本|问题|例子|题目|数据点)|份样本|个(?=$|[,,。\s]))"
_END = r"(?![\w\-/]|\.\d)"

_LIMIT = (
    rf"(?:\b(?:first|top)|前)\s*{_N}\s*(?:{_EN_UNIT}|{_ZH_UNIT})?",
    rf"{_N}[\s\-]*(?:(?!and\b|shot|tokens?\b|times\b|models?\b)[A-Za-z\x02]+\s+){{0,2}}?{_EN_UNIT}",
    rf"{_N}\s*\x02+\s*{_EN_UNIT}",
    rf"{_N}\s*(?:条|道题?|题(?!目?集)|个?(?:样本|问题|例子|题目|数据点)|份样本)",
    rf"(?:\blimit(?:ed)?|限制|上限|样本数|样本量|数量|抽样|抽取|采样|抽|\b(?:num[_ ]?)?samples?(?:\s*size)?)\s*(?:it\s+)?{_IS}{_N}{_END}",
    rf"{_N}\s*(?:per|for\s+each|in\s+each|from\s+each)\s+(?:subset|subject|category|benchmark|dataset|task)\b",
    rf"每个(?:子集|数据集|评测集)\s*{_N}\s*{_ZH_UNIT}?",
    rf"(?:只跑|只测|跑|测)\s*{_N}\s*个",
)
_SHARE = (
    rf"(?P<n>(?:\d{{1,3}}(?:\.\d{{1,6}})?|{NUMBER})\s*(?:%|per\s?cent\b))",
    r"(?P<n>百分之[零一二两三四五六七八九十\d]{1,5}|[二三四五六七八九十\d]{1,3}分之[一二三四五六七八九\d]{1,3})",
    rf"(?:(?<![\w\-])|(?<=[^\x00-\x7f]))(?P<n>{FRACTION})(?![A-Za-z\-])",
)

_NUMBERS: tuple[tuple[str, str], ...] = (
    ("generation_config.temperature", rf"(?:\btemp(?:erature)?|温度){_IS}{_N}{_END}"),
    ("generation_config.top_p", rf"(?:\btop[\s_\-]?p|核采样){_IS}{_N}{_END}"),
    ("generation_config.top_k", rf"\btop[\s_\-]?k{_IS}{_N}{_END}"),
    ("generation_config.max_tokens", rf"(?:\bmax(?:imum|\.)?[\s_\-]*(?:new[\s_\-]*|output[\s_\-]*)?tokens?|最大(?:输出|生成)?(?:长度|token数?)){_IS}{_N}{_END}"),
    ("generation_config.max_tokens", rf"(?:\bat most|\bup to|\bmax(?:imum)?(?: of)?|\bno more than|最多|最大|不超过)\s*(?:生成|输出)?\s*{_N}\s*个?\s*(?:new |output )?(?:tokens?|令牌)"),
    ("generation_config.max_tokens", rf"{_N}\s*(?:max(?:imum)?\s+tokens?|tokens?\s+(?:max(?:imum)?|at most|limit))"),
    ("seed", rf"(?:\b(?:random\s+)?seed|随机种子|种子){_IS}{_N}{_END}"),
    ("few_shot", rf"{_N}[\s\-]?shots?\b"),
    ("few_shot", rf"\b(?:few[\s_\-]?shots?(?:[\s_]?num)?|shots?){_IS}{_N}{_END}"),
    ("few_shot", rf"{_N}\s*(?:个\s*)?(?:few[\s\-]?shot|in-context)\s*(?:examples?|samples?|demos?|demonstrations?|示例|样例)"),
    ("few_shot", r"(?P<n>[零0])\s?样本"),
    ("few_shot", rf"{_N}\s*个\s*(?:示例|样例|范例)"),
    ("eval_batch_size", rf"(?:\b(?:eval[\s_]?)?batch(?:[\s_\-]?size)?|\bconcurrency|批次?大小|批量(?:大小)?|并发(?:数|度)?){_IS}{_N}{_END}"),
    ("eval_batch_size", rf"{_N}\s*(?:at a time|at once|in parallel|(?:parallel|concurrent)(?:\s+(?:requests?|workers?))?|workers?(?!\w)|threads?(?!\w)|个?线程|个?并发|路并发)"),
    ("repeats", rf"(?:\brepeats?|\brepeat(?:ed|ing)?(?:\s+(?:it|each|every|all))*(?:\s+(?:one|sample|question))?|重复|每题|每条|每个问题){_IS}(?:跑|做|测)?\s*{_N}\s*(?:times|x\b|次|遍)?"),
    ("repeats", rf"{_N}\s*(?:repeats?|repetitions?|times|次|遍|轮)(?![A-Za-z])"),
    *(("limit", pattern) for pattern in (*_SHARE, *_LIMIT)),
)  # fmt: skip
"""Setting → a pattern whose group n is its number. In order: what an earlier one reads, a later one does not see."""

_WORD = r"[A-Za-z0-9][\w.\-]{0,80}"
_WORDS: tuple[tuple[str, str], ...] = (
    ("dataset_hub", r"(?:\b(?:from|on|via|using|use)\s+(?:the\s+)?|从|用|使用)\s*(?P<w>hugging\s?face|modelscope|hf|魔搭|抱抱脸)(?:\s*(?:hub|datasets?))?(?:上?的?(?:数据集?)|上?下载)?(?![\w/\-])"),
    ("api_key_name", rf"(?:\b(?:with|using|use|and|via)\s+)?(?:the\s+|my\s+)?(?:api[\s_\-]?)?(?<![\w\-])key(?:\s+(?:named|called|name))?\s*[=:]?\s*(?P<w>(?!is\b|and\b|on\b|for\b|to\b|in\b){_WORD})"),
    ("api_key_name", rf"(?:用|使用|以)?\s*(?:名为)?(?:密钥|秘钥|key)\s*(?:名为?|叫|是|为|[=:])?\s*(?P<w>(?!is\b|and\b|on\b|for\b|to\b|in\b){_WORD})"),
)  # fmt: skip

_UNHANDLED: tuple[tuple[str, str], ...] = (
    ("judge", rf"(?:\b(?:with|using|use|and)\s+)?{_WORD}(?:/{_WORD})?\s+as\s+(?:the\s+|a\s+)?judge|\bjudged?\s+(?:by|with|model)\s+{_WORD}(?:/{_WORD})?"
              rf"|用\s*{_WORD}(?:/{_WORD})?\s*(?:做|当|作为|来当)\s*(?:裁判|评委|评审|judge)(?:模型)?|\bllm[\s\-]judge\b|裁判模型\s*{_WORD}"),
    ("sandbox", r"(?:\b(?:in|with|using)\s+(?:a\s+|the\s+)?)?(?:\bdocker\s+)?\bsandbox(?:ed)?\b|(?:在|用)?沙[箱盒]里?"),
    ("gpu", r"(?:\bon\s+|用|在)?(?:an?\s+)?(?:(?:\d{1,2}|one|two|four|eight|[一两二四八])\s*(?:x|块|张|个)?\s*)?(?:(?:nvidia\s+)?(?<![\w\-/])(?:a10g?|a100|a800|h20|h100|h200|h800|b200|l4|l40s?|rtx\s?\d{4}|v100)(?![\w\-/])(?:\s*gpus?|显?卡)?|\bgpus?\b|显卡)"),
    ("analysis_report", r"\banalysis\s+report\b|分析报告"),
    ("use_cache", r"\b(?:use|from|with|using)\s+(?:the\s+)?cache(?:\s+of)?(?:\s+r\d+)?\b|(?:用|使用)缓存"),
)  # fmt: skip
"""What EvalScope could and this version cannot yet: said so instead of being left out silently."""

_BARE_URL = re.compile(r"(?<![\w./@])(?:localhost|\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}(?:/[\w./\-]{0,200})?", FLAGS)
_MARKER = (
    r"(?:no,?\s*wait|wait|sorry|scratch\s+that|i\s+mean|actually|or\s+rather|no|不对|不不|不是|说错了|改成|应该是|还是)"
)
_CORRECTION = re.compile(
    rf"(?P<a>{NUMBER})(?P<unit>\s*(?:%|{_EN_UNIT}|{_ZH_UNIT}))?\s*[,.\-—…]*\s*(?:{_MARKER}[\s,.]*){{1,3}}"
    rf"(?:make\s+(?:it|that)\s+|应该是|改成)?(?P<b>{NUMBER})(?P<unit2>\s*(?:%|{_EN_UNIT}|{_ZH_UNIT}))?",
    FLAGS,
)
_ALONE = re.compile(rf"(?:^|[,;\n\x01\x02])\s*(?:just\s+|only\s+|with\s+|只要?)?{_N}\s*(?=$|[,;.\n\x03])", FLAGS)
_TWICE = re.compile(r"\b(?P<n>twice|thrice)\b", FLAGS)

_NUMBER_PATTERNS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _NUMBERS)
_WORD_PATTERNS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _WORDS)
_UNHANDLED_PATTERNS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _UNHANDLED)
_READ = re.compile(r"[^\x01\x02]")
_HUBS = {"modelscope": "modelscope", "魔搭": "modelscope"}


@dataclass
class Settings:
    """What was read, and the sentence with it crossed out."""

    left: str
    args: dict[str, JsonValue] = field(default_factory=dict)
    few_shot: list[int] = field(default_factory=list)
    """Every few-shot number that was said, in order."""
    unhandled: list[str] = field(default_factory=list)
    """Parameters that were asked for and that this version has no field for."""


def read_words(text: str, known: frozenset[str], keys: frozenset[str]) -> Settings:
    """Read what is no number: the endpoint, the hub, the key's name; `known` are the request's fields."""
    settings = Settings(text)
    for pattern in (URL, _BARE_URL):
        for match in _each(settings, pattern):
            url = match[0].rstrip(".:!?*`")
            settings.args["api_url"] = url if "://" in url else f"http://{url}"
    for key in sorted(keys):
        if _each(settings, re.compile(rf"(?<![\w\-]){re.escape(key)}\s*(?:api[\s_\-]?)?(?:key(?!\w)|密钥)", FLAGS)):
            settings.args["api_key_name"] = key
    for name, pattern in _UNHANDLED_PATTERNS:
        if name not in known and _each(settings, pattern):
            settings.unhandled.append(name)
    for name, pattern in _WORD_PATTERNS:
        for match in _each(settings, pattern):
            settings.args[name] = _word(name, match["w"])
    return settings


def read_numbers(settings: Settings) -> None:
    """Read the numbers of a sentence whose names are masked by now. Of each setting the last one counts."""
    settings.left = _CORRECTION.sub(_corrected, settings.left)
    at: dict[str, int] = {}
    for name, pattern in _NUMBER_PATTERNS:
        for match in _each(settings, pattern):
            _take_number(settings, at, name, match)
    for match in _each(settings, _TWICE):
        settings.args["repeats"] = 2 if match["n"].lower() == "twice" else 3
    if "limit" not in settings.args:
        for match in _each(settings, _ALONE):
            _take_number(settings, at, "limit", match)
    settings.left = settings.left.replace(READ, " ")


def _take_number(settings: Settings, at: dict[str, int], name: str, match: re.Match[str]) -> None:
    number = to_number(match["n"])
    whole = name in {"few_shot", "eval_batch_size", "repeats", "seed"} or name.endswith(("max_tokens", "top_k"))
    if number is None or (whole and not isinstance(number, int)):
        return
    if name == "repeats" and number == 1:
        return  # 跑一遍, "run it one time"
    if name == "few_shot":
        settings.few_shot.append(int(number))
    elif match.start() >= at.get(name, -1):
        at[name] = match.start()
        group, _, key = name.rpartition(".")
        target: dict[str, Any] = settings.args
        if group:
            target = target.setdefault(group, {})
        if name == "limit" and isinstance(number, float) and number >= 1:
            number = int(number) if match["n"].strip()[-1] not in "%t" and number.is_integer() else None
        if number is None:
            target.pop(key, None)  # 100% is everything
        else:
            target[key] = number


def _each(settings: Settings, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """Return all matches and cross them out; the marks of names stay."""
    found: list[re.Match[str]] = []

    def blank(match: re.Match[str]) -> str:
        found.append(match)
        return _READ.sub(READ, match[0])

    settings.left = pattern.sub(blank, settings.left)
    return found


def _corrected(match: re.Match[str]) -> str:
    unit = match["unit2"] or match["unit"] or ""
    return f"{match['b']}{unit}"


def _word(name: str, said: str) -> str:
    if name == "dataset_hub":
        return _HUBS.get(said.lower(), "huggingface")
    return said.rstrip(".-")
