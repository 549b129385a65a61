"""presets: what is kept under names, and how to use it."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.incoming import Request
from handlers.message import Message, Table
from handlers.presets import all_presets
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.typed import as_command


class PresetsArgs(Args):
    """Nothing: all of them."""


async def handle(args: PresetsArgs, context: Context) -> Reply:  # noqa: ARG001 - every handler takes its arguments
    """List the presets with what each of them asks for."""
    texts, services = context.texts, context.services
    found = await asyncio.to_thread(all_presets, services.config, services.store.engine)
    if not found:
        return Reply(Message(text=texts("presets.none")))
    columns = tuple(texts(f"presets.column.{name}") for name in ("name", "what", "whose"))
    rows = tuple(
        (preset.name, as_command(Request(intent="eval", args=preset.args)), preset.user or "scopebot.toml")
        for preset in found.values()
    )
    example = next(iter(found))
    return Reply(Message(text=texts("presets.are", name=example), parts=(Table(columns=columns, rows=rows),)))


INTENT = Intent(
    name="presets",
    args=PresetsArgs,
    handle=handle,
    slash=("/presets", "/预设"),
    words=Words(en=("presets", "list presets", "which presets"), zh=("有哪些预设", "预设列表", "所有预设", "哪些预设")),
    examples={"en": ("presets", "which presets are there?"), "zh": ("有哪些预设？", "预设列表")},
)
