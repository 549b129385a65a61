"""Who may run what: from names people say to typed targets, by registry and allow-list.

Nothing that was typed in chat reaches EvalScope but through what these functions return.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from handlers.incoming import Incoming
from handlers.intents.parsed import Vocabulary
from handlers.registry import Args
from jobs.addresses import AddressRule
from jobs.catalog import SUITES, BenchmarkInfo
from jobs.config import Config, ModelEntry
from jobs.errors import (
    CheckpointRefused,
    InvalidValue,
    KeyNotForHost,
    NotFromChat,
    SandboxNeeded,
    UnknownBenchmark,
    UnknownKey,
    UnknownModel,
    UnknownSubset,
)
from jobs.models import DatasetTarget, GenerationSettings, ModelTarget, Run
from jobs.sample import SAMPLE_DATASETS

SUPPORTED_EVAL_TYPES = frozenset({"openai_api", "mock_llm"})
ALIASES = {"server": "openai_api", "service": "openai_api", "checkpoint": "llm_ckpt"}
MOCK_NAMES = frozenset({"mock", "mock_llm", "mockllm"})


class DatasetSettings(Args):
    """What people may set of a benchmark; paths, templates and ids come from registered data sets only."""

    few_shot_num: int | None = None
    few_shot_random: bool | None = None
    subset_list: tuple[str, ...] | None = None
    shuffle: bool | None = None
    shuffle_choices: bool | None = None


def may_stop(run: Run, incoming: Incoming, config: Config) -> bool:
    """Tell whether a person may end a run: who asked for it, an admin, or who owns the machine."""
    return run.user == incoming.user or incoming.user in config.access.admins or incoming.owns_machine


async def resolve_model(
    name: str,
    *,
    api_url: str | None,
    eval_type: str | None,
    key: str | None,
    incoming: Incoming,
    config: Config,
) -> ModelTarget:
    """Return where a model is reached; raises the error that says how to name one properly."""
    kind = ALIASES.get(eval_type or "", eval_type)
    if kind is not None and kind not in SUPPORTED_EVAL_TYPES:
        raise InvalidValue(field="eval_type", value=kind, reason="eval_type")
    if kind == "mock_llm" or (name.lower() in MOCK_NAMES and api_url is None and name not in config.models):
        return ModelTarget(name=name, model="mock_llm", eval_type="mock_llm")
    if key is not None and key not in config.keys:
        raise UnknownKey(name=key)
    entry = config.models.get(name)
    if entry is not None and api_url in {None, entry.api_url}:
        return _registered(name, entry, key)
    if api_url is None:
        if _looks_like_checkpoint(name):
            _refuse_checkpoint(name, config)
        raise UnknownModel(name=name, models=", ".join(config.models))
    model = entry.model if entry else name
    target = ModelTarget(name=name, model=model, eval_type="openai_api", api_url=api_url, key=key)
    return await _typed(target, incoming, config)


async def resolve_again(target: ModelTarget, *, incoming: Incoming, config: Config) -> ModelTarget:
    """Return an earlier run's model for who asks now: an address that is not registered is held to their own rule."""
    entry = config.models.get(target.name)
    registered = entry is not None and entry.api_url == target.api_url
    if target.api_url is None or (target.network == "registered" and registered):
        return target
    return await _typed(target, incoming, config)


async def _typed(target: ModelTarget, incoming: Incoming, config: Config) -> ModelTarget:
    """Hold an address that a person gave to the rule for it, and a key to its hosts."""
    assert target.api_url is not None
    network: Literal["console", "checked"] = "console" if incoming.owns_machine else "checked"
    rule = AddressRule(network, config.access.allow_hosts)
    await asyncio.to_thread(rule.check_url, target.api_url)  # it asks the resolver
    return check_key(target.model_copy(update={"network": network}), config)


def check_key(target: ModelTarget, config: Config) -> ModelTarget:
    """Raise `KeyNotForHost` where a stored key would go to a host it is not registered for."""
    from urllib.parse import urlsplit

    if target.key is not None and target.network != "registered":
        host = urlsplit(target.api_url or "").hostname or ""
        if host not in config.keys[target.key].hosts:
            raise KeyNotForHost(key=target.key, host=host)
    return target


def resolve_datasets(
    names: tuple[str, ...], settings: Mapping[str, Mapping[str, Any]], vocabulary: Vocabulary, config: Config
) -> list[DatasetTarget]:
    """Return the benchmarks behind the names people said, suites expanded, each once, in the order said."""
    found: dict[str, DatasetTarget] = {}
    for said in names:
        for name in SUITES.get(said.lower(), (said,)):
            own = settings.get(name) or settings.get(said) or {}
            target = _dataset(name, own, vocabulary, config)
            found.setdefault(target.name, target)
    return list(found.values())


