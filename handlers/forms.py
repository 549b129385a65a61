"""Forms: what is asked for where a command says nothing, and what was filled in → a typed request.

Nothing here reaches a network: a form is read while the person waits. What only a network knows, such as whether a
host may be reached, is said by the handler afterwards.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, JsonValue, ValidationError

from handlers.commands.eval import EvalArgs
from handlers.commands.perf import PerfArgs
from handlers.commands.rerun import RerunArgs
from handlers.incoming import Request
from handlers.intents.admit import settle
from handlers.intents.clean import clean
from handlers.intents.lexicon import SUITE_WORDS, TAGS
from handlers.intents.names import dataset_name, dataset_names
from handlers.intents.numbers import to_number
from handlers.intents.parsed import Vocabulary
from handlers.perf_plan import FILES, HUB, make_spec, plan_levels
from handlers.policy import MOCK_NAMES, SUPPORTED_EVAL_TYPES, check_key, resolve_datasets
from handlers.registry import MOST_RUNS, intents
from handlers.texts import Texts
from handlers.texts.en import TEXTS as EN
from jobs.addresses import AddressRule
from jobs.catalog import SUITES, BenchmarkInfo, plain
from jobs.config import Config, ModelEntry
from jobs.errors import InvalidValue, KeyNotForHost, ScopebotError
from jobs.models import EvalSpec, Frozen, GenerationSettings, ModelTarget, PerfSpec, Run
from jobs.sample import PROMPTS, SAMPLE_DATASETS

ANOTHER = "another: typed below"
"""The choice of a model that is not registered."""
AS_BEFORE = "as before"
"""The choice of the model of the run that is run again."""
MOST_OPTIONS = 100
WELL_KNOWN = (
    "gsm8k", "mmlu", "mmlu_pro", "ceval", "cmmlu", "gpqa_diamond", "math_500", "aime25", "ifeval", "humaneval",
    "live_code_bench", "bbh", "arc", "hellaswag", "truthful_qa", "simple_qa", "chinese_simpleqa", "mmmu", "math_vista",
)  # fmt: skip
"""The benchmarks that people ask for most, which come first where nothing tells them apart."""
GENERATION = ("temperature", "max_tokens")
"""Fields of an evaluation's form that are keys of `generation_config`."""
TEXT_ONLY = frozenset({"text", "url"})
LARGEST_SEED = 2**32 - 1

Kind = Literal["choice", "text", "url", "number", "amount", "benchmarks", "levels", "switch"]
"""`amount`: a count or a share (100, 10%); `levels`: numbers in a row (1, 2, 4); `benchmarks`: several, looked up."""
Value = str | list[str] | bool | None
"""What a person left in a field: text as typed, chosen values, or a switch. None for nothing."""
Option = tuple[str, str]
"""A value and its label."""


class Field(Frozen):
    """One thing that a form asks for. Its `key` is the arg's name but for `other_model` and keys inside of an arg."""

    key: str
    label: str
    kind: Kind
    required: bool = False
    hint: str = ""
    placeholder: str = ""
    options: tuple[Option, ...] = ()
    """The choices; a field of benchmarks has none: see `benchmark_options`."""
    initial: str | tuple[str, ...] | bool | None = None
    whole: bool = False
    least: float | None = None
    above: float | None = None
    """What it has to be more than, where there is no `least`."""
    most: float | None = None
    """Of a number, or of each level."""
    long: bool = False
    """Text of several lines."""
    advanced: bool = False
    """Rarely needed: shown on request."""


class Form(Frozen):
    """What is asked for an intent."""

    intent: str
    title: str
    submit: str
    fields: tuple[Field, ...]
    about: str = ""
    """What is said above the fields."""
    run: str = ""
    """The run that is run again: r12."""

    def field(self, key: str) -> Field | None:
        """Return a field, None where the form has none of this key."""
        return next((field for field in self.fields if field.key == key), None)


