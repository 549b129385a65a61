"""What a language model says → a request, of which only that is kept which the message itself says.

A model invents: a benchmark nobody named, a number that would fit. Each value is looked up in the text, after numbers,
units and aliases are brought into one form; what is not there is dropped, and logged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from handlers.intents.admit import settle
from handlers.intents.clean import clean, squeeze
from handlers.intents.lexicon import CLEARS, FLAGS, RUN_REF, RUN_WORDS, TAGS, URL
from handlers.intents.llm_schema import (
    MOST_CHARACTERS,
    MOST_REQUESTS,
    MOST_VALUES,
    NONE,
    Answer,
    Kind,
    Request,
    fields_of,
)
from handlers.intents.names import dataset_name, mentions
from handlers.intents.numbers import FRACTION, NUMBER, to_number
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.intents.when import read_when
from handlers.registry import understood
from jobs.catalog import SUITES, plain

_NUMBERS = re.compile(rf"{FRACTION}|{NUMBER}(?:\s?%|\s?per\s?cent)?|百分之[\d一二三四五六七八九十百]+", FLAGS)
_UNITS = (1, 60, 3600, 1000)
"""What a number in the text may have been multiplied by: minutes and hours are seconds, thousands of tokens."""
_WORD = re.compile(r"[A-Za-z][\w\-]*|[\u4e00-\u9fff]{2,}", FLAGS)
_FLAG_WORDS: Mapping[str, str] = {"stream": r"stream|流式", "full": r"full|everything|all|全", "on": r"."}
"""What has to be said for a flag to be set."""
_ONE_OF = {"model": "models", "dataset": "datasets", "tag": "tags", "run": "runs"}


@dataclass
class Reading:
    """What was read of an answer: the request, none where the model understood nothing, and what was dropped."""

    parsed: Parsed | None
    dropped: list[str] = field(default_factory=list)


def read_answer(answer: str, text: str, vocabulary: Vocabulary, thread_run: str | None = None) -> Reading:
    """Return the requests of a model's answer to `text`. Raises ValueError for what is no answer of the schema."""
    try:
        said = Answer.model_validate_json(answer)
    except ValidationError as error:
        raise ValueError(f"no answer: {error.error_count()} errors") from error
    evidence = Evidence(text, vocabulary, thread_run)
    dropped: list[str] = []
    requests = [_request(request, evidence, dropped) for request in said.requests[:MOST_REQUESTS]]
    known = [request for request in requests if request.intent != NONE]
    if not known:
        return Reading(Parsed(intent=NONE, by="llm"), dropped)
    return Reading(known[0].model_copy(update={"more": tuple(known[1:])}), dropped)


