"""What was filled in in a form → a typed request, or what is wrong with each field.

Nothing here reaches a network: a form is read while the person waits. What only a network knows, such as whether a
host may be reached, is said by the handler afterwards.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, JsonValue, ValidationError

from handlers.commands.eval import EvalArgs
from handlers.commands.perf import PerfArgs
from handlers.forms import ANOTHER, MOCK, Field, Form, Value
from handlers.incoming import Request
from handlers.intents.admit import settle
from handlers.intents.clean import clean
from handlers.intents.names import dataset_names
from handlers.intents.numbers import to_number
from handlers.intents.parsed import Vocabulary
from handlers.perf_plan import make_spec, plan_levels
from handlers.policy import MOCK_NAMES, check_key, resolve_datasets
from handlers.registry import MOST_RUNS, intents
from handlers.texts import Texts
from handlers.texts.en import TEXTS as EN
from jobs.addresses import AddressRule
from jobs.config import Config
from jobs.errors import InvalidValue, KeyNotForHost, ScopebotError
from jobs.models import GenerationSettings, ModelTarget
from jobs.sample import PROMPTS

GENERATION = ("temperature", "max_tokens")
"""Fields of an evaluation's form that are keys of `generation_config`."""
TEXT_ONLY = frozenset({"text", "url"})
STAND_IN: Mapping[str, JsonValue] = {"model": MOCK, "eval_type": MOCK}


def read(
    form: Form,
    values: Mapping[str, Value],
    *,
    texts: Texts,
    config: Config,
    vocabulary: Vocabulary,
    owns_machine: bool = False,
) -> Request | dict[str, str]:
    """Return the request, or what is wrong with each field that has a problem, by its key.

    `values` have what the person left in each field; one that was not shown is not among them, and is taken as it was
    filled in beforehand. `owns_machine` is that of `Incoming`.
    """
    rule = AddressRule("console" if owns_machine else "checked", config.access.allow_hosts)
    reading = _Reading(form, texts, config, vocabulary, rule)
    reading.take(values)
    args = {"eval": reading.eval_args, "perf": reading.perf_args}[form.intent]()
    reading.admit(args)
    return reading.errors or Request(intent=form.intent, args=args)


class _Wrong(Exception):
    """A value that its field cannot have; its argument is what the person is told."""