def form_for(
    intent: str, texts: Texts, config: Config, vocabulary: Vocabulary, *, run: Run | None = None
) -> Form | None:
    """Return the form of an intent, None for one that has none; a rerun's is filled in from the `run`."""
    if intent == "eval":
        fields = _eval_fields(texts, config, vocabulary)
    elif intent == "perf":
        fields = _perf_fields(texts, config, vocabulary)
    elif intent == "rerun" and run is not None:
        return _rerun_form(run, texts, config)
    else:
        return None
    title, submit = texts(f"forms.title.{intent}"), texts("forms.submit")
    return Form(intent=intent, title=title, submit=submit, fields=tuple(fields))


def _eval_fields(texts: Texts, config: Config, vocabulary: Vocabulary) -> list[Field]:
    return [
        *_model_fields(texts, config, "api_url", _offered(config)),
        _field("datasets", "benchmarks", texts, required=True),
        _field("limit", "amount", texts),
        _field("few_shot_num", "number", texts, whole=True, least=0, most=100, advanced=True),
        _field("temperature", "number", texts, bounds=GenerationSettings, advanced=True),
        _field("max_tokens", "number", texts, bounds=GenerationSettings, advanced=True),
        _field("repeats", "number", texts, bounds=EvalArgs, advanced=True),
        _field("seed", "number", texts, whole=True, least=0, most=LARGEST_SEED, advanced=True),
        _field("eval_batch_size", "number", texts, bounds=EvalArgs, advanced=True),
        *_key_field(texts, vocabulary),
    ]


def _perf_fields(texts: Texts, config: Config, vocabulary: Vocabulary) -> list[Field]:
    models = {name: entry for name, entry in _offered(config).items() if entry.api_url is not None}
    lengths = any(entry.tokenizer_path for entry in models.values())
    files = [name for name, entry in config.datasets.items() if entry.benchmark in FILES]
    names = [*files, *sorted(HUB), *(["random"] if lengths else [])]
    prompts = ((PROMPTS, texts("forms.option.own_prompts")), *((name, name) for name in names))
    fields = [
        *_model_fields(texts, config, "url", models),
        _field("parallel", "levels", texts, bounds=PerfSpec),
        _field("number", "levels", texts, bounds=PerfSpec),
        _field("max_tokens", "number", texts, bounds=PerfSpec),
        _field("rate", "levels", texts, bounds=PerfSpec, advanced=True),
        _field("duration", "number", texts, bounds=PerfSpec, advanced=True),
        _field("dataset", "choice", texts, options=prompts, initial=PROMPTS, advanced=True),
        _field("prompt", "text", texts, long=True, advanced=True),
    ]
    if lengths:
        keys = ("min_prompt_length", "max_prompt_length")
        fields += [_field(key, "number", texts, bounds=PerfSpec, advanced=True) for key in keys]
    fields.append(_field("stream", "switch", texts, initial=True, advanced=True))
    return [*fields, *_key_field(texts, vocabulary)]


def _rerun_form(run: Run, texts: Texts, config: Config) -> Form:
    spec, before = run.spec, run.spec.model.name
    others = {name: entry for name, entry in _offered(config).items() if name != before}
    if isinstance(spec, PerfSpec):
        others = {name: entry for name, entry in others.items() if entry.api_url is not None}
    same = (AS_BEFORE, texts("forms.option.as_before", model=before))
    fields = _model_fields(texts, config, "api_url", others, same)
    if isinstance(spec, EvalSpec):
        settings = spec.generation_config
        fields += [
            _field("limit", "amount", texts, initial=_amount_text(spec.limit)),
            _field("temperature", "number", texts, bounds=GenerationSettings, initial=_text(settings.temperature)),
            _field("max_tokens", "number", texts, bounds=GenerationSettings, initial=_text(settings.max_tokens)),
            _field("repeats", "number", texts, bounds=RerunArgs, initial=str(spec.repeats)),
        ]
    what = ", ".join(spec.covers) or texts("perf.name")
    return Form(
        intent="rerun", title=texts("forms.title.rerun", run=run.name), submit=texts("forms.submit"),
        fields=tuple(fields), about=texts("forms.about.rerun", run=run.name, model=before, what=what), run=run.name,
    )  # fmt: skip


