"""rerun: run again what was run before, with changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from handlers.amounts import ask_first
from handlers.context import Context
from handlers.message import Message
from handlers.plan import split_by_benchmark
from handlers.policy import generation_settings, invalid, resolve_again, resolve_datasets, resolve_model
from handlers.readings import label_of
from handlers.references import NamesRun, run_number, which_run
from handlers.refusals import refusal
from handlers.registry import Intent, Words
from handlers.reply import Reply
from handlers.submit import Choice, ask, submit
from jobs.config import ModelEntry
from jobs.errors import InvalidValue
from jobs.lifecycle import ENDED
from jobs.models import DatasetTarget, EvalSpec, ModelTarget, PerfSpec, Run, Spec


class RerunArgs(NamesRun):
    """The `run` to run again, and what is to be different."""

    model: str | None = None
    datasets: tuple[str, ...] | None = None
    limit: int | float | None = Field(None, gt=0)
    full: Literal[True] | None = None
    """All samples, where the old run had a limit."""
    api_url: str | None = None
    api_key_name: str | None = None
    eval_type: str | None = None
    eval_batch_size: int | None = Field(None, ge=1, le=512)
    repeats: int | None = Field(None, ge=1, le=100)
    seed: int | None = None
    generation_config: dict[str, JsonValue] | None = None
    dataset_args: dict[str, dict[str, JsonValue]] | None = None


async def handle(args: RerunArgs, context: Context) -> Reply:
    """Start a new run like the old one, changed as was said."""
    refused = refusal(context)
    if refused is not None:
        return refused
    number = run_number(args.run) if args.run is not None else context.thread_run
    if number is None:
        return which_run(context, INTENT.name)
    run = await asyncio.to_thread(context.services.store.run, number)
    if isinstance(run.spec, PerfSpec):
        return await _load_again(run, run.spec, args, context)
    specs = await _changed(run.spec, args, context)
    if context.parsed.doubt:
        return await _ask_instead(run, specs, context)
    question = await ask_first(context, specs, said=args.limit is not None)
    return question or await submit(context, specs)


async def _ask_instead(run: Run, specs: Sequence[Spec], context: Context) -> Reply:
    """Ask whether a run is to be run changed: in its conversation that was said, but not that it is to be run."""
    texts, going = context.texts, run.state not in ENDED
    what = texts("button.reading", what=label_of(specs, texts))
    label = texts("button.instead", what=what, run=run.name) if going else what
    choice = Choice("instead", label, tuple(specs), replaces=run.name if going else "")
    return await ask(context, texts("ask.instead" if going else "ask.instead_ended", run=run.name), [choice])


async def _load_again(run: Run, spec: PerfSpec, args: RerunArgs, context: Context) -> Reply:
    """Start a stress test again; another load is another test, which is said as one."""
    others = sorted(args.model_fields_set - {"run", "model", "api_url", "api_key_name"})
    if others:
        return Reply(Message(text=context.texts("rerun.perf", names=", ".join(others))), refused=True)
    model = await _model(spec.model, args, context)
    if model.api_url is None:
        raise InvalidValue(field="model", value=model.name, reason="perf_endpoint")
    again = spec.model_copy(update={"model": model, "resumes": None})
    return await (_ask_instead(run, [again], context) if context.parsed.doubt else submit(context, [again]))


async def _changed(spec: EvalSpec, args: RerunArgs, context: Context) -> list[EvalSpec]:
    """Return the old run with the changes; more than one where two data sets need the same EvalScope benchmark."""
    model = await _model(spec.model, args, context)
    entries = context.services.config.models
    old, new = entries.get(spec.model.name), entries.get(model.name)
    generation = _said_generation(spec, old) | (args.generation_config or {})
    batch = spec.eval_batch_size
    if batch == (old.eval_batch_size if old else None):
        batch = new.eval_batch_size if new else None
    changes: dict[str, object] = {
        "model": model,
        "generation_config": generation_settings(generation, new.generation_config if new else None),
        "eval_batch_size": args.eval_batch_size or batch,
        "resumes": None,
    }
    if args.full:
        changes["limit"] = None
    for name in ("limit", "repeats", "seed"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    datasets = await _datasets(spec, args, context)
    try:
        return [
            EvalSpec.model_validate(spec.model_dump() | changes | {"datasets": batch})
            for batch in split_by_benchmark(datasets)
        ]
    except ValidationError as error:
        raise invalid(error) from error


async def _model(before: ModelTarget, args: RerunArgs, context: Context) -> ModelTarget:
    """Return the model that was said, else the old one, for who asks now."""
    incoming, config = context.incoming, context.services.config
    if not args.model_fields_set & {"model", "api_url", "api_key_name", "eval_type"}:
        return await resolve_again(before, incoming=incoming, config=config)
    api_url = args.api_url
    if api_url is None and args.model is None and before.network != "registered":
        api_url = before.api_url
    return await resolve_model(
        args.model or before.name, api_url=api_url, eval_type=args.eval_type, key=args.api_key_name,
        incoming=incoming, config=config,
    )  # fmt: skip


async def _datasets(spec: EvalSpec, args: RerunArgs, context: Context) -> list[DatasetTarget]:
    """Return the benchmarks that were said, else the old ones; what was said of one then still holds."""
    if not args.datasets and not args.dataset_args:
        return list(spec.datasets)
    names = args.datasets or tuple(dataset.name for dataset in spec.datasets)
    said = {dataset.name: {key: dataset.args[key] for key in dataset.said} for dataset in spec.datasets}
    for name, settings in (args.dataset_args or {}).items():
        said[name] = said.get(name, {}) | settings
    return resolve_datasets(names, said, await context.services.vocabulary(), context.services.config)


def _said_generation(spec: EvalSpec, entry: ModelEntry | None) -> dict[str, JsonValue]:
    """Return the generation settings that are not the registered model's own."""
    own = entry.generation_config if entry else {}
    settings = spec.generation_config.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in settings.items() if own.get(name) != value}


INTENT = Intent(
    name="rerun",
    args=RerunArgs,
    handle=handle,
    slash=("/rerun", "/重跑"),
    words=Words(
        en=(
            "rerun",
            "re-run",
            "rerunning",
            "run again",
            "repeat run",
            "again with",
            "redo",
            "do it over",
            "do over",
            "repeat",
        ),
        zh=("重跑", "重新跑", "再跑一次", "再跑一遍", "重新评测", "再来一次", "再来一遍", "重做", "重测"),
    ),
    positional=("run",),
    examples={
        "en": ("rerun r12", "rerun r12 with 100 samples on prod", "rerun r12 in full"),
        "zh": ("重跑 r12", "重跑 r12，100 条", "全量重跑 r12"),
    },
)