class Evidence:
    """What a message says, in one form."""

    def __init__(self, text: str, vocabulary: Vocabulary, thread_run: str | None = None) -> None:
        self.text = squeeze(clean(text))
        self.vocabulary = vocabulary
        self._folded, self._plain = self.text.casefold(), plain(self.text)
        self._datasets = {
            value
            for mention in mentions(self.text, vocabulary)
            if mention.kind == "dataset"
            for value in mention.values
        }
        self._numbers = [
            number for match in _NUMBERS.finditer(self.text) if (number := to_number(match[0])) is not None
        ]
        self._runs = {f"r{int(match[1])}" for match in RUN_REF.finditer(self.text)}
        self._runs |= {f"r{int(match[1] or match[2])}" for match in RUN_WORDS.finditer(self.text)}
        self._runs |= {thread_run} if thread_run else set()
        self._runs |= {"all"} if re.search(r"\ball\b|everything|全部|所有|都", self.text, FLAGS) else set()
        self._urls = {match[0].rstrip("/.,") for match in URL.finditer(self.text)}

    def value(self, name: str, kind: Kind, said: str) -> JsonValue | None:
        """Return a value if the message says it, None where it does not."""
        said = said.strip()
        if not said or len(said) > MOST_CHARACTERS:
            return None
        if kind == "flag":
            wanted = re.search(_FLAG_WORDS.get(name, name.partition("_")[0]), self.text, FLAGS)
            return (said.lower() == "true") if wanted and said.lower() in {"true", "false"} else None
        if kind in {"whole", "number"}:
            return self._number(said, whole=kind == "whole")
        if kind == "numbers":
            return self._levels(said)
        return self._text(name, said)

    def _levels(self, said: str) -> JsonValue | None:
        """Return numbers in a row: those that were said, or all of a sweep whose ends were."""
        parts = [part for part in re.split(r"[\s,;、]+", said) if part]
        found = [self._number(part, whole=False) for part in parts]
        numbers = [number for number in map(to_number, parts) if number is not None]
        sweep = len(found) == len(numbers) > 2 and numbers == sorted(set(numbers))
        if sweep and None not in {found[0], found[-1]}:
            return list[JsonValue](numbers)
        said_all: list[JsonValue] = [number for number in found if number is not None]
        return said_all if said_all and len(said_all) == len(found) else None

    def _number(self, said: str, *, whole: bool) -> int | float | None:
        number = to_number(said)
        if number is None or (whole and number != int(number)):
            return None
        spoken = any(abs(number - known * unit) < 1e-9 for known in self._numbers for unit in _UNITS)
        return (int(number) if whole else number) if spoken else None

    def _text(self, name: str, said: str) -> JsonValue | None:
        folded = said.casefold()
        if name == "clear":
            return said if CLEARS.search(self.text) else None
        if name == "preset":
            return folded if self._names_preset(folded) else None
        if name in {"run", "model_of"}:
            run = f"r{int(said.lstrip('rR#'))}" if said.lstrip("rR#").isdecimal() else folded
            return run if run in self._runs else None
        if name in {"url", "api_url"}:
            return said if said.rstrip("/.,") in self._urls else None
        if name == "dataset":
            canonical = dataset_name(said, self.vocabulary) or said
            return canonical if canonical in self._datasets or plain(said) in self._plain else None
        if name == "tag":
            return next((tag for tag, pattern in TAGS if plain(tag) == plain(said) and pattern.search(self.text)), None)
        if name == "model":
            spelt = {model.casefold(): model for model in self.vocabulary.models}
            return spelt.get(folded, said) if folded in self._folded else None
        words = _WORD.findall(said)
        return said if words and all(self._has(word.casefold()) for word in words) else None

    def _names_preset(self, folded: str) -> bool:
        """Tell whether a preset is there and the message has its name, as a name of its own."""
        known = folded in self.vocabulary.presets
        return known and re.search(rf"(?<![\w\-./]){re.escape(folded)}(?![\w\-]|[./]\w)", self.text, FLAGS) is not None

    def _has(self, word: str) -> bool:
        """Tell whether a word is there, also as a flag is written: --sla-num-runs."""
        return any(form in self._folded for form in (word, word.replace("_", "-"), word.replace("_", " ")))


def _request(said: Request, evidence: Evidence, dropped: list[str]) -> Parsed:
    """Return one request with what the message says of it."""
    if said.intent not in understood():
        return Parsed(intent=NONE, by="llm")
    fields = fields_of(said.intent)
    values: dict[str, list[JsonValue]] = {}
    for each in said.values[:MOST_VALUES]:
        kind = fields.get(each.name)
        value = None if kind is None else _value(each.name, kind, each.value, evidence)
        if value is None:
            dropped.append(f"{each.name}={each.value[:60]}")
        elif value not in values.setdefault(each.name, []):
            values[each.name].append(value)
    intent = understood()[said.intent]
    args = _args(said.intent, values)
    if said.intent == "schedule" and (when := read_when(evidence.text)) is not None:
        args |= {name: said for name, said in (("cron", when.cron), ("timezone", when.timezone)) if said is not None}
    return settle(intent, args).model_copy(update={"by": "llm"})


def _value(name: str, kind: Kind, said: str, evidence: Evidence) -> JsonValue | None:
    if kind == "names" and name == "dataset" and said.strip().lower() in SUITES:
        return None if said.strip().lower() not in evidence.text.lower() else said.strip().lower()
    return evidence.value(name, kind, said)


def _args(intent: str, values: Mapping[str, Sequence[JsonValue]]) -> dict[str, JsonValue]:
    """Return values under the names that the intent's request has for them."""
    known = understood()[intent].args.model_fields
    args: dict[str, JsonValue] = {}
    generation: dict[str, JsonValue] = {}
    for_benchmarks: dict[str, JsonValue] = {}
    for name, found in values.items():
        several = _ONE_OF.get(name)
        if name == "dataset":
            args["datasets"] = [member for value in found for member in SUITES.get(str(value), (str(value),))]
        elif name == "tag":
            args["tags"] = list(found)
        elif several is not None:
            plural = len(found) > 1 and several in known
            args |= {several: list(found)} if plural else {name: found[0]}
        elif name in known:
            args[name] = list(found) if fields_of(intent).get(name) == "names" else found[0]
        elif name in {"few_shot_num", "subset_list"}:
            for_benchmarks[name] = list(found) if name == "subset_list" else found[0]
        else:
            generation[name] = found[0]
    if generation and "generation_config" in known:
        args["generation_config"] = generation
    datasets = args.get("datasets")
    if for_benchmarks and isinstance(datasets, list) and "dataset_args" in known:
        args["dataset_args"] = {str(name): dict(for_benchmarks) for name in datasets}
    return args
