"""What is asked before anything is run: which of two numbers of samples is meant, whether so many, or first a few."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from handlers.context import Context
from handlers.intents.lexicon import FLAGS
from handlers.plan import Surprise, spread, surprise, total
from handlers.reply import Reply
from handlers.submit import Choice, ask
from jobs.models import EvalSpec
from jobs.sample import SAMPLE_DATASETS

LOOK = 5
"""Samples of each benchmark that are offered first where a model was never evaluated on it: enough to see that the
endpoint answers and that answers are read right, before hours of it are spent."""
SMALL = 10
"""A run of no more samples is a look already."""
_WHOLE = re.compile(
    r"\b(?:all\s+of|all\s+(?:the\s+)?(?:samples|questions)|whole|entire|full|complete|everything|no\s+limit)\b|"
    r"全部|全量|整个|完整|全集|所有",
    FLAGS,
)
"""Words that say that all samples are meant."""


async def ask_first(context: Context, specs: Sequence[EvalSpec], *, said: bool) -> Reply | None:
    """Return the question to ask before the runs are submitted, None where they are sure.

    `said` tells that the request has a number of samples. In a command it is what EvalScope makes of it.
    """
    parsed = context.parsed
    known = (parsed.by == "command_line" and not parsed.worded) or parsed.per_subset
    surprised = surprise(specs) if said and not known else None
    if surprised is not None:
        return await _ask_which(context, surprised, specs)
    if not said and await _is_first(specs, context):
        return await _offer_look(context, specs)
    samples, threshold = total(specs), context.services.config.defaults.confirm_above_samples
    if samples is None or samples <= threshold:
        return None
    question = context.texts("ask.above", total=samples, threshold=threshold)
    return await ask(context, question, [Choice("run", context.texts("button.run", total=samples), tuple(specs))])


def means_all(context: Context) -> bool:
    """Tell whether a request without a number of samples means all there are: it says so, or it is no sentence."""
    incoming = context.incoming
    return context.parsed.pasted or incoming.request is not None or _WHOLE.search(incoming.text) is not None


async def _is_first(specs: Sequence[EvalSpec], context: Context) -> bool:
    """Tell whether a model is to be evaluated, on all there is, on a benchmark that it has no score of yet.

    A pasted command and a form mean what they leave out: there a number has its own field, and was seen. Scopebot's
    own sample data is for a first look as it is.
    """
    if means_all(context):
        return False
    samples = total(specs)
    if samples is not None and samples <= SMALL:
        return False
    asked = [spec for spec in specs if spec.limit is None and spec.model.eval_type != "mock_llm"]
    store = context.services.store
    for spec in asked:
        known = await asyncio.to_thread(store.evaluated, spec.model.name, spec.covers)
        if not set(spec.covers) <= known | SAMPLE_DATASETS.keys():
            return True
    return False


async def _offer_look(context: Context, specs: Sequence[EvalSpec]) -> Reply:
    """Offer a few samples first, then the whole."""
    texts = context.texts
    few = tuple(run for spec in specs for run in spread(spec.model_copy(update={"limit": LOOK})))
    samples, whole = total(few), total(specs)
    names = ", ".join(dict.fromkeys(dataset.name for spec in specs for dataset in spec.datasets))
    models = ", ".join(dict.fromkeys(spec.model.name for spec in specs))
    choices = [
        Choice("look", texts("button.look", total=_count(samples)), few),
        Choice("whole", texts("button.whole", total=_count(whole)), tuple(specs)),
    ]
    return await ask(context, texts("ask.look", model=models, dataset=names, total=_count(whole)), choices)


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
