"""The first verdicts of a benchmark that a model was never evaluated on: seen at once, they spare a wasted run."""

from __future__ import annotations

from collections.abc import Collection

from jobs.evalscope.samples import Sample
from jobs.models import VERDICTS, Verdict

ROLE = "**User**: "
"""What EvalScope puts before a question that is one message."""
LENGTH = 200
"""Characters of a question or an answer that are kept."""
_NOTHING = frozenset({"", "none", "null", "nan", "[]", "{}", "set()"})
"""What EvalScope's benchmarks give where they could not read an answer."""


class FirstLook:
    """Keeps the first verdicts of some benchmarks, and tells when no answer of one of them could be read."""

    def __init__(self, datasets: Collection[str]) -> None:
        self._datasets = frozenset(datasets)
        self.verdicts: tuple[Verdict, ...] = ()

    def take(self, sample: Sample) -> bool:
        """Look at a finished sample; True with the last one of a benchmark's first, if none of them could be read."""
        if sample.dataset not in self._datasets:
            return False
        known = [verdict for verdict in self.verdicts if verdict.dataset == sample.dataset]
        if len(known) >= VERDICTS:
            return False
        verdict = _verdict(sample)
        self.verdicts += (verdict,)
        return len(known) + 1 == VERDICTS and not any(one.extracted for one in [*known, verdict])


def _verdict(sample: Sample) -> Verdict:
    extracted = (sample.extracted or "").strip()
    return Verdict(
        dataset=sample.dataset,
        question=_cut(_last_part(sample.question.removeprefix(ROLE))),
        answer=_cut(sample.answer),
        extracted="" if extracted.lower() in _NOTHING else _cut(extracted),
        score=next(iter(sample.scores.values()), None),
    )


def _last_part(question: str) -> str:
    """Return the end of a question that holds worked examples before it."""
    return question if len(question) <= LENGTH else "…" + question[-(LENGTH - 1) :]


def _cut(text: str) -> str:
    whole = " ".join(text.encode(errors="replace").decode().split())
    return whole if len(whole) <= LENGTH else f"{whole[: LENGTH - 1]}…"
