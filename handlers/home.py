"""A person's home: their runs, what waits, the workers, the last results, and what to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import tzinfo

from handlers.cards import place_text, progress_part
from handlers.context import Services, zone_of
from handlers.figures import cut, moment_text, score_with_interval
from handlers.forms import FORMS
from handlers.incoming import Language
from handlers.message import Button, Buttons, Link, Message, Part, Table, Text
from handlers.perf_cards import perf_conclusion
from handlers.registry import intents
from handlers.texts import Texts
from jobs.dispatch import Place
from jobs.lifecycle import ENDED, RunState
from jobs.models import PerfSpec, Run

FEW = 10
"""Runs of a person's own, and runs that wait, that are shown; the others are counted."""
LATEST = 5
"""Results that are shown."""
LOOKED_AT = 30
"""The newest results among which a person's own are looked for."""
MOST_ACTIVE = 1000
MOST_CELL = 200
OPEN = "open:"
"""Begins what a button says that opens an intent's form, as `open:eval`."""
DOES = ("status", "results", "benchmarks", "help")
"""Intents that need nothing said: `do:status`."""


async def home(user: str, language: Language, timezone: str, services: Services) -> Message:
    """Return what a person's home shows; `timezone` is theirs (IANA), empty where it is not known."""
    texts, zone = Texts(language), zone_of(timezone, services.config)
    going_on = [state for state in RunState if state not in ENDED]
    active, ended, workers = await asyncio.gather(
        asyncio.to_thread(services.store.runs, states=going_on, limit=MOST_ACTIVE),
        asyncio.to_thread(services.store.runs, states=[RunState.SUCCEEDED], limit=LOOKED_AT),
        services.workers(),
    )
    active.reverse()
    waiting = [run for run in active if run.state is RunState.WAITING]
    places = await services.places() if waiting else {}
    own = [run for run in active if run.user == user]
    parts: list[Part] = [
        _actions(texts),
        *await _own(own, places, texts, services),
        *_queue(waiting, user, places, texts),
        *_workers(workers, active, texts),
        *_latest(ended, user, zone, texts, services),
    ]
    return Message(text=texts("home.title"), parts=tuple(parts))


def _actions(texts: Texts) -> Buttons:
    """Return what to begin, as far as this installation can."""
    known = intents()
    opens = [
        Button(id=f"{OPEN}{name}", label=texts(f"home.open.{name}"), primary=name == FORMS[0])
        for name in FORMS
        if name in known
    ]
    does = [Button(id=f"do:{name}", label=texts(f"home.do.{name}")) for name in DOES if name in known]
    return Buttons(items=(*opens, *does), shortcuts=True)


async def _own(own: Sequence[Run], places: Mapping[int, Place], texts: Texts, services: Services) -> list[Part]:
    """Return how far the person's own runs are, with what ends each of them."""
    if not own:
        return _empty("home.own.empty", texts)
    parts: list[Part] = [Text(text=texts("home.own", count=len(own)))]
    found = await services.progress_of([run.id for run in own[:FEW]])
    for run in own[:FEW]:
        bar = progress_part(run, found.get(run.id), texts, places.get(run.id))
        parts.append(bar.model_copy(update={"label": f"{bar.label} · {run.spec.model.name} · {_what(run, texts)}"}))
        paused = run.state is RunState.PAUSED
        go_on = [Button(id=f"do:resume:{run.name}", label=texts("home.go_on", run=run.name))] if paused else []
        cancel = Button(id=f"do:cancel:{run.name}", label=texts("home.cancel", run=run.name))
        parts.append(Buttons(items=(*go_on, cancel), shortcuts=True))
    return [*parts, *_more(len(own), texts)]


