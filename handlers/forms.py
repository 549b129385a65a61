"""Forms: what is asked for where a command says nothing. Pure functions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from handlers.commands.eval import EvalArgs
from handlers.intents.parsed import Vocabulary
from handlers.perf_plan import FILES, HUB
from handlers.policy import SUPPORTED_EVAL_TYPES
from handlers.texts import Texts
from handlers.texts.en import TEXTS as EN
from jobs.config import Config, ModelEntry
from jobs.models import Frozen, GenerationSettings, PerfSpec
from jobs.sample import PROMPTS

FORMS = ("eval", "perf")
"""The intents that have one."""
ANOTHER = "another: typed below"
"""The choice of a model that is not registered."""
MOCK = "mock_llm"
"""EvalScope's stand-in for a model, which needs no endpoint."""
MOST_OPTIONS = 100
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

    def field(self, key: str) -> Field | None:
        """Return a field, None where the form has none of this key."""
        return next((field for field in self.fields if field.key == key), None)


def form_for(intent: str, texts: Texts, config: Config, vocabulary: Vocabulary) -> Form | None:
    """Return the form of an intent, None for one that has none."""
    if intent == "eval":
        fields = _eval_fields(texts, config, vocabulary)
    elif intent == "perf":
        fields = _perf_fields(texts, config, vocabulary)
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


def _field(key: str, kind: Kind, texts: Texts, *, bounds: type[BaseModel] | None = None, **more: Any) -> Field:
    """Make a field; its range is the one of `bounds`, the request's model, unless it is given."""
    said = {part: texts(name) for part in ("hint", "placeholder") if (name := f"forms.{part}.{key}") in EN}
    ranged = {} if bounds is None else _bounds(bounds, key)
    return Field(key=key, label=texts(f"forms.label.{key}"), kind=kind, **(said | ranged | more))


def _model_fields(texts: Texts, config: Config, url: str, models: Mapping[str, ModelEntry]) -> list[Field]:
    """Ask for a registered model, or for the name and the address of another one.

    Where none is registered, the stand-in for models can be evaluated.
    """
    first = None if config.defaults.model not in models else config.defaults.model
    names = sorted(models, key=lambda name: name != first)
    options = [(name, name if models[name].model == name else f"{name} ({models[name].model})") for name in names]
    if not options and url == "api_url":
        options = [(MOCK, texts("forms.option.mock"))]
    fields = []
    if options:
        offered = (*options, (ANOTHER, texts("forms.option.another")))
        fields.append(_field("model", "choice", texts, options=offered, initial=first))
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
