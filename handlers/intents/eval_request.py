"""An evaluation request in a sentence: which models on which benchmarks, with which settings."""

from __future__ import annotations

import re

from pydantic import JsonValue

from handlers.intents.admit import refused
from handlers.intents.assign import assign
from handlers.intents.clean import squeeze
from handlers.intents.flags import table
from handlers.intents.lexicon import FLAGS, STOP
from handlers.intents.names import MARKS, Kind, Mention, mask, mentions, wanted
from handlers.intents.parsed import Refused, Vocabulary
from handlers.intents.phrases import RUNNING, phrases
from handlers.intents.settings import ADDRESS, Settings, read_numbers, read_words
from handlers.registry import Intent
from jobs.catalog import BenchmarkInfo, plain
from jobs.models import GenerationSettings

_PAIR = re.compile(
    r"(?<![\w/?&.\-])([a-z][a-z_\-]{2,40})\s?=\s?(\"[^\"]{0,500}\"|'[^']{0,500}'|[^\s,;\"']{1,500})", FLAGS
)
_NAME = r"[A-Za-z][\w.+\-]*(?:[/:][\w.+\-]+){0,3}"
_ITEM = rf"(?:\x01+|\x02+|{_NAME})"
_AND = r"\s*(?:,\s*(?:and\s+)?|(?<!\w)and(?!\w)|&|\+|、|和|与|及|以及)\s*"
_FILL = (
    r"(?:(?:the|a|an|my|our|your|this|that|new|latest|fine-?\s?tuned|trained|deployed|models?|benchmarks?|datasets?|"
    r"called|named|both|following|local|own|checkpoint|endpoint|suite)\s+|"
    r"(?:一下|下|个|我们?的?|微调[后过]?的|训练好?的|模型|数据集|基准|这个)\s*){0,6}"
)
_LIST = rf"(?P<list>{_ITEM}(?:{_AND}{_FILL}{_ITEM}){{0,40}})"
_SLOT = re.compile(rf"(?:(?<![\w\-])(?P<en>on|against|over|with|using)\s+|(?:在|用|使用|拿)\s*){_FILL}{_LIST}", FLAGS)
_LABEL = re.compile(
    rf"(?:(?P<model>(?<!\w)models?(?!\w)|模型)|(?P<dataset>(?<!\w)(?:datasets?|benchmarks?)(?!\w)|数据集|基准))"
    rf"\s*(?:[:=]|called|named|叫|名为|是|为)?\s*{_LIST}",
    FLAGS,
)
_OBJECT = re.compile(rf"\s*(?P<fill>{_FILL}){_LIST}", FLAGS)
_SERVES = r"(?:serving|hosting|running|runs|serves|with|using|the|models?|模型|named|called|叫|名为|名字|is|是|为|=|:)"
_NO_NAME = r"(?!(?:on|with|for|in|at|using|against|and|to|as|over|is)\b)"
_BESIDE_ADDRESS = tuple(
    re.compile(pattern, FLAGS)
    for pattern in (
        rf"{ADDRESS}{{5,}}\s*/?\s*[,(]?\s*(?:(?:这个|那个)?(?:接口|地址|服务)?(?:上面|上|里面|里|那边)?(?:跑)?(?:的|是|跑着)\s*|(?:{_SERVES}\s*,?\s*)+)(?P<name>{_NO_NAME}{_NAME})",
        (
            rf"(?P<name>{_NAME})\s*,?\s*"
            r"(?:\(|which\s+is\s+|that\s+(?:is|runs)\s+|(?:served|hosted|running|deployed|listening)\s+)*"
            rf"(?:at|on|@|behind|from|via|under|部署在|跑在|在|地址(?:是|为)?|url)\s*[:=]?\s*(?:the\s+)?{ADDRESS}{{5,}}"
        ),
        rf"{ADDRESS}{{5,}}\s*/?\s*[,(]?\s*(?P<name>{_NO_NAME}{_NAME})",
    )
)
"""The name of a model that an endpoint serves: "http://… 上的 my-model", "my-model at http://…", and just beside it."""
_ONE = re.compile(_ITEM, FLAGS)
_LOOKS_NAMED = re.compile(r"(?=.*[\d_/\-])[A-Za-z].*|[a-z]+[A-Z].*|[A-Z]{2,}.*|.*(?:bench|eval)", re.DOTALL)
_NEXT = re.compile(r"\s*(?:$|[,;.?!\x01\x02]|(?:on|against|with|using|in|at|for|via)(?!\w)|[\u4e00-\u9fff])", FLAGS)
_OTHER: dict[Kind, Kind] = {"model": "dataset", "dataset": "model"}

