"""Which intent a sentence asks for: by its whole form, by what it says of runs, by the intents' words, by names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from handlers.intents.lexicon import FLAGS, URL, tags_in
from handlers.intents.names import Kind, Mention
from handlers.intents.numbers import NUMBER
from handlers.intents.perf_words import LOAD
from handlers.intents.phrases import CASUAL, DENIED, DESCRIBE, RUNNING, Phrase, asks_why, choose
from handlers.intents.run_words import LAST, described_run, runs_of, without_runs
from handlers.intents.schedule_request import SCHEDULE_REF
from handlers.intents.setting_words import EN_UNIT, WHOLE_SET, ZH_UNIT

_ASKS_HOW_IT_GOES = re.compile(
    r"\bhow(?:'s|\s+is|\s+are|\s+far)\b|\b(?:done|finished|going)\b|怎么样了|好了吗|完了吗|进展", FLAGS
)
_ASKS_HOW_RUN_GOES = re.compile(
    r"\bhow(?:'s|\s+is|\s+are|\s+far)\b.*\b(?:runs?|jobs?|evaluations?|evals?|tests?|ones?)\s+(?:\w+\s+){0,3}?(?:going|doing|coming\s+along|along|getting\s+on|now)\b"
    r"|\b(?:is|are|has|have)\s+(?:my|the|our|that|this)\b.*\b(?:runs?|jobs?|evaluations?|evals?|tests?)\s+(?:done|finished|ready|still\s+running|running|over|through|completed?)\b"
    r"|(?:那次|运行|评测|任务|压测|测试)(?:现在)?(?:跑|进行)?(?:到哪|得怎么样|怎么样了|好了[吗没]|完了[吗没]|结束了[吗没])",
    FLAGS,
)
HOW = frozenset({"how do i", "怎么用", "如何使用"})
_COMPARES_RUNS = re.compile(
    r"\bcontrast|\bdelta\b|\bagainst\b|\bwins?\b|\bwhich\b|哪个|谁|分高|分低|\bcompar\w*|\bvs\b|\bversus\b|\bnext\s+to\b|\bside\s+by\s+side\b|\bbetter\b|\bworse\b|\bdiff\w*|对比|比较|相比|比一|区别|差[别异]|哪个好|"
    r"更好|涨了|还是掉|掉了多|比(?=[,，。\s]|$|起来)",
    FLAGS,
)
_SCORES = re.compile(r"\bscores?\b|得分|分数|多少分", FLAGS)
_UNWANTED = re.compile(
    r"\b(?:drop|ditch|scrap|end|nuke|bin|axe|halt|quit|forget|remove|delete|pull)\b|\bcan\s+go\b|\b(?:don't|do\s+not|no\s+longer)\s+(?:need|want)\b|"
    r"\bcall\s+off\b|\b(?:be|get)\s+(?:cancell?ed|stopped|killed|aborted)\b|\bdon't\s+let\s+it\b|别跑|不跑|不用(?:再)?跑|不要(?:再)?跑|不需要|干掉|叫停|撤|关掉|停",
    FLAGS,
)
_WHEREABOUTS = re.compile(
    r"\bwhere(?:'s|\s+is|\s+are)\b|\bhow\s+(?:much\s+)?long(?:er)?\b|\bhow's\b|\bany\s+(?:news|update)|\bup\s+to\b|咋样|怎么样|到哪|多久|剩多少|还要|还有多",
    FLAGS,
)
_TROUBLE = re.compile(
    r"\b(?:error|issue|problem|trouble)s?\b|\b(?:fail|crash|broke)\w*\b|出现?了?问题|报错|出错|挂了|失败", FLAGS
)
_OF_RUNS = (("results", _SCORES), ("diagnose", _TROUBLE), ("cancel", _UNWANTED), ("status", _WHEREABOUTS))
"""What is asked of a run that is named, by words that mean nothing of ours elsewhere; the first that is there."""
NOTHING = "none"
"""What a run is named for that is none of ours."""
ABOUT_RUNS = frozenset({"status", "results", "logs", "cancel", "resume", "rerun", "diagnose"})
"""Intents whose object is a run."""
_LOOKING = re.compile(
    r"(?:how(?:'s| is| are)|is|did|done|yet|finish(?:ed)?|going|doing|complete|show(?: me)?|check|look at|see|and|"
    r"what about|怎么样|如何|查看|看看|看一下|看|咋样|[\s?.!,的了]|了吗)+",
    FLAGS,
)
_FULL_ALONE = re.compile(
    rf"\W*(?:please\s+|now\s+)?(?:(?:do|start|make|give\s+me|run|try)\s+)?(?:(?:a|the|it|that|this)\s+)?"
    rf"(?:full\s+run|in\s+full|on\s+everything|on\s+the\s+{WHOLE_SET})(?:\s+(?:of|for))?(?:\s+(?:it|please|now))?\W*"
    r"|\W*(?:请|帮我|那就|再)*(?:跑|运行|评测|用)?(?:一下|一次|一遍)?(?:全量|(?<=跑)全部|(?<=跑一下)全部)(?:样本|数据)?"
    r"(?:跑|运行|评测)?(?:一下|一次|一遍)?吧?\W*",
    FLAGS,
)
_HEADLINES = re.compile(
    r"\b(?:stop|don'?t|do\s+not|no\s+longer|never|start|keep|please)\s+(?:post|announc|shar|send|broadcast)\w*\s+"
    r"(?:the\s+|your\s+|any\s+|more\s+)*(?:results?|headlines?|scores?)\b(?=.*\b(?:channel|here)\b)"
    r"|\bstop\s+(?:post|announc|shar|send|broadcast)ing\s+(?:the\s+|your\s+|any\s+|more\s+)*(?:results?|headlines?|scores?)\b"
    r"|\bpost\s+(?:the\s+|my\s+|your\s+|all\s+)*(?:results?|scores?)\s+(?:to|in|into)\s+(?:the|this|our)\s+(?:channel|group)\b"
    r"|\b(?:mute|unmute|silence)\s+(?:the\s+|this\s+)?(?:channel|announcements?|results?|posts?)\b|\bannounc\w+\s+(?:the\s+)?(?:results?|scores?)\b"
    r"|(?:往|在|向)(?:这个|本)?(?:群|频道)(?:里)?(?:再)?(?:发|推送|播|贴)\S{0,4}(?:结果|成绩|分数|消息)|(?:别|不要)(?:再)?(?:往|在|向)?(?:这个|本)?(?:群|频道).{0,4}(?:发|推送|播)"
    r"|\bno\s+more\s+(?:results?|scores?|posts?|announcements?)\b(?=.*\b(?:channel|here)\b)"
    r"|\bheadlines\b|(?:结果|成绩|分数).{0,6}(?:发|播|推送?)到?.{0,3}(?:频道|群)|(?:频道|结果|成绩)的?播报|播报(?:结果|成绩)",
    FLAGS,
)
_RAG_TOOL = re.compile(r"\b(?:ragas|(?:c-)?mteb|clip[\s_\-]bench(?:mark)?)\b", FLAGS)
_ASKS_WHAT = re.compile(r"^\W*(?:what|which|how\s+do|explain|tell\s+me)\b|是什么|什么意思|介绍", FLAGS)
_ERRED = re.compile(r"\b\w*(?:Error|Exception)\b|\bTraceback\b|报错|\berror\s+code\b", FLAGS)
_WONDERS = re.compile(
    r"\bwhy\b|\bwhat(?:'s|\s+is|\s+does|\s+went)\b|\bhelp\b|\bissue\b|\bfix\b|\bhow\s+(?:do|can)\b|\bany\s+idea|哪里|出了?问题|怎么(?:回事|办|解决|修)?|为什么|为啥|"
    r"什么(?:原因|意思|问题|issue)|啥(?:问题|原因|意思)|咋",
    FLAGS,
)
_HOW_USED = re.compile(r"怎么用|如何用|如何使用|用法|给个说明|\bhow\s+to\s+use\b", FLAGS)
_BEGINS = re.compile(r"\b(?:start|kick\s+off|fire\s+up|begin|launch|queue)\b|来一个|来个|安排|整一个|开跑", FLAGS)
_WHO_IS_BETTER = re.compile(
    r"\b(?:stronger|better|ahead|wins?|higher|faster|beats?)\b|\bwho(?:'s|\s+is)\b|谁|哪个(?:模型)?(?:分|更|强|好|高)|相对|提升多少|差多少|高多少|领先",
    FLAGS,
)
_BEST = re.compile(
    r"\b(?:which|what|whose)\s+model\b.*\b(?:best|highest|top|tops|leads|first|wins)\b|\b(?:best|top)\s+models?\b|"
    r"(?:哪个|什么|哪些|谁)(?:模型)?.*(?:最[高好强]|第一|领先)",
    FLAGS,
)
_WHAT_IS_RUN = re.compile(
    r"\s*(?:一下\s*)?(?:[\x01\x02]|\b(?:both|them|it|each|all|two)\b|(?:on|with|against|using)\b|两个|它们)", FLAGS
)
_CANCELS_ALL = re.compile(
    r"(?:全部|全都|所有|都)(?:的)?(?:任务|运行|评测)?(?:都|给我)?(?:取消|停掉|停止|停了|终止|杀掉)|(?:取消|停掉|停止|终止|杀掉)(?:掉)?(?:全部|所有)",
    FLAGS,
)
_BEFORE = re.compile(
    r"\b(?:last|previous)\s+(?:time|week|month)\b|\b(?:earlier|already|so\s+far|yesterday)\b|上次|上回|之前|以前|昨天|上周",
    FLAGS,
)
_HOW_TO = re.compile(
    r"[\s,.!?:;]*(?:(?:hi|hey|hello|please|so|ok|请问|你好)[\s,]+)*(?:\bhow\s+(?:do|can|would|should|could)\s+(?:i|we|one|you)\b|\bhow\s+to\b|\bwhat(?:'s|\s+is)\s+the\s+(?:syntax|command)\b|"
    r"\bwhat\s+(?:commands?|features?)\b|\bshow\s+(?:me\s+)?(?:your\s+|the\s+)?(?:features|commands)\b|\bhow\s+does\s+(?:this|the)\s+bot\s+work|(?:怎么|如何|怎样)(?!样|回事|了))",
    FLAGS,
)
"""A sentence that asks how something is done."""
_DEFAULTS = re.compile(
    r"\bdefaults?\s+(?:model|limit|number\s+of\s+samples|samples?(?:\s+(?:count|size|limit))?)\b"
    r"|\b(?:as|be)\s+(?:the\s+|our\s+|my\s+)?default\b|\bdefault\s+(?:is|to|here)\b|\bdefaults\b(?!\s+to)"
    r"|默认(?:的)?(?:模型|条数|样本数|设置|值)|默认(?:用|跑|改成|是)|(?:设为|作为|当作)默认",
    FLAGS,
)
_ENDS = re.compile(
    r"\b(?:unschedule|cancel|stop|delete|remove|drop|end|kill|disable|turn\s+off|get\s+rid\s+of|no\s+more)\b"
    r"|取消|停|删|去掉|移除|关掉|不要|别再",
    FLAGS,
)
_SCHEDULED = re.compile(
    r"\b(?:un)?schedules?\b(?!\s+(?:a|an|to|for)\b)|\bscheduled\s+(?:runs?|jobs?|posts?|tasks?|evaluations?|evals?|reports?|things?)\b"
    r"|\b(?:is|are|what's|have\s+(?:you\s+)?(?:got\s+)?)\s*scheduled\b|定时(?:任务|评测|播报|列表)?",
    FLAGS,
)
_LISTS = re.compile(
    r"\b(?:suggest|recommend|anything|something)\b.*\b(?:test|measure|check|evaluate|for)\b|(?:有啥|有什么|哪些|有哪些).*(?:可测|可以测|能测)|(?:能|可以)测.*(?:有哪些|有什么|哪些)|"
    r"\b(?:which|what|any|list|show|find|recommend|suggest|are\s+there|is\s+there)\b.*\b(?:benchmarks?|datasets?|evals?|test\s*sets?)\b"
    r"|(?:基准|评测集|数据集|benchmarks?).*(?:有哪些|哪些|有什么)|(?:有没有|有哪些|有什么|哪些|哪个|什么|推荐|列出|找).*(?:基准|评测集|数据集|测试集|benchmarks?)",
    FLAGS,
)
_AGAIN = re.compile(r"\b(?:again|once\s+more|one\s+more\s+time|running|redo)\b|再(?:来|跑)|重新", FLAGS)
LISTS_ALL = re.compile(
    r"\b(?:list|show)\b.*\b(?:every|all)\b.*\bbenchmarks?\b|列出.*(?:所有|全部).*(?:基准|评测集|数据集)", FLAGS
)
_ABILITY = re.compile(
    r"\bhow\s+(?:good|well|strong|bad|capable|powerful|smart|decent)\b|\bany\s+good\s+at\b|怎么样|如何|水平|能力|表现|强不强|行不行|好不好",
    FLAGS,
)
"""What asks how a model does at something for which no benchmark is named."""
_QUANTITY = re.compile(
    rf"(?<!last )(?<!past )(?<!最近 )(?<!最近){NUMBER}\s*(?:{EN_UNIT}|{ZH_UNIT})|百分之|\d\s*%|\bhalf\s+of\b|一半",
    FLAGS,
)
"""So many samples: old results have no such number."""
_ATTEMPT = re.compile(r"\b(?:run|test|score|benchmark|measure)\s+(?:\S+\s+){1,5}?(?:on|against)\s+\S", FLAGS)
_NAMED = re.compile(
    r"(?<![\w\-./])(?=[\w.\-/]*[a-z])[\w.]+[\d_\-/][\w./\-]*|\b(?:model|dataset)\b|\w(?:bench|eval)\b", FLAGS
)


def intent_of(masked: str, named: list[Phrase], found: list[Mention]) -> str | None:
    """Return the intent of a sentence, whose names `found` are masked and whose words of ours are `named`."""
    kinds = {mention.kind for mention in found}
    return (
        _outright(masked, found)
        or _about_a_run(masked, named, found)
        or _of_a_load(masked, named, kinds)
        or _of_names_and_words(masked, named, found)
    )


def ends_schedule(text: str) -> bool:
    """Tell whether a schedule is named, to be ended."""
    return SCHEDULE_REF.search(text) is not None and _ENDS.search(text) is not None


def _about_a_run(masked: str, named: list[Phrase], found: list[Mention]) -> str | None:
    """Return what is asked of a run that is named, or of the last one."""
    kinds = {mention.kind for mention in found}
    others = [phrase for phrase in named if phrase.intent in ABOUT_RUNS]
    if not runs_of(masked):
        last = described_run(masked, [])
        if found or last is None or last.args != {"run": LAST}:
            return None
        if others:
            return others[0].intent
        asked = next((intent for intent, asks in _OF_RUNS if asks.search(masked)), None)
        return asked or ("rerun" if named and named[0].said in RUNNING else None)
    if len(runs_of(masked)) > 1 and _COMPARES_RUNS.search(masked):
        return "compare"
    if others:
        return others[0].intent
    if not kinds and (asked := next((intent for intent, asks in _OF_RUNS if asks.search(masked)), None)) is not None:
        return asked
    if "dataset" not in kinds and any(phrase.intent == "eval" for phrase in named):
        return "rerun"
    if named or kinds == {"model", "dataset"}:
        return None
    if _AGAIN.search(masked):
        return "rerun"
    return "status" if _LOOKING.fullmatch(without_runs(masked) + " ") else NOTHING


def _of_a_load(masked: str, named: list[Phrase], kinds: set[Kind]) -> str | None:
    """Return what is asked by words of stress tests, or by what only a stress test has."""
    loads = [phrase for phrase in named if not phrase.weak and phrase.intent != "eval"][:1]
    of_load = bool(loads) and loads[0].intent == "perf"
    if of_load and not kinds and _ASKS_HOW_IT_GOES.search(masked):
        return "status"
    if DENIED.search(masked):
        return None
    if of_load and not runs_of(masked) and named[0].said not in HOW:
        return "perf"
    return "perf" if kinds == {"model"} and LOAD.search(masked) else None


def _of_names_and_words(masked: str, named: list[Phrase], found: list[Mention]) -> str | None:
    """Return what the intents' words ask for, or a model and a benchmark by themselves."""
    kinds = {mention.kind for mention in found}
    both = kinds == {"model", "dataset"}
    if both and _QUANTITY.search(masked) and {phrase.intent for phrase in named} <= {"results", "eval"}:
        return "eval"
    several = sum(len(mention.values) for mention in found if mention.kind == "model") > 1
    if several and _WHO_IS_BETTER.search(masked) and not _QUANTITY.search(masked):
        return _compared(masked, named, found)
    if both and _BEFORE.search(masked) and (_SCORES.search(masked) or any(p.intent == "results" for p in named)):
        return "results"
    if any(phrase.intent == "compare" for phrase in named):
        return _compared(masked, named, found)
    if both and named and all(phrase.weak and phrase.said not in DESCRIBE for phrase in named):
        return None if DENIED.search(masked) else "eval"
    if any(phrase.said in DESCRIBE for phrase in named) and _only_describes(named, kinds):
        return "benchmarks" if "dataset" in kinds or tags_in(masked) else None
    if "dataset" in kinds and not any(not p.weak for p in named) and (_BEGINS.search(masked) or URL.search(masked)):
        return "eval"
    concrete = bool(found) or bool(_ATTEMPT.search(masked) and _NAMED.search(masked))
    name = choose(named, concrete=concrete)
    return "eval" if name is None and both and not DENIED.search(masked) else name


