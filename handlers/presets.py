"""Named presets: an evaluation's settings under a name, from scopebot.toml or saved from a run."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError
from sqlalchemy import JSON, Engine, String, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from handlers.context import Context
from handlers.incoming import Incoming
from handlers.intents.change import merged
from handlers.registry import intents
from handlers.texts import Texts
from jobs.catalog import Catalog, snapshot
from jobs.config import Config
from jobs.db import Base, reading, transaction
from jobs.errors import ConfigInvalid, UnknownPreset
from jobs.models import EvalSpec, Frozen, GenerationSettings, ModelTarget
from jobs.sample import SAMPLE_DATASETS

NAME = re.compile(r"[a-z][a-z0-9_\-]{1,39}")
_RUN_ID = re.compile(r"[rs]\d+")
_OF_A_MODEL = frozenset({"model", "models", "api_url", "api_key_name", "eval_type"})
"""Values that say how a model is reached: another model has none of them from the one before."""
_NAMES_OTHERS = frozenset({"preset", "model_of"})
"""Values that stand for others, which a preset itself may not have."""


class PresetRow(Base):
    """A preset that was saved from chat."""

    __tablename__ = "presets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    args: Mapped[dict[str, Any]] = mapped_column(JSON)
    user: Mapped[str] = mapped_column("user_id", String(255))
    source: Mapped[str] = mapped_column(String(255))
    """The message that saved it: handled again after a crash, it did."""
    saved_at: Mapped[datetime]


class Preset(Frozen):
    """A preset: its name, what it asks for, and who saved it; empty for one of scopebot.toml."""

    name: str
    args: dict[str, JsonValue]
    user: str = ""


class Presets:
    """The presets in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def saved(self) -> list[Preset]:
        """Return all, by name."""
        with reading(self._engine) as session:
            rows = session.scalars(select(PresetRow).order_by(PresetRow.name))
            return [Preset(name=row.name, args=row.args, user=row.user) for row in rows]

    def save(self, preset: Preset, source: str) -> bool:
        """Save one; False where the name is taken."""
        try:
            return self._save(preset, source)
        except IntegrityError:  # taken just now
            return self._save(preset, source)

    def _save(self, preset: Preset, source: str) -> bool:
        with transaction(self._engine) as session:
            before = session.scalar(select(PresetRow).where(PresetRow.name == preset.name))
            if before is None:
                row = PresetRow(name=preset.name, args=preset.args, user=preset.user, source=source)
                row.saved_at = datetime.now(UTC)
                session.add(row)
            return before is None or before.source == source

    def remove(self, name: str) -> None:
        """Remove one; it is no error where there is none."""
        with transaction(self._engine) as session:
            session.execute(delete(PresetRow).where(PresetRow.name == name))


def all_presets(config: Config, engine: Engine) -> dict[str, Preset]:
    """Return every preset by its name; those of scopebot.toml go first."""
    found = {preset.name: preset for preset in Presets(engine).saved()}
    return found | {name.lower(): Preset(name=name.lower(), args=args) for name, args in config.presets.items()}


def wrong_name(name: str, config: Config, catalog: Catalog) -> str | None:
    """Return the reason why a preset may not have a name, as a key of `reason.`; None for a good one."""
    if not NAME.fullmatch(name) or _RUN_ID.fullmatch(name):
        return "preset_name"
    known = {other.lower() for other in (*config.models, *config.datasets, *SAMPLE_DATASETS)}
    return "preset_means" if name in known or catalog.find(name) is not None else None


def not_of_a_preset(args: dict[str, JsonValue]) -> list[str]:
    """Return the values that a preset may not have: what cannot be done yet, and what stands for other values."""
    return [name for name in args if name in _NAMES_OTHERS | intents()["eval"].not_yet]


def wrong_presets(config: Config) -> dict[str, str]:
    """Return the presets of scopebot.toml that no evaluation can be asked for by, with what is wrong in each."""
    wrong = {}
    texts = Texts("en")
    for name, args in config.presets.items():
        reason = wrong_name(name.lower(), config, snapshot())
        if reason is not None:
            wrong[name] = texts(f"reason.{reason}")
        elif unfit := not_of_a_preset(args):
            wrong[name] = f"{unfit[0]}: not in a preset"
        else:
            try:
                intents()["eval"].args.model_validate(args)
            except ValidationError as error:
                first = error.errors()[0]
                wrong[name] = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return wrong


def args_of(spec: EvalSpec) -> dict[str, JsonValue]:
    """Return what a run was asked for, as a request says it."""
    args: dict[str, JsonValue] = {"datasets": [dataset.name for dataset in spec.datasets], **_model_args(spec.model)}
    plain = EvalSpec(model=spec.model, datasets=spec.datasets)
    for name in ("limit", "repeats", "seed", "eval_batch_size", "dataset_hub"):
        if getattr(spec, name) != getattr(plain, name):
            args[name] = getattr(spec, name)
    if spec.generation_config != GenerationSettings():
        args["generation_config"] = spec.generation_config.model_dump(mode="json", exclude_none=True)
    said: dict[str, JsonValue] = {
        dataset.name: {key: dataset.args[key] for key in dataset.said} for dataset in spec.datasets if dataset.said
    }
    if said:
        args["dataset_args"] = said
    return {name: value for name, value in args.items() if value is not None}


def check_presets(config: Config, file: Path) -> None:
    """Raise `ConfigInvalid` with the first preset of scopebot.toml that is none, as for its other sections."""
    for name, reason in wrong_presets(config).items():
        raise ConfigInvalid(file=str(file), reason=f"presets.{name}: {reason}")


def _model_args(model: ModelTarget) -> dict[str, JsonValue]:
    """Return how a request says an earlier run's model; whoever asks again is held to their own rule for it."""
    if model.network == "registered":
        return {"model": model.name}
    if model.eval_type == "mock_llm":
        return {"model": model.model, "eval_type": "mock_llm"}
    said: dict[str, JsonValue] = {"model": model.model, "api_url": model.api_url, "api_key_name": model.key}
    return {name: value for name, value in said.items() if value is not None}


async def with_preset(args: dict[str, JsonValue], context: Context) -> dict[str, JsonValue]:
    """Return a request's values on top of the preset that it names, on the model of the run that it names.

    Raises `UnknownPreset`, `UnknownRun`.
    """
    said = {name: value for name, value in args.items() if name not in {"preset", "model_of"}}
    store = context.services.store
    if isinstance(of := args.get("model_of"), str):
        run = await asyncio.to_thread(store.run, int(of.removeprefix("r")))
        said |= _model_args(run.spec.model)
    if not isinstance(name := args.get("preset"), str):
        return said
    presets = await asyncio.to_thread(all_presets, context.services.config, store.engine)
    preset = presets.get(name.lower())
    if preset is None:
        raise UnknownPreset(name=name, presets=", ".join(presets))
    another = bool({"model", "models"} & said.keys())
    before = {key: value for key, value in preset.args.items() if not (another and key in _OF_A_MODEL)}
    return merged(before, said)


def may_remove(preset: Preset, incoming: Incoming, config: Config) -> bool:
    """Tell whether a person may remove a preset: who saved it, or an admin; nobody one of scopebot.toml."""
    if not preset.user:
        return False
    return incoming.owns_machine or incoming.user in {preset.user, *config.access.admins}
