"""Slash commands: `/eval qwen-plus gsm8k limit=100`, `/scopebot status r12`, `/评测 …`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from handlers.intents.admit import settle, settle_each
from handlers.intents.assign import assign
from handlers.intents.clean import without_ticks
from handlers.intents.command_line import parse_flags
from handlers.intents.flags import COMMANDS
from handlers.intents.grammar import args_of, parse_as, parse_text
from handlers.intents.lexicon import RUN_REF, SENTENCE_WORDS
from handlers.intents.names import dataset_names
from handlers.intents.numbers import to_number
from handlers.intents.parameter_question import parse_question
from handlers.intents.parsed import Parsed, Refused, Vocabulary
from handlers.intents.preset_words import in_command
from handlers.intents.shell import Word
from handlers.registry import Intent, intents

_HEAD = re.compile(r"/([\w\-]{1,40})(?=\s|$)\s*")
_PAIR = re.compile(r"([A-Za-z][\w\-]{0,40})=(.*)", re.DOTALL | re.ASCII)
_FLAG = re.compile(r"(?:^|\s)--[a-z]", re.ASCII)
_OWN = frozenset({"scopebot", "scope"})


def parse_slash(text: str, vocabulary: Vocabulary) -> Parsed | None:
    """Return the request of a slash command, None if `text` is none that is registered."""
    text = without_ticks(text)
    head = _HEAD.match(text)
    if head is None:
        return None
    command, rest = head[1].lower(), text[head.end() :]
    commands = _commands()
    if command in _OWN:
        inner = re.match(r"/?([\w\-]{1,40})(?=\s|$)\s*", rest)
        if inner is None or inner[1].lower() not in commands:
            parsed = parse_question(rest, vocabulary) or parse_text(rest or "help", vocabulary)
            more = tuple(_as_command(other) for other in parsed.more)
            return _as_command(parsed).model_copy(update={"more": more})
        command, rest = inner[1].lower(), rest[inner.end() :]
    intent = commands.get(command)
    return None if intent is None else _parse(intent, rest, vocabulary)


def named_intent(text: str) -> str | None:
    """Return the intent of a slash command that says nothing more, as `/eval` or `/scopebot eval`; else None."""
    words = [word.removeprefix("/").lower() for word in text.split()]
    if not text.startswith("/") or len(words) != (2 if words[0] in _OWN else 1):
        return None
    intent = _commands().get(words[-1])
    return None if intent is None else intent.name


def _as_command(parsed: Parsed) -> Parsed:
    """Return a sentence as the command that it was given as."""
    return parsed.model_copy(update={"by": "command_line", "worded": True})


def _commands() -> Mapping[str, Intent]:
    """Slash commands without their stroke, and the intents' own names."""
    named = {slash.removeprefix("/").lower(): intent for intent in intents().values() for slash in intent.slash}
    return dict(intents()) | named


def _parse(intent: Intent, rest: str, vocabulary: Vocabulary) -> Parsed:
    said = [_unquote(word) for word in _words(rest)]
    if intent.name in COMMANDS and _FLAG.search(rest):
        return parse_flags(intent.name, [Word(word) for word in said], [])
    if intent.name == "help" and len(said) == 1 and (about := said[0].lstrip("-—–")):
        return settle(intent, {"about": about}, by="command_line")
    assigned = [match for word in said if (match := _PAIR.fullmatch(word))]
    assigned.sort(key=lambda match: not match[1].startswith("dataset"))
    bare = [part for word in said if not _PAIR.fullmatch(word) for part in word.split(",") if part]
    worded = per_subset = False
    if intent.name == "benchmarks" or _is_sentence(intent, bare):
        sentence = " ".join(word for word in said if not _PAIR.fullmatch(word))
        of_preset = in_command(sentence, vocabulary) if intent.name == "eval" else None
        parsed = of_preset or parse_as(intent, sentence, vocabulary)
        args, out = dict(parsed.args), list(parsed.refused)
        worded = not any(match[1].lower() == "limit" for match in assigned)
        per_subset = parsed.per_subset
        if intent.name == "headlines" and len(bare) == 1 and not args:
            out.append(Refused(name="on", reason="refused.on_off"))
        if parsed.more:  # the same of several runs: what is assigned is for each
            args["runs"] = [args.pop("run"), *(other.args["run"] for other in parsed.more)]
    else:
        args, out = _positionals(intent, bare, vocabulary), []
    for match in assigned:
        assign(intent, (match[1].replace("-", "_").lower(), match[2].rstrip(",")), args, out, vocabulary)
    settled = settle_each(intent, args, out, by="command_line")
    return settled.model_copy(update={"worded": worded, "per_subset": per_subset})


def _is_sentence(intent: Intent, bare: list[str]) -> bool:
    """Words that are not just the values of the positional fields: "qwen-plus on gsm8k, 100 samples"."""
    if intent.name == "headlines":
        return True
    if "run" in intent.positional:
        return any(not RUN_REF.fullmatch(word) and not word.isdecimal() for word in bare)
    return any(word.lower() in SENTENCE_WORDS or not word.isascii() for word in bare)


def _positionals(intent: Intent, bare: list[str], vocabulary: Vocabulary) -> dict[str, JsonValue]:
    args: dict[str, JsonValue] = {}
    fields = list(intent.positional)
    if fields == ["run"]:
        return args_of(list(dict.fromkeys(f"r{word.lstrip('rR#')}" for word in bare)))
    for word in bare:
        number = to_number(word) if re.fullmatch(r"[\d.,]+%?k?", word) else None
        if "limit" in intent.args.model_fields and number is not None:
            args["limit"] = number
        elif "preset" in intent.args.model_fields and word.lower() in vocabulary.presets:
            args["preset"] = word.lower()
        elif fields and fields[0] == "datasets":
            datasets = args.setdefault("datasets", [])
            assert isinstance(datasets, list)
            datasets += [name for name in dataset_names(word, vocabulary) if name not in datasets]
        elif fields:
            args[fields.pop(0)] = word
    if args.get("model") in {"mock", "mock_llm"} and "eval_type" in intent.args.model_fields:
        args |= {"model": "mock_llm", "eval_type": "mock_llm"}
    return args


def _words(text: str) -> list[str]:
    """Split at white space outside quotes and braces."""
    words, word, quote, depth = [], "", "", 0
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (not word or word[-1] in "={[,: " or depth):
            quote = char
        elif char in "{}":
            depth = max(0, depth + (1 if char == "{" else -1))
        if char.isspace() and not quote and not depth:
            words.append(word)
            word = ""
        else:
            word += char
    return [found for found in [*words, word] if found]


def _unquote(word: str) -> str:
    """Take off quotes around a word or around the value after `=`."""
    key, equals, value = word.partition("=")
    for quote in ("'", '"'):
        if equals and len(value) > 1 and value[0] == value[-1] == quote:
            return f"{key}={value[1:-1]}"
        if len(word) > 1 and word[0] == word[-1] == quote:
            return word[1:-1]
    return word
