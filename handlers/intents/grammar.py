"""Free text → typed requests, deterministically: names first, then which intent, then what that intent can say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from pydantic import JsonValue

from handlers.intents.admit import refused, settle, settle_each
from handlers.intents.clean import squeeze, unquoted, without_ticks
from handlers.intents.eval_request import read_eval
from handlers.intents.lexicon import CLEARS, FLAGS, STOP, URL, tags_in
from handlers.intents.names import Mention, mask, mentions, wanted
from handlers.intents.not_ours import is_chat, small_talk, wanders
from handlers.intents.numbers import NUMBER, to_int, to_number
from handlers.intents.parameter_question import parse_question
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.perf_request import read_perf
from handlers.intents.phrases import (
    DESCRIBE,
    TRAINING,
    asks_for_training,
    phrases,
)
from handlers.intents.preset_words import read_preset
from handlers.intents.rag_request import read_rag
from handlers.intents.run_words import described_run, runs_of, without_runs
from handlers.intents.schedule_request import SCHEDULE_REF, read_schedule
from handlers.intents.secrets import REDACTED, find_secrets, redact
from handlers.intents.setting_words import PER_SUBSET, STATED, WHOLE_SET
from handlers.intents.settings import Settings, read_numbers
from handlers.intents.spelling import mend
from handlers.intents.which import LISTS_ALL, NOTHING, ends_schedule, intent_of
from handlers.registry import Intent, understood

_MOST_REQUESTS = 10
_IT = re.compile(r"\b(?:it|them|that|this|one)\b|它|这个|该", FLAGS)
_COMMA = re.compile(r"\s*,\s*(?:and\s+)?")
_RUN_LIST = re.compile(r"\bruns\s+#?(\d{1,9}(?:\s*(?:,\s*and|,|and|&)\s*#?\d{1,9})+)\b", FLAGS)
_NUMBER_OF_RUN = re.compile(r"#?(\d+)")
_POINT = re.compile(r"(?<![\w.\])])\.(\d)")
"""A number that begins with its point: .95."""
_SAYS_LITTLE = {
    "results": 1, "benchmarks": 1, "status": 1, "help": 1, "leaderboard": 1, "dashboard": 1, "schedules": 1,
    "diagnose": 1, "logs": 1, "eval": 1, "perf": 1, "cancel": 0, "resume": 0, "rerun": 0,
}  # fmt: skip
"""Intents that a sentence can ask for without saying more, and how many words about other things it may hold."""
_FOR_A_BENCHMARK = re.compile(r"\d[\s-]*shot|zero[\s-]*shot|few[\s-]*shot|\bsubset|子集|样本学习|少样本", FLAGS)
_ALL = re.compile(r"\b(?:all|everything|every run|both|my (?:runs|jobs))\b|全部|所有|全都", FLAGS)
_BARE_NUMBER = re.compile(r"\W*#?(\d{1,20})\W*", FLAGS)
_NEXT_ABOUT_RUNS = (
    r"(?<=\d)(?:,?\s*\band\s+|\s*[,;、]\s*(?:and\s+|并且?\s*)?|\s*(?:并且?|同时)\s*)"
    r"(?=(?:please\s+|请)?(?:(?:cancel|stop|abort|kill|resume|continue|re-?run|eval(?:uate)?|stress[\s-]test|"
    r"show|give|list|compare|post|tell|present|what|how|why)\b|"
    r"取消|停止|停掉|终止|中止|继续|恢复|重跑|重新跑|评测|压测))"
)
"""What stands between "cancel r1" and "resume r2"."""
_BREAK = re.compile(
    r"[;\n]+|[.?!](?=\s)|[。？！]|,?\s*\b(?:and\s+)?(?:then|afterwards|after\s+that)\b|"
    r",?\s*\b(?:and\s+)?(?:also|plus)\b(?=\s+(?:an?|the|run|show|stop|cancel|compare|evaluate|stress|load|post|list|tell|give|check)\b)|"
    r"\s+and\s+(?=(?:cancel|stop|abort|kill|resume|re-?run|redo)\s+(?:run\s+)?r?#?\d)|,\s*(?=r\d+\s*(?:从|取消|重跑|继续|接着|停|的))|"
    r",\s*and\s+(?=(?:what|how|why|show|tell|compare|cancel|stop|list)\b)|"
    r",?\s*(?:另外|顺便|此外|还有(?!多|几))|,\s*(?:完了)?(?=再(?:帮|把|将|告诉|列|看|比|压|评|取|跑[一个]|对比|给我|发))|"
    rf",?\s*(?:然后|接着(?!把|跑|来)|之后再?|随后|最后)|{_NEXT_ABOUT_RUNS}",
    FLAGS,
)
_LAST = re.compile(
    rf"(?:\b(?:last|latest|newest|(?:most\s+)?recent|past|previous)|最近|最新|上|过去|前)(?:的|这)?\s*(?P<n>{NUMBER})"
    r"(?!\s*(?:天|days?|周|weeks?|%))"
    rf"|(?P<m>{NUMBER})\s*(?:most\s+recent|latest|last|newest)"
    r"|(?P<one>\b(?:last|latest|newest|most\s+recent)\s+(?:result|score|report)\b|(?:最近|最新)的?一次|最新的?(?:结果|成绩|得分|分数))",
    FLAGS,
)
_ABOUT = re.compile(
    r"\b(?:about|for|on|with|of|test(?:ing|s)?|cover(?:ing)?|measur(?:e|ing)|evaluat(?:e|ing)|like)\s+"
    r"(?P<q>[^?.!,]{2,80})",
    FLAGS,
)
_QUERY_WORD = re.compile(r"[A-Za-z][\w\-]*|[\u4e00-\u9fff]{2,}", FLAGS)
_QUERY_EDGE = re.compile(r"^(?:有关|关于|的|测|考|哪些|有)+|(?:的|有哪些|吗|呢|相关)+$", FLAGS)
_HELP_ABOUT = re.compile(r"\b(?:help|usage)\s+(?:on|with|about|for|of)?\s*(?P<w>[a-z_]{3,30})\s*\??$", FLAGS)
_FULL = re.compile(
    rf"\b(?:in\s+full|full\s+run|(?:on|over|with|using)\s+(?:everything|all(?:\s+of\s+(?:it|them))?|the\s+{WHOLE_SET})|"
    rf"all\s+(?:the\s+)?(?:samples|questions)|(?:every|each)\s+(?:sample|question)|full\s+(?:data\s?|test\s?)?set|without(?:\s+(?:a|any|the))?\s+limit|"
    rf"no\s+limit)\b|\bfull\b(?=\W*(?:please\W*)?$)|全量|(?:跑|用|在)\s*(?:全部|所有|整个|完整)|"
    rf"(?:全部|所有)(?:的)?(?:样本|数据|题目?)|完整地?(?:跑|评测|运行|重跑)|不限(?:制)?(?:样本|条数|数量)|去掉(?:limit|限制|上限)",
    FLAGS,
)
"""All samples, where the run before had a limit."""
_OFF = re.compile(
    r"\b(?:off|stop|don'?t|do\s+not|no(?:\s+more|\s+longer)?|disable|never|mute|silence|without)\b|关|不要|别|停|不再|禁止|取消|不用",
    FLAGS,
)
_ON = re.compile(
    r"\b(?:on|announc\w+|unmute|start|enable|keep|again|resume|post|turn\s+on)\b|开|恢复|要(?!吗)|发到", FLAGS
)
_ASKS_WHETHER = re.compile(r"^\W*(?:are|is|do|does)\b|吗|是否|有没有", FLAGS)
_POLITE = re.compile(r"\b(?:can|could|would|will)\s+you\b|\bplease\b|请|能|可以|帮", FLAGS)
_CLEARED = (
    ("model", re.compile(r"\bmodel\b|模型", FLAGS)),
    ("limit", re.compile(r"\b(?:limit|samples?|number)\b|条数|样本数|数量", FLAGS)),
)
_NUMBER_IN = re.compile(rf"(?:limit|samples?|条数|样本数|\bto|为|是|改成|[=:])\s*(?P<n>{NUMBER}\s*%?)", FLAGS)
_DAYS_BACK = re.compile(
    rf"(?:\b(?:last|past|previous)|最近|过去|近)的?\s*(?P<n>{NUMBER})?[\s\-]*(?:个)?(?P<unit>days?|weeks?|months?|天|日|周|星期|月)"
    r"|\bthis\s+(?P<this>week|month)\b|(?P<zh>本周|这周|本月|这个月|今天|这个星期)|\b(?P<today>today)\b",
    FLAGS,
)
_DAYS = {"day": 1, "week": 7, "month": 30, "天": 1, "日": 1, "周": 7, "星期": 7, "月": 30}
_ERROR = re.compile(
    r"\b\w*(?:Error|Exception|Timeout)\b|\bTraceback\b|\b[45]\d\d\b|报错|异常|\bno space left\b|\brefused\b|"
    r"\bno module named\b|\bout of memory\b",
    FLAGS,
)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^\W*(?:\w+\.)*\w+(?:Error|Exception):\s", FLAGS)
_ASKED_WHY = re.compile(r"^\W*(?:(?:why|diagnose|what went wrong)\b|为什么|为啥|排查(?:一下)?)[\s:,?]*", FLAGS)
_MOST_ERROR = 4_000
_COUNT = re.compile(r"\d|百|十|half|一半", FLAGS)


def parse_text(text: str, vocabulary: Vocabulary) -> Parsed:
    """Return the first request of cleaned `text` with the others in `more`; intent "none" where there is none."""
    if (polite := small_talk(text)) is not None:
        return Parsed(intent="none", question=polite)
    secret = bool(find_secrets(text))
    requests: list[Parsed] = []
    said = mend(squeeze(without_ticks(redact(unquoted(text)).replace(REDACTED, " "))), vocabulary)
    said = _RUN_LIST.sub(lambda match: _NUMBER_OF_RUN.sub(r"r\1", match[1]), said)
    said = _POINT.sub(r"0.\1", said)
    for piece in _pieces(said, vocabulary):
        request = _request(piece, vocabulary)
        if requests and requests[0].intent == "none":
            requests.clear()
        if requests and request.intent == "help" and not request.args:
            continue  # "how is it used? tell me"
        if requests and (whole := _one_of_halves(requests[-1], request)) is not None:
            requests[-1] = whole
        elif request.intent != "none" or not requests:
            requests += [request.model_copy(update={"more": ()}), *request.more]
        if len(requests) >= _MOST_REQUESTS:
            break
    first, *more = _with_it(requests[:_MOST_REQUESTS], said)
    if secret and not any(entry.name == "api_key" for entry in first.refused):
        first = first.model_copy(update={"refused": (refused("api_key", "refused.api_key"), *first.refused)})
    return first.model_copy(update={"more": tuple(more)})


def _one_of_halves(first: Parsed, second: Parsed) -> Parsed | None:
    """Return one evaluation of two sentences of which one names the model and the other the benchmark."""
    if first.intent != "eval" or second.intent != "eval" or second.more:
        return None
    if first.missing != ("datasets",) or second.missing != ("model",) or first.refused or second.refused:
        return None
    return first.model_copy(update={"args": first.args | second.args, "missing": ()})


def _with_it(requests: list[Parsed], said: str) -> list[Parsed]:
    """Return requests of which a later one that says "it" takes the model, or the benchmark, of the one before."""
    found = requests[:1]
    for request in requests[1:]:
        before, args = found[-1].args, dict(request.args)
        if request.intent in {"eval", "perf"} and _IT.search(said):
            own = {"model", "models"} & args.keys()
            args |= {name: before[name] for name in ("model", "models") if not own and name in before}
            if (
                request.intent == "eval"
                and "datasets" not in args
                and found[-1].intent == "benchmarks"
                and "name" in before
            ):
                args["datasets"] = [before["name"]]
        missing = tuple(
            name for name in request.missing if name not in args and not (name == "model" and "models" in args)
        )
        found.append(request.model_copy(update={"args": args, "missing": missing}))
    return found


def parse_as(intent: Intent, text: str, vocabulary: Vocabulary) -> Parsed:
    """Read `text` as a request of `intent`, whatever its words say; one that takes a single run once for each."""
    text = squeeze(text)
    return _read(intent, text, vocabulary, mentions(text, vocabulary))


def _pieces(text: str, vocabulary: Vocabulary) -> list[str]:
    """Cut where a new request begins; a sentence that only adds to the one before stays with it."""
    breaks = sorted([match.span() for match in _BREAK.finditer(text)] + _between_pairs(text, vocabulary))
    if not breaks:
        return [text]
    pieces: list[str] = []
    begun = False
    start = 0
    for end, resume in [*breaks, (len(text), len(text))]:
        piece, start = text[start : end + (text[end : end + 1] in set("?？!！"))].rstrip(" ,"), resume
        if not piece.strip():
            continue
        opens = _opens_request(piece, vocabulary)
        if pieces and not (begun and opens):
            pieces[-1] = f"{pieces[-1]}, {piece}"
        else:
            pieces.append(piece)
        begun = begun or opens
    return pieces or [""]


def _between_pairs(text: str, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """Return the commas that stand between two evaluations: "prod on gsm8k, qwen-plus on ceval"."""
    commas = [match.span() for match in _COMMA.finditer(text)]
    edges = [(0, 0), *commas, (len(text), len(text))]
    whole = [
        {mention.kind for mention in mentions(text[start:end], vocabulary)} == {"model", "dataset"}
        for (_, start), (end, _) in itertools.pairwise(edges)
    ]
    return [comma for comma, left, right in zip(commas, whole, whole[1:], strict=False) if left and right]


def _masked(text: str, found: list[Mention]) -> str:
    """Return a sentence without its names and without the settings that have words of intents in them; same length."""
    return STATED.sub(lambda match: " " * len(match[0]), mask(text, found))


def _opens_request(piece: str, vocabulary: Vocabulary) -> bool:
    """Tell whether a piece is a request by itself, and not "100 samples please" or "thanks"."""
    if parse_question(piece, vocabulary) is not None:
        return True
    found = mentions(piece, vocabulary)
    masked = _masked(piece, found)
    named = phrases(masked)
    if intent_of(masked, named, found) not in {None, NOTHING}:
        return True
    if TRAINING.match(masked.strip()) or {mention.kind for mention in found} == {"model", "dataset"}:
        return True
    return bool(found) and any(phrase.said in DESCRIBE for phrase in named)


def _request(text: str, vocabulary: Vocabulary) -> Parsed:
    question = parse_question(text, vocabulary)
    if question is not None:
        return question
    scheduled = None if ends_schedule(text) else read_schedule(text, lambda rest: _unscheduled(rest, vocabulary))
    return _unscheduled(text, vocabulary) if scheduled is None else scheduled


def _unscheduled(text: str, vocabulary: Vocabulary) -> Parsed:
    """Read a request that is to be done once, now."""
    preset = read_preset(text, vocabulary)
    if preset is not None:
        return preset
    found = mentions(text, vocabulary)
    masked = _masked(text, found)
    named = phrases(masked)
    if is_chat(masked):
        return Parsed(intent="none")
    has_dataset = any(mention.kind == "dataset" for mention in found)
    served = has_dataset and URL.search(text) is not None and not TRAINING.match(masked.strip())
    name = intent_of(masked, named, found)
    if name != "diagnose" and not served and asks_for_training(masked, named, has_dataset=has_dataset):
        return Parsed(intent="none", question="none.not_me")
    if name is None and _TRACEBACK.search(text):
        name = "diagnose"
    if name in {None, NOTHING}:
        return Parsed(intent="none")
    parsed = _read(understood()[name], text, vocabulary, found)
    if (
        name in _SAYS_LITTLE
        and not parsed.args
        and wanders(masked, ((p.start, p.end) for p in named), _SAYS_LITTLE[name])
    ):
        return Parsed(intent="none")
    return parsed


def _read(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Parsed:
    if intent.name == "eval":
        return _with_unit(settle(intent, *read_eval(intent, text, vocabulary)), text)
    if intent.name == "perf":
        return settle(intent, *read_perf(intent, text, vocabulary))
    if intent.name == "rag":
        return settle(intent, read_rag(text, vocabulary))
    if intent.name == "compare" and (evaluation := _to_be_evaluated(text, vocabulary)) is not None:
        return evaluation
    if intent.name == "rerun":
        return _with_unit(_read_rerun(intent, text, vocabulary), text)
    return settle_each(intent, _READERS.get(intent.name, _read_runs)(intent, text, found))


def _to_be_evaluated(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the evaluation that a comparison asks for by saying how many samples, or how; None for old results."""
    evaluation = understood()["eval"]
    parsed = _read(evaluation, text, vocabulary, [])
    how = {"limit", "generation_config", "repeats", "dataset_args", "eval_batch_size", "seed", "api_url"}
    return parsed if how & parsed.args.keys() and "datasets" in parsed.args else None