_SUBSET_NAMES = r"(?<![\w\-])[A-Za-z][\w\-]*(?:\s*(?:,|and|、|和|与)\s*[A-Za-z][\w\-]*){0,9}"
_SUBSET_WORD = re.compile(
    rf"(?:\bsubsets?|子集)\s*(?:[=:]|为|是)?\s*(?P<after>{_SUBSET_NAMES})"
    rf"|(?P<before>{_SUBSET_NAMES})\s*(?:\bsubsets?|(?:这个|两个)?子集)",
    FLAGS,
)
_WORDS = re.compile(r"[A-Za-z0-9][\w\-]*", FLAGS)
_WIDEST_SUBSET = 4


def read_eval(intent: Intent, text: str, vocabulary: Vocabulary) -> tuple[dict[str, JsonValue], list[Refused]]:
    """Return the arguments and what is refused of an evaluation request."""
    args: dict[str, JsonValue] = {}
    out: list[Refused] = []
    text = _PAIR.sub(lambda match: _take_pair(match, intent, args, out, vocabulary), text)
    settings = read_words(text, frozenset(intent.args.model_fields), vocabulary.keys)
    found = mentions(settings.left, vocabulary)
    names = _names(wanted(settings.left, found))
    settings.left = mask(settings.left, found)
    read_numbers(settings)
    settings.left = squeeze(settings.left)
    out += [refused(name, "refused.not_yet") for name in settings.unhandled]
    if not names["model"] and (served := served_at(settings.left)) is not None:
        names["model"] = [served]
    subsets, left = _subsets(settings.left, names["dataset"], vocabulary)
    for kind, values in _unknown(left, names).items():
        names[kind] += [value for value in values if value not in names[kind]]
    _put_names(args, names)
    _put_settings(args, settings, subsets)
    return args, out


def _take_pair(
    match: re.Match[str], intent: Intent, args: dict[str, JsonValue], out: list[Refused], vocabulary: Vocabulary
) -> str:
    """Take a `key=value` out of the sentence if its key is a parameter."""
    name, said = match[1].lower().replace("-", "_"), match[2].strip("\"'").rstrip(".!?")
    if name in {"subset", "subset_list"}:
        return f" subset {said} "
    if name in intent.args.model_fields or name in GenerationSettings.model_fields or name in table("eval").kinds:
        assign(intent, (name, said), args, out, vocabulary)
        return " , "
    return match[0]


def _names(kept: list[Mention]) -> dict[Kind, list[str]]:
    names: dict[Kind, list[str]] = {"model": [], "dataset": []}
    for mention in kept:
        names[mention.kind] += [value for value in mention.values if value not in names[mention.kind]]
    return names


def _unknown(left: str, names: dict[Kind, list[str]]) -> dict[Kind, list[str]]:
    """Return words that stand where a model or a benchmark is expected: the verb's object, and after "on" or 用."""
    verb = next((phrase for phrase in phrases(left) if phrase.intent == "eval"), None)
    role: Kind = "dataset" if verb is not None and verb.said in RUNNING else "model"
    lists = [(match, _OTHER[role]) for match in _SLOT.finditer(left)]
    if verb is not None and (match := _OBJECT.match(left, verb.end)):
        lists.insert(0, (match, role))
    found: dict[Kind, list[str]] = {"model": [], "dataset": []}
    for match in _LABEL.finditer(left):
        labelled: Kind = "model" if match["model"] else "dataset"
        found[labelled] += _unknown_items(left, match, given=bool(names[labelled]))
    for match, default in lists:
        kind = _kind(match["list"], default, {kind: names[kind] + found[kind] for kind in names})
        if kind is not None:
            found[kind] += _unknown_items(left, match, given=bool(names[kind]))
    taken = set(found["model"]) & set(found["dataset"])
    return {
        "model": list(dict.fromkeys(found["model"])),
        "dataset": [value for value in dict.fromkeys(found["dataset"]) if value not in taken],
    }


def served_at(left: str) -> str | None:
    """Return the name of the model that stands beside an endpoint's address."""
    for pattern in _BESIDE_ADDRESS:
        for match in pattern.finditer(left):
            word = match["name"].rstrip(".:-+")
            if word.lower() not in STOP and len(word) > 1:
                return word
    return None


def objects(left: str, start: int) -> list[str]:
    """Return unknown words that can be models: the object of a verb that ends at `start`, and what follows "on"."""
    found: list[str] = []
    if match := _OBJECT.match(left, start):
        found += _unknown_items(left, match, given=False)
    for match in _SLOT.finditer(left):
        if (match["en"] or "").lower() in {"on", "against"}:
            found += _unknown_items(left, match, given=bool(found))
    return list(dict.fromkeys(found))


def _kind(listed: str, default: Kind, named: dict[Kind, list[str]]) -> Kind | None:
    """Return what the unknown words of a list are, by its known ones, else by what is still missing."""
    for kind, sign in MARKS.items():
        if sign in listed:
            return kind
    if named["model"] and named["dataset"]:
        return None
    return next((_OTHER[kind] for kind, values in named.items() if values), default)


