"""help: what Scopebot can do, generated from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class HelpArgs(Args):
    """What help is wanted `about`: an intent's name or a parameter."""

    about: str | None = None


async def handle(args: HelpArgs, context: Context) -> Reply:
    """Answer from the registry."""
    raise NotImplementedError


INTENT = Intent(
    name="help",
    args=HelpArgs,
    handle=handle,
    slash=("/help", "/帮助"),
    words=Words(
        en=("help", "what can you do", "how do i", "how do you work", "usage", "hello", "hi"),
        zh=("帮助", "你能做什么", "怎么用", "使用说明", "你好", "你会什么"),
    ),
    positional=("about",),
    examples={"en": ("help", "what can you do?"), "zh": ("帮助", "你能做什么？")},
)
