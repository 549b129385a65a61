"""A pasted `evalscope …` command: the same names and shapes that EvalScope's own parser gives."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any, NamedTuple

from pydantic import JsonValue

from handlers.intents.admit import refusal, refused, settle
from handlers.intents.flags import FLAGS
from handlers.intents.parsed import Parsed, Refused
from handlers.intents.shell import Word, split
from handlers.registry import Intent, intents

_COMMAND = re.compile(
    r"(?:^|(?<=[\s`:$>#]))(?:[\w./\-]{0,80}python[\d.]{0,5}\s+-m\s+)?evalscope(?:\.cli(?:\.cli)?|\.run)?\s+"
    r"(?P<sub>[a-z][\w\-]{1,30})(?=\s|$|`)",
    re.ASCII,
)
_OTHER = frozenset({"perf", "app", "service", "benchmark-info", "dashboard"})
_FLAG_SOON = re.compile(r"[\s\\]*[—–-]{1,2}[a-z]", re.ASCII)
_DASHES = re.compile(r"^[—–]+(?=[a-z])")
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)


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
    if match["sub"] == "eval":
        parsed = parse_flags(intents()["eval"], words.words, out)
    else:
        parsed = Parsed(intent="none", refused=(refused(match["sub"], "refused.not_yet"), *out), by="command_line")
    return Found(parsed, f"{words.rest}\n{after}".strip())


def parse_flags(intent: Intent, words: list[Word], out: list[Refused]) -> Parsed:
    """Read `--flag value`, `--flag=value` and unambiguous abbreviations, as argparse does."""
    args: dict[str, JsonValue] = {}
    at = 0
    while at < len(words):
        said, at = words[at], at + 1
        if not _is_option(said.text):
            out.append(refused(said.text, "refused.unknown_flag"))
            continue
        flag, equals, inline = _DASHES.sub("--", said.text).partition("=")
        name = _flag_name(flag)
        end = at
        while end < len(words) and not equals and not _is_option(words[end].text):
            end += 1
        if name is None:
            out.append(refused(flag, "refused.unknown_flag"))
            at = end
            continue
        values = [Word(inline, said.expands)] if equals else words[at:end]
        at = end if FLAGS[name] == "list" else min(end, at + (FLAGS[name] != "switch"))
        values = values if FLAGS[name] == "list" else values[: 1 if FLAGS[name] != "switch" or equals else 0]
        args.pop(name, None)
        reason = refusal(name, intent.args.model_fields)
        if reason is None:
            try:
                args[name] = _value(name, values)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                reason = "refused.shell" if any(value.expands for value in values) else "refused.value"
        if reason is not None:
            out.append(refused(name, reason))
    return settle(intent, args, out, by="command_line")


def _is_command(text: str, match: re.Match[str]) -> bool:
    if match["sub"] != "eval" and match["sub"] not in _OTHER:
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


def _is_option(word: str) -> bool:
    if word.startswith(("—", "–")):
        return _DASHES.match(word) is not None
    if not word.startswith("-") or len(word) == 1 or _NEGATIVE.fullmatch(word):
        return False
    return " " not in word or ("=" in word and _flag_name(word.partition("=")[0]) is not None)


def _flag_name(flag: str) -> str | None:
    """Return the parameter a flag names, also abbreviated where only one begins so (argparse's rule)."""
    if not flag.startswith("--"):
        return None
    said = flag.removeprefix("--")
    dashed = {name.replace("_", "-"): name for name in FLAGS}
    if said in dashed:
        return dashed[said]
    hits = [name for shown, name in dashed.items() if said and shown.startswith(said)]
    return hits[0] if len(hits) == 1 else None


def _value(name: str, values: list[Word]) -> JsonValue:
    """Convert as EvalScope's parser does; raises ValueError and its kind."""
    kind = FLAGS[name]
    if any(value.expands or value.text.startswith(("-", "@")) for value in values):
        raise ValueError(name)
    if kind == "switch":
        if values:
            raise ValueError(name)
        return True
    if not values:
        raise ValueError(name)
    first = values[0].text
    if kind == "list":
        return [value.text for value in values]
    if kind == "int":
        return int(first)
    if kind == "float":
        return float(first)
    if kind == "json":
        return _json_object(json.loads(first))
    return pairs(first) if kind == "pairs" else first


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
