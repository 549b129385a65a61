"""What people are told of EvalScope's parameters: what they take, what they do, and whether chat may give them."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.intents.admit import refusal
from handlers.intents.flags import COMMANDS, NEVER
from handlers.message import Fields, Message, Part, Table, Text
from handlers.refusals import HARMLESS
from handlers.registry import intents
from handlers.texts import Texts
from jobs.catalog import BenchmarkParameter, Catalog, ParameterInfo
from jobs.models import GenerationSettings

_BENCHMARKS_SHOWN = 12


def reason_of(info: ParameterInfo) -> str | None:
    """Return the key of the text that says why a parameter does not come from chat, None where it does."""
    parent, _, key = info.name.rpartition(".")
    if parent:
        return None if key in GenerationSettings.model_fields else "refused.not_yet"
    if info.command in {"eval", "perf"}:
        intent = intents()[COMMANDS[info.command]]
        return "refused.not_yet" if info.name in intent.not_yet else refusal(info.name, intent)
    return NEVER.get(info.command, {}).get(info.name)


def command_parts(command: str, catalog: Catalog, texts: Texts) -> tuple[Part, ...]:
    """Return a sub-command's parameters: those that chat takes as a table, the others under their reasons."""
    infos = [info for info in catalog.known_parameters if info.command == command and "." not in info.name]
    taken = [info for info in infos if reason_of(info) is None]
    rows = tuple((_shown(info), _value(info, texts), info.help) for info in taken)
    columns = tuple(texts(f"help.column.{name}") for name in ("parameter", "value", "what"))
    parts: list[Part] = []
    if rows and any(info.help for info in taken):
        parts.append(Table(columns=columns, rows=rows))
    elif rows:
        parts += [Table(columns=columns[:2], rows=tuple(row[:2] for row in rows)), Text(text=texts("help.no_prose"))]
    reasons: dict[str, list[str]] = {}
    for info in infos:
        if (reason := reason_of(info)) is not None:
            reasons.setdefault(reason, []).append(_shown(info))
    parts += [Text(text=_reason(reason, names, texts)) for reason, names in reasons.items()]
    return tuple(parts)


def parameter_message(infos: Sequence[ParameterInfo], texts: Texts) -> Message:
    """Return what one parameter is, in each command that has it."""
    parts: list[Part] = []
    for info in infos:
        about = info.help or _value(info, texts)
        parts.append(Text(text=texts("help.parameter", name=_shown(info), command=info.command, about=about)))
        reason = reason_of(info)
        items = [
            (texts("help.field.value"), texts(f"kind.{info.kind}")),
            (texts("help.field.default"), _default(info.default)),
            (texts("help.field.choices"), ", ".join(info.choices)),
            (texts("help.field.chat"), texts("help.chat.yes" if reason is None else "help.chat.no")),
        ]
        parts.append(Fields(items=tuple((label, value) for label, value in items if value)))
        if reason is not None:
            parts.append(Text(text=_reason(reason, [_shown(info)], texts)))
    if not any(info.help for info in infos):
        parts.append(Text(text=texts("help.no_prose")))
    first, *others = parts
    assert isinstance(first, Text)
    return Message(text=first.text, parts=tuple(others))


def benchmark_message(name: str, catalog: Catalog, texts: Texts, only: str | None = None) -> Message | None:
    """Return what a parameter of benchmarks is, in those that have it (or `only` in one); None where none has."""
    found = [
        (benchmark.name, parameter)
        for benchmark in catalog.benchmarks
        for parameter in benchmark.parameters
        if parameter.name.lower() == name.lower() and only in {None, benchmark.name}
    ]
    if not found:
        return None
    rows = tuple((benchmark, _benchmark_value(info), info.help) for benchmark, info in found[:_BENCHMARKS_SHOWN])
    columns = tuple(texts(f"help.column.{each}") for each in ("benchmark", "value", "what"))
    notes = (Text(text=texts("refused.not_yet", name=f"dataset_args.….extra_params.{name}")),)
    return Message(
        text=texts.count("help.benchmark_parameter", len(found), name=name),
        parts=(Table(columns=columns, rows=rows), *notes),
    )


def _reason(reason: str, names: Sequence[str], texts: Texts) -> str:
    return texts("help.left_out" if reason == HARMLESS else reason, name="`, `".join(names))


def _benchmark_value(info: BenchmarkParameter) -> str:
    return "; ".join(filter(None, [info.type, ", ".join(info.choices), _default(info.default)]))


def _shown(info: ParameterInfo) -> str:
    """Return how a parameter is written: its long flag, else its name."""
    return next((flag for flag in info.flags if flag.startswith("--")), info.name)


def _value(info: ParameterInfo, texts: Texts) -> str:
    """Return what a parameter takes, in a few words."""
    said = [", ".join(info.choices) or texts(f"kind.{info.kind}")]
    if default := _default(info.default):
        said.append(texts("help.default", default=default))
    return "; ".join(said)


def _default(value: object) -> str:
    return "" if value is None or value is False or value in ({}, [], "") else str(value)
