"""rerun: run again what was run before, with changes."""

from __future__ import annotations

import asyncio

from pydantic import Field, JsonValue, ValidationError

from handlers.context import Context
from handlers.message import Message
from handlers.plan import surprise, total
from handlers.policy import generation_settings, invalid, resolve_datasets, resolve_model
from handlers.references import run_number, which_run
from handlers.refusals import refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.submit import Choice, ask, submit
from jobs.errors import InvalidValue
from jobs.models import EvalSpec, PerfSpec


class RerunArgs(Args):
    """The `run` to run again, and what is to be different."""

    run: str | None = None
    model: str | None = None
    datasets: tuple[str, ...] | None = None
    limit: int | float | None = Field(None, gt=0)
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
        return await _load_again(run.spec, args, context)
    spec = await _changed(run.spec, args, context)
    found = surprise([spec]) if args.limit is not None else None
    specs = [spec] if found is None else list(found.spread)
    samples, threshold = total(specs), context.services.config.defaults.confirm_above_samples
    if samples is not None and samples > threshold:
        question = context.texts("ask.above", total=samples, threshold=threshold)
        return await ask(context, question, [Choice("run", context.texts("button.run", total=samples), tuple(specs))])
    return await submit(context, specs)


async def _load_again(spec: PerfSpec, args: RerunArgs, context: Context) -> Reply:
    """Start a stress test again; another load is another test, which is said as one."""
    others = sorted(args.model_fields_set - {"run", "model", "api_url", "api_key_name"})
    if others:
        return Reply(Message(text=context.texts("rerun.perf", names=", ".join(others))), refused=True)
    model = spec.model
    if args.model is not None or args.api_url is not None:
        model = await resolve_model(
            args.model or model.name,
            api_url=args.api_url,
            eval_type=None,
            key=args.api_key_name,
            incoming=context.incoming,
            config=context.services.config,
        )
        if model.api_url is None:
            raise InvalidValue(field="model", value=model.name, reason="perf_endpoint")
    return await submit(context, [spec.model_copy(update={"model": model, "resumes": None})])


async def _changed(spec: EvalSpec, args: RerunArgs, context: Context) -> EvalSpec:
    config = context.services.config
    changes: dict[str, object] = {"resumes": None}
    for name in ("limit", "eval_batch_size", "repeats", "seed"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    if args.model is not None or args.api_url is not None:
        changes["model"] = await resolve_model(
            args.model or spec.model.name,
            api_url=args.api_url,
            eval_type=args.eval_type,
            key=args.api_key_name,
            incoming=context.incoming,
            config=config,
        )
    if args.datasets or args.dataset_args:
        names = args.datasets or tuple(dataset.name for dataset in spec.datasets)
        vocabulary = await context.services.vocabulary()
        changes["datasets"] = tuple(resolve_datasets(names, args.dataset_args or {}, vocabulary, config))
    if args.generation_config:
        before = spec.generation_config.model_dump(exclude_none=True)
        changes["generation_config"] = generation_settings(args.generation_config, before)
    try:
        return EvalSpec.model_validate(spec.model_dump() | changes)
    except ValidationError as error:
        raise invalid(error) from error


INTENT = Intent(
    name="rerun",
    args=RerunArgs,
    handle=handle,
    slash=("/rerun", "/重跑"),
    words=Words(
        en=("rerun", "re-run", "run again", "repeat run", "again with"),
        zh=("重跑", "重新跑", "再跑一次", "重新评测", "再来一次"),
    ),
    positional=("run",),
    examples={"en": ("rerun r12", "rerun r12 with 100 samples on prod"), "zh": ("重跑 r12", "重跑 r12，100 条")},
)