class _Reading:
    """What was read of a form so far, and what is wrong with it."""

    def __init__(self, form: Form, texts: Texts, config: Config, vocabulary: Vocabulary, rule: AddressRule) -> None:
        self.form = form
        self.errors: dict[str, str] = {}
        self._texts = texts
        self._config = config
        self._vocabulary = vocabulary
        self._rule = rule
        self._said: dict[str, Any] = {}
        """Each field's typed value; None for nothing."""

    def take(self, values: Mapping[str, Value]) -> None:
        """Read each field by itself."""
        for field in self.form.fields:
            initial = list(field.initial) if isinstance(field.initial, tuple) else field.initial
            before = _typed(field, initial, self._texts)
            try:
                now = _typed(field, values[field.key], self._texts) if field.key in values else before
            except _Wrong as error:
                self.wrong(field.key, str(error))
                continue
            self._said[field.key] = now
            if field.required and now in (None, []):
                self.wrong(field.key, self._texts("forms.error.required"))

    def wrong(self, key: str, text: str) -> None:
        """Note what is wrong with a field: the first thing is what is told."""
        shown = key if self.form.field(key) is not None else self.form.fields[0].key
        self.errors.setdefault(shown, text)

    def eval_args(self) -> dict[str, JsonValue]:
        """Return the args of an evaluation."""
        args = self._model("api_url") | self._picked("limit", "repeats", "seed", "eval_batch_size")
        datasets = self._datasets()
        if datasets:
            args["datasets"] = list[JsonValue](datasets)
        generation = self._picked(*GENERATION)
        if generation:
            args["generation_config"] = generation
        shots = self._picked("few_shot_num")
        if shots and datasets:
            args["dataset_args"] = {name: dict(shots) for name in datasets}
        self._key(args, "api_url")
        self._check_eval(args)
        return args

    def perf_args(self) -> dict[str, JsonValue]:
        """Return the args of a stress test; which kind of load it is, is always said."""
        args = self._model("url")
        args |= self._picked("parallel", "number", "max_tokens", "duration", "prompt", "rate", "dataset")
        args |= self._picked("min_prompt_length", "max_prompt_length")
        if args.get("dataset") == PROMPTS:
            del args["dataset"]
        if "rate" not in args:
            args.setdefault("parallel", [1])
        elif "parallel" not in args:
            args["open_loop"] = True
        elif isinstance(args["rate"], list) and len(args["rate"]) > 1:
            self.wrong("rate", self._texts("forms.error.rates_and_levels"))
            del args["rate"]
        if self._said.get("stream") is False:
            args["stream"] = False
        if "prompt" in args and "dataset" in args:
            self.wrong("prompt", self._texts("forms.error.prompt_and_dataset"))
        self._key(args, "url")
        self._check_perf(args)
        return args

    def admit(self, args: dict[str, JsonValue]) -> None:
        """Hold what was typed to the rules for what comes from chat: no secrets, no files, no flags."""
        for refused in settle(intents()[self.form.intent], args).refused:
            name = refused.name.partition(".")[0]
            key = "other_model" if name == "model" else name
            field = self.form.field(key)
            self.wrong(key, self._texts(refused.reason, name=name if field is None else field.label))

    def _picked(self, *keys: str) -> dict[str, JsonValue]:
        """Return the values of these fields, without those that are empty."""
        return {key: value for key in keys if (value := self._said.get(key)) is not None}

    def _model(self, url_key: str) -> dict[str, JsonValue]:
        """Return which model was chosen or typed, nothing where that is not clear."""
        chosen, other, url = (self._said.get(key) for key in ("model", "other_model", url_key))
        if chosen not in {None, ANOTHER}:
            if other is not None:
                self.wrong("other_model", self._texts("forms.error.two_models"))
            if url is not None:
                self.wrong(url_key, self._texts("forms.error.two_models"))
            return dict(STAND_IN) if chosen == MOCK and MOCK not in self._config.models else {"model": chosen}
        if other is None:
            nothing = chosen is None and url is None and url_key not in self.errors
            self.wrong("model" if nothing else "other_model", self._texts("forms.error.which_model"))
            return {}
        if url is not None:
            self._check_host(url_key, other, url)
            return {"model": other, url_key: url}
        if other in self._config.models:
            return {"model": other}
        if other.lower() not in MOCK_NAMES:
            self.wrong(url_key, self._texts("forms.error.url_needed", model=other))
            return {}
        if self.form.intent == "perf":
            self.wrong("other_model", _sentence(self._texts("reason.perf_endpoint")))
            return {}
        return dict(STAND_IN)

    def _check_host(self, key: str, model: str, url: str | None) -> None:
        """Refuse an address that is written as a number and may not be reached; a name would have to be looked up."""
        entry = self._config.models.get(model)
        if url is None or (entry is not None and entry.api_url == url):
            return
        try:
            ipaddress.ip_address(urlsplit(url).hostname or "")
        except ValueError:
            return
        try:
            self._rule.check_url(url)
        except ScopebotError as error:
            self._blame(error, key)

    def _datasets(self) -> list[str]:
        """Return the benchmarks' names, suites taken apart; each one that cannot be evaluated is told."""
        names: dict[str, None] = {}
        problems: dict[str, None] = {}
        for said in self._said.get("datasets") or ():
            for name in dataset_names(said, self._vocabulary):
                try:
                    resolve_datasets((name,), {}, self._vocabulary, self._config)
                except ScopebotError as error:
                    problems[self._texts.error(error)] = None
                names[name] = None
        if problems:
            self.wrong("datasets", " ".join(problems))
        return [] if problems else list(names)

    def _key(self, args: dict[str, JsonValue], url_key: str) -> None:
        """Add the key's name, if it may be sent where the model is."""
        key = self._said.get("api_key_name")
        if key is None:
            return
        args["api_key_name"] = key
        model, url = args.get("model"), args.get(url_key)
        entry = self._config.models.get(str(model))
        try:
            if isinstance(url, str) and (entry is None or entry.api_url != url):
                target = ModelTarget(name=str(model), model=str(model), eval_type="openai_api", api_url=url, key=key)
                check_key(target, self._config)
            elif entry is not None and entry.key != key:
                raise KeyNotForHost(key=key, host=str(model))
        except ScopebotError as error:
            self._blame(error, "api_key_name")

    def _check_eval(self, args: dict[str, JsonValue]) -> None:
        self._validate(EvalArgs, args)
        generation = args.get("generation_config")
        self._validate(GenerationSettings, generation if isinstance(generation, dict) else {})

    def _check_perf(self, args: dict[str, JsonValue]) -> None:
        """Plan the load as the handler does, which finds what no field shows by itself."""
        least, most = (self._said.get(f"{end}_prompt_length") for end in ("min", "max"))
        if least is not None and most is not None and least > most:
            self.wrong("max_prompt_length", self._texts("forms.error.at_least", least=least))
        prompts = {"dataset", "min_prompt_length", "max_prompt_length"} if "model" not in args else set()
        said = {name: value for name, value in args.items() if name not in prompts}  # whether they fit hangs on it
        parsed = self._validate(PerfArgs, said)
        if not isinstance(parsed, PerfArgs):
            return
        name = parsed.model or "?"
        target = ModelTarget(name=name, model=name, eval_type="openai_api", api_url="http://model/v1")
        try:
            make_spec(parsed, target, plan_levels(parsed, pasted=False, sentence=True), self._config)
        except ScopebotError as error:
            if isinstance(error.__cause__, ValidationError):
                self._blame_each(error.__cause__)
            else:
                self._blame(error, str(error.params.get("field", "")))

    def _validate(self, model: type[BaseModel], args: Mapping[str, JsonValue]) -> BaseModel | None:
        try:
            return model.model_validate(args)
        except ValidationError as error:
            self._blame_each(error)
            return None

    def _blame_each(self, error: ValidationError) -> None:
        """Tell at each field what a request's model refuses of it."""
        for problem in error.errors():
            fields = (self.form.field(str(part)) for part in reversed(problem["loc"]))
            field = next((f for f in fields if f is not None and self._said.get(f.key) is not None), None)
            if field is None:
                continue  # it follows from what is wrong with another field
            if problem["type"] == "too_long":
                self.wrong(field.key, self._texts("forms.error.too_many", most=problem["ctx"]["max_length"]))
            else:
                self.wrong(field.key, _range_text(field, self._texts))
        if not self.errors:
            self.wrong("", _sentence(self._texts("reason.type")))

    def _blame(self, error: ScopebotError, key: str) -> None:
        reason = f"reason.{error.params.get('reason')}"
        known = isinstance(error, InvalidValue) and reason in EN
        self.wrong(key, _sentence(self._texts(reason)) if known else self._texts.error(error))


