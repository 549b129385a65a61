"""What is understood and cannot be done yet: it is told so by name, and appears in no menu, help or manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from handlers.context import Context
from handlers.message import Message
from handlers.registry import MOST_RUNS, Args, Intent, Words
from handlers.reply import Reply


class CompareArgs(Args):
    """Old results beside each other: of runs, or of models on data sets."""

    runs: tuple[str, ...] | None = Field(None, max_length=MOST_RUNS)
    models: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None


class LeaderboardArgs(Args):
    """The best results on data sets, of the last days."""

    datasets: tuple[str, ...] | None = None
    last_days: int | None = Field(None, ge=1, le=3650)


class RagArgs(Args):
    """An evaluation of retrieval or of answers from documents. `metrics` are class names: AnswerRelevancy."""

    tool: Literal["RAGAS", "MTEB", "clip_benchmark"] | None = None
    model: str | None = None
    reranker: str | None = None
    tasks: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    testset_file: str | None = None
    docs: tuple[str, ...] | None = None
    test_size: int | None = Field(None, ge=1)
    critic_llm: str | None = None
    generator_llm: str | None = None
    embeddings: str | None = None
    language: str | None = None
    top_k: int | None = Field(None, ge=1)
    limits: int | None = Field(None, ge=1)
    api_base: str | None = None
    task: str | None = None
    dataset_name: tuple[str, ...] | None = None
    limit: int | None = Field(None, ge=1)


class ScheduleArgs(Args):
    """A request, or a run again, at times: `cron` of five fields, in a time zone (IANA) where one is said."""

    cron: str | None = None
    timezone: str | None = None
    request: dict[str, JsonValue] | None = None
    run: str | None = None
    channel: str | None = None


class SchedulesArgs(Args):
    """Nothing: all of them."""


class UnscheduleArgs(Args):
    """The schedule to end: s3."""

    schedule: str | None = None


async def handle(args: Any, context: Context) -> Reply:  # noqa: ARG001 - every handler takes its arguments
    """Say what was understood, that it cannot be done yet, and what can."""
    texts = context.texts
    return Reply(Message(text=texts("coming", what=texts(f"coming.{context.parsed.intent}"))), refused=True)


_COMING = (
    Intent(
        name="compare", args=CompareArgs, handle=handle, slash=("/compare", "/对比"),
        words=Words(
            en=(
                "compare", "comparing", "comparison", "versus", "vs", "better than", "worse than", "which is better",
                "which one is better", "difference between", "differences between", "diff between",
                "diffs between", "diff", "next to", "side by side", "which one's better", "beat", "beats", "outperform",
                "outperforms", "stack up",
            ),
            zh=(
                "对比", "比较", "哪个更好", "哪个好", "谁更好", "谁强", "哪个强", "哪个更强", "相比", "区别", "差别",
                "差异", "比一比", "比一下", "高还是", "更高", "更强",
            ),
        ),
        positional=("runs",),
        examples={
            "en": ("compare r12 and r15", "is qwen-plus better than prod on gsm8k?"),
            "zh": ("对比 r12 和 r15", "qwen-plus 和 prod 在 gsm8k 上哪个更好？"),
        },
    ),
    Intent(
        name="leaderboard", args=LeaderboardArgs, handle=handle, slash=("/leaderboard", "/排行榜"),
        words=Words(
            en=(
                "leaderboard", "leader board", "ranking", "rankings", "standings", "scoreboard", "top models",
                "best models", "who is leading", "who leads",
            ),
            zh=("排行榜", "排行", "排名", "榜单", "天梯", "谁第一", "谁最高"),
        ),
        positional=("datasets",),
        examples={
            "en": ("leaderboard for gsm8k", "show the leaderboard of the last 30 days"),
            "zh": ("gsm8k 排行榜", "看看最近 30 天的排行榜"),
        },
    ),
    Intent(
        name="rag", args=RagArgs, handle=handle, slash=("/rag",),
        words=Words(
            en=("ragas", "mteb", "clip benchmark", "clip_benchmark", "rag evaluation", "rag eval", "rag"),
            zh=("检索增强", "向量评测"),
        ),
        examples={
            "en": ("run MTEB T2Retrieval on bge-m3", "RAGAS on testset.jsonl with faithfulness"),
            "zh": ("用 MTEB 评测 bge-m3 的 T2Retrieval", "用 RAGAS 评测 testset.jsonl 的忠实度"),
        },
    ),
    Intent(
        name="schedule", args=ScheduleArgs, handle=handle, slash=("/schedule", "/定时"),
        words=Words(en=("schedule",), zh=("定时",)),
        required=("cron",),
        examples={
            "en": ("every Monday at 9:00 post the leaderboard", "run gsm8k on prod every weekday at 9:30 Berlin time"),
            "zh": ("每周一早上9点发排行榜", "每个工作日早上9点用 gsm8k 评测 prod"),
        },
    ),
    Intent(
        name="schedules", args=SchedulesArgs, handle=handle, slash=("/schedules", "/定时列表"),
        words=Words(
            en=(
                "schedules", "scheduled runs", "scheduled jobs", "scheduled posts", "scheduled evaluations",
                "scheduled tasks", "what is scheduled", "what's scheduled",
            ),
            zh=("有哪些定时", "定时任务列表", "定时列表", "所有定时", "哪些定时"),
        ),
        examples={"en": ("what is scheduled?", "list my schedules"), "zh": ("有哪些定时任务？", "定时任务列表")},
    ),
    Intent(
        name="unschedule", args=UnscheduleArgs, handle=handle, slash=("/unschedule", "/取消定时"),
        words=Words(
            en=("unschedule", "delete schedule", "remove schedule", "cancel schedule", "stop schedule"),
            zh=("取消定时", "删除定时", "停掉定时"),
        ),
        positional=("schedule",),
        required=("schedule",),
        examples={
            "en": ("unschedule s3", "delete the schedule s3"), "zh": ("取消定时 s3", "删除定时任务 s3"),
        },
    ),
)  # fmt: skip

COMING: Mapping[str, Intent] = {intent.name: intent for intent in _COMING}
