"""What a language model may answer with: a closed schema, generated from the registry's request models.

A request is an intent and a few values, each as text under a name: a small model writes that in a second, where a
field for everything that could be said would take it ten.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from handlers.intents.flags import NEVER
from handlers.registry import understood
from jobs.models import GenerationSettings

Kind = Literal["text", "whole", "number", "flag", "names", "numbers"]
MOST_REQUESTS, MOST_VALUES, MOST_CHARACTERS = 5, 16, 300
NONE = "none"
_LISTS = {"models": "model", "datasets": "dataset", "tags": "tag", "runs": "run"}
"""Fields of several, and the name under which each of them is said."""
_NOT_SAID = frozenset({
    "eval_type", "eval_backend", "api", "dataset_hub", "dataset_args", "generation_config", "command", "cron",
    "timezone", "request",
})  # fmt: skip
"""Fields that no sentence names as such: `dataset_args` and `generation_config` have names of their own below, and when
something is to come again is read by the grammar."""
_FOR_BENCHMARKS: Mapping[str, Kind] = {"few_shot_num": "whole", "subset_list": "names"}
"""What is said of benchmarks beside their names."""


@functools.cache
def fields_of(intent: str) -> Mapping[str, Kind]:
    """Return the names under which an intent's values are said, with what kind of value each is."""
    found = understood()[intent]
    kinds: dict[str, Kind] = {}
    for name, field in found.args.model_fields.items():
        if name in _NOT_SAID or name in NEVER.get(intent, {}):
            continue
        kind = _kind(field.annotation)
        if name in _LISTS:
            kinds[_LISTS[name]] = "names"
        elif kind is not None and name not in kinds:
            kinds[name] = kind
    if "generation_config" in found.args.model_fields:
        kinds |= {
            name: kind
            for name, field in GenerationSettings.model_fields.items()
            if name not in kinds and (kind := _kind(field.annotation)) in {"whole", "number", "text"}
        }
    if "dataset_args" in found.args.model_fields:
        kinds |= _FOR_BENCHMARKS
    return kinds


@functools.cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of an answer; it is closed, and strict in OpenAI's sense."""
    names = sorted({name for intent in understood() for name in fields_of(intent)})
    value = _closed({"name": {"type": "string", "enum": names}, "value": {"type": "string"}})
    request = _closed({
        "intent": {"type": "string", "enum": [*understood(), NONE]},
        "values": {"type": "array", "items": value},
    })  # fmt: skip
    return _closed({"requests": {"type": "array", "items": request}})


class Said(BaseModel):
    """One value as the model says it."""

    name: str
    value: str


class Request(BaseModel):
    """One request as the model says it."""

    intent: str
    values: list[Said]


class Answer(BaseModel):
    """What the model answers with."""

    requests: list[Request]


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _kind(annotation: Any) -> Kind | None:
    """Return what kind of value a field's type takes; None for what a sentence cannot say in one value."""
    if get_origin(annotation) in {Union, types.UnionType}:
        kinds = [_kind(option) for option in get_args(annotation) if option is not type(None)]
        for best in ("numbers", "names", "number", "whole", "text", "flag"):
            if best in kinds:
                return best
        return None
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        return "names" if inner is str or get_origin(inner) is Literal else "numbers" if inner in {int, float} else None
    if get_origin(annotation) is Literal:
        return "flag" if get_args(annotation) == (True,) else "text"
    return {str: "text", int: "whole", float: "number", bool: "flag"}.get(annotation)  # type: ignore[return-value]
