"""Runs and results in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import Engine, ForeignKey, String, false, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from jobs.db import Base, reading, transaction
from jobs.errors import UnknownRun
from jobs.lifecycle import ENDED, IllegalMove, RunState, check_move
from jobs.models import SPEC, Failure, Group, Loss, Run, RunResult, Spec

GIVE_UP_AT = 6
"""What the losses of a run may weigh in a row without a new sample: at that, the run itself is the cause."""
OWN_LOSS, HOST_LOSS = 3, 1
"""What one loss weighs. Hosts, Redis and bots fail for reasons of their own, but one run may end its host each time."""


class GroupRow(Base):
    """One request of one person."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(255))
    thread: Mapped[str] = mapped_column(String(255))
    user: Mapped[str] = mapped_column("user_id", String(255))
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str]
    created_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(255), unique=True)
    """The id of the incoming message or click: a second copy of it makes no second group."""
    settled_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the last of what is said of it was posted; until then it is watched."""


class RunRow(Base):
    """One evaluation on one worker."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"), index=True)
    spec: Mapped[dict[str, Any]]
    model: Mapped[str] = mapped_column(String(255), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    attempt: Mapped[int]
    worker: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    failure: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    report_ready: Mapped[bool]
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    """What the attempts weigh that were lost in a row without a single new sample between them."""
    done_at_loss: Mapped[int] = mapped_column(default=0, server_default="0")
    cancel_asked: Mapped[bool] = mapped_column(default=False, server_default=false())
    files_gone_at: Mapped[datetime | None]
    group: Mapped[GroupRow] = relationship(lazy="joined")


class RunDatasetRow(Base):
    """Which benchmarks a run covers, by the name people say: results are looked up by it."""

    __tablename__ = "run_datasets"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)