def _with_unit(parsed: Parsed, text: str) -> Parsed:
    """Return the request with what its limit counts for, each subset or a benchmark in all."""
    said = {"per_subset": PER_SUBSET.search(text) is not None}
    more = tuple(other.model_copy(update=said) for other in parsed.more)
    return parsed.model_copy(update={**said, "more": more})


def _read_runs(intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """cancel, resume, status, logs: a run, or several, by their names or by what they are."""
    if runs := args_of(_runs_said(intent, mask(text, found))):
        return runs
    described = described_run(text, found)
    return {} if described is None else described.args


def _read_cancel(intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """cancel: a run, several, or all of them."""
    return _read_runs(intent, text, found) or ({"run": "all"} if _ALL.search(text) else {})


def _read_rerun(intent: Intent, text: str, vocabulary: Vocabulary) -> Parsed:
    """rerun: a run, and what is to be different, said as in an evaluation."""
    runs, described = args_of(runs_of(text)), None
    if not runs and (described := described_run(text, mentions(text, vocabulary), to_change=True)) is not None:
        runs = described.args
        text = f"{text[: described.start]} {text[described.end :]}"
    rest = without_runs(text)
    for phrase in sorted((*intent.words.en, *intent.words.zh), key=len, reverse=True):
        rest = re.sub(re.escape(phrase), " ", rest, flags=FLAGS)
    args, out = read_eval(intent, squeeze(rest), vocabulary)
    if "limit" not in args and _FULL.search(text):
        args["full"] = True
    args |= runs
    if _FOR_A_BENCHMARK.search(PER_SUBSET.sub(" ", rest)) and "dataset_args" not in args:  # for which one, nobody said
        out = [*out, refused("dataset_args", "refused.which_benchmark")]
    return settle_each(intent, args, out)


def _read_results(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """results: a run or several, or a model, benchmarks and how many."""
    masked = mask(text, found)
    if runs := runs_of(masked):
        return args_of(runs)
    described = described_run(text, found)
    if described is not None and ("day" in str(described.args) or "run" in described.args) and not _LAST.search(text):
        return described.args
    args: dict[str, JsonValue] = {}
    kept = wanted(text, found)
    models = [value for mention in kept if mention.kind == "model" for value in mention.values]
    datasets = [value for mention in kept if mention.kind == "dataset" for value in mention.values]
    if models:
        args["model"] = models[0]
    if datasets:
        args["datasets"] = list(dict.fromkeys(datasets))
    for match in _LAST.finditer(masked):
        count = 1 if match["one"] else to_int(match["n"] or match["m"])
        if count is not None:
            args["last"] = count
    return args


def _read_benchmarks(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """benchmarks: the name of one, or tags, or words to look for."""
    single = [mention for mention in found if len(mention.values) == 1]
    names = [mention.values[0] for mention in single if mention.kind == "dataset"]
    if names:
        return {"name": names[0]}
    masked = mask(text, single)
    if tags := tags_in(masked):
        return {"tags": list(tags)}
    if LISTS_ALL.search(masked):
        return {}
    for phrase in phrases(masked):
        if phrase.intent == "benchmarks":
            masked = f"{masked[: phrase.start]}{' ' * (phrase.end - phrase.start)}{masked[phrase.end :]}"
    about = _ABOUT.search(masked)
    words = _QUERY_WORD.findall(about["q"] if about else masked)
    said = " ".join(word for word in words if word.lower() not in STOP)
    said = _QUERY_EDGE.sub("", said).strip()
    return {"query": said} if said and (about or said.isascii() or len(said) <= 12) else {}


def _read_compare(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """compare: runs, or models on data sets."""
    if runs := runs_of(mask(text, found)):
        return {"runs": list[JsonValue](runs)}
    return _named(text, found, "models") | _named(text, found, "datasets")


def _read_leaderboard(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """leaderboard: of which data sets, of how many days."""
    args = _named(text, found, "datasets")
    if (match := _DAYS_BACK.search(mask(text, found))) is not None:
        unit = match["unit"] or match["this"] or match["zh"] or "day"
        days = next(days for name, days in _DAYS.items() if name in unit.lower())
        args["last_days"] = days * (to_int(match["n"] or "1") or 1)
    return args


def _named(text: str, found: list[Mention], field: str) -> dict[str, JsonValue]:
    """Return the models or the data sets that are meant, under the name that a request has for them."""
    kind = field.removesuffix("s")
    values = [value for mention in wanted(text, found) if mention.kind == kind for value in mention.values]
    return {field: list[JsonValue](dict.fromkeys(values))} if values else {}


def _read_unschedule(_intent: Intent, text: str, _found: list[Mention]) -> dict[str, JsonValue]:
    """unschedule: the schedule that is named."""
    match = SCHEDULE_REF.search(text)
    return {} if match is None else {"schedule": f"s{int(next(group for group in match.groups() if group))}"}


def _read_nothing(_intent: Intent, _text: str, _found: list[Mention]) -> dict[str, JsonValue]:
    """schedules: nothing more is said."""
    return {}


def _read_diagnose(intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """diagnose: a run, several, or an error that is pasted."""
    if runs := _read_runs(intent, text, found):
        return runs
    rest = _ASKED_WHY.sub("", text).strip()
    return {"error": rest[:_MOST_ERROR]} if _ERROR.search(rest) else {}


def _read_headlines(_intent: Intent, text: str, _found: list[Mention]) -> dict[str, JsonValue]:
    """headlines: on or off; a question says neither."""
    if _OFF.search(text):
        return {"on": False}
    asks = _ASKS_WHETHER.search(text) and not _POLITE.search(text)
    return {"on": True} if _ON.search(text) and not asks else {}


def _read_defaults(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """defaults: a model, a number of samples, or what is to be cleared."""
    if CLEARS.search(text):
        named: list[JsonValue] = [name for name, pattern in _CLEARED if pattern.search(text)]
        return {"clear": named or ["model", "limit"]}
    args: dict[str, JsonValue] = {}
    models = [value for mention in wanted(text, found) if mention.kind == "model" for value in mention.values]
    if models:
        args["model"] = models[0]
    numbers = Settings(mask(text, found))
    read_numbers(numbers)
    if "limit" not in numbers.args and (bare := _NUMBER_IN.search(mask(text, found))) is not None:
        limit = to_number(bare["n"])
        args |= {} if limit is None else {"limit": limit}
    return args | {name: value for name, value in numbers.args.items() if name == "limit"}


def _read_help(_intent: Intent, text: str, found: list[Mention]) -> dict[str, JsonValue]:
    """help: about an intent that is named beside it."""
    named = [phrase.intent for phrase in phrases(mask(text, found)) if phrase.intent != "help"]
    if named:
        return {"about": named[0]}
    about = _HELP_ABOUT.search(text)
    return {"about": about["w"].lower()} if about and about["w"].lower() not in STOP else {}


_READERS: dict[str, Callable[[Intent, str, list[Mention]], dict[str, JsonValue]]] = {
    "cancel": _read_cancel,
    "compare": _read_compare,
    "leaderboard": _read_leaderboard,
    "schedules": _read_nothing,
    "unschedule": _read_unschedule,
    "diagnose": _read_diagnose,
    "headlines": _read_headlines,
    "defaults": _read_defaults,
    "results": _read_results,
    "benchmarks": _read_benchmarks,
    "help": _read_help,
}


def _runs_said(intent: Intent, masked: str) -> list[str]:
    """Return the runs that are named, also by a number that is all that is said beside the intent: cancel 12."""
    if runs := runs_of(masked):
        return runs
    rest = masked
    for phrase in phrases(masked):
        if phrase.intent == intent.name:
            rest = f"{rest[: phrase.start]}{' ' * (phrase.end - phrase.start)}{rest[phrase.end :]}"
    bare = _BARE_NUMBER.fullmatch(rest)
    return [f"r{int(bare[1])}"] if bare else []


def args_of(runs: list[str]) -> dict[str, JsonValue]:
    """Return how a request names its runs: `run` for one, `runs` for several."""
    if len(runs) < 2:
        return {"run": runs[0]} if runs else {}
    return {"runs": list[JsonValue](runs)}
