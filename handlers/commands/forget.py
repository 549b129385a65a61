"""forget: remove a preset."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.message import Message
from handlers.presets import Presets, all_presets, may_remove
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from jobs.errors import UnknownPreset


class ForgetArgs(Args):
    """The preset's `name`."""

    name: str | None = None


async def handle(args: ForgetArgs, context: Context) -> Reply:
    """Remove a preset, for who saved it or an admin."""
    texts, services = context.texts, context.services
    presets = await asyncio.to_thread(all_presets, services.config, services.store.engine)
    preset = presets.get((args.name or "").lower())
    if preset is None:
        raise UnknownPreset(name=args.name or "?", presets=", ".join(presets))
    if not may_remove(preset, context.incoming, services.config):
        key = "preset.of_config" if not preset.user else "preset.not_yours"
        return Reply(Message(text=texts(key, name=preset.name)), refused=True)
    await asyncio.to_thread(Presets(services.store.engine).remove, preset.name)
    return Reply(Message(text=texts("preset.forgotten", name=preset.name)))


INTENT = Intent(
    name="forget",
    args=ForgetArgs,
    handle=handle,
    slash=("/forget", "/删除预设"),
    words=Words(en=("forget preset", "delete preset", "remove preset"), zh=("删除预设", "删掉预设")),
    positional=("name",),
    required=("name",),
    examples={
        "en": ("forget preset nightly-math", "delete the preset smoke"),
        "zh": ("删除预设 nightly-math", "删掉预设 smoke"),
    },
)  # fmt: skip
