"""The prompts that Slack suggests where people talk to us alone, and the greeting in a channel we were invited to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.platforms.base import PlatformError
from bot.slack.address import NAME, channel_of
from bot.suggestions import suggestions
from handlers.incoming import Incoming, Language, Place
from handlers.message import Message
from handlers.reply import Reply
from handlers.texts import Texts

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.slack.people import People
    from bot.slack.workspaces import Workspaces
    from jobs.config import Config


async def suggest_prompts(bot: Bot, workspaces: Workspaces, people: People, team: str, event: dict[str, Any]) -> None:
    """Suggest what to say, in the conversation that a person has opened."""
    thread = event.get("assistant_thread") or {}
    channel = thread.get("channel_id") or event.get("channel")
    if not channel:
        return
    person = await people.get(team, str(thread.get("user_id") or event.get("user") or ""))
    workspace = await workspaces.get(team)
    try:
        await workspace.calls.call(
            "assistant.threads.setSuggestedPrompts", channel_id=channel, thread_ts=thread.get("thread_ts"),
            prompts=prompts(person.language or "en", bot.services.config),
        )  # fmt: skip
    except PlatformError:  # an older kind of app has no such conversation
        return


async def greet(bot: Bot, people: People, team: str, event: dict[str, Any]) -> None:
    """Say, once, in a channel that we were invited to what to say to us."""
    channel, inviter = str(event["channel"]), str(event.get("inviter") or "")
    language = (await people.get(team, inviter)).language or "en" if inviter else "en"
    example = suggestions(language, bot.services.config)[0]
    invited = Incoming(
        id=f"{NAME}:{team}:invited:{channel}:{event.get('event_ts', '')}",
        place=Place(platform=NAME, channel=channel_of(team, channel), thread=""), user=f"{NAME}:{inviter}",
    )  # fmt: skip
    said = Message(text=Texts(language)("greeting", example=example))
    await asyncio.to_thread(bot.reporter.outbox.record, invited, [Reply(said)])
    bot.reporter.wakeups.due.wake()


def prompts(language: Language, config: Config) -> list[dict[str, str]]:
    """Return what people can begin with, as it is shown and as it is sent."""
    said = suggestions(language, config)
    return [{"title": sentence[:1].upper() + sentence[1:], "message": sentence} for sentence in said]