class Store:
    """Everything the database knows of runs. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add_group(
        self,
        *,
        source: str,
        platform: str,
        channel: str,
        thread: str,
        user: str,
        language: Literal["en", "zh"],
        text: str,
        specs: Sequence[Spec],
    ) -> tuple[Group, list[Run]]:
        """Record a request and its runs, waiting. The same `source` twice gives what the first time gave."""
        row = GroupRow(
            platform=platform,
            channel=channel,
            thread=thread,
            user=user,
            language=language,
            text=text,
            created_at=datetime.now(UTC),
            source=source,
        )
        try:
            return self._add_group(row, specs)
        except IntegrityError:  # another process recorded the same message just now
            return self._add_group(row, specs)

    def _add_group(self, new: GroupRow, specs: Sequence[Spec]) -> tuple[Group, list[Run]]:
        with transaction(self.engine) as session:
            known = session.scalar(select(GroupRow).where(GroupRow.source == new.source))
            if known is None:
                known = new
                session.add(known)
                session.flush()
                for spec in specs:
                    _add_run(session, known.id, spec, known.created_at)
            runs = session.scalars(select(RunRow).where(RunRow.group_id == known.id).order_by(RunRow.id))
            return _group(known), [_run(row) for row in runs]

    def run(self, run_id: int) -> Run:
        """Return a run; raises `UnknownRun`."""
        with reading(self.engine) as session:
            return _run(_row(session, run_id, lock=False))

    def group(self, group_id: int) -> Group:
        """Return a group; raises KeyError, since nobody types a group's id."""
        with reading(self.engine) as session:
            row = session.get(GroupRow, group_id)
            if row is None:
                raise KeyError(group_id)
            return _group(row)

    def group_runs(self, group_id: int) -> list[Run]:
        """Return a group's runs, oldest first."""
        with reading(self.engine) as session:
            rows = session.scalars(select(RunRow).where(RunRow.group_id == group_id).order_by(RunRow.id))
            return [_run(row) for row in rows]

    def followers(self, runs: Iterable[Run]) -> dict[int, Run]:
        """Return the newest run that goes on from each of these, where there is one, by the id of the older."""
        with reading(self.engine) as session:
            newer = _following(session, {run.id for run in runs})
        return {run.spec.resumes: run for run in newer if run.spec.resumes is not None}

    def asked_with(self, runs: Sequence[Run]) -> list[Run]:
        """Return what was asked for beside the runs that these go on from, each as it was last gone on with.

        Nothing where these go on from no other run, or from one that was asked for alone.
        """
        with reading(self.engine) as session:
            groups, older = {run.group_id for run in runs}, {run.spec.resumes for run in runs} - {None}
            earlier: dict[int, Run] = {}
            while older:
                rows = session.scalars(select(RunRow).where(RunRow.id.in_(older)))
                asked = {row.group_id for row in rows} - groups
                groups |= asked
                found = session.scalars(select(RunRow).where(RunRow.group_id.in_(asked)))
                earlier |= {row.id: _run(row) for row in found}
                older = {run.spec.resumes for run in earlier.values() if run.group_id in asked} - {None}
            newer = set(earlier)
            while newer:
                following = {run.id: run for run in _following(session, newer)}
                newer = following.keys() - earlier.keys()
                earlier |= following
        everything = earlier | {run.id: run for run in runs}
        newest = {_line(run, everything): run for _, run in sorted(everything.items())}
        own = {_line(run, everything) for run in runs}
        return sorted((run for line, run in newest.items() if line not in own), key=lambda run: run.id)

    def unsettled(self, platform: str, thread: str | None = None) -> list[tuple[Group, list[Run]]]:
        """Return the groups of which not everything is said yet, oldest first, with their runs."""
        query = select(GroupRow).where(GroupRow.settled_at.is_(None), GroupRow.platform == platform)
        if thread is not None:
            query = query.where(GroupRow.thread == thread)
        with reading(self.engine) as session:
            groups = {row.id: (_group(row), list[Run]()) for row in session.scalars(query.order_by(GroupRow.id))}
            for row in session.scalars(select(RunRow).where(RunRow.group_id.in_(groups)).order_by(RunRow.id)):
                groups[row.group_id][1].append(_run(row))
        return list(groups.values())

    def settle(self, group_id: int) -> None:
        """Take note that everything is said of a group."""
        with transaction(self.engine) as session:
            row = session.get(GroupRow, group_id)
            if row is not None and row.settled_at is None:
                row.settled_at = datetime.now(UTC)

    def runs(
        self,
        *,
        states: Iterable[RunState] | None = None,
        model: str | None = None,
        datasets: Sequence[str] = (),
        channel: tuple[str, str] | None = None,
        limit: int = 20,
    ) -> list[Run]:
        """Return the newest runs first, narrowed by state, model name, benchmarks (any) and (platform, channel)."""
        query = select(RunRow).order_by(RunRow.id.desc()).limit(limit)
        if states is not None:
            query = query.where(RunRow.state.in_([str(state) for state in states]))
        if model is not None:
            query = query.where(func.lower(RunRow.model) == model.lower())
        if datasets:
            names = select(RunDatasetRow.run_id).where(RunDatasetRow.name.in_(datasets))
            query = query.where(RunRow.id.in_(names))
        if channel is not None:
            groups = select(GroupRow.id).where(GroupRow.platform == channel[0], GroupRow.channel == channel[1])
            query = query.where(RunRow.group_id.in_(groups))
        with reading(self.engine) as session:
            return [_run(row) for row in session.scalars(query)]

    def newest_run(self, platform: str, channel: str, thread: str) -> int | None:
        """Return the newest run of a conversation, which is the one it is about."""
        query = (
            select(func.max(RunRow.id))
            .join(GroupRow, GroupRow.id == RunRow.group_id)
            .where(GroupRow.platform == platform, GroupRow.channel == channel, GroupRow.thread == thread)
        )
        with reading(self.engine) as session:
            return session.scalar(query)

    def answers(self) -> bool:
        """Tell whether the database answers."""
        with reading(self.engine) as session:
            return session.scalar(select(1)) == 1

    def lose(self, run_id: int, attempt: int, loss: Loss) -> Run:
        """Note that an attempt is lost; the run waits for the next one, or is given up. Raises `IllegalMove`."""
        with transaction(self.engine) as session:
            row = _row(session, run_id)
            if row.attempt == attempt:
                apply_loss(row, loss)
            return _run(row)

    def let_files_go(self, before: datetime) -> set[int]:
        """Note that the runs that ended before then lose their files, and return which; results stay.

        A run that another one goes on from right now keeps them.
        """
        ended = [str(state) for state in ENDED]
        with transaction(self.engine) as session:
            going_on = session.scalars(select(RunRow.spec).where(RunRow.state.not_in(ended)))
            needed = {spec.get("resumes") for spec in going_on}
            query = select(RunRow).where(RunRow.state.in_(ended), RunRow.ended_at < before)
            rows = session.scalars(query.where(RunRow.files_gone_at.is_(None)).with_for_update(of=RunRow))
            gone = [row for row in rows if row.id not in needed]
            for row in gone:
                row.files_gone_at = datetime.now(UTC)
                row.report_ready = False
            return {row.id for row in gone}

    def without_files(self, run_ids: Collection[int]) -> set[int]:
        """Return those of the runs whose files were let go."""
        query = select(RunRow.id).where(RunRow.files_gone_at.is_not(None))
        with reading(self.engine) as session:
            return set(run_ids) & set(session.scalars(query))

    def ask_to_cancel(self, run_id: int) -> Run:
        """Note that a run is to be cancelled: at once if it waits, by its worker if that has it."""
        with transaction(self.engine) as session:
            row = _row(session, run_id)
            if RunState(row.state) in {RunState.WAITING, RunState.PAUSED}:
                apply_move(row, RunState.CANCELLED)
            elif RunState(row.state) not in ENDED:
                row.cancel_asked = True
            return _run(row)

    def go_on(self, run_id: int) -> Run:
        """Let a paused run wait for a worker again, which will not pause it another time; raises `IllegalMove`."""
        with transaction(self.engine) as session:
            row = _row(session, run_id)
            apply_move(row, RunState.WAITING)
            row.spec = row.spec | {"pause_if_unreadable": False}
            row.result = None
            return _run(row)

    def evaluated(self, model: str, datasets: Sequence[str]) -> set[str]:
        """Return which of these benchmarks a model has a score of."""
        query = (
            select(RunDatasetRow.name)
            .join(RunRow, RunRow.id == RunDatasetRow.run_id)
            .where(
                func.lower(RunRow.model) == model.lower(),
                RunDatasetRow.name.in_(datasets),
                RunRow.state == str(RunState.SUCCEEDED),
            )
        )
        with reading(self.engine) as session:
            return set(session.scalars(query))

    def cancel_queued(self, run_id: int) -> Run:
        """Cancel a run whose job is off the queue, unless its worker began it just then: that says its score."""
        with transaction(self.engine) as session:
            row = _row(session, run_id)
            if RunState(row.state) is RunState.QUEUED:
                apply_move(row, RunState.CANCELLED)
            return _run(row)

    def move(
        self,
        run_id: int,
        state: RunState,
        *,
        attempt: int | None = None,
        worker: str | None = None,
        failure: Failure | None = None,
        result: RunResult | None = None,
    ) -> Run:
        """Move a run to `state`; raises `IllegalMove`, and `UnknownRun`."""
        with transaction(self.engine) as session:
            row = _row(session, run_id)
            apply_move(row, state, attempt=attempt, worker=worker, failure=failure, result=result)
            return _run(row)