def _compared(masked: str, named: list[Phrase], found: list[Mention]) -> str | None:
    """Return whether old results are compared, or models evaluated so that they can be."""
    if any(phrase.intent == "eval" and not phrase.weak and _is_done(phrase, masked) for phrase in named):
        return "eval"
    models = sum(len(mention.values) for mention in found if mention.kind == "model")
    return "compare" if models > 1 or runs_of(masked) or any(mention.kind == "dataset" for mention in found) else None


def _is_done(phrase: Phrase, masked: str) -> bool:
    """Tell whether a word for evaluating says that it is to be done: "run it and compare", not "what we ran"."""
    return phrase.said not in CASUAL or _WHAT_IS_RUN.match(masked, phrase.end) is not None


def _outright(masked: str, found: list[Mention]) -> str | None:
    """Return what a sentence asks for by its whole form, whatever words of other intents are in it."""
    kinds = {mention.kind for mention in found}
    by_form = next((intent for intent, asks in _FORMS if asks(masked)), None)
    return by_form or _by_form_and_names(masked, kinds) or ("diagnose" if asks_why(masked) else None)


def _by_form_and_names(masked: str, kinds: set[Kind]) -> str | None:
    """Return what a sentence asks for by its form, given what kinds of names are in it."""
    if "dataset" not in kinds and _DEFAULTS.search(masked):
        return "defaults"
    if kinds == {"dataset"} and _BEST.search(masked):
        return "leaderboard"
    if "model" not in kinds and ((_LISTS.search(masked) and tags_in(masked)) or LISTS_ALL.search(masked)):
        return "benchmarks"
    if kinds == {"model"} and _ABILITY.search(masked) and tags_in(masked):
        return "eval"
    return "rerun" if not kinds and _FULL_ALONE.fullmatch(without_runs(masked)) else None


