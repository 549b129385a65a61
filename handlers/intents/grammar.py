"""Free text → typed requests, deterministically: names first, then which intent, then what that intent can say."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import JsonValue

from handlers.intents.admit import refused, settle
from handlers.intents.clean import squeeze, without_ticks
from handlers.intents.eval_request import read_eval
from handlers.intents.lexicon import FLAGS, RUN_REF, RUN_WORDS, STOP, TAGS
from handlers.intents.names import Mention, mask, mentions, wanted
from handlers.intents.numbers import NUMBER, to_int
from handlers.intents.parsed import Parsed, Refused, Vocabulary
from handlers.intents.phrases import DENIED, FUTURE, TRAINING, Phrase, asks_for_training, choose, phrases
from handlers.intents.secrets import REDACTED, find_secrets, redact
from handlers.registry import Intent, intents

_MOST_REQUESTS = 10
_BREAK = re.compile(
    r"[;\n]+|[.?!](?=\s)|[。？！]|,?\s*\b(?:and\s+)?(?:then|afterwards|after\s+that)\b|[,,]?\s*(?:然后|接着|之后再?|随后|最后)", FLAGS
)
_LAST = re.compile(
    rf"(?:\b(?:last|latest|newest|(?:most\s+)?recent|past|previous)|最近|最新|上|过去|前)的?\s*(?P<n>{NUMBER})(?!\s*(?:天|days?|周|weeks?|%))"
    rf"|(?P<m>{NUMBER})\s*(?:most\s+recent|latest|last|newest)|(?P<one>\b(?:last|latest|newest|most\s+recent)\s+(?:result|run|score|report|one|eval\w*)\b"
    r"|(?:最近|最新|上)的?一?次|最新的?(?:结果|成绩|得分|分数))",
    FLAGS,
)
_ABOUT = re.compile(r"\b(?:about|for|on|with|of|test(?:ing|s)?|cover(?:ing)?|measur(?:e|ing)|evaluat(?:e|ing)|like)\s+(?P<q>[^?.!,]{2,80})", FLAGS)
_DESCRIBE = frozenset({"what is", "tell me about", "describe", "介绍一下", "是什么"})
_LOOKING = re.compile(r"(?:how(?:'s| is| are)|show(?: me)?|check|look at|see|and|what about|怎么样|如何|查看|看看|看一下|看|咋样|[\s?.!,的了]|了吗)+", FLAGS)
_COMPARE = re.compile(r"\bcompar(?:e|ison)\b|对比|比较", FLAGS)


def parse_text(text: str, vocabulary: Vocabulary) -> Parsed:
    """Return the first request of cleaned `text` with the others in `more`; intent "none" where there is none."""
    secret = bool(find_secrets(text))
    requests: list[Parsed] = []
    for piece in _pieces(squeeze(without_ticks(redact(text).replace(REDACTED, " "))), vocabulary):
        request = _request(piece, vocabulary)
        if requests and requests[0].intent == "none":
            requests.clear()
        if request.intent != "none" or not requests:
            requests.append(request)
        if len(requests) == _MOST_REQUESTS:
            break
    first, *more = requests
    if secret and not any(entry.name == "api_key" for entry in first.refused):
        first = first.model_copy(update={"refused": (refused("api_key", "refused.api_key"), *first.refused)})
    return first.model_copy(update={"more": tuple(more)})


def parse_as(intent: Intent, text: str, vocabulary: Vocabulary) -> Parsed:
    """Read `text` as a request of `intent`, whatever its words say."""
    text = squeeze(text)
    return _read(intent, text, vocabulary, mentions(text, vocabulary))


def _pieces(text: str, vocabulary: Vocabulary) -> list[str]:
    """Cut where a new request begins; a sentence that only adds to the one before stays with it."""
    breaks = [match.span() for match in _BREAK.finditer(text)]
    if not breaks:
        return [text]
    pieces: list[str] = []
    begun = False
    start = 0
    for end, resume in [*breaks, (len(text), len(text))]:
        piece, start = text[start : end + 1].rstrip(";\n,，"), resume
        if not piece.strip():
            continue
        opens = _opens_request(piece, vocabulary)
        if pieces and not (begun and opens):
            pieces[-1] = f"{pieces[-1]}, {piece}"
        else:
            pieces.append(piece)
        begun = begun or opens
    return pieces or [""]


def _opens_request(piece: str, vocabulary: Vocabulary) -> bool:
    found = mentions(piece, vocabulary)
    masked = mask(piece, found)
    named = phrases(masked)
    concrete = bool(found)
    return any(not phrase.weak for phrase in named) and (choose(named, concrete=concrete) is not None) or (
        {mention.kind for mention in found} == {"model", "dataset"}
        or bool(TRAINING.match(masked.strip()))
        or (bool(found) and any(phrase.said in _DESCRIBE for phrase in named))
    )


def _request(text: str, vocabulary: Vocabulary) -> Parsed:
    found = mentions(text, vocabulary)
    masked = mask(text, found)
    named = phrases(masked)
    has_dataset = any(mention.kind == "dataset" for mention in found)
    if asks_for_training(masked, named, has_dataset=has_dataset):
        return Parsed(intent="none")
    name = _intent_of(masked, named, found)
    if name in {None, "eval"}:
        for future, pattern in FUTURE:
            if future not in intents() and pattern.search(text):
                return Parsed(intent="none", refused=(refused(future, "refused.not_yet"),))
    if name is None:
        return Parsed(intent="none")
    return _read(intents()[name], text, vocabulary, found)


def _intent_of(masked: str, named: list[Phrase], found: list[Mention]) -> str | None:
    """Decide from what is said about runs, then from the intents' words, then from names alone."""
    kinds = {mention.kind for mention in found}
    run = _run_of(masked)
    others = [phrase for phrase in named if phrase.intent in {"status", "results", "logs"}]
    if run and others:
        return others[0].intent
    if run and not named:
        return "status" if _LOOKING.fullmatch(RUN_WORDS.sub(" ", RUN_REF.sub(" ", masked)) + " ") else None
    if _COMPARE.search(masked) and not any(phrase.intent == "eval" for phrase in named):
        return "eval" if kinds == {"model", "dataset"} and re.search(r"\d|百|十|half|一半", masked) else None
    if named and named[0].said in _DESCRIBE and all(phrase.weak for phrase in named):
        return "benchmarks" if "dataset" in kinds or _tags(masked) else None
    name = choose(named, concrete=bool(found) or bool(_tags(masked) and named and named[0].intent == "benchmarks"))
    if name is None and kinds == {"model", "dataset"} and not DENIED.search(masked):
        return "eval"
    return name