def generation_settings(said: Mapping[str, Any] | None, base: Mapping[str, Any] | None = None) -> GenerationSettings:
    """Return the generation settings said on top of a registered model's own; raises `InvalidValue`."""
    try:
        return GenerationSettings.model_validate({**(base or {}), **(said or {})})
    except ValidationError as error:
        raise invalid(error, "generation_config") from error


def invalid(error: ValidationError, prefix: str = "") -> InvalidValue:
    """Return the first thing a model refused, as an error people can read."""
    first = error.errors()[0]
    field = ".".join(filter(None, [prefix, *(str(part) for part in first["loc"])]))
    kind = first["type"]
    if kind == "extra_forbidden":
        reason = "setting"
    elif kind.startswith(("greater", "less")):
        reason = "range"
    else:
        reason = "type"
    return InvalidValue(field=field, value=str(first.get("input"))[:80], reason=reason)


def _registered(name: str, entry: ModelEntry, key: str | None) -> ModelTarget:
    kind = entry.eval_type or "openai_api"
    if kind not in SUPPORTED_EVAL_TYPES:
        raise InvalidValue(field="eval_type", value=kind, reason="eval_type")
    if key is not None and key != entry.key:
        raise KeyNotForHost(key=key, host=name)
    return ModelTarget.model_validate({
        "name": name, "model": entry.model, "eval_type": kind, "api_url": entry.api_url, "key": entry.key,
        "network": "registered", "model_args": entry.model_args,
    })  # fmt: skip


def _looks_like_checkpoint(name: str) -> bool:
    return "/" in name


def _refuse_checkpoint(name: str, config: Config) -> None:
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in config.access.allow_models):
        raise CheckpointRefused(model=name)
    raise InvalidValue(field="eval_type", value="llm_ckpt", reason="eval_type")


def _dataset(name: str, said: Mapping[str, Any], vocabulary: Vocabulary, config: Config) -> DatasetTarget:
    registered, sample = config.datasets.get(name), SAMPLE_DATASETS.get(name)
    settings = _settings(name, said)
    if registered is not None:
        info = _known(registered.benchmark, vocabulary)
        fixed = registered.model_dump(
            exclude={"benchmark", "local_path", "private"}, exclude_defaults=True, mode="json"
        )
        subsets = dict.fromkeys(registered.subset_list, 0)
        target = DatasetTarget(
            name=name, benchmark=info.name, args=fixed | settings, private=registered.private, local=True
        )
    elif sample is not None:
        fixed = {key: value for key, value in sample.dataset_args.items() if key != "local_path"}
        subsets = dict(sample.subsets)
        target = DatasetTarget(name=name, benchmark=sample.benchmark, args=fixed | settings, local=True)
    else:
        info = _known(name, vocabulary)
        if info.runs_code and not config.access.allow_host_code:
            raise SandboxNeeded(benchmark=info.name)
        subsets = dict(info.subsets)
        target = DatasetTarget(name=info.name, benchmark=info.name, args=settings)
    chosen = settings.get("subset_list")
    if chosen and subsets:
        unknown = next((subset for subset in chosen if subset not in subsets), None)
        if unknown is not None:
            raise UnknownSubset(dataset=target.name, name=unknown, subsets=", ".join(list(subsets)[:30]))
        subsets = {subset: subsets[subset] for subset in chosen}
    known = subsets if all(subsets.values()) else {}
    return target.model_copy(update={"subsets": known, "said": tuple(settings)})


def _known(name: str, vocabulary: Vocabulary) -> BenchmarkInfo:
    info = vocabulary.catalog.find(name)
    if info is None:
        own = (n for n in sorted(vocabulary.datasets) if n.startswith(name[:4]))
        near = list(dict.fromkeys([*own, *vocabulary.catalog.nearest(name)]))[:3]
        raise UnknownBenchmark(name=name, nearest=", ".join(near))
    return info


def _settings(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Check what was said of a benchmark; a field of EvalScope's that is not for chat is refused by its name."""
    try:
        checked = DatasetSettings.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise NotFromChat(name=f"dataset_args.{name}.{first['loc'][0]}", reason="setting") from error
        raise invalid(error, f"dataset_args.{name}") from error
    return checked.model_dump(mode="json", exclude_none=True)
