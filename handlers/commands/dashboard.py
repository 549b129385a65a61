"""dashboard: where results are looked at in a browser."""

from __future__ import annotations

import asyncio

from handlers.context import Context
from handlers.message import Link, Message, Part, Text
from handlers.refusals import left_out
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply

PAGES = 5
"""Run pages that are linked, newest first."""


class DashboardArgs(Args):
    """Nothing: there is one."""


async def handle(args: DashboardArgs, context: Context) -> Reply:  # noqa: ARG001 - every handler takes its arguments
    """Link EvalScope's dashboard where an admin has set one up, and the newest runs' own pages in any case."""
    texts, services = context.texts, context.services
    runs = await asyncio.to_thread(services.store.runs, limit=PAGES)
    parts: list[Part] = []
    if services.dashboard_url is not None:
        parts.append(Link(label=texts("dashboard.open"), url=services.dashboard_url))
    parts.append(Text(text=texts("dashboard.pages" if runs else "dashboard.no_runs")))
    parts += [Link(label=f"{run.name} · {run.spec.model.name}", url=services.links.run_url(run.id)) for run in runs]
    if flags := left_out(context):
        parts.append(Text(text=texts("eval.ignored", names=", ".join(flags))))
    text = texts("dashboard.none" if services.dashboard_url is None else "dashboard.there")
    return Reply(Message(text=text, parts=tuple(parts)))


INTENT = Intent(
    name="dashboard",
    args=DashboardArgs,
    handle=handle,
    slash=("/dashboard", "/看板"),
    words=Words(
        en=(
            "dashboard",
            "web ui",
            "web interface",
            "ui link",
            "link to the ui",
            "web page",
            "web view",
            "see the charts",
        ),
        zh=(
            "看板",
            "面板",
            "网页版",
            "网页可以看",
            "图表页面",
            "仪表盘",
            "仪表板",
            "网页界面",
            "可视化界面",
            "可视化页面",
        ),
    ),
    examples={
        "en": ("open the dashboard", "is there a web interface?"),
        "zh": ("打开看板", "有可视化界面吗？"),
    },
)
