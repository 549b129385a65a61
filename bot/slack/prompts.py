"""The prompts that Slack suggests where people talk to us alone: sentences of the registry that work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.platforms.base import PlatformError
from handlers.registry import intents

if TYPE_CHECKING:
    from bot.slack.workspaces import Workspaces

SHOWN = ("eval", "perf", "benchmarks", "status")


async def suggest_prompts(workspaces: Workspaces, team: str, event: dict[str, Any]) -> None:
    """Suggest what to say, in the conversation that a person has opened."""
    thread = event.get("assistant_thread") or {}
    channel = thread.get("channel_id") or event.get("channel")
    if not channel:
        return
    workspace = await workspaces.get(team)
    try:
        await workspace.calls.call(
            "assistant.threads.setSuggestedPrompts", channel_id=channel, thread_ts=thread.get("thread_ts"),
            prompts=prompts(),
        )  # fmt: skip
    except PlatformError:  # an older kind of app has no such conversation
        return


def prompts() -> list[dict[str, str]]:
    """Return up to four sentences that people can begin with, as they are shown and as they are sent."""
    known = intents()
    said = [known[name].examples["en"][0] for name in SHOWN if name in known]
    return [{"title": sentence[:1].upper() + sentence[1:], "message": sentence} for sentence in said]
