"""Named presets: an evaluation's settings under a name, from scopebot.toml or saved from a run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue, ValidationError
from sqlalchemy import JSON, Engine, String, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from handlers.context import Context
from handlers.incoming import Incoming
from handlers.intents.change import merged
from handlers.registry import intents
from jobs.config import Config
from jobs.db import Base, reading, transaction
from jobs.errors import UnknownPreset
from jobs.models import EvalSpec, Frozen, GenerationSettings


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


def wrong_presets(config: Config) -> dict[str, str]:
    """Return the presets of scopebot.toml that no evaluation can be asked for by, with what is wrong in each."""
    wrong = {}
    for name, args in config.presets.items():
        try:
            intents()["eval"].args.model_validate(args)
        except ValidationError as error:
            first = error.errors()[0]
            wrong[name] = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return wrong


def args_of(spec: EvalSpec) -> dict[str, JsonValue]:
    """Return what a run was asked for, as a request says it."""
    model = spec.model
    args: dict[str, JsonValue] = {"datasets": [dataset.name for dataset in spec.datasets]}
    args |= {"model": model.name} if model.network == "registered" else {"model": model.model, "api_url": model.api_url}
    if model.eval_type == "mock_llm":
        args |= {"eval_type": "mock_llm"}
    plain = EvalSpec(model=model, datasets=spec.datasets)
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


async def with_preset(args: dict[str, JsonValue], context: Context) -> dict[str, JsonValue]:
    """Return a request's values on top of the preset that it names, on the model of the run that it names.

    Raises `UnknownPreset`, `UnknownRun`.
    """
    said = {name: value for name, value in args.items() if name not in {"preset", "model_of"}}
    store = context.services.store
    if isinstance(of := args.get("model_of"), str):
        run = await asyncio.to_thread(store.run, int(of.removeprefix("r")))
        own = run.spec.model
        said |= {"model": own.name} if own.network == "registered" else {"model": own.model}
        said |= {} if own.network == "registered" or own.api_url is None else {"api_url": own.api_url}
    if not isinstance(name := args.get("preset"), str):
        return said
    presets = await asyncio.to_thread(all_presets, context.services.config, store.engine)
    preset = presets.get(name.lower())
    if preset is None:
        raise UnknownPreset(name=name, presets=", ".join(presets))
    before = dict(preset.args)
    if "model" in said or "models" in said:
        before.pop("api_url", None)
    return merged(before, said)


def may_remove(preset: Preset, incoming: Incoming, config: Config) -> bool:
    """Tell whether a person may remove a preset: who saved it, or an admin; nobody one of scopebot.toml."""
    if not preset.user:
        return False
    return incoming.owns_machine or incoming.user in {preset.user, *config.access.admins}
