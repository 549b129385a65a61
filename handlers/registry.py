"""The registry of intents.

An intent is one file in `handlers/commands/` that makes an `Intent`: its request model, its handler and the words
that name it. Slash commands, help, the grammar and `scopebot parse` are generated from what is registered here, so
nothing that has no handler ever appears.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from handlers.context import Context
    from handlers.reply import Reply


MOST_RUNS = 50
"""Runs that one request may name."""


class Args(BaseModel):
    """What a request says: only what was said, no defaults filled in. Field names are EvalScope's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Words:
    """How people name an intent. Phrases match whole words (English) or anywhere (Chinese), longest first."""

    en: tuple[str, ...] = ()
    zh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intent:
    """One thing people can ask for."""

    name: str
    args: type[Args]
    handle: Callable[[Any, Context], Awaitable[Reply]]
    slash: tuple[str, ...]
    """Slash commands, the English one first: ("/eval", "/评测")."""
    words: Words
    positional: tuple[str, ...] = ()
    """Fields that a slash command takes without a name, in order; the last one takes all that is left."""
    required: tuple[str, ...] = ()
    """Fields without which it has to ask."""
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences per language, shown by help and checked by a test to parse to this intent."""
    not_yet: frozenset[str] = frozenset()
    """Fields that are understood and that the handler cannot do yet: a request with one is refused by its name."""


@functools.cache
def intents() -> Mapping[str, Intent]:
    """Return every registered intent by its name: each module of `handlers.commands` has one, named INTENT."""
    package = importlib.import_module("handlers.commands")
    found: dict[str, Intent] = {}
    for module in pkgutil.iter_modules(package.__path__):
        intent: Intent = importlib.import_module(f"handlers.commands.{module.name}").INTENT
        found[intent.name] = intent
    return found


@functools.cache
def understood() -> Mapping[str, Intent]:
    """Return every intent that is understood: those that are handled, and those that are still to come."""
    from handlers.coming import COMING

    return dict(COMING) | dict(intents())
