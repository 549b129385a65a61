"""defaults: the model and the number of samples that a channel means where a request says none."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import Field

from handlers.channel_settings import ChannelDefaults, ChannelSettings
from handlers.context import Context
from handlers.message import Message
from handlers.refusals import refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.config import Config
from jobs.errors import UnknownModel


class DefaultsArgs(Args):
    """What to set, and what to `clear`; neither: tell what is set."""

    model: str | None = None
    limit: int | float | None = Field(None, gt=0)
    clear: tuple[Literal["model", "limit"], ...] | None = None


async def handle(args: DefaultsArgs, context: Context) -> Reply:
    """Set the defaults of the conversation this is said in, or tell them."""
    refused = refusal(context)
    if refused is not None:
        return refused
    config, place = context.services.config, context.incoming.place
    if args.model is not None and args.model not in config.models:
        raise UnknownModel(name=args.model, models=", ".join(config.models))
    settings = ChannelSettings(context.services.store.engine)
    said = {"model": args.model, "limit": args.limit}
    changes = dict.fromkeys(args.clear or ()) | {name: value for name, value in said.items() if value is not None}
    if changes:
        await asyncio.to_thread(settings.set_defaults, place.platform, place.channel, changes)
    defaults = await asyncio.to_thread(settings.defaults, place.platform, place.channel)
    return Reply(Message(text=_told(defaults, config, context.texts)))


def _told(defaults: ChannelDefaults, config: Config, texts: Texts) -> str:
    """Return what requests here mean where they say neither."""
    model = defaults.model or config.defaults.model
    whose = "" if defaults.model is not None or model is None else texts("defaults.from_config")
    return texts(
        "defaults.are", model=(model or texts("defaults.none")) + whose,
        limit=texts("defaults.all") if defaults.limit is None else limit_text(defaults.limit),
    )  # fmt: skip


def limit_text(limit: float) -> str:
    """Return a limit as people say it: 50, 10%."""
    return f"{limit:.0%}" if limit < 1 else f"{limit:g}"


INTENT = Intent(
    name="defaults",
    args=DefaultsArgs,
    handle=handle,
    slash=("/defaults", "/默认"),
    words=Words(
        en=("defaults", "default model", "default limit", "default number of samples", "channel defaults"),
        zh=("默认模型", "默认条数", "默认样本数", "默认设置", "默认值"),
    ),
    positional=("model",),
    examples={
        "en": ("use qwen-plus as the default model here", "default limit 50", "clear the defaults"),
        "zh": ("默认模型改成 qwen-plus", "默认条数 50", "清除默认设置"),
    },
)