def _read(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Parsed:
    reader = _READERS.get(intent.name, _read_run)
    args, out = reader(intent, text, vocabulary, found)
    return settle(intent, args, out)


Reading = tuple[dict[str, JsonValue], list[Refused]]


def _read_run(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Reading:
    """status, logs: a run."""
    run = _run_of(mask(text, found))
    return ({"run": run} if run else {}), []


def _read_results(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Reading:
    """results: a run, or a model, benchmarks and how many."""
    args: dict[str, JsonValue] = {}
    masked = mask(text, found)
    if run := _run_of(masked):
        return {"run": run}, []
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
    return args, []


def _read_benchmarks(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Reading:
    """benchmarks: the name of one, or tags, or words to look for."""
    masked = mask(text, [mention for mention in found if len(mention.values) == 1])
    names = [mention.values[0] for mention in found if mention.kind == "dataset" and len(mention.values) == 1]
    if names:
        return {"name": names[0]}, []
    if tags := _tags(masked):
        return {"tags": list(tags)}, []
    rest = masked
    for phrase in reversed(phrases(masked)):
        if phrase.intent == "benchmarks":
            rest = rest[: phrase.start] + " " + rest[phrase.end :]
    about = _ABOUT.search(rest)
    words = [word for word in re.findall(r"[A-Za-z][\w\-]*|[\u4e00-\u9fff]{2,}", about["q"] if about else rest, re.ASCII)]
    said = " ".join(word for word in words if word.lower() not in STOP)
    said = re.sub(r"^(?:有关|关于|的|测|考|哪些|有)+|(?:的|有哪些|吗|呢|相关)+$", "", said).strip()
    return ({"query": said} if said and (about or said.isascii() or len(said) <= 12) else {}), []


def _read_help(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Reading:
    """help: about an intent that is named beside it."""
    named = [phrase.intent for phrase in phrases(mask(text, found)) if phrase.intent != "help"]
    about = re.search(r"\b(?:help|usage)\s+(?:on|with|about|for|of)?\s*(?P<w>[a-z_]{3,30})\s*\??$", text, FLAGS)
    if named:
        return {"about": named[0]}, []
    return ({"about": about["w"].lower()} if about and about["w"].lower() not in STOP else {}), []


def _read_eval(intent: Intent, text: str, vocabulary: Vocabulary, found: list[Mention]) -> Reading:
    return read_eval(intent, text, vocabulary)


_READERS: dict[str, Callable[[Intent, str, Vocabulary, list[Mention]], Reading]] = {
    "eval": _read_eval,
    "results": _read_results,
    "benchmarks": _read_benchmarks,
    "help": _read_help,
}


def _run_of(masked: str) -> str | None:
    """Return the run that is named: r12, R12, run 12, 运行12."""
    if match := RUN_REF.search(masked):
        return f"r{int(match[1])}"
    match = RUN_WORDS.search(masked)
    return f"r{int(match[1] or match[2])}" if match else None


def _tags(masked: str) -> tuple[str, ...]:
    return tuple(tag for tag, pattern in TAGS if pattern.search(masked))
