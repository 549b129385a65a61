"""The prompts that Slack suggests where people talk to us alone: sentences of the registry that work.

Where a model is registered, they name that one. The greeting in a channel that we were invited to names the first.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from bot.platforms.base import PlatformError
from bot.slack.address import NAME, channel_of
from handlers.incoming import Incoming, Language, Place
from handlers.message import Message
from handlers.policy import SUPPORTED_EVAL_TYPES
from handlers.registry import intents
from handlers.reply import Reply
from handlers.texts import Texts

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.slack.people import People
    from bot.slack.workspaces import Workspaces
    from jobs.config import Config

SHOWN = ("eval", "perf", "benchmarks", "status")
STAND_INS = {"eval": "qwen-plus", "perf": "prod"}
"""The models that the examples of the registry name."""
STAND_IN_BENCHMARK = "gsm8k"
MOCK, SAMPLE = "mock", "sample_mcq"
"""Can be evaluated without being registered or downloaded."""


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
    example = prompts(language, bot.services.config)[0]["message"]
    invited = Incoming(
        id=f"{NAME}:{team}:invited:{channel}:{event.get('event_ts', '')}",
        place=Place(platform=NAME, channel=channel_of(team, channel), thread=""), user=f"{NAME}:{inviter}",
    )  # fmt: skip
    said = Message(text=Texts(language)("greeting", example=example))
    await asyncio.to_thread(bot.reporter.outbox.record, invited, [Reply(said)])
    bot.reporter.wakeups.due.wake()


def prompts(language: Language, config: Config) -> list[dict[str, str]]:
    """Return up to four sentences that people can begin with and that work, as they are shown and as they are sent."""
    known = intents()
    said = {name: known[name].examples[language][0] for name in SHOWN if name in known}
    said = _with_models(said, config)
    return [{"title": sentence[:1].upper() + sentence[1:], "message": sentence} for sentence in said.values()]


def _with_models(said: dict[str, str], config: Config) -> dict[str, str]:
    """Return sentences about models that are registered: the default one, else the first."""
    default = config.defaults.model
    known = [name for name, entry in config.models.items() if entry.eval_type in {None, *SUPPORTED_EVAL_TYPES}]
    names = sorted(known, key=lambda name: name != default)
    models = {"eval": names or [MOCK], "perf": [name for name in names if config.models[name].api_url is not None]}
    found = {}
    for intent, sentence in said.items():
        if intent not in models:
            found[intent] = sentence
        elif models[intent] == [MOCK]:  # with a benchmark that needs no network either, in full: it is small
            short = re.split(r"[,，]", sentence)[0].replace(STAND_INS[intent], MOCK)
            found[intent] = short.replace(STAND_IN_BENCHMARK, SAMPLE)
        elif models[intent]:
            found[intent] = sentence.replace(STAND_INS[intent], models[intent][0])
    return found
