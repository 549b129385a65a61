"""status: what runs and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class StatusArgs(Args):
    """One `run` by its id (r12), or all that is running and waiting."""

    run: str | None = None


async def handle(args: StatusArgs, context: Context) -> Reply:
    """Answer from the store and the runs' progress."""
    raise NotImplementedError


INTENT = Intent(
    name="status",
    args=StatusArgs,
    handle=handle,
    slash=("/status", "/状态"),
    words=Words(
        en=("status", "progress", "what is running", "what's running", "how far", "still running", "eta", "queue"),
        zh=("状态", "进度", "跑到哪", "在跑什么", "正在跑", "跑完了吗", "还要多久", "队列"),
    ),
    positional=("run",),
    examples={"en": ("status", "how far is r12?"), "zh": ("状态", "r12 跑到哪了？")},
)