def _field(key: str, kind: Kind, texts: Texts, *, bounds: type[BaseModel] | None = None, **more: Any) -> Field:
    """Make a field; its range is the one of `bounds`, the request's model, unless it is given."""
    said = {part: texts(name) for part in ("hint", "placeholder") if (name := f"forms.{part}.{key}") in EN}
    ranged = {} if bounds is None else _bounds(bounds, key)
    return Field(key=key, label=texts(f"forms.label.{key}"), kind=kind, **(said | ranged | more))


def _model_fields(
    texts: Texts, config: Config, url: str, models: Mapping[str, ModelEntry], same: Option | None = None
) -> list[Field]:
    """Ask for a registered model, or for the name and the address of another one."""
    first = None if config.defaults.model not in models else config.defaults.model
    names = sorted(models, key=lambda name: name != first)
    options = [(name, name if models[name].model == name else f"{name} ({models[name].model})") for name in names]
    fields = []
    if options or same is not None:
        offered = (*((same,) if same else ()), *options, (ANOTHER, texts("forms.option.another")))
        initial = same[0] if same else first
        fields.append(_field("model", "choice", texts, options=offered, initial=initial))
    fields.append(_field("other_model", "text", texts, required=not fields))
    label, hint, placeholder = (texts(f"forms.{part}.url") for part in ("label", "hint", "placeholder"))
    return [*fields, Field(key=url, label=label, kind="url", hint=hint, placeholder=placeholder)]


def _key_field(texts: Texts, vocabulary: Vocabulary) -> list[Field]:
    names = tuple((name, name) for name in sorted(vocabulary.keys))
    return [_field("api_key_name", "choice", texts, options=names, advanced=True)] if names else []


def _offered(config: Config) -> dict[str, ModelEntry]:
    """Return the registered models that can be evaluated."""
    return {name: entry for name, entry in config.models.items() if entry.eval_type in {None, *SUPPORTED_EVAL_TYPES}}