def _queue(waiting: Sequence[Run], user: str, places: Mapping[int, Place], texts: Texts) -> list[Part]:
    """Return all people's runs that wait, in the order in which they are taken to start."""
    if not waiting:
        return _empty("home.queue.empty", texts)
    parts: list[Part] = [Text(text=texts("home.queue", count=len(waiting)))]
    last = len(waiting) + 1
    in_order = sorted(waiting, key=lambda run: (places[run.id].position if run.id in places else last, run.id))
    rows = tuple(
        (
            run.name,
            run.spec.model.name,
            _what(run, texts),
            place_text(places.get(run.id), texts),
            texts("home.yours") if run.user == user else "",
        )
        for run in in_order[:FEW]
    )
    columns = tuple(texts(f"home.column.{name}") for name in ("run", "model", "what", "place", "whose"))
    return [*parts, Table(columns=columns, rows=rows), *_more(len(waiting), texts)]


def _workers(workers: Sequence[Mapping[str, str]], active: Sequence[Run], texts: Texts) -> list[Part]:
    """Return each living worker: its EvalScope, its GPUs, and what it has to do."""
    if not workers:
        return [Text(text=texts("home.workers.empty")), Text(text=texts("status.no_workers"))]
    parts: list[Part] = [Text(text=texts("home.workers", count=len(workers)))]
    rows = []
    for worker in workers:
        has = [run for run in active if run.worker == worker["name"] and run.state in _WITH_WORKER]
        busy = ", ".join(f"{run.name} ({run.spec.model.name})" for run in has)
        gpus = worker.get("gpus") or texts("home.no_gpu")
        rows.append((worker["name"], f"EvalScope {worker['evalscope']}", gpus, busy or texts("home.idle")))
    columns = tuple(texts(f"home.column.{name}") for name in ("worker", "version", "gpus", "now"))
    return [*parts, Table(columns=columns, rows=tuple(rows))]


_WITH_WORKER = frozenset({RunState.QUEUED, RunState.RUNNING})


def _latest(ended: Sequence[Run], user: str, zone: tzinfo, texts: Texts, services: Services) -> list[Part]:
    """Return the person's last results; everybody's where they have none among the newest."""
    own = [run for run in ended if run.user == user]
    shown = (own or list(ended))[:LATEST]
    title = "home.latest.own" if own else "home.latest"
    if not shown:
        return _empty(title, texts)
    parts: list[Part] = [Text(text=texts(title))]
    rows = []
    for run in shown:
        moment = "" if run.ended_at is None else moment_text(run.ended_at, zone)
        rows.append((run.name, run.spec.model.name, _what(run, texts), moment, _headline(run, texts)))
    names = ("run", "model", "what", "ended", "score")
    columns = tuple(texts(f"home.column.{name}", zone=zone) for name in names)
    table = Table(columns=columns, rows=tuple(rows), numeric=(columns[-1],))
    return [*parts, table, *(Link(label=run.name, url=services.links.run_url(run.id)) for run in shown)]


def _empty(title: str, texts: Texts) -> list[Part]:
    return [Text(text=texts(title)), Text(text=texts("home.none"))]


def _what(run: Run, texts: Texts) -> str:
    return cut(", ".join(run.spec.covers) or texts("perf.name"), MOST_CELL)


def _headline(run: Run, texts: Texts) -> str:
    """Return a result in a few words: each benchmark's score, or the best of a stress test."""
    if run.result is None:
        return ""
    if isinstance(run.spec, PerfSpec):
        return perf_conclusion(run.spec, run.result.perf, texts) if run.result.perf else ""
    scores = []
    for benchmark in run.result.benchmarks:
        metric = benchmark.headline
        if metric is not None:
            score = score_with_interval(metric.score, metric.interval, metric.scale, metric.unit)
            scores.append(f"{benchmark.name} {score}" if len(run.result.benchmarks) > 1 else score)
    return cut("; ".join(scores) or texts("result.no_headline"), MOST_CELL)


def _more(count: int, texts: Texts) -> list[Part]:
    return [Text(text=texts("home.more", count=count - FEW))] if count > FEW else []
