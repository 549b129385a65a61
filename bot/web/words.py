"""What the web pages say, in English and Chinese; a text that one language lacks is a type error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "zh"]
Problem = Literal["link_invalid", "link_expired", "run_gone", "no_report", "no_page", "crash"]


@dataclass(frozen=True)
class Words:
    """The texts of one language. `{…}` are filled in where they are used."""

    html_lang: str
    states: Mapping[str, str]
    phases: Mapping[str, str]
    problems: Mapping[Problem, tuple[str, str]]
    request: str
    progress: str
    scores: str
    figures: str
    stress_test: str
    failure: str
    log: str
    reproduce: str
    open_report: str
    report_soon: str
    asked: str
    model: str
    model_id: str
    endpoint: str
    eval_type: str
    benchmarks: str
    limit: str
    limit_all: str
    limit_number: str
    limit_fraction: str
    repeats: str
    seed: str
    generation: str
    batch_size: str
    worker: str
    attempt: str
    started: str
    ended: str
    took: str
    benchmark: str
    metric: str
    subset: str
    score: str
    interval: str
    interval_hint: str
    samples: str
    direction: str
    directions: Mapping[str, str]
    samples_done: str
    requests_done: str
    requested: str
    succeeded: str
    errored: str
    tokens: str
    tokens_value: str
    latency: str
    fingerprint: str
    rate: str
    eta: str
    errors: str
    now: str
    running_score: str
    running_note: str
    total_unknown: str
    per_second: str
    per_minute: str
    no_news: str
    offline: str
    waiting_hint: str
    nothing_scored: str
    detail: str
    code: str
    log_note: str
    no_log: str
    log_missing: str
    more_metrics: str
    copy: str
    copied: str
    environment: str
    versions: str
    command: str
    seconds: str
    minutes: str
    hours: str
    expires: str


EN = Words(
    html_lang="en",
    states={
        "waiting": "Waiting", "queued": "Queued", "running": "Running", "paused": "Paused",
        "succeeded": "Succeeded", "failed": "Failed", "cancelled": "Cancelled",
    },
    phases={
        "starting": "starting", "checking": "checking the endpoint and the data", "checked": "checked",
        "loading": "loading the data", "evaluating": "evaluating", "reporting": "writing the report",
        "ended": "ended",
    },
    problems={
        "link_invalid": (
            "This link does not open anything",
            (
                "It may have been cut off when it was copied. Open it from the chat again, or ask the bot "
                "there for the run's results: its answer carries a fresh link."
            ),
        ),
        "link_expired": (
            "This link has expired",
            (
                "Links open for 30 days. The results are still there: ask the bot in the chat for the run's "
                "results, and its answer carries a fresh link."
            ),
        ),
        "run_gone": (
            "This run is no longer here",
            (
                "The link is good, but the run is not in the database any more. "
                "Ask the bot in the chat for your runs."
            ),
        ),
        "no_report": (
            "There is no report for this run",
            (
                "The HTML report is written a few seconds after the scores, and only if the run succeeded. "
                "If the run has just ended, load this page again in a moment; the run's page has its scores "
                "in any case."
            ),
        ),
        "no_page": (
            "There is no such page",
            "Check the address, or open the run's page from the link in the chat.",
        ),
        "crash": (
            "Something went wrong on our side",
            "It is not your fault, and it is in the bot's log. Please load the page again in a moment.",
        ),
    },
    request="Request",
    progress="Progress",
    scores="Scores",
    figures="Figures per level",
    stress_test="stress test",
    failure="Why it failed",
    log="Log",
    reproduce="Reproduce without the bot",
    open_report="Open the report",
    report_soon="The report is being written …",
    asked="Asked",
    model="Model",
    model_id="Model ID",
    endpoint="Endpoint",
    eval_type="Reached by",
    benchmarks="Benchmarks",
    limit="Samples",
    limit_all="all",
    limit_number="{number} per subset",
    limit_fraction="{percent} of each subset",
    repeats="Repeats",
    seed="Seed",
    generation="Generation",
    batch_size="Parallel requests",
    worker="Worker",
    attempt="Attempt",
    started="Started",
    ended="Ended",
    took="Took",
    benchmark="Benchmark",
    metric="Metric",
    subset="Subset",
    score="Score",
    interval="95 % interval",
    interval_hint="With samples like these, the true score lies between these two in 95 of 100 cases",
    samples="Samples",
    direction="Better",
    directions={
        "higher_is_better": "higher is better", "lower_is_better": "lower is better",
        "none": "says nothing about quality",
    },
    samples_done="samples",
    requests_done="requests",
    requested="Requested",
    succeeded="Scored",
    errored="Errors",
    tokens="Tokens",
    tokens_value="{prompt} in · {completion} out",
    latency="Mean latency",
    fingerprint="Fingerprint",
    rate="Rate",
    eta="Time to go",
    errors="Errors",
    now="Now",
    running_score="Score so far",
    running_note="on the samples so far, as EvalScope will compute the final one",
    total_unknown="unknown",
    per_second="{number} / s",
    per_minute="{number} / min",
    no_news="No news from the worker for {time}",
    offline="The bot does not answer; trying again …",
    waiting_hint="It has not begun. This page shows its progress as soon as a worker takes it.",
    nothing_scored="There are no scores.",
    detail="What was seen",
    code="Code",
    log_note="the last lines",
    no_log="The log comes here when the run ends.",
    log_missing="There is no log of this run.",
    more_metrics="{number} more metrics",
    copy="Copy",
    copied="Copied",
    environment="Environment",
    versions="Versions",
    command="Command",
    seconds="{s} s",
    minutes="{m} min {s} s",
    hours="{h} h {m} min",
    expires="This page opens only with its link; whoever has the link can see it, for 30 days.",
)  # fmt: skip

ZH = Words(
    html_lang="zh-CN",
    states={
        "waiting": "等待中", "queued": "排队中", "running": "运行中", "paused": "已暂停",
        "succeeded": "已完成", "failed": "失败", "cancelled": "已取消",
    },
    phases={
        "starting": "正在启动", "checking": "正在检查接口和数据", "checked": "已检查", "loading": "正在加载数据",
        "evaluating": "正在评测", "reporting": "正在生成报告", "ended": "已结束",
    },
    problems={
        "link_invalid": (
            "这个链接打不开任何内容",
            "链接可能在复制时被截断了。请从聊天里重新打开，或在聊天里向机器人要这次评测的结果，回复里有新的链接。",
        ),
        "link_expired": (
            "这个链接已过期",
            "链接有效期为 30 天，结果仍然保留着：在聊天里向机器人要这次评测的结果，回复里会带上新的链接。",
        ),
        "run_gone": (
            "这次评测已不在这里",
            "链接有效，但数据库里已没有这次评测。请在聊天里向机器人查询你的评测。",
        ),
        "no_report": (
            "这次评测没有报告",
            "HTML 报告在得分出来几秒后生成，只有成功的评测才有。刚结束的评测请稍后刷新；评测页上始终有得分。",
        ),
        "no_page": ("没有这个页面", "请检查地址，或从聊天里的链接打开评测页面。"),
        "crash": ("我们这边出错了", "这不是你的问题，错误已记入机器人的日志。请稍后刷新页面。"),
    },
    request="请求",
    progress="进度",
    scores="得分",
    figures="各档结果",
    stress_test="压力测试",
    failure="失败原因",
    log="日志",
    reproduce="不用机器人也能复现",
    open_report="打开报告",
    report_soon="报告生成中……",
    asked="提出时间",
    model="模型",
    model_id="模型 ID",
    endpoint="接口地址",
    eval_type="接入方式",
    benchmarks="评测集",
    limit="样本数",
    limit_all="全部",
    limit_number="每个子集 {number} 条",
    limit_fraction="每个子集的 {percent}",
    repeats="重复次数",
    seed="随机种子",
    generation="生成参数",
    batch_size="并发请求数",
    worker="执行机器",
    attempt="第几次尝试",
    started="开始",
    ended="结束",
    took="用时",
    benchmark="评测集",
    metric="指标",
    subset="子集",
    score="得分",
    interval="95% 置信区间",
    interval_hint="对于这样的样本，真实得分有 95% 的可能落在这两个数之间",
    samples="样本数",
    direction="方向",
    directions={
        "higher_is_better": "越高越好", "lower_is_better": "越低越好", "none": "不代表好坏",
    },
    samples_done="条样本",
    requests_done="个请求",
    requested="计划",
    succeeded="已评分",
    errored="出错",
    tokens="Token 数",
    tokens_value="输入 {prompt} · 输出 {completion}",
    latency="平均延迟",
    fingerprint="评测指纹",
    rate="速度",
    eta="预计还需",
    errors="出错",
    now="当前",
    running_score="当前得分",
    running_note="按已完成的样本计算，算法与 EvalScope 的最终得分相同",
    total_unknown="未知",
    per_second="{number} 条/秒",
    per_minute="{number} 条/分",
    no_news="已有 {time}没有收到执行机器的消息",
    offline="机器人没有回应，正在重试……",
    waiting_hint="评测尚未开始。有机器接手后，这里会实时显示进度。",
    nothing_scored="没有得分。",
    detail="看到的情况",
    code="代码",
    log_note="最后部分",
    no_log="评测结束后，日志会显示在这里。",
    log_missing="这次评测没有日志。",
    more_metrics="另外 {number} 个指标",
    copy="复制",
    copied="已复制",
    environment="环境变量",
    versions="版本",
    command="命令",
    seconds="{s} 秒",
    minutes="{m} 分 {s} 秒",
    hours="{h} 小时 {m} 分",
    expires="本页面只能通过链接打开，持有链接的人都能查看，有效期 30 天。",
)  # fmt: skip

WORDS: dict[Language, Words] = {"en": EN, "zh": ZH}


def preferred(accept_language: str) -> Language:
    """Return which of our languages a browser asks for first; English where it asks for neither."""
    best: tuple[float, Language] = (0.0, "en")
    for item in accept_language.split(","):
        name, _, parameters = item.strip().lower().partition(";")
        _, _, weight = parameters.partition("q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        language: Language | None = "zh" if name.startswith("zh") else "en" if name.startswith("en") else None
        if language is not None and quality > best[0]:
            best = (quality, language)
    return best[1]