@functools.cache
def _properties(model: type[BaseModel]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = model.model_json_schema()["properties"]
    return found


def _bounds(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Return the range of a number, or of each of several, as the request's model has it."""
    found = _properties(model)[name]
    for schema in (found.get("items", found), *found.get("anyOf", ())):
        if schema.get("type") in {"integer", "number"}:
            return {
                "whole": schema["type"] == "integer", "least": schema.get("minimum"), "most": schema.get("maximum"),
                "above": schema.get("exclusiveMinimum"),
            }  # fmt: skip
    raise KeyError(name)


def _text(number: float | None) -> str | None:
    """Return a number as one types it: never 1e-05."""
    if number is None:
        return None
    return f"{number:.12f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)


def _amount_text(limit: float | None) -> str | None:
    return f"{_text(limit * 100)}%" if isinstance(limit, float) else _text(limit)


# what was filled in


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
    args = {"eval": reading.eval_args, "perf": reading.perf_args, "rerun": reading.rerun_args}[form.intent]()
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
        self._changed: set[str] = set()
        """Fields that are no longer as they were filled in beforehand."""

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
            if now != before:
                self._changed.add(field.key)
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

    def rerun_args(self) -> dict[str, JsonValue]:
        """Return the args of a rerun: what is to be different."""
        args: dict[str, JsonValue] = {"run": self.form.run, **self._model("api_url")}
        if "limit" in self._changed:
            if self._said["limit"] is None:  # a rerun keeps what is not said
                before = self.form.field("limit")
                assert before is not None
                self.wrong("limit", self._texts("forms.error.keeps_limit", run=self.form.run, limit=before.initial))
            args |= self._picked("limit")
        if "repeats" in self._changed:
            repeats = self._said["repeats"]
            args["repeats"] = 1 if repeats is None else repeats
        generation: dict[str, JsonValue] = {key: self._said[key] for key in GENERATION if key in self._changed}
        if generation:
            args["generation_config"] = generation
        self._validate(RerunArgs, args)
        self._validate(GenerationSettings, generation)
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
            if chosen == AS_BEFORE:
                self._check_host(url_key, "", url)
                return {} if url is None else {url_key: url}
            if url is not None:
                self.wrong(url_key, self._texts("forms.error.two_models"))
            return {"model": chosen}
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
        return {"model": "mock_llm", "eval_type": "mock_llm"}

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


# benchmarks, looked up as one types


def benchmark_options(query: str, vocabulary: Vocabulary, texts: Texts, config: Config | None = None) -> list[Option]:
    """Return the benchmarks, suites and registered data sets that a few letters or words mean, best first.

    With the `config`, what is registered as prompts of stress tests is left out.
    """
    said = clean(query[:100]).lower()
    own, found = _own_options(vocabulary, texts, config or Config()), _lookup(said, vocabulary)
    wanted = plain(said)
    suites = {suite for suite, pattern in SUITE_WORDS if said and pattern.search(f"{said}评测集")}
    named = [option for option in own if option[0] in suites or (wanted in plain(option[0]) and (wanted or not said))]
    named.sort(key=lambda option: plain(option[0]) != wanted)
    benchmarks = [(info.name, _benchmark_label(info, texts)) for info in found]
    described = [option for option in own if said in option[1].lower()]
    options: dict[str, str] = {}
    for value, label in (*named, *benchmarks, *described):
        options.setdefault(value, label)
    return list(options.items())[:MOST_OPTIONS]


def _own_options(vocabulary: Vocabulary, texts: Texts, config: Config) -> list[Option]:
    """Return what is registered, the suites, and the samples."""
    prompts = {name for name, entry in config.datasets.items() if entry.benchmark in FILES}
    registered = sorted(vocabulary.datasets - SAMPLE_DATASETS.keys() - prompts)
    return [
        *((name, texts("forms.option.registered", name=name)) for name in registered),
        *(
            (name, texts("forms.option.suite", name=name, members=", ".join(members)))
            for name, members in SUITES.items()
        ),
        *(
            (name, texts("forms.option.sample", name=name, total=sample.total))
            for name, sample in SAMPLE_DATASETS.items()
            if name in vocabulary.datasets
        ),
    ]


def _lookup(said: str, vocabulary: Vocabulary) -> list[BenchmarkInfo]:
    """Return benchmarks by name, by a name's beginning, by words, then by subject; all where nothing is said."""
    catalog = vocabulary.catalog
    if not said:
        return sorted(catalog.benchmarks, key=_well_known)
    exact = catalog.by_name.get(dataset_name(said, vocabulary) or "")
    folded = plain(said)
    words = sorted(
        catalog.search(said),
        key=lambda b: (not plain(b.name).startswith(folded), folded not in plain(b.name), _well_known(b)),
    )
    tags = [tag for tag, pattern in TAGS if pattern.search(said)]
    tagged: Iterable[BenchmarkInfo] = sorted(catalog.with_tags(tags), key=_well_known) if tags else ()
    found = [*([exact] if exact else []), *words, *tagged]
    return found or [catalog.by_name[name] for name in catalog.nearest(said, 5) if len(said) > 2]


def _well_known(info: BenchmarkInfo) -> tuple[int, str]:
    return (WELL_KNOWN.index(info.name) if info.name in WELL_KNOWN else len(WELL_KNOWN), info.name)


def _benchmark_label(info: BenchmarkInfo, texts: Texts) -> str:
    title = "" if plain(info.pretty_name) == plain(info.name) else f" – {info.pretty_name}"
    size = "" if info.samples is None else texts("forms.option.samples", total=info.samples)
    return f"{info.name}{title}{size}"
