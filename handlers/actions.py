"""Presses of buttons: answers to questions, and shortcuts to what could be said in words as well."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from handlers.cards import reproduce_text
from handlers.context import Context, Services
from handlers.figures import run_names
from handlers.incoming import Incoming, Language
from handlers.intents.parsed import Parsed
from handlers.message import Log, Message
from handlers.paused import decide, go_on, is_decision
from handlers.perform import guarded, perform
from handlers.presses import Presses
from handlers.registry import intents
from handlers.reply import Reply
from handlers.shortcuts import INTENT_OF, Shortcut, read_shortcut
from handlers.sources import group_of
from handlers.submit import answer, not_taken
from handlers.texts import Texts
from jobs.errors import UnknownRun
from jobs.lifecycle import RunState
from jobs.models import Group, Run
from jobs.store import Store

STARTING = frozenset({"rerun", "full", "resume"})
"""What starts runs: once from each post."""
TELLING = frozenset({"status", "results", "benchmarks", "dashboard", "help"})
"""What a button asks for that is about no run: `do:status`."""
UNREADABLE = {"expired": "button.expired", "invalid": "button.invalid"}
"""What a platform gives instead of the id of a button whose signature is too old, or bad."""


async def press(incoming: Incoming, services: Services) -> Reply:
    """Return what comes of a press."""
    texts = Texts(incoming.speaks)
    if incoming.button in UNREADABLE:
        return not_taken(UNREADABLE[incoming.button], incoming.speaks)
    if is_decision(incoming.button):
        return await guarded(decide(incoming, services), texts)
    if not incoming.button.startswith("do:"):
        return await guarded(answer(incoming, services), texts)
    asked = incoming.button.removeprefix("do:")
    if asked in TELLING & intents().keys():
        return await _tell(asked, incoming, services)
    shortcut = read_shortcut(incoming.button)
    meant = None if shortcut is None else await asyncio.to_thread(_meant, shortcut, services.store)
    if shortcut is None or meant is None:
        return not_taken("question.unknown", incoming.speaks)
    group, runs = meant
    if shortcut.action == "cli":
        return _command(runs, Texts(group.language))
    if shortcut.action in STARTING and incoming.post:
        return await _once(shortcut, group, runs, incoming, services)
    return await _do(shortcut, group, runs, incoming, services)


async def _tell(intent: str, incoming: Incoming, services: Services) -> Reply:
    """Answer what a button asks for that is about no run."""
    context = Context(
        incoming=incoming, parsed=Parsed(intent=intent, by="command_line"), language=incoming.speaks, services=services
    )
    reply = await guarded(perform(context.parsed, context), context.texts)
    return replace(reply, private=not incoming.direct)


def _meant(shortcut: Shortcut, store: Store) -> tuple[Group, list[Run]] | None:
    """Return the request a button is about, and its runs or the one that is meant."""
    try:
        runs = store.group_runs(shortcut.number) if shortcut.group else [store.run(shortcut.number)]
    except UnknownRun:
        return None
    return (store.group(runs[0].group_id), runs) if runs else None


async def _once(shortcut: Shortcut, group: Group, runs: list[Run], incoming: Incoming, services: Services) -> Reply:
    """Start what a button starts, unless an earlier press of it did."""
    presses = Presses(services.store.engine)
    if not await asyncio.to_thread(presses.claim, incoming):
        return await asyncio.to_thread(_pressed_before, incoming, services.store, group.language)
    reply = await _do(shortcut, group, runs, incoming, services)
    if reply.group is None and not reply.waits:
        await asyncio.to_thread(presses.let_go, incoming)
    return reply


async def _do(shortcut: Shortcut, group: Group, runs: list[Run], incoming: Incoming, services: Services) -> Reply:
    """Handle the request that a button stands for; what starts nothing is for who pressed it."""
    texts = Texts(group.language)
    only = None if shortcut.group else runs[0]
    if only and shortcut.action == "resume" and only.state is RunState.PAUSED and only.user == incoming.user:
        return replace(await go_on(only, services, texts), private=True)  # where it is reported, not where we are
    args = {} if shortcut.group else {"run": runs[0].name} | ({"full": True} if shortcut.action == "full" else {})
    named = run_names(runs)
    context = Context(
        incoming=incoming.model_copy(update={"text": texts(f"action.{shortcut.action}", run=named)}),
        parsed=Parsed(intent=INTENT_OF[shortcut.action], args=args, by="command_line"),
        language=group.language,
        services=services,
        thread_run=None if shortcut.group else runs[0].id,
        thread_runs=tuple(runs) if shortcut.group else (),
    )
    reply = await guarded(perform(context.parsed, context), texts)
    return reply if reply.group is not None or reply.waits else replace(reply, private=True)


def _command(runs: list[Run], texts: Texts) -> Reply:
    """Show the command that gets a run's scores again."""
    result = runs[0].result
    if result is None or result.reproduce is None:
        return not_taken("action.no_command", texts.language)
    command = Log(title=texts("result.reproduce"), text=reproduce_text(result))
    return Reply(Message(text=texts("action.command", run=runs[0].name), parts=(command,)), private=True)


def _pressed_before(incoming: Incoming, store: Store, language: Language) -> Reply:
    """Say that a button was pressed before, and what goes on since."""
    texts = Texts(language)
    source = Presses(store.engine).taken_by(incoming)
    group = None if source is None else group_of(store, source)
    if group is None:
        return not_taken("action.pressed", language)
    runs = store.group_runs(group)
    states = ", ".join(dict.fromkeys(texts(f"state.{run.state}") for run in runs))
    said = texts("action.pressed_runs", runs=run_names(runs), states=states)
    return Reply(Message(text=said), refused=True, private=True)