def _unknown_items(left: str, match: re.Match[str], *, given: bool) -> list[str]:
    """Return the unknown words of a list that can be names; `given`: one of the kind is known already."""
    words = []
    vague = match.groupdict().get("en") in {"with", "using", "over"}
    for item in _ONE.finditer(left, match.start("list"), match.end("list")):
        word = item[0].rstrip(".:-+")
        if item[0][0] in MARKS.values() or word.lower() in STOP:
            continue
        first = item.start() == match.start("list")
        alone = _NEXT.match(left, item.end()) is not None and not (given and first) and not vague
        if _LOOKS_NAMED.fullmatch(word) or (alone and len(word) > 1):
            words.append(word)
    return words


def _subsets(left: str, datasets: list[str], vocabulary: Vocabulary) -> tuple[dict[str, list[str]], str]:
    """Return the subsets that are named per data set, and the sentence without them."""
    table: dict[str, list[str]] = {}
    said = list(_SUBSET_WORD.finditer(left))
    spans = []
    for name in datasets:
        info = vocabulary.catalog.by_name.get(name)
        known = {} if info is None else _subset_spellings(info)
        for start, end, subset in _known_subsets(left, known, near=bool(said)):
            table.setdefault(name, [])
            table[name] += [] if subset in table[name] else [subset]
            spans.append((start, end))
    for match in said:
        words = re.findall(r"[A-Za-z][\w\-]*", match["after"] or match["before"], re.ASCII)
        words = [word for place, word in enumerate(words) if word.lower() not in STOP or (place and word == "it")]
        if not any(start < match.end() and match.start() < end for start, end in spans):
            for name in [name for name in datasets if name not in vocabulary.catalog.by_name] or datasets:
                if words:
                    table.setdefault(name, []).extend(word for word in words if word not in table[name])
        spans.append(match.span())
    chars = list(left)
    for start, end in spans:
        chars[start:end] = " " * (end - start)
    return table, "".join(chars)


def _subset_spellings(info: BenchmarkInfo) -> dict[str, str]:
    """Map how a subset is written to its name; ARC-Challenge of arc is also just "challenge"."""
    short = {plain(subset).removeprefix(plain(info.name)): subset for subset in info.subsets}
    return {said: subset for said, subset in short.items() if said} | {plain(subset): subset for subset in info.subsets}


def _known_subsets(left: str, known: dict[str, str], *, near: bool) -> list[tuple[int, int, str]]:
    """Find a benchmark's own subset names; short and everyday ones count only where "subset" is said."""
    if not known:
        return []
    words = [match.span() for match in _WORDS.finditer(left)]
    found: list[tuple[int, int, str]] = []
    place = 0
    while place < len(words):
        for width in range(min(_WIDEST_SUBSET, len(words) - place), 0, -1):
            start, end = words[place][0], words[place + width - 1][1]
            subset = known.get(plain(left[start:end])) if end - start <= 80 else None
            if subset is not None and (near or (end - start >= 5 and left[start:end].lower() not in STOP)):
                found.append((start, end, subset))
                place += width - 1
                break
        place += 1
    return found


def _put_names(args: dict[str, JsonValue], names: dict[Kind, list[str]]) -> None:
    models, datasets = names["model"], names["dataset"]
    if models and not {"model", "models"} & set(args):
        if len(models) == 1:
            args["model"] = models[0]
        else:
            args["models"] = list(models)
    if args.get("model") in {"mock_llm", "mock"}:
        args |= {"model": "mock_llm", "eval_type": "mock_llm"}
    if datasets:
        said = args.get("datasets")
        earlier = said if isinstance(said, list) else []
        args["datasets"] = [*earlier, *(name for name in datasets if name not in earlier)]


def _put_settings(args: dict[str, JsonValue], settings: Settings, subsets: dict[str, list[str]]) -> None:
    """Merge what the sentence set into `args`; few-shot numbers go to the data sets in their order, one to all."""
    for name, value in settings.args.items():
        earlier = args.get(name)
        args[name] = {**earlier, **value} if isinstance(earlier, dict) and isinstance(value, dict) else value
    said = args.get("datasets")
    datasets = [str(name) for name in said] if isinstance(said, list) else []
    shots = settings.few_shot
    table: dict[str, JsonValue] = {}
    for place, name in enumerate(datasets):
        entry: dict[str, JsonValue] = {}
        if shots:
            entry["few_shot_num"] = shots[place] if len(shots) == len(datasets) else shots[-1]
        if name in subsets:
            entry["subset_list"] = list(subsets[name])
        if entry:
            table[name] = entry
    if table:
        args["dataset_args"] = table
