"""What is asked before anything is run: which of two numbers of samples is meant, and whether so many are."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.context import Context
from handlers.plan import Surprise, surprise, total
from handlers.reply import Reply
from handlers.submit import Choice, ask
from jobs.models import EvalSpec


async def ask_first(context: Context, specs: Sequence[EvalSpec], *, said: bool) -> Reply | None:
    """Return the question to ask before the runs are submitted, None where they are sure.

    `said` tells that the request has a number of samples. In a command it is what EvalScope makes of it.
    """
    parsed = context.parsed
    known = (parsed.by == "command_line" and not parsed.worded) or parsed.per_subset
    surprised = surprise(specs) if said and not known else None
    if surprised is not None:
        return await _ask_which(context, surprised, specs)
    samples, threshold = total(specs), context.services.config.defaults.confirm_above_samples
    if samples is None or samples <= threshold:
        return None
    question = context.texts("ask.above", total=samples, threshold=threshold)
    return await ask(context, question, [Choice("run", context.texts("button.run", total=samples), tuple(specs))])


async def _ask_which(context: Context, surprised: Surprise, specs: Sequence[EvalSpec]) -> Reply:
    """Ask whether the number said was meant in all or for each subset, with what each of them comes to."""
    texts = context.texts
    in_all, planned = total(surprised.spread), total(specs)
    names = ", ".join(dataset.name for dataset in surprised.datasets)
    subsets = " + ".join(str(len(dataset.subsets)) for dataset in surprised.datasets)
    many = len(surprised.spread) > 1 or len(surprised.spread[0].datasets) > 1
    label = texts(
        "button.total_each" if many else "button.total",
        said=surprised.said,
        limit=surprised.spread[0].limit,
        total=_count(in_all),
    )
    per_subset = texts("button.per_subset", limit=surprised.said, total=_count(planned))
    if in_all is not None and in_all == planned:  # one of each subset is the least there is
        question = texts("ask.least", dataset=names, subsets=subsets, said=surprised.said, total=planned)
        return await ask(context, question, [Choice("per_subset", texts("button.run", total=planned), tuple(specs))])
    question = texts("ask.total", dataset=names, subsets=subsets, said=surprised.said)
    choices = [Choice("total", label, surprised.spread), Choice("per_subset", per_subset, tuple(specs))]
    return await ask(context, question, choices)


def _count(samples: int | None) -> str:
    return "?" if samples is None else f"{samples:,}"
