"""The parameters of EvalScope's commands, as its own parsers have them."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, JsonValue

from jobs.catalog import Kind, ParameterInfo

_LONGEST_DEFAULT = 60
_MOST_WORDS = 4
"""What is longer, or has more words, is no fact but a prompt or another text."""
_KINDS: dict[tuple[Any, bool], Kind] = {
    (int, False): "int", (int, True): "ints", (float, False): "float", (float, True): "floats",
    (json.loads, False): "json",
}  # fmt: skip
_FIELD_KINDS: dict[Any, Kind] = {
    int: "int", float: "float", bool: "on_off", str: "str", list: "list", typing.Literal: "str",
}  # fmt: skip


def read_parameters(*, prose: bool = True) -> tuple[ParameterInfo, ...]:
    """Return every parameter of every command; with `prose`, EvalScope's explanations too."""
    found = [*_of_commands(), *_of_generation()]
    return tuple(found if prose else (info.model_copy(update={"help": ""}) for info in found))


def plain_default(value: Any) -> JsonValue:
    """Return a default that JSON can carry and that is no text of EvalScope's; None for any other."""
    try:
        shown = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None
    carried: JsonValue = json.loads(shown)
    return carried if len(shown) <= _LONGEST_DEFAULT and len(shown.split()) <= _MOST_WORDS else None


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return EvalScope's parser of each sub-command; `perf`'s only where its extra is installed."""
    from evalscope.cli.benchmark_info import BenchmarkInfoCMD
    from evalscope.cli.start_app import StartAppCMD
    from evalscope.cli.start_eval import EvalCMD
    from evalscope.cli.start_perf import PerfBenchCMD
    from evalscope.cli.start_service import ServiceCMD

    group = argparse.ArgumentParser("evalscope").add_subparsers()
    for command in (EvalCMD, BenchmarkInfoCMD, ServiceCMD, StartAppCMD):
        command.define_args(group)
    try:
        PerfBenchCMD.define_args(group)
    except ImportError:
        group.choices.pop("perf", None)
    return dict(group.choices)


def _of_commands() -> Iterator[ParameterInfo]:
    documented = {"eval": ("evalscope.config", "TaskConfig"), "perf": ("evalscope.perf.arguments", "Arguments")}
    for command, parser in parsers().items():
        about = {}
        if command in documented:
            module, name = documented[command]
            about = _attribute_texts(getattr(importlib.import_module(module), name))
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                yield _parameter(command, parser, action, about)


def _parameter(
    command: str, parser: argparse.ArgumentParser, action: argparse.Action, about: dict[str, str]
) -> ParameterInfo:
    default = action.default
    if isinstance(default, str):  # argparse reads a default that is text as it reads a value
        default = parser._get_value(action, default)
    said = parser._get_formatter()._expand_help(action) if action.help else about.get(action.dest, "")
    return ParameterInfo(
        command=command,
        name=action.dest,
        flags=tuple(action.option_strings),
        kind=_kind(action),
        default=plain_default(default),
        choices=tuple(str(choice) for choice in action.choices or () if choice is not None),
        help=" ".join(said.split()),
    )


def _kind(action: argparse.Action) -> Kind:
    """Return how a value is read. What is none of these reads as text, which chat then cannot misuse."""
    from evalscope.arguments import ParseStrArgsAction

    if isinstance(action, argparse.BooleanOptionalAction):
        return "on_off"
    if action.nargs == 0:
        return "switch"
    if isinstance(action, ParseStrArgsAction):
        return "pairs"
    many = action.nargs in {"+", "*"}
    return _KINDS.get((action.type, many), "list" if many else "str")


def _of_generation() -> Iterator[ParameterInfo]:
    """Give the keys of `generation_config`, which no command line names one by one."""
    from evalscope.api.model import GenerateConfig

    about = _attribute_texts(GenerateConfig)
    for name, field in GenerateConfig.model_fields.items():
        inner = [each for each in typing.get_args(field.annotation) if each is not type(None)]
        annotation = inner[0] if len(inner) == 1 else field.annotation
        origin = typing.get_origin(annotation)
        yield ParameterInfo(
            command="eval",
            name=f"generation_config.{name}",
            kind=_FIELD_KINDS.get(origin or annotation, "json"),
            default=plain_default(field.default),
            choices=typing.get_args(annotation) if origin is typing.Literal else (),
            help=about.get(name, ""),
        )


def _attribute_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the text under each field of a class, which Python itself throws away."""
    tree = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