def _typed(field: Field, value: Value, texts: Texts) -> Any:
    """Return a field's value as its kind has it, None for nothing; raises `_Wrong`."""
    if field.kind == "switch":
        return None if value is None else bool(value)
    if field.kind == "benchmarks":
        named = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        return list(dict.fromkeys(name.strip() for name in named if name.strip()))[:MOST_RUNS]
    said = value.strip() if isinstance(value, str) else ""
    if not said:
        return None
    if field.kind == "choice":
        if said not in {name for name, _ in field.options}:
            raise _Wrong(texts("forms.error.choice"))
        return said
    if field.kind in TEXT_ONLY:
        return _text_typed(field, said, texts)
    said = unicodedata.normalize("NFKC", said)
    if field.kind == "amount":
        return _amount(said, texts)
    if field.kind == "levels":
        levels = [_number(field, part, texts) for part in re.split(r"[\s,;/、]+", said) if part]
        return levels or None
    return _number(field, said, texts)


def _text_typed(field: Field, said: str, texts: Texts) -> str | None:
    if field.long:
        return said
    said = clean(said)
    if field.kind == "url" and not _is_url(said):
        raise _Wrong(_sentence(texts("reason.url")))
    return said or None


def _is_url(said: str) -> bool:
    try:
        parts = urlsplit(said)
        well_formed = parts.port != 0 and not re.search(r"\s", said)  # reading the port checks it
    except ValueError:
        return False
    nobody = not parts.username and not parts.password
    return well_formed and parts.scheme in {"http", "https"} and bool(parts.hostname) and nobody


def _amount(said: str, texts: Texts) -> float | None:
    """Return a count or a share; nothing for all of it."""
    number = to_number(said)
    share = isinstance(number, float) and not said[-1].isdecimal()  # 10% and 一半, but not 10.0
    if number == 1 and share:
        return None
    if number is not None and number >= 1 and number == int(number) and not share:
        return int(number)
    if number is None or not 0 < number < 1:
        raise _Wrong(texts("forms.error.amount"))
    return number


def _number(field: Field, said: str, texts: Texts) -> float:
    number = to_number(said)
    if number is not None and field.whole and number == int(number):
        number = int(number)
    if (
        number is None
        or (field.whole and not isinstance(number, int))
        or (field.least is not None and number < field.least)
        or (field.above is not None and number <= field.above)
        or (field.most is not None and number > field.most)
    ):
        raise _Wrong(_range_text(field, texts))
    return number


def _range_text(field: Field, texts: Texts) -> str:
    """Return what a field takes, as what is told of a value that it does not take."""
    if field.kind == "amount":
        return texts("forms.error.amount")
    if field.most is None or (field.least is None and field.above is None):
        return _sentence(texts("reason.type"))
    several = "levels" if field.kind == "levels" else "number"
    most = _as_said(field.most)
    if field.least is None:
        return texts(f"forms.error.{several}.above", above=_as_said(field.above or 0), most=most)
    return texts(f"forms.error.{several}.{'whole' if field.whole else 'any'}", least=_as_said(field.least), most=most)


def _as_said(number: float) -> float:
    """Return a whole number as one: nobody writes 4,096.0."""
    return int(number) if number == int(number) else number


def _sentence(text: str) -> str:
    """Return a reason as a sentence of its own."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "。")) else "。" if not text.isascii() else ".")