def apply_move(
    row: RunRow,
    state: RunState,
    *,
    attempt: int | None = None,
    worker: str | None = None,
    failure: Failure | None = None,
    result: RunResult | None = None,
) -> None:
    """Make one legal move inside a transaction that is open."""
    check_move(RunState(row.state), state)
    row.state = str(state)
    if attempt is not None:
        row.attempt = attempt
    if worker is not None:
        row.worker = worker
    if state is RunState.RUNNING and row.started_at is None:
        row.started_at = datetime.now(UTC)
    if state in ENDED:
        row.ended_at = datetime.now(UTC)
        if row.result is not None:  # of a run that was paused
            row.result = row.result | {"state": str(state)}
    if failure is not None:
        row.failure = failure.model_dump(mode="json")
    if result is not None:
        row.result = result.model_dump(mode="json")


def apply_loss(row: RunRow, loss: Loss) -> None:
    """Let a run wait for its next attempt, unless it is lost again and again without getting on.

    Raises `IllegalMove` where no worker has it: the same loss may be told twice, and counts once.
    """
    if RunState(row.state) not in {RunState.QUEUED, RunState.RUNNING}:
        raise IllegalMove(f"{row.state} → lost")
    if row.cancel_asked:
        apply_move(row, RunState.CANCELLED)
        return
    before = 0 if loss.done > row.done_at_loss else row.losses
    row.losses = before + (OWN_LOSS if loss.own else HOST_LOSS)
    row.done_at_loss = max(loss.done, row.done_at_loss)
    if row.losses >= GIVE_UP_AT:
        apply_move(row, RunState.FAILED, failure=loss.failure)
    else:
        apply_move(row, RunState.WAITING)


