"""What was understood of a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, JsonValue

from jobs.catalog import Catalog
from jobs.models import Frozen


class Refused(Frozen):
    """A parameter that may not come from chat. `reason` is a key of the texts: `refused.api_key`."""

    name: str
    reason: str


class Parsed(Frozen):
    """One request as it was said. The fields are `scopebot parse`'s output, in its order."""

    intent: str
    args: dict[str, JsonValue] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    question: str | None = None
    """The key of the text to answer with, where there is nothing to do or something is missing."""
    by: Literal["command_line", "grammar", "llm", "both"] = "grammar"
    more: tuple[Parsed, ...] = ()
    per_subset: bool = Field(default=False, exclude=True)
    """The limit was said to be that of each subset, so that there is nothing to ask about it."""
    worded: bool = Field(default=False, exclude=True)
    """Its number of samples was said in a sentence, which leaves open what it counts, although in a command."""
    doubt: Literal["", "guessed", "differs"] = Field(default="", exclude=True)
    """Only a language model read it, or two readings differ: nothing starts before the person has said which."""
    instead: tuple[Parsed, ...] = Field(default=(), exclude=True)
    """The other reading of a request that was read in two ways."""
    pasted: bool = Field(default=False, exclude=True)
    """It was EvalScope's own command or configuration, so what it leaves out means what EvalScope makes of it."""


@dataclass(frozen=True)
class Vocabulary:
    """The names a message may use: the live catalog and what is registered in scopebot.toml."""

    catalog: Catalog
    models: frozenset[str] = field(default_factory=frozenset)
    datasets: frozenset[str] = field(default_factory=frozenset)
    keys: frozenset[str] = field(default_factory=frozenset)
    presets: frozenset[str] = field(default_factory=frozenset)
