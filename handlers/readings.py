"""What is asked where a request was guessed, or read in two ways: nothing starts before the person has said which."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.cards import samples_text
from handlers.context import Context
from handlers.incoming import Request
from handlers.intents.parsed import Parsed
from handlers.message import Message
from handlers.reply import Reply
from handlers.submit import Choice, ask
from handlers.texts import Texts
from handlers.typed import as_command
from jobs.models import EvalSpec, PerfSpec, Spec

PLANNED = frozenset({"eval", "perf", "rerun"})
"""Intents whose handler plans runs, and asks about them by `ask_reading`."""


async def ask_reading(context: Context, specs: Sequence[Spec], others: Sequence[Sequence[Spec]] = ()) -> Reply | None:
    """Return the question which of the readings is meant; None where there is no doubt."""
    parsed, texts = context.parsed, context.texts
    if not parsed.doubt:
        return None
    readings = [specs, *(other for other in others if label_of(other, texts) != label_of(specs, texts))]
    choices = [
        Choice(f"reading{number}", texts("button.reading", what=label_of(reading, texts)), tuple(reading))
        for number, reading in enumerate(readings)
    ]
    return await ask(context, texts("ask.readings" if len(choices) > 1 else "ask.reading"), choices)


def to_be_confirmed(parsed: Parsed, context: Context) -> Reply | None:
    """Return how to say it where a request without a plan is in doubt: as the command that leaves none."""
    if not parsed.doubt or parsed.intent in PLANNED:
        return None
    command = as_command(Request(intent=parsed.intent, args=parsed.args))
    return Reply(Message(text=context.texts("ask.say_it", command=command)), refused=True)


def label_of(specs: Sequence[Spec], texts: Texts) -> str:
    """Return what runs come to, shortly."""
    models = " + ".join(dict.fromkeys(spec.model.name for spec in specs))
    first = specs[0]
    if isinstance(first, PerfSpec):
        return texts(
            "reading.perf",
            model=models,
            load=", ".join(f"{level:g}" for level in (first.rate if first.open_loop else first.parallel)),
        )
    evals = [spec for spec in specs if isinstance(spec, EvalSpec)]
    names = ", ".join(dict.fromkeys(dataset.name for spec in evals for dataset in spec.datasets))
    return texts("reading.eval", model=models, datasets=names, samples=samples_text(evals, texts))
