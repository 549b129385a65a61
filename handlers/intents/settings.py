"""An evaluation's settings in a sentence: limit, temperature, few-shot, batch size, the key's name, the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from handlers.intents.lexicon import FLAGS, URL
from handlers.intents.numbers import to_int, to_number
from handlers.intents.setting_words import BARE_URL, CORRECTION, EVAL_TYPES, NUMBERS, STATEMENTS, TIMEOUTS, WORDS, N

ADDRESS = "\x04"
"""What stands for a character of an endpoint's address: the name of a model may stand beside it."""
READ = "\x03"
"""What stands for a character that has been read: no blank, so that nothing is matched across it."""

_ALONE = re.compile(rf"(?:^|[,;\n\x01\x02])\s*(?:just\s+|only\s+|with\s+|只要?)?{N}\s*(?=$|[,;.\n\x03\x04])", FLAGS)
_TWICE = re.compile(r"\b(?P<n>twice|thrice)\b", FLAGS)

_READ = re.compile(r"[^\x01\x02]")
_HUBS = {"modelscope": "modelscope", "魔搭": "modelscope"}


@dataclass
class Settings:
    """What was read, and the sentence with it crossed out."""

    left: str
    args: dict[str, JsonValue] = field(default_factory=dict)
    few_shot: list[int] = field(default_factory=list)
    """Every few-shot number that was said, in order."""
    unhandled: list[str] = field(default_factory=list)
    """Parameters that were asked for and that this version has no field for."""


def read_words(text: str, known: frozenset[str], keys: frozenset[str]) -> Settings:
    """Read what is no number: the endpoint, the hub, the key's name; `known` are the request's fields."""
    settings = Settings(text)
    for pattern in (URL, BARE_URL):
        for match in _each(settings, pattern, mark=ADDRESS):
            url = match[0].rstrip(".:!?*`")
            settings.args["api_url"] = url if "://" in url else f"http://{url}"
    for key in sorted(keys):
        if _each(settings, re.compile(rf"(?<![\w\-]){re.escape(key)}(?:\s+(?:api[\s_\-]?)?key(?!\w)|\s*密钥)", FLAGS)):
            settings.args["api_key_name"] = key
    _read_statements(settings, known)
    for name, pattern in WORDS:
        for match in _each(settings, pattern):
            settings.args[name] = _word(name, match["w"])
    return settings


def _read_statements(settings: Settings, known: frozenset[str]) -> None:
    """Read what is stated as such: how the model is reached, the judge, the sandbox, graphics cards."""
    for name, pattern in EVAL_TYPES:
        if "eval_type" in known and _each(settings, pattern):
            settings.args["eval_type"] = name
    for name, pattern in STATEMENTS:
        said = _each(settings, pattern)
        if said and name in known:
            settings.args[name] = _stated(name, said, settings.args.get(name))
        elif said and name not in settings.unhandled:
            settings.unhandled.append(name)


def read_numbers(settings: Settings) -> None:
    """Read the numbers of a sentence whose names are masked by now. Of each setting the last one counts."""
    for match in (match for pattern in TIMEOUTS for match in _each(settings, pattern)):
        seconds, long = to_number(match["n"]), (match["unit"] or "s").lower().startswith(("m", "分"))
        if seconds is not None:
            settings.args["timeout"] = seconds * 60 if long else seconds
    settings.left = CORRECTION.sub(_corrected, settings.left)
    at: dict[str, int] = {}
    for name, pattern in NUMBERS:
        for match in _each(settings, pattern):
            _take_number(settings, at, name, match)
    for match in _each(settings, _TWICE):
        settings.args["repeats"] = 2 if match["n"].lower() == "twice" else 3
    if "limit" not in settings.args:
        for match in _each(settings, _ALONE):
            _take_number(settings, at, "limit", match)
    settings.left = settings.left.replace(READ, " ")  # an address stays, for the name beside it


def _take_number(settings: Settings, at: dict[str, int], name: str, match: re.Match[str]) -> None:
    number = 0 if name == "few_shot" and match["n"].lower() in {"no", "any", "不"} else to_number(match["n"])
    whole = name in {"few_shot", "eval_batch_size", "repeats", "seed"} or name.endswith(("max_tokens", "top_k"))
    if number is None or (whole and not isinstance(number, int)):
        return
    if name == "repeats" and number == 1:
        return  # 跑一遍, "run it one time"
    if name == "few_shot":
        settings.few_shot.append(int(number))
    elif match.start() >= at.get(name, -1):
        at[name] = match.start()
        group, _, key = name.rpartition(".")
        target: dict[str, Any] = settings.args
        if group:
            target = target.setdefault(group, {})
        if name == "limit" and isinstance(number, float) and number >= 1:
            number = int(number) if match["n"].strip()[-1] not in "%t" and number.is_integer() else None
        if number is None:
            target.pop(key, None)  # 100% is everything
        else:
            target[key] = number


def _each(settings: Settings, pattern: re.Pattern[str], mark: str = READ) -> list[re.Match[str]]:
    """Return all matches and cross them out; the marks of names stay."""
    found: list[re.Match[str]] = []

    def blank(match: re.Match[str]) -> str:
        found.append(match)
        return _READ.sub(mark, match[0])

    settings.left = pattern.sub(blank, settings.left)
    return found


def _stated(name: str, said: list[re.Match[str]], earlier: JsonValue) -> JsonValue:
    """Return the value of what is stated: a judge by its model or its strategy, graphics cards by kind and number."""
    groups = [match.groupdict() for match in said]
    if name in {"judge", "gpu"}:
        found = dict(earlier) if isinstance(earlier, dict) else {}
        for key in ("model", "strategy") if name == "judge" else ("name", "gpus"):
            value = next((group[key] for group in groups if group.get(key)), None)
            if value is not None:
                found[key] = _shaped(key, value)
        if name == "judge":
            return found or {"strategy": "llm"}
        return found.get("name") if set(found) == {"name"} else found or {"gpus": 1}
    if name == "use_cache":
        return next((f"r{int(group['run'])}" for group in groups if group.get("run")), None)
    if name == "stream":
        return not any("off" in match.re.groupindex for match in said)
    return True


def _shaped(key: str, said: str) -> JsonValue:
    if key == "gpus":
        return to_int(said) or 1
    if key == "strategy":
        return re.sub(r"[\s\-]+", "_", said.lower())
    return said.lower() if key == "name" else said.rstrip(".-")


def _corrected(match: re.Match[str]) -> str:
    unit = match["unit2"] or match["unit"] or ""
    return f"{match['b']}{unit}"


def _word(name: str, said: str) -> str:
    if name == "dataset_hub":
        return _HUBS.get(said.lower(), "huggingface")
    return said.rstrip(".-")
