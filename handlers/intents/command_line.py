"""A pasted `evalscope …` command: the same names and shapes that EvalScope's own parser gives."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from handlers.intents.admit import refusal, refused, secrets_inside, settle
from handlers.intents.flags import COMMANDS, NEVER, names_secret, table
from handlers.intents.parsed import Parsed, Refused, Vocabulary
from handlers.intents.shell import Word, split
from handlers.registry import intents
from jobs.catalog import Kind, plain

_COMMAND = re.compile(
    r"(?:^|(?<=[\s`:$>#!]))(?:[\w./~\-]{0,80}python[\d.]{0,5}\s+-m\s+|(?:[\w.~\-]{0,60}/){1,8})?"
    r"evalscope(?:\.cli(?:\.cli)?|\.run)?\s+(?P<sub>[a-z][\w\-]{1,30}|[—–-]{1,2}[a-z]{1,10})(?=\s|$|`)",
    re.ASCII,
)
_FLAG_SOON = re.compile(r"[\s\\^`]*[—–-]{1,2}[a-z]", re.ASCII)
_DASHES = re.compile(r"^[—–]+(?=[a-z])")
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)
_RUNNER = re.compile(r"(?:^|(?<=\s))(?:nohup|time|exec|sudo|uv\s+run|uvx|poetry\s+run|pdm\s+run)\s+$", re.ASCII)
_VALUE = r"(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s'\"]*)"
_ASSIGNED = re.compile(rf"(?:^|(?<=\s))(?:env\s+)?([A-Za-z_]\w{{0,60}})={_VALUE}\s+$", re.ASCII)
_EXPORTED = re.compile(
    rf"^[\s$>]*(?:(?:export|set|setx)\s+|\$env:)([A-Za-z_]\w{{0,60}})\s*=|"
    rf"^[\s$>]*([A-Z_][A-Z0-9_]{{0,60}})={_VALUE}\s*;?\s*$",
    re.ASCII | re.MULTILINE,
)
_CHAINED = re.compile(r"&&|\|\||\||^[\s`$>#!]*(?:cd|export|source|conda|pip|uv|set|mkdir|\.)\s[^;]*;", re.ASCII)
_MANY = frozenset({"list", "ints", "floats"})
_NUMERIC = frozenset({"float", "floats"})
_ALONE = frozenset({"switch", "on_off"})
_UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)


class Flag(NamedTuple):
    """The parameter that a flag names; `on` is False for `--no-stream`."""

    name: str
    on: bool = True


class Found(NamedTuple):
    """A command and the text after it, which may hold another."""

    parsed: Parsed
    rest: str


class Said(NamedTuple):
    """What the flags of a command say: what can be taken, and what stands without a flag."""

    args: dict[str, JsonValue]
    bare: list[str]
    help: bool = False


def parse_command(text: str, vocabulary: Vocabulary) -> Found | None:
    """Return the first pasted `evalscope` command of cleaned `text`, None if there is none."""
    match = next((m for m in _COMMAND.finditer(text) if _is_command(text, m)), None)
    if match is None:
        return None
    body, after = _until_tick(text, match)
    words = split(body)
    out = _around(text[: match.start()])
    if words.operator:
        out.append(refused("shell", "refused.shell"))
    if words.unclosed:
        out.append(refused("quote", "refused.quote"))
    parsed = _parse(match["sub"], words.words, out, vocabulary)
    more = tuple(one.model_copy(update={"pasted": True}) for one in parsed.more)
    rest = f"{words.rest}\n{after}".strip()
    return Found(parsed.model_copy(update={"pasted": True, "more": more}), rest)


def parse_flags(command: str, words: list[Word], out: list[Refused]) -> Parsed:
    """Read the words of `evalscope eval` or `perf`, whose parameters are the intent's own arguments."""
    intent = intents()[COMMANDS[command]]
    said = read_flags(command, words, out)
    if said.help:
        return _help(command)
    out += [refused(word, "refused.unknown_flag") for word in said.bare]
    return settle(intent, said.args, out, by="command_line")


def read_flags(command: str, words: list[Word], out: list[Refused]) -> Said:
    """Read `--flag value`, `--flag=value` and unambiguous abbreviations, as argparse does; add to `out`."""
    found = Said({}, [])
    kinds = table(command).kinds
    at = 0
    while at < len(words):
        said, at = words[at], at + 1
        if not _is_option(said.text, command):
            found.bare.append(said.text)
            continue
        flag, equals, inline = _DASHES.sub("--", said.text).partition("=")
        named = _flag_name(flag, command)
        end = at
        while end < len(words) and not equals and not _is_option(words[end].text, command):
            end += 1
        if named is None:
            out.append(refused(flag, "refused.unknown_flag"))
            at = end
            continue
        if named.name == "help":
            return found._replace(help=True)
        kind = kinds[named.name]
        values = [Word(inline, said.expands)] if equals else words[at:end]
        if kind not in _MANY:
            count = int(kind not in _ALONE)
            at = min(end, at + count)
            values = values[: 1 if equals else count]
        else:
            at = end
        found.args.pop(named.name, None)
        _take(command, named, values, found.args, out)
    return found


def _take(command: str, named: Flag, values: list[Word], args: dict[str, JsonValue], out: list[Refused]) -> None:
    """Take one parameter's value, or say why it cannot be taken."""
    name = named.name
    reason = _refusal(command, name)
    value: JsonValue = None
    try:
        value = _value(table(command).kinds[name], values) if named.on else _off(values)
        choices = table(command).choices.get(name)
        if choices and value not in choices:
            raise ValueError(value)
    except _UNREADABLE:
        reason = reason or ("refused.variable" if any(value.expands for value in values) else "refused.value")
    if reason is None:
        args[name] = value
    else:
        out += [refused(name, reason), *secrets_inside(name, value)]


