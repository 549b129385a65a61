"""A stress test in a sentence: which endpoint, at which levels of load, with which settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from handlers.intents.admit import refused
from handlers.intents.assign import assign
from handlers.intents.clean import squeeze
from handlers.intents.eval_request import objects, served_at
from handlers.intents.flags import table
from handlers.intents.lexicon import FLAGS
from handlers.intents.names import mask, mentions, wanted
from handlers.intents.numbers import to_number
from handlers.intents.parsed import Refused, Vocabulary
from handlers.intents.perf_words import (
    APIS,
    CRITERIA,
    DATASET,
    MULTI_TURN,
    OPEN_LOOP,
    PATTERNS,
    STREAM_OFF,
    STREAM_ON,
    TOKENIZER,
    TUNE,
)
from handlers.intents.phrases import phrases
from handlers.intents.settings import ADDRESS, READ, read_words
from handlers.registry import Intent

_PAIR = re.compile(
    r"(?<![\w/?&.\-])([a-z][a-z_\-]{2,40})\s?=\s?(\"[^\"]{0,500}\"|'[^']{0,500}'|[^\s,;\"']{1,500}(?:,\d+)*)", FLAGS
)
_QUOTED = re.compile(r"(?:\bprompts?|提示词)\s*[:=]?\s*(?:\"(?P<a>[^\"]{1,2000})\"|'(?P<b>[^']{1,2000})')", FLAGS)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_SPLIT = re.compile(r"\s*(?:,\s*and\b|,|、|/|->|→|\band\b|\bthen\b|和|再到|\s)\s*", FLAGS)
_UNITS = {"m": 60, "分": 60, "h": 3600, "小": 3600}
_METRICS = (("ttft", ("ttft", "first", "首")), ("tpot", ("tpot",)))
_UNITS_OF = {"unit": 1.0, "half": 0.5, "unit_half": 1.5}
"""For a minute, for half an hour, for a minute and a half."""
_ENDS_OF = {
    "both_tokens": ("min_tokens", "max_tokens"), "prompt_length": ("min_prompt_length", "max_prompt_length"),
}  # fmt: skip
"""What one number is both ends of."""
_MOST_LEVELS = 20
_LONGEST = 2000
"""Characters of a message that are read; the patterns' time grows with the square of it."""


@dataclass
class Load:
    """What was read of the load, before it is put together."""

    left: str
    args: dict[str, JsonValue] = field(default_factory=dict)
    multiple: float | None = None
    in_all: bool = False


def read_perf(intent: Intent, text: str, vocabulary: Vocabulary) -> tuple[dict[str, JsonValue], list[Refused]]:
    """Return the arguments and what is refused of a stress test."""
    args: dict[str, JsonValue] = {}
    out: list[Refused] = []
    if (quoted := _QUOTED.search(text)) is not None:
        args["prompt"] = quoted["a"] or quoted["b"]
        text = f"{text[: quoted.start()]} , {text[quoted.end() :]}"
    text = text[:_LONGEST]
    text = _PAIR.sub(lambda match: _take_pair(match, intent, args, out, vocabulary), text)
    settings = read_words(text, frozenset(intent.args.model_fields), vocabulary.keys)
    if "api_url" in settings.args:
        args["url"] = settings.args.pop("api_url")
    args |= settings.args
    out += [refused(name, "refused.not_yet") for name in settings.unhandled]
    load = Load(settings.left)
    _read_dataset(load)
    found = mentions(load.left, vocabulary)
    kept = wanted(load.left, found)
    load.left = mask(load.left, found)
    _read_words(load)
    _read_numbers(load)
    names = list(dict.fromkeys(value for mention in kept if mention.kind == "model" for value in mention.values))
    if not names and (served := served_at(load.left)) is not None:
        names = [served]
    if not names:
        left = squeeze(load.left.replace(READ, " , ").replace(ADDRESS, " , "))
        said = next((phrase for phrase in phrases(left) if phrase.intent == "perf"), None)
        names = objects(left, said.end) if said is not None else []
    datasets = [value for mention in kept if mention.kind == "dataset" for value in mention.values]
    if datasets:
        load.args.setdefault("dataset", datasets[0])
    if names and not {"model", "models"} & set(args):
        args |= {"model": names[0]} if len(names) == 1 else {"models": list(names)}
    return _levels(load) | args, out


def _take_pair(
    match: re.Match[str], intent: Intent, args: dict[str, JsonValue], out: list[Refused], vocabulary: Vocabulary
) -> str:
    name, said = match[1].lower().replace("-", "_"), match[2].strip("\"'").rstrip(".!?")
    if name in intent.args.model_fields or name in table("perf").kinds:
        assign(intent, (name, said), args, out, vocabulary)
        return " , "
    return match[0]


def _read_dataset(load: Load) -> None:
    for match in _each(load, DATASET):
        load.args["dataset"] = "random" if match["name"] == "随机" else match["name"].lower()
    for match in _each(load, TOKENIZER):
        load.args["tokenizer_path"] = match["w"] or match["w2"]


