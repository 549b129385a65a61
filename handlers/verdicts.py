"""How a run's first verdicts are shown: what was asked, answered and read out of it, and how it was judged."""

from __future__ import annotations

from handlers.context import Links
from handlers.message import Link, Part, Table, Text
from handlers.texts import Texts
from jobs.catalog import CLOSED_SAMPLES
from jobs.models import DatasetTarget, EvalSpec, Progress, Run, Verdict


def verdicts_part(run: Run, progress: Progress | None, texts: Texts, links: Links) -> list[Part]:
    """Return the first verdicts of each benchmark; those of private and gated sets are on the signed page alone."""
    parts: list[Part] = []
    for dataset, verdicts in first_verdicts(run, progress).items():
        if _is_closed(run, dataset):
            right = sum(verdict.score == 1 for verdict in verdicts)
            unread = sum(not verdict.extracted for verdict in verdicts)
            counts = {"count": len(verdicts), "right": right, "unread": unread}
            parts.append(Text(text=texts("verdicts.closed", dataset=dataset, **counts)))
            parts.append(Link(label=texts("result.page"), url=links.run_url(run.id)))
        else:
            parts += [Text(text=texts("verdicts.title", dataset=dataset)), verdicts_table(verdicts, texts)]
    return parts


def first_verdicts(run: Run, progress: Progress | None) -> dict[str, list[Verdict]]:
    """Return the verdicts of the run's newest attempt, by benchmark."""
    found: dict[str, list[Verdict]] = {}
    if progress is not None and progress.attempt == run.attempt:
        for verdict in progress.verdicts:
            found.setdefault(verdict.dataset, []).append(verdict)
    return found


def verdicts_table(verdicts: list[Verdict], texts: Texts) -> Table:
    """Return verdicts as a table."""
    columns = tuple(texts(f"verdicts.column.{name}") for name in ("question", "answer", "extracted", "verdict"))
    rows = tuple(
        (verdict.question, verdict.answer, verdict.extracted or texts("verdicts.nothing"), _mark(verdict.score))
        for verdict in verdicts
    )
    return Table(columns=columns, rows=rows)


def is_closed(target: DatasetTarget) -> bool:
    """Tell whether a benchmark's samples are shown on signed pages only: private sets and gated ones."""
    return target.private or target.benchmark in CLOSED_SAMPLES


def has_closed(run: Run) -> bool:
    """Tell whether a run's log may hold samples that are shown on signed pages only."""
    return isinstance(run.spec, EvalSpec) and any(is_closed(dataset) for dataset in run.spec.datasets)


def _is_closed(run: Run, dataset: str) -> bool:
    assert isinstance(run.spec, EvalSpec)
    return any(is_closed(target) for target in run.spec.datasets if target.name == dataset)


def _mark(score: float | None) -> str:
    if score is None:
        return "–"
    return {1.0: "✓", 0.0: "✗"}.get(score, f"{score:.3g}")
