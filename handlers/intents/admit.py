"""What every route ends with: values that may not come from chat are taken out, what is left is checked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue, ValidationError

from handlers.intents.flags import EVAL_TYPES, NEVER, NEVER_INSIDE, names_secret
from handlers.intents.parsed import Parsed, Refused
from handlers.intents.secrets import find_secrets, redact
from handlers.registry import Intent

if TYPE_CHECKING:
    from handlers.registry import Args

_DEEPEST = 8
_FILE = re.compile(
    r"(?:~|\.{0,2}/|[A-Za-z]:\\|file:)\S*|\S+\.(?:txt|jsonl?|md|csv|tsv|ya?ml|toml|log|env|pem|key)", re.ASCII
)
"""A prompt that is nothing but a file's name: whoever wrote it means what is in the file."""


class Unsafe(ValueError):
    """A value that may not come from chat; its argument is the reason's key."""


def refusal(name: str, intent: Intent) -> str | None:
    """Return why a parameter is refused by its name alone, None if the intent has a field for it."""
    never = NEVER.get(intent.name, NEVER["eval"])
    if name in never:
        return never[name]
    return None if name in intent.args.model_fields else "refused.not_yet"


def refused(name: str, reason: str) -> Refused:
    """Make a Refused whose name is safe to repeat: short, and no secret."""
    return Refused(name=redact(name)[:60], reason=reason)


def settle(
    intent: Intent,
    args: dict[str, JsonValue],
    refusals: Iterable[Refused] = (),
    by: Literal["command_line", "grammar"] = "grammar",
) -> Parsed:
    """Make the request: unsafe and invalid values move from `args` to `refused`, `missing` is what was not said."""
    out = list(refusals)
    kept: dict[str, JsonValue] = {}
    for name, value in args.items():
        try:
            sifted = _sift(name, value, out)
        except Unsafe as error:
            out.append(refused(name, str(error)))
        else:
            if sifted not in ({}, [], None):
                kept[name] = sifted
    for name in _invalid(intent.args, kept):
        del kept[name]
        out.append(refused(name, "refused.value"))
    for entry in out:  # said twice, once so that it cannot be taken: which one is meant is not ours to choose
        kept.pop(entry.name, None)
    missing = () if "preset" in kept else tuple(name for name in intent.required if not _is_said(name, kept))
    unique = tuple(dict.fromkeys((entry.name, entry.reason) for entry in out))
    return Parsed(
        intent=intent.name,
        args=kept,
        missing=missing,
        refused=tuple(Refused(name=name, reason=reason) for name, reason in unique),
        by=by,
    )


def _is_said(name: str, kept: dict[str, JsonValue]) -> bool:
    """Tell whether a request has what it must have; a model may be several, or a run's."""
    return name in kept or (name == "model" and bool({"models", "model_of"} & kept.keys()))


def settle_each(
    intent: Intent,
    args: dict[str, JsonValue],
    refusals: Iterable[Refused] = (),
    by: Literal["command_line", "grammar"] = "grammar",
) -> Parsed:
    """Settle a request about `runs`; where the intent takes one `run`, these are as many requests."""
    runs, out = args.get("runs"), list(refusals)
    if not isinstance(runs, list) or "run" not in intent.args.model_fields or "runs" in intent.args.model_fields:
        return settle(intent, args, out, by)
    rest = {name: value for name, value in args.items() if name != "runs"}
    first, *more = [settle(intent, {**rest, "run": run}, out, by) for run in runs]
    return first.model_copy(update={"more": tuple(more)})


def _sift(name: str, value: JsonValue, out: list[Refused], depth: int = 0) -> JsonValue:
    """Return `value` without the keys that never come from chat; raise `Unsafe` for what may not be said at all."""
    if depth > _DEEPEST or (isinstance(value, float) and not math.isfinite(value)):
        raise Unsafe("refused.value")
    if isinstance(value, str):
        _check_text(name, value)
    if isinstance(value, list):
        return [_sift(name, item, out, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, JsonValue] = {}
    for key, inner in value.items():
        where = f"{name}.{key}"
        _check_text("", key)
        if names_secret(key):
            out.append(refused(where, "refused.api_key"))
        elif key.lower() in NEVER_INSIDE:
            out.append(refused(where, NEVER_INSIDE[key.lower()]))
        elif (sifted := _sift(where, inner, out, depth + 1)) != {} or inner == {}:
            kept[key] = sifted
    return kept


def secrets_inside(name: str, value: JsonValue, depth: int = 0) -> list[Refused]:
    """Return the secrets of a value that is refused as a whole: each is told by its own name."""
    found: list[Refused] = []
    if depth > _DEEPEST:
        return found
    for key, inner in value.items() if isinstance(value, dict) else ():
        if names_secret(key):
            found.append(refused(f"{name}.{key}", "refused.api_key"))
        else:
            found += secrets_inside(f"{name}.{key}", inner, depth + 1)
    for inner in value if isinstance(value, list) else ():
        found += secrets_inside(name, inner, depth + 1)
    return found


def _check_text(name: str, value: str) -> None:
    if find_secrets(value):
        raise Unsafe("refused.api_key")
    if value.startswith(("-", "@")) or "\0" in value:
        raise Unsafe("refused.value")
    if name == "prompt" and _FILE.fullmatch(value.strip()):
        raise Unsafe("refused.path")
    if name == "eval_backend" and value != "Native":
        raise Unsafe("refused.backend")
    if name == "eval_type" and value not in EVAL_TYPES:
        raise Unsafe("refused.eval_type" if value == "custom" else "refused.value")


def _invalid(model: type[Args], args: dict[str, JsonValue]) -> list[str]:
    try:
        model.model_validate(args)
    except ValidationError as error:
        return sorted({str(entry["loc"][0]) for entry in error.errors()})
    return []
