"""A pasted `evalscope …` command: the same names and shapes that EvalScope's own parser gives."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from handlers.intents.admit import refusal, refused, settle
from handlers.intents.flags import SHORT, TABLES, Kind
from handlers.intents.parsed import Parsed, Refused
from handlers.intents.shell import Word, split
from handlers.registry import Intent, intents

_COMMAND = re.compile(
    r"(?:^|(?<=[\s`:$>#]))(?:[\w./\-]{0,80}python[\d.]{0,5}\s+-m\s+)?evalscope(?:\.cli(?:\.cli)?|\.run)?\s+"
    r"(?P<sub>[a-z][\w\-]{1,30})(?=\s|$|`)",
    re.ASCII,
)
_OTHER = frozenset({"app", "service", "benchmark-info", "dashboard"})
_FLAG_SOON = re.compile(r"[\s\\]*[—–-]{1,2}[a-z]", re.ASCII)
_DASHES = re.compile(r"^[—–]+(?=[a-z])")
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)


_MANY = frozenset({"list", "ints", "floats"})
_NUMERIC = frozenset({"float", "floats"})


class Flag(NamedTuple):
    """The parameter that a flag names; `on` is False for `--no-stream`."""

    name: str
    on: bool = True


class Found(NamedTuple):
    """A command and the text after it, which may hold another."""

    parsed: Parsed
    rest: str


def parse_command(text: str) -> Found | None:
    """Return the first pasted `evalscope` command of cleaned `text`, None if there is none."""
    match = next((m for m in _COMMAND.finditer(text) if _is_command(text, m)), None)
    if match is None:
        return None
    body, after = _until_tick(text, match)
    words = split(body)
    out = [refused("shell", "refused.shell")] if words.operator else []
    if match["sub"] in TABLES:
        parsed = parse_flags(intents()[match["sub"]], words.words, out)
    else:
        parsed = Parsed(intent="none", refused=(refused(match["sub"], "refused.not_yet"), *out), by="command_line")
    return Found(parsed, f"{words.rest}\n{after}".strip())


def parse_flags(intent: Intent, words: list[Word], out: list[Refused]) -> Parsed:
    """Read `--flag value`, `--flag=value` and unambiguous abbreviations, as argparse does."""
    args: dict[str, JsonValue] = {}
    flags = TABLES[intent.name][0]
    at = 0
    while at < len(words):
        said, at = words[at], at + 1
        if not _is_option(said.text, flags):
            out.append(refused(said.text, "refused.unknown_flag"))
            continue
        flag, equals, inline = _DASHES.sub("--", said.text).partition("=")
        found = _flag_name(flag, flags)
        end = at
        while end < len(words) and not equals and not _is_option(words[end].text, flags):
            end += 1
        if found is None:
            out.append(refused(flag, "refused.unknown_flag"))
            at = end
            continue
        name, kind = found.name, flags[found.name]
        values = [Word(inline, said.expands)] if equals else words[at:end]
        if kind not in _MANY:
            count = int(kind not in {"switch", "on_off"})
            at = min(end, at + count)
            values = values[: 1 if equals else count]
        else:
            at = end
        args.pop(name, None)
        reason = refusal(name, intent)
        if reason is None:
            try:
                args[name] = _value(kind, values) if found.on else _off(values)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                reason = "refused.shell" if any(value.expands for value in values) else "refused.value"
        if reason is not None:
            out.append(refused(name, reason))
    return settle(intent, args, out, by="command_line")


def _is_command(text: str, match: re.Match[str]) -> bool:
    if match["sub"] not in TABLES and match["sub"] not in _OTHER:
        return False
    opens_line = not text[: match.start()].rpartition("\n")[2].strip(" \t`$>#")
    return opens_line or _FLAG_SOON.match(text, match.end()) is not None


def _until_tick(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Cut at the ticks that close the code the command stands in."""
    before = text[: match.start()]
    for ticks in ("```", "`"):
        if before.count(ticks) % 2:
            body, _, after = text[match.end() :].partition(ticks)
            return body, after
    return text[match.end() :], ""


def _is_option(word: str, flags: Mapping[str, Kind]) -> bool:
    if word.startswith(("—", "–")):
        return _DASHES.match(word) is not None
    if not word.startswith("-") or len(word) == 1 or _NEGATIVE.fullmatch(word):
        return False
    return " " not in word or ("=" in word and _flag_name(word.partition("=")[0], flags) is not None)


def _flag_name(flag: str, flags: Mapping[str, Kind]) -> Flag | None:
    """Return the parameter a flag names, also abbreviated where only one begins so (argparse's rule)."""
    if not flag.startswith("--"):
        short = SHORT.get(flag.removeprefix("-"), "")
        return Flag(short) if short in flags else None
    said = flag.removeprefix("--")
    dashed = {name.replace("_", "-"): Flag(name) for name in flags}
    dashed |= {f"no-{name.replace('_', '-')}": Flag(name, on=False) for name, kind in flags.items() if kind == "on_off"}
    if said in dashed:
        return dashed[said]
    hits = [found for shown, found in dashed.items() if said and shown.startswith(said)]
    return hits[0] if len(hits) == 1 else None


def _off(values: list[Word]) -> JsonValue:
    if values:
        raise ValueError(values)
    return False


def _value(kind: Kind, values: list[Word]) -> JsonValue:
    """Convert as EvalScope's parser does; raises ValueError and its kind."""
    said = [value.text for value in values]
    unsafe = kind not in _NUMERIC and any(text.startswith(("-", "@")) for text in said)
    if unsafe or any(value.expands for value in values) or bool(said) == (kind in {"switch", "on_off"}):
        raise ValueError(said)
    if kind in {"switch", "on_off"}:
        return True
    if kind in _MANY:
        return [_ONE[kind](text) for text in said]
    return _ONE[kind](said[0])


def _any_json(said: str) -> JsonValue:
    carried: JsonValue = json.loads(json.dumps(json.loads(said), allow_nan=False))
    return carried


def pairs(said: str) -> JsonValue:
    """Read EvalScope's `key=value,key=value`, or JSON."""
    try:
        return _json_object(json.loads(said))
    except json.JSONDecodeError:
        pass
    found: dict[str, Any] = {}
    for part in said.strip().split(","):
        key, value = map(str.strip, part.split("=", 1))
        found[key] = _literal(value)
    return _json_object(found)


def _literal(said: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(said)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(said.lower(), said)


def _json_object(value: Any) -> JsonValue:
    """Return `value` if it is an object that JSON can carry."""
    if not isinstance(value, dict):
        raise TypeError("an object is needed")
    carried: JsonValue = json.loads(json.dumps(value, allow_nan=False))
    return carried


_ONE: Mapping[Kind, Callable[[str], JsonValue]] = {
    "str": str, "list": str, "int": int, "ints": int, "float": float, "floats": float,
    "json": lambda said: _json_object(json.loads(said)), "any_json": _any_json, "pairs": pairs,
}  # fmt: skip
