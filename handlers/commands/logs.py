"""logs: the end of a run's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class LogsArgs(Args):
    """The `run` whose log is wanted; without it, the newest one here."""

    run: str | None = None


async def handle(args: LogsArgs, context: Context) -> Reply:
    """Answer from the artifact store."""
    raise NotImplementedError


INTENT = Intent(
    name="logs",
    args=LogsArgs,
    handle=handle,
    slash=("/logs", "/日志"),
    words=Words(en=("logs", "log", "show the log", "output of"), zh=("日志", "输出")),
    positional=("run",),
    examples={"en": ("logs of r12",), "zh": ("r12 的日志",)},
)
