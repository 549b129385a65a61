"""benchmarks: find a benchmark by name, tag or words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class BenchmarksArgs(Args):
    """`tags` in EvalScope's spelling, `name` of one benchmark to describe, `query` words to look for."""

    tags: tuple[str, ...] | None = None
    name: str | None = None
    query: str | None = None


async def handle(args: BenchmarksArgs, context: Context) -> Reply:
    """Answer from the catalog."""
    raise NotImplementedError


INTENT = Intent(
    name="benchmarks",
    args=BenchmarksArgs,
    handle=handle,
    slash=("/benchmarks", "/基准"),
    words=Words(
        en=("benchmarks", "which benchmarks", "list benchmarks", "what benchmarks", "find a benchmark", "what is", "tell me about", "describe", "available datasets", "which datasets"),
        zh=("有哪些基准", "哪些评测集", "基准", "评测集", "数据集有哪些", "有什么数据集", "介绍一下", "是什么", "哪些数据集"),
    ),
    positional=("query",),
    examples={
        "en": ("which benchmarks test coding?", "what is gsm8k?"),
        "zh": ("有哪些数学基准？", "介绍一下 gsm8k"),
    },
)
