"""EvalScope's configuration as data, from a Python snippet, YAML or JSON → the request it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from handlers.intents.admit import refusal, refused, secrets_inside, settle
from handlers.intents.flags import names_secret, table
from handlers.intents.parsed import Parsed, Refused
from handlers.registry import intents

Kind = Literal["eval", "perf"]
GENERATED = frozenset({"resolved_benchmarks", "evaluation_identity", "evalscope_version"})
"""What EvalScope writes into a configuration of its own and takes no notice of when it reads one."""
EVAL_TYPE_ALIASES: Mapping[str, str] = {"checkpoint": "llm_ckpt", "server": "openai_api", "service": "openai_api"}
"""Names of evaluation types that EvalScope had before."""
_LISTS = frozenset({"datasets", "number", "parallel", "rate", "stop"})
"""What EvalScope makes a list of where one value is given."""
_MOST_VALUES = 2000
_DEEPEST = 8


class Computed(NamedTuple):
    """A value that is not written out, so that only running the code would tell it."""

    source: str = ""


@dataclass
class Config:
    """One configuration: what it says, and what was refused while it was read."""

    values: dict[str, Any]
    kind: Kind | None = None
    out: list[Refused] = field(default_factory=list)


def kind_of(values: Mapping[str, Any]) -> Kind | None:
    """Tell which command's configuration this is by its keys; None where it is none."""
    if "eval_backend" in values or "eval_config" in values:
        return "eval"
    known = {kind: len(table(kind).kinds.keys() & values.keys()) for kind in ("eval", "perf")}
    if max(known.values()) < 2:
        return None
    if "datasets" in values:
        return "eval"
    return "perf" if values.keys() & {"url", "parallel", "number", "rate"} else None


def fits(values: Mapping[str, Any]) -> bool:
    """Tell whether every key is a parameter, so that nothing else can have been meant."""
    kind = kind_of(values)
    return kind is not None and values.keys() <= table(kind).kinds.keys() | GENERATED


def request(config: Config) -> Parsed:
    """Return the request of a configuration; what it may not say is refused by its name."""
    values = {name: value for name, value in config.values.items() if name not in GENERATED}
    kind = config.kind or kind_of(values) or "eval"
    budget = [_MOST_VALUES]
    out = list(config.out)
    if kind == "eval" and values.get("eval_backend") == "RAGEval":
        return _rag(values, out, budget)
    args: dict[str, JsonValue] = {}
    for name, given in values.items():
        try:
            value = _plain(name, given, out, budget)
        except ValueError:
            out.append(refused(name, "refused.value"))
            continue
        if isinstance(given, Computed):  # told by its own name already, unless there is a better reason
            if names_secret(name):
                out.append(refused(name, "refused.api_key"))
            continue
        if value is None:
            continue
        value = _as_evalscope(name, value)
        reason = _reason(kind, name, value)
        if reason is None:
            args[name] = value
        else:
            out += [refused(name, reason), *secrets_inside(name, value)]
    return settle(intents()[kind], args, out, by="command_line").model_copy(update={"pasted": True})


def _as_evalscope(name: str, value: JsonValue) -> JsonValue:
    """Return a value in the shape that EvalScope's configuration gives it."""
    if name == "eval_type" and isinstance(value, str):
        return EVAL_TYPE_ALIASES.get(value, value)
    return [value] if name in _LISTS and not isinstance(value, list) else value


def _reason(kind: Kind, name: str, value: JsonValue) -> str | None:
    """Return why a parameter is refused by its name or for not being one of its choices, None if it is not."""
    if names_secret(name):
        return "refused.api_key"
    if name not in table(kind).kinds:
        return "refused.unknown_flag"
    choices = table(kind).choices.get(name)
    return refusal(name, intents()[kind]) or ("refused.value" if choices and value not in choices else None)


def all_requests(configs: Iterable[Config]) -> Parsed | None:
    """Return the requests of several configurations as one with more; None where there is none."""
    found = [request(config) for config in configs]
    return found[0].model_copy(update={"more": tuple(found[1:])}) if found else None


def _rag(values: Mapping[str, Any], out: list[Refused], budget: list[int]) -> Parsed:
    """Recognise a RAG evaluation, for which there is no intent: say so, and tell of the secrets in it."""
    try:
        plain = _plain("eval_config", values.get("eval_config"), [], budget)
    except ValueError:
        plain = None
    found = [entry for entry in out if entry.reason == "refused.api_key"] + secrets_inside("eval_config", plain)
    return Parsed(
        intent="none",
        refused=tuple(dict.fromkeys((refused("rag", "refused.not_yet"), *found))),
        question="none.rag",
        by="command_line",
        pasted=True,
    )


def _plain(name: str, value: Any, out: list[Refused], budget: list[int], depth: int = 0) -> JsonValue:
    """Return `value` as JSON has it, without what is computed; raise ValueError for what JSON cannot carry."""
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEEPEST:
        raise ValueError(name)
    if isinstance(value, Computed):
        out.append(refused(name, "refused.computed"))
        return None
    if isinstance(value, dict):
        found: dict[str, JsonValue] = {}
        for key, inner in value.items():
            where = f"{name}.{key}"
            sifted = _plain(where, inner, out, budget, depth + 1)
            if isinstance(inner, Computed) and names_secret(str(key)):
                out[-1] = refused(where, "refused.api_key")
            elif not isinstance(inner, Computed):
                found[str(key)] = sifted
        return found
    if isinstance(value, (list, tuple)):
        return [_plain(name, inner, out, budget, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(name)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(name)
