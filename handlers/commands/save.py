"""save: keep what a run was asked for under a name."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.message import Message
from handlers.presets import Preset, Presets, args_of, wrong_name
from handlers.references import NamesRun, run_number, which_run
from handlers.refusals import refusal
from handlers.registry import Intent, Words
from handlers.reply import Reply
from jobs.errors import InvalidValue
from jobs.models import EvalSpec


class SaveArgs(NamesRun):
    """The `run` whose settings are kept (without it, the conversation's), and the `name` they are kept under."""

    name: str | None = None


async def handle(args: SaveArgs, context: Context) -> Reply:
    """Save a preset; a name that means something else is refused."""
    refused = refusal(context)
    if refused is not None:
        return refused
    texts, services = context.texts, context.services
    name = (args.name or "").lower()
    number = run_number(args.run) if args.run is not None else context.thread_run
    if number is None:
        return which_run(context, INTENT.name)
    run = await asyncio.to_thread(services.store.run, number)
    if not isinstance(run.spec, EvalSpec):
        return Reply(Message(text=texts("preset.only_eval", run=run.name)), refused=True)
    await _check(name, context)
    preset = Preset(name=name, args=args_of(run.spec), user=context.incoming.user)
    if not await asyncio.to_thread(Presets(services.store.engine).save, preset, context.incoming.id):
        raise InvalidValue(field="name", value=name, reason="preset_taken")
    return Reply(Message(text=texts("preset.saved", name=name, run=run.name)))


async def _check(name: str, context: Context) -> None:
    """Raise `InvalidValue` for a name that is none, or that means something already."""
    config, vocabulary = context.services.config, await context.services.vocabulary()
    reason = wrong_name(name, config, vocabulary.catalog)
    if reason is None and name in {preset.lower() for preset in config.presets}:
        reason = "preset_taken"
    if reason is not None:
        raise InvalidValue(field="name", value=name or "?", reason=reason)


INTENT = Intent(
    name="save",
    args=SaveArgs,
    handle=handle,
    slash=("/save", "/存为"),
    words=Words(en=("save as a preset", "save as preset", "save it as"), zh=("存为预设", "保存为预设", "存成预设")),
    positional=("run", "name"),
    required=("name",),
    examples={
        "en": ("save r12 as nightly-math", "save this run as preset smoke"),
        "zh": ("把 r12 存为 nightly-math", "保存为预设 smoke"),
    },
)
