"""What people write where we report without addressing us: acted on where it is nothing but a command or an answer.

People also talk to each other there. A word too many, another person's name, a question that is not one of ours: then
it was not meant for us, and nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from handlers.intents.clean import clean, mentions_somebody, squeeze
from handlers.intents.lexicon import URL
from handlers.intents.names import mask, mentions
from handlers.intents.numbers import FRACTION, NUMBER
from handlers.intents.parsed import Parsed, Vocabulary

MOST_WORDS = 12
MOST_CHARACTERS = 120
"""A command is no longer than that."""

_RUN = r"(?:(?:run ?#?|r#?|任务 ?#?|运行 ?#?)\d{1,9})"
_RUNS = rf"(?:{_RUN}(?: ?(?:,|and|&|to|-|、|和|与|及|到|至) ?(?:and )?(?:{_RUN}|\d{{1,9}}))*+)"
_NOUN = r"(?:runs?|jobs?|eval(?:uation)?s?)"
_THIS = rf"(?:{_RUNS}|it|this|that|them|(?:the|this|that|these|those) {_NOUN})"
_THAT_ONE = r"(?:它|这个|那个|这次|本次|当前)?(?:的)?(?:任务|运行|评测)?"
_LOOK = r"(?:(?:给我|让我)?(?:看一下|看一看|看看|看下|查看|看|查一下|查)(?:一下)? ?)?"
_FAILED = (
    r"(?:fail|crash|stop|die|end|abort)(?:ed|d|ing|s|es)?|cancell?ed|waiting|paused|queued|stuck|"
    r"not (?:start(?:ed|ing)?|running)"
)
_DID = r"(?:did|has|have|is|was|were|are)"
_ENDED = r"(?:失败|挂|崩溃?|停|报错|出错|中断|暂停|取消)(?:掉|下来)?了?|(?:没有?|不)开始|(?:还在|在)?(?:等待?|排队)"

_SENTENCES: Mapping[str, tuple[str, ...]] = {
    "cancel": (
        rf"(?:cancel|abort)(?: {_THIS})?",
        # "stop it" and "kill that" are said to people as well
        rf"(?:stop|kill)(?: (?:{_RUNS}|(?:the|this) {_NOUN}))?",
        rf"(?:取消|停止|停掉|终止|中止)(?:掉|一下)? ?(?:{_RUNS}|{_THAT_ONE})",
    ),
    "resume": (
        rf"(?:resume|continue)(?: {_THIS})?",
        rf"(?:go on with|pick up) {_THIS}",
        rf"(?:继续|恢复|接着跑)(?:跑|运行)? ?(?:{_RUNS}|{_THAT_ONE})",
    ),
    "logs": (
        rf"(?:show (?:me )?(?:the )?)?logs?(?: (?:of|for|from) {_THIS})?",
        rf"{_RUNS}(?:'s)? logs?",
        rf"output of {_THIS}",
        rf"{_LOOK}(?:{_RUNS} ?的?)?日志",
    ),
    "status": (
        rf"(?:status|progress|eta)(?: (?:of|for) {_THIS})?",
        rf"{_RUNS}(?:'s)? (?:status|progress|eta)",
        rf"how far(?: along)?(?: (?:is|are) {_THIS}(?: along| now)?)?",
        r"still running|done yet",
        rf"{_LOOK}(?:{_RUNS} ?的?)?(?:状态|进度)(?:如何|怎么样|怎样)?",
        rf"(?:{_RUNS} ?)?(?:跑到哪(?:里|儿)?了?|还[要有]多久|跑完了吗|完成了吗)",
    ),
    "results": (
        rf"(?:show (?:me )?(?:the )?)?(?:results?|scores)(?: (?:of|for) {_THIS})?",
        rf"(?:{_RUNS}(?:'s)? (?:results?|scores?)|score of {_THIS})",
        rf"{_LOOK}(?:{_RUNS} ?的?)?(?:结果|成绩|分数|得分)(?:如何|怎么样|怎样|是多少|出来了吗)?",
        rf"(?:{_RUNS} ?)?(?:得了?)?多少分",
    ),
    "diagnose": (
        rf"(?:why|how come)(?: {_RUNS})?",
        rf"(?:why|how come) (?:{_DID} )?{_THIS}(?: {_DID})?(?: still)? (?:{_FAILED})",
        rf"what(?: has)? went wrong(?: (?:with|in|on) {_THIS})?",
        rf"what happened (?:to|with) {_RUNS}",
        rf"what(?: is|'s) wrong with {_RUNS}",
        rf"diagnose(?: {_THIS})?",
        rf"(?:{_RUNS} ?)?(?:为什么|为啥|为何|怎么回事|什么原因|(?:的)?失败(?:的)?原因)(?: ?{_RUNS})?",
        rf"(?:{_RUNS} ?)?(?:为什么|为啥|为何|怎么)(?: ?{_RUNS} ?)?(?:会|又|就|还)?(?:{_ENDED})",
        rf"排查(?:一下)? ?(?:{_RUNS}|{_THAT_ONE})",
    ),
    "rerun": (
        rf"(?:re-?run|run again|repeat run|again with)(?: {_THIS})?(?: again)?",
        rf"(?:重跑|重新跑|再跑一次|重新评测|再来一次)(?:一下|一次|一遍)? ?(?:{_RUNS}|{_THAT_ONE})",
        rf"(?:全量|完整)(?:重跑|重新跑)(?:一下|一次|一遍)? ?(?:{_RUNS})?",
    ),
}  # fmt: skip
"""What each command may be said with, and nothing else: the text has small letters, and no marks at its end."""

_CHANGE_EN = (
    r"with|on|at|using|use|and|but|only|just|for|in|per|each|every|of|the|first|top|a|to|is|samples?|questions?|examples?|"
    r"items?|prompts?|subsets?|subjects?|temperature|temp|seed|random|batch|size|limit|max|maximum|tokens?|p|k|few|shots?|"
    r"zero|concurrency|repeats?|times|full|everything|all|whole|set|dataset|benchmark|model|endpoint|instead|again|percent|no|"
    r"half|key|thinking|greedy"
)
_CHANGE_ZH = (
    r"用|使用|在|上|和|以及|并且?|改成|改为|换成|换|只要?|跑|前|条|个|道|题目?|样本数?|每个?|子集|温度|随机|种子|批次?|大小|"
    r"并发|数量|上限|限制|全量|全部|完整|整个|数据集|评测集|模型|设为|设成|为|是|的|次|遍|百分之|分之|最大|长度|不变"
)
_CHANGE = re.compile(
    rf"(?:[ ,、;:=]|{URL.pattern}|(?<![a-z])[a-z][a-z_]{{1,40}}=[^\s,]{{1,80}}|[\x01\x02]++|"
    rf"{FRACTION}(?![a-z])|{NUMBER} ?%?|"
    rf"(?<![a-z])(?:{_CHANGE_EN})(?![a-z'])|(?:{_CHANGE_ZH}))*+",
    re.ASCII,
)
_BEFORE = r"(?:(?:please|pls|plz|请|麻烦|帮忙|帮我|劳驾|那就)[ ,]*+)*+"
_AFTER = r"(?:[ ,]*(?:please|pls|plz|now|thanks|thank you|thx|谢谢|谢了|多谢|吧|一下|呢|了))*+"
_ALONE = {
    intent: re.compile(rf"{_BEFORE}(?:{'|'.join(said)}){_AFTER}", re.ASCII) for intent, said in _SENTENCES.items()
}
_BEGINS_RERUN = re.compile(rf"{_BEFORE}(?:{'|'.join(_SENTENCES['rerun'])})", re.ASCII)
_SLASH = re.compile(r"/(?:scopebot +/?)?[\w\-]{1,40}(?P<rest>.*)")
_SLASH_REST = re.compile(rf"(?:[ ,]|{_RUN}|\d{{1,9}}|[a-z][a-z_]{{0,40}}=[^\s]{{1,80}})*+", re.ASCII)
_CALM = re.compile(r"[\s.?。…~]+$")
_END = re.compile(r"[\s.!?。…~]+$")
EXCLAIMED = frozenset({"cancel", "resume", "rerun", "logs"})
"""Commands that may end in an exclamation mark; "progress!" and "results!" are said for joy."""


def is_for_others(text: str) -> bool:
    """Tell whether a message names a person, or is more than a line: it is said to others, whatever it says."""
    return mentions_somebody(text) or "\n" in text.strip()


def is_command(text: str, parsed: Parsed, vocabulary: Vocabulary) -> bool:
    """Tell whether a message is nothing but the command about runs that it was understood as."""
    requests = (parsed, *parsed.more)
    if any(request.intent != parsed.intent or request.missing or request.refused for request in requests):
        return False
    if parsed.question is not None or parsed.intent not in _SENTENCES or is_for_others(text):
        return False
    said = squeeze(clean(text))
    if len(said) > MOST_CHARACTERS or len(said.split()) > MOST_WORDS:
        return False
    if slash := _SLASH.fullmatch(said):
        return _SLASH_REST.fullmatch(slash["rest"].casefold()) is not None
    masked = mask(said, mentions(said, vocabulary)).casefold()
    said = (_END if parsed.intent in EXCLAIMED else _CALM).sub("", masked)
    if _ALONE[parsed.intent].fullmatch(said):
        return parsed.args.get("run") != "all" and not ("again with" in said and set(parsed.args) <= {"run", "runs"})
    return parsed.intent == "rerun" and _is_changed_rerun(said, parsed)


def _is_changed_rerun(said: str, parsed: Parsed) -> bool:
    """Tell whether all that follows "rerun" is what is to be different, and something is."""
    begun = _BEGINS_RERUN.match(said)
    if begun is None or set(parsed.args) <= {"run", "runs"}:
        return False
    rest = re.sub(rf"{_AFTER}$", "", said[begun.end() :])
    return _CHANGE.fullmatch(rest) is not None


def is_plain_answer(text: str, vocabulary: Vocabulary) -> bool:
    """Tell whether a message is nothing but names, numbers and an address, as an answer to "which model?" is."""
    said = squeeze(clean(text))
    if is_for_others(text) or len(said) > 2 * MOST_CHARACTERS or len(said.split()) > MOST_WORDS:
        return False
    masked = _END.sub("", mask(said, mentions(said, vocabulary)).casefold())
    masked = re.sub(rf"(?<![\w\-]){_RUN}(?![\w\-])", "\x01", masked, flags=re.ASCII)
    rest = re.sub(rf"^{_BEFORE}|{_AFTER}$", "", masked)
    return _CHANGE.fullmatch(rest) is not None
