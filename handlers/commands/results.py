"""results: scores of earlier runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class ResultsArgs(Args):
    """One `run`, or those of a `model` or on `datasets`; `last` n of them."""

    run: str | None = None
    model: str | None = None
    datasets: tuple[str, ...] | None = None
    last: int | None = Field(None, ge=1, le=100)


async def handle(args: ResultsArgs, context: Context) -> Reply:
    """Answer from the store."""
    raise NotImplementedError


INTENT = Intent(
    name="results",
    args=ResultsArgs,
    handle=handle,
    slash=("/results", "/结果"),
    words=Words(
        en=("results", "result", "scores", "show scores", "score of", "report", "how did"),
        zh=("结果", "成绩", "分数", "得分", "报告"),
    ),
    positional=("run",),
    examples={"en": ("results of r12", "last 5 results on gsm8k"), "zh": ("r12 的结果", "gsm8k 最近 5 次的成绩")},
)