def _refusal(command: str, name: str) -> str | None:
    intent = intents()[COMMANDS[command]]
    return refusal(name, intent) if command == intent.name else NEVER[command].get(name)


def _parse(sub: str, words: list[Word], out: list[Refused], vocabulary: Vocabulary) -> Parsed:
    if sub in {"eval", "perf"}:
        return parse_flags(sub, words, out)
    if (about := _global(sub)) is not None:
        return settle(intents()["help"], {"about": about}, by="command_line")
    if sub not in COMMANDS:
        return Parsed(intent="none", refused=(refused(sub, "refused.unknown_command"), *out), by="command_line")
    said = read_flags(sub, words, out)
    if said.help:
        return _help(sub)
    if COMMANDS[sub] == "benchmarks":
        return _benchmarks(said, out, vocabulary)
    out += [refused(word, "refused.unknown_flag") for word in said.bare]
    return settle(intents()["dashboard"], {}, out, by="command_line")


def _benchmarks(said: Said, out: list[Refused], vocabulary: Vocabulary) -> Parsed:
    """`benchmark-info`: a list, by tags or of all; or one benchmark after another."""
    intent, catalog = intents()["benchmarks"], vocabulary.catalog
    spelt = {plain(tag): tag for tag in catalog.tags}
    tags = said.args.get("tag")
    listed = isinstance(tags, list) or "list" in said.args or "all" in said.args
    args: dict[str, JsonValue] = {}
    if isinstance(tags, list):
        args["tags"] = [spelt.get(plain(str(tag)), tag) for tag in tags]
    names = [] if listed else [info.name if (info := catalog.find(word)) else word for word in said.bare]
    if names:
        args["name"] = names[0]
    more = tuple(settle(intent, {"name": name}, by="command_line") for name in names[1:])
    return settle(intent, args, out, by="command_line").model_copy(update={"more": more})


def _help(command: str) -> Parsed:
    return settle(intents()["help"], {"about": command}, by="command_line")


def _global(sub: str) -> str | None:
    """Return what `evalscope --version` or `--help` is about, None for any other word."""
    option = _DASHES.sub("--", sub)
    if not option.startswith("-"):
        return None
    if option == "-v" or (len(option) > 2 and "--version".startswith(option)):
        return "version"
    return "evalscope" if option == "-h" or (len(option) > 2 and "--help".startswith(option)) else None


def _is_command(text: str, match: re.Match[str]) -> bool:
    sub = match["sub"]
    if not sub[0].isalpha():
        return _global(sub) is not None
    if sub == "benchmark-info":  # no word of a sentence
        return True
    if _FLAG_SOON.match(text, match.end()) is not None:
        return True
    before = text[: match.start()].rpartition("\n")[2]
    while (runner := _RUNNER.search(before) or _ASSIGNED.search(before)) is not None:
        before = before[: runner.start()]
    return sub in COMMANDS and (not before.strip(" \t`$>#!") or _CHAINED.search(before) is not None)


def _around(before: str) -> list[Refused]:
    """Return what stands before a command and would change what it does: variables, other commands."""
    above, _, line = before.rpartition("\n")
    out = [_variable(match[1] or match[2]) for match in _EXPORTED.finditer(above)]
    if _CHAINED.search(line):
        out.append(refused("shell", "refused.shell"))
    while (match := _RUNNER.search(line) or _ASSIGNED.search(line)) is not None:
        if match.re is _ASSIGNED:
            out.append(_variable(match[1]))
        line = line[: match.start()]
    return out


def _variable(name: str) -> Refused:
    return refused(name, "refused.api_key" if names_secret(name) or name.endswith("_KEY") else "refused.env")


def _until_tick(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Cut at the ticks that close the code the command stands in."""
    before = text[: match.start()]
    for ticks in ("```", "`"):
        if before.count(ticks) % 2:
            body, _, after = text[match.end() :].partition(ticks)
            return body, after
    return text[match.end() :], ""


def _is_option(word: str, command: str) -> bool:
    if word.startswith(("—", "–")):
        return _DASHES.match(word) is not None
    if not word.startswith("-") or len(word) == 1 or _NEGATIVE.fullmatch(word):
        return False
    return " " not in word or ("=" in word and _flag_name(word.partition("=")[0], command) is not None)


def _flag_name(flag: str, command: str) -> Flag | None:
    """Return the parameter a flag names, also abbreviated where only one begins so (argparse's rule)."""
    kinds = table(command).kinds
    shown = {"-h": Flag("help"), "--help": Flag("help")} | {
        written: Flag(name, on=not (kinds[name] == "on_off" and written.startswith("--no-")))
        for written, name in table(command).flags.items()
    }
    if flag in shown:
        return shown[flag]
    hits = [found for written, found in shown.items() if len(flag) > 2 and written.startswith(flag)]
    return hits[0] if len(hits) == 1 else None


def _off(values: list[Word]) -> JsonValue:
    if values:
        raise ValueError(values)
    return False


def _value(kind: Kind, values: list[Word]) -> JsonValue:
    """Convert as EvalScope's parser does; raises ValueError and its kind."""
    said = [value.text for value in values]
    unsafe = kind not in _NUMERIC and any(text.startswith(("-", "@")) for text in said)
    if unsafe or any(value.expands for value in values) or bool(said) == (kind in _ALONE):
        raise ValueError(said)
    if kind in _ALONE:
        return True
    if kind in _MANY:
        return [_ONE[kind](text) for text in said]
    return _ONE[kind](said[0])


def _json(said: str) -> JsonValue:
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
    "str": str, "list": str, "int": int, "ints": int, "float": float, "floats": float, "json": _json, "pairs": pairs,
}  # fmt: skip