def _both(one: re.Pattern[str], other: re.Pattern[str], masked: str) -> bool:
    return one.search(masked) is not None and other.search(masked) is not None


def _asks_how(masked: str) -> bool:
    """Tell whether a sentence asks how something is done, and names nothing that it is to be done with."""
    asks = _HOW_TO.match(masked) or _HOW_USED.search(masked)
    return asks is not None and not runs_of(masked) and not re.search(r"[\x01\x02\d]", masked)


_FORMS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("help", _asks_how),
    ("status", _ASKS_HOW_RUN_GOES.search),
    ("unschedule", ends_schedule),
    ("unschedule", functools.partial(_both, _ENDS, _SCHEDULED)),
    ("schedules", _SCHEDULED.search),
    ("headlines", _HEADLINES.search),
    ("cancel", _CANCELS_ALL.search),
    ("rag", lambda masked: _RAG_TOOL.search(masked) and not _ASKS_WHAT.search(masked)),
    ("diagnose", functools.partial(_both, _ERRED, _WONDERS)),
)
"""Intents, with the forms that ask for them; the first that fits."""


def _only_describes(named: list[Phrase], kinds: set[Kind]) -> bool:
    """Tell "what does gsm8k measure?" from "evaluate qwen-plus and tell me about the results"."""
    return all(phrase.weak or (phrase.said in CASUAL and "model" not in kinds) for phrase in named)