def _add_run(session: Session, group_id: int, spec: Spec, now: datetime) -> None:
    row = RunRow(
        group_id=group_id, spec=spec.model_dump(mode="json"), model=spec.model.name, state=str(RunState.WAITING),
        attempt=0, worker="", created_at=now, report_ready=False,
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add_all(RunDatasetRow(run_id=row.id, name=name) for name in set(spec.covers))


def _row(session: Session, run_id: int, *, lock: bool = True) -> RunRow:
    row = session.get(RunRow, run_id, with_for_update={"of": RunRow} if lock else None)
    if row is None:
        raise UnknownRun(run=f"r{run_id}")
    return row


def _following(session: Session, ids: set[int]) -> list[Run]:
    """Return the runs that go on from others, oldest first."""
    if not ids:
        return []
    resumes = RunRow.spec["resumes"].as_integer()
    query = select(RunRow).where(RunRow.id > min(ids), resumes.in_(ids)).order_by(RunRow.id)
    return [_run(row) for row in session.scalars(query)]


def _line(run: Run, known: Mapping[int, Run]) -> int:
    """Return the first of the runs that one goes on from, one after the other."""
    while run.spec.resumes is not None and run.spec.resumes in known:
        run = known[run.spec.resumes]
    return run.id


def _group(row: GroupRow) -> Group:
    return Group(
        id=row.id, platform=row.platform, channel=row.channel, thread=row.thread, user=row.user,
        language=cast("Literal['en', 'zh']", row.language), text=row.text, source=row.source,
        created_at=row.created_at,
    )  # fmt: skip


def _run(row: RunRow) -> Run:
    return Run(
        id=row.id,
        group_id=row.group_id,
        spec=_spec(row),
        state=RunState(row.state),
        attempt=row.attempt,
        worker=row.worker,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        failure=None if row.failure is None else Failure.model_validate(row.failure),
        result=None if row.result is None else RunResult.model_validate(row.result),
        report_ready=row.report_ready,
        cancel_asked=row.cancel_asked,
        files_gone_at=row.files_gone_at,
        user=row.group.user,
    )


_SPECS: dict[int, tuple[dict[str, Any], Spec]] = {}
"""What runs do, as it was read last: the same runs are read again and again while they go on."""
MOST_SPECS = 5_000


def _spec(row: RunRow) -> Spec:
    known = _SPECS.get(row.id)
    if known is not None and known[0] == row.spec:
        return known[1]
    spec = SPEC.validate_python(row.spec)
    if len(_SPECS) >= MOST_SPECS:
        _SPECS.clear()
    _SPECS[row.id] = (row.spec, spec)
    return spec
