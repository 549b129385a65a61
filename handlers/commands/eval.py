"""eval: evaluate a model's accuracy on benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, JsonValue

from handlers.registry import Args, Intent, Words

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


class EvalArgs(Args):
    """What an evaluation request can say."""

    model: str | None = None
    models: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    limit: int | float | None = Field(None, gt=0)
    api_url: str | None = None
    eval_type: str | None = None
    eval_batch_size: int | None = Field(None, ge=1, le=512)
    repeats: int | None = Field(None, ge=1, le=100)
    seed: int | None = None
    generation_config: dict[str, JsonValue] | None = None
    dataset_args: dict[str, dict[str, JsonValue]] | None = None
    dataset_hub: str | None = None
    api_key_name: str | None = None


async def handle(args: EvalArgs, context: Context) -> Reply:
    """Plan the runs; submit them, or ask about the one thing that is not sure."""
    raise NotImplementedError


INTENT = Intent(
    name="eval",
    args=EvalArgs,
    handle=handle,
    slash=("/eval", "/评测"),
    words=Words(
        en=("evaluate", "eval", "benchmark", "test", "score", "run", "measure", "assess", "how good is", "how well does"),
        zh=("评测", "评估", "测试", "测一下", "测一测", "跑一下", "跑个", "跑", "测"),
    ),
    positional=("model", "datasets"),
    required=("model", "datasets"),
    examples={
        "en": ("evaluate qwen-plus on gsm8k, 100 samples", "run mmlu and ceval on prod with temperature 0"),
        "zh": ("用 gsm8k 评测 qwen-plus，100 条", "评测 prod 在 ceval 上的表现，前二十条"),
    },
)
