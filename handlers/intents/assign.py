"""One `key=value` of a slash command or a sentence, typed by the request's model."""

from __future__ import annotations

import json

from pydantic import BaseModel, JsonValue, ValidationError

from handlers.intents.admit import refusal, refused
from handlers.intents.command_line import pairs
from handlers.intents.flags import NEVER, table
from handlers.intents.lexicon import RUN_REF
from handlers.intents.names import dataset_names
from handlers.intents.numbers import to_number
from handlers.intents.parsed import Refused, Vocabulary
from handlers.registry import Intent
from jobs.models import GenerationSettings

_TEXT = frozenset({"model", "models", "api_url", "url", "api_key_name", "query", "name", "prompt", "dataset"})


def assign(
    intent: Intent,
    pair: tuple[str, str],
    args: dict[str, JsonValue],
    out: list[Refused],
    vocabulary: Vocabulary,
) -> None:
    """Take one `key=value`: a field, a setting of the generation, or one of the data sets' arguments."""
    name, said = pair
    fields = intent.args.model_fields
    never = NEVER.get(intent.name, NEVER["eval"])
    value: JsonValue
    if name in never:
        out.append(refused(name, never[name]))
    elif said.startswith(("-", "@")):
        out.append(refused(name, "refused.value"))
    elif name == "datasets" and name in fields:
        args[name] = [found for part in said.split(",") for found in dataset_names(part, vocabulary)]
    elif name in fields:
        if (value := _typed(intent, name, said)) is None:
            out.append(refused(name, "refused.value"))
        else:
            args[name] = value
    elif "generation_config" in fields and name in GenerationSettings.model_fields:
        config = args.setdefault("generation_config", {})
        value = _generation(name, said)
        if isinstance(config, dict) and value is not None:
            config[name] = value
        else:
            out.append(refused(name, "refused.value"))
    elif "dataset_args" in fields and name in {"few_shot_num", "subset_list", "subset"}:
        _assign_to_datasets(name, said, args, out)
    else:
        flags = table(intent.name if intent.name in NEVER else "eval").kinds
        known = refusal(name, intent) if name in flags else "refused.unknown_flag"
        out.append(refused(name, known or "refused.unknown_flag"))


def _assign_to_datasets(name: str, said: str, args: dict[str, JsonValue], out: list[Refused]) -> None:
    value: JsonValue = to_number(said) if name == "few_shot_num" else [part for part in said.split(",") if part]
    datasets = args.get("datasets")
    if value is None or not isinstance(datasets, list) or not datasets:
        out.append(refused(name, "refused.value"))
        return
    table = args.setdefault("dataset_args", {})
    for dataset in datasets:
        if isinstance(table, dict):
            entry = table.setdefault(str(dataset), {})
            if isinstance(entry, dict):
                entry["few_shot_num" if name == "few_shot_num" else "subset_list"] = value


def _typed(intent: Intent, name: str, said: str) -> JsonValue:
    """Return `said` as the field wants it, None if it cannot be that."""
    if name == "run":
        return f"r{said.lstrip('rR#')}" if RUN_REF.fullmatch(said) or said.isdecimal() else None
    candidates: list[JsonValue] = []
    if name not in _TEXT and (number := to_number(said)) is not None:
        candidates.append(number)
    for read in (json.loads, pairs):
        try:
            candidates.append(read(said))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    parts = [part.strip() for part in said.split(",") if part.strip()]
    numbers: list[JsonValue] = [number for part in parts if (number := to_number(part)) is not None]
    if name not in _TEXT and len(numbers) == len(parts):
        candidates.insert(0 if len(parts) > 1 else len(candidates), numbers)
    candidates += [said, list[JsonValue](parts)]
    return _first_valid(intent.args, name, candidates)


def _generation(name: str, said: str) -> JsonValue:
    return _first_valid(GenerationSettings, name, [to_number(said), said, [part for part in said.split(",") if part]])


def _first_valid(model: type[BaseModel], name: str, candidates: list[JsonValue]) -> JsonValue:
    for candidate in candidates:
        try:
            made = model.model_validate({name: candidate})
        except ValidationError:
            continue
        value: JsonValue = made.model_dump(mode="json", exclude_unset=True)[name]
        if value is not None:
            return value
    return None
