"""headlines: whether a line on each result is posted into the channel too."""

from __future__ import annotations

import asyncio

from handlers.channel_settings import ChannelSettings
from handlers.context import Context
from handlers.message import Message
from handlers.refusals import refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply


class HeadlinesArgs(Args):
    """`on` or off; without it, the answer is which it is."""

    on: bool | None = None


async def handle(args: HeadlinesArgs, context: Context) -> Reply:
    """Set it for the channel this is said in, or tell it."""
    refused = refusal(context)
    if refused is not None:
        return refused
    texts, place = context.texts, context.incoming.place
    if context.incoming.direct:
        return Reply(Message(text=texts("headlines.direct")))
    settings = ChannelSettings(context.services.store.engine)
    if args.on is None:
        on = await asyncio.to_thread(settings.headlines, place.platform, place.channel)
    else:
        on = args.on
        await asyncio.to_thread(settings.set_headlines, place.platform, place.channel, on=on)
    return Reply(Message(text=texts("headlines.on" if on else "headlines.off")))


INTENT = Intent(
    name="headlines",
    args=HeadlinesArgs,
    handle=handle,
    slash=("/headlines", "/播报"),
    words=Words(
        en=("headlines", "posting results", "post results", "announce results", "announcing results"),
        zh=("频道播报", "播报", "发到频道", "发到群里"),
    ),
    positional=("on",),
    examples={
        "en": ("headlines off", "stop posting results in the channel"),
        "zh": ("关闭频道播报", "打开频道播报"),
    },
)