def _read_words(load: Load) -> None:
    criteria: list[JsonValue] = []
    for match in (match for pattern in CRITERIA for match in _each(load, pattern)):
        value = float(match["value"]) / (1000 if match["unit"].lower().startswith(("m", "毫")) else 1)
        criteria.append({"name": _metric(match), "operator": "<=", "value": value})
    tune = _each(load, TUNE)
    if criteria:
        load.args["sla_params"] = criteria
    if criteria or tune:
        load.args["sla_auto_tune"] = True
        rates = any(
            {"rate", "qps", "rps", "速率"} & {(match[name] or "").lower() for name in ("en", "zh", "zh2")}
            for match in tune
        )
        load.args["sla_variable"] = "rate" if rates else "parallel"
    if _each(load, STREAM_OFF):
        load.args["stream"] = False
    elif _each(load, STREAM_ON):
        load.args["stream"] = True
    for api, pattern in APIS:
        if "api" not in load.args and _each(load, pattern):
            load.args["api"] = api
    if _each(load, MULTI_TURN):
        load.args["multi_turn"] = True
    if _each(load, OPEN_LOOP):
        load.args["open_loop"] = True


def _metric(match: re.Match[str]) -> str:
    said = match["metric"].lower()
    kind = next((name for name, words in _METRICS if any(word in said for word in words)), "latency")
    point = (match["p"] or "avg").lower()
    return f"{'avg' if point in {'average', 'mean', '平均'} else point}_{kind}"


def _read_numbers(load: Load) -> None:
    for name, pattern in PATTERNS:
        for match in _each(load, pattern):
            _take(load, name, match)


def _take(load: Load, name: str, match: re.Match[str]) -> None:
    groups = match.groupdict()
    if name in {"range", "upto"}:
        low, high = (1, int(groups["list"])) if name == "upto" else (int(groups["low"]), int(groups["high"]))
        load.args.setdefault("parallel", _range(low, high, int(groups.get("step") or 0)))
        return
    if name == "prompt_length" and groups.get("low"):
        load.args |= {"min_prompt_length": int(groups["low"]), "max_prompt_length": int(groups["high"])}
        return
    if name in _UNITS_OF:
        load.args["duration"] = int(_UNITS[groups["unit"][0].lower()] * _UNITS_OF[name])
        return
    said = groups.get("list") or ""
    numbers = _numbers(said, thousands=name != "parallel")
    if numbers:
        _take_numbers(load, name, numbers, groups)


def _take_numbers(load: Load, name: str, numbers: list[int | float], groups: Mapping[str, str | None]) -> None:
    first = numbers[0]
    if name == "multiple":
        load.multiple = first
    elif name == "duration":
        seconds = first * _UNITS.get((groups.get("unit") or "s")[0].lower(), 1)
        load.args["duration"] = int(seconds) if float(seconds).is_integer() else seconds
    elif name in _ENDS_OF:
        load.args |= dict.fromkeys(_ENDS_OF[name], first)
    elif name in {"parallel", "number"}:
        load.args.setdefault(name, [int(number) for number in numbers])
        load.in_all = load.in_all or bool(groups.get("all") or groups.get("total"))
    elif name == "rate":
        load.args["rate"] = first if len(numbers) == 1 else list[JsonValue](numbers)
    else:
        load.args.setdefault(name, first)


def _range(low: int, high: int, step: int) -> list[JsonValue]:
    """Return the levels of a range: doubling up to its end, or by a step."""
    low, high = max(1, min(low, high)), max(low, high)
    if step:
        levels = list(range(low, high + 1, step))[:_MOST_LEVELS]
    else:
        levels = [low]
        while levels[-1] * 2 <= high:
            levels.append(levels[-1] * 2)
    return [*levels, *([high] if levels[-1] != high else [])]


def _levels(load: Load) -> dict[str, JsonValue]:
    """Put the number of requests of each level beside the levels."""
    args = load.args
    parallel = args.get("parallel")
    levels = [value for value in parallel if isinstance(value, int)] if isinstance(parallel, list) else [1]
    number = args.get("number")
    if load.multiple is not None:
        args["number"] = [max(1, int(load.multiple * level)) for level in levels]
    elif isinstance(number, list) and len(number) == 1 and isinstance(number[0], int):
        each = max(1, number[0] // len(levels)) if load.in_all else number[0]
        args["number"] = [each] * len(levels)
    return args


def _numbers(said: str, *, thousands: bool) -> list[int | float]:
    """Return the numbers of a list; 1,000 is one number where numbers are large, two levels where they are levels."""
    if thousands and _THOUSANDS.fullmatch(said.strip()):
        return [int(said.replace(",", ""))]
    whole = to_number(said)
    if whole is not None and "," not in said:
        return [whole]
    parts = [to_number(part) for part in _SPLIT.split(said.strip()) if part]
    return [part for part in parts if part is not None]


def _each(load: Load, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """Return all matches and cross them out; the marks of names stay."""
    found: list[re.Match[str]] = []

    def blank(match: re.Match[str]) -> str:
        found.append(match)
        return re.sub(r"[^\x01\x02]", READ, match[0])

    load.left = pattern.sub(blank, load.left)
    return found
