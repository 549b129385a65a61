"""What a worker says of a run: transitions on a stream, progress in a hash, the log's last lines in a list.

Redis keys (all under `scopebot:`): `events` (stream), `run:ID:progress` (hash), `worker:NAME` (hash), `catalog`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import TypeAdapter, ValidationError

from jobs.models import Failure, Frozen, Loss, Progress, RunningScore, RunResult, Verdict

if TYPE_CHECKING:
    from redis import Redis

EVENTS = "scopebot:events"
EVENTS_KEPT = 100_000
PROGRESS_TTL = 7 * 24 * 3600

_scores = TypeAdapter(tuple[RunningScore, ...])
_verdicts = TypeAdapter(tuple[Verdict, ...])


class Event(Frozen):
    """One transition of one attempt.

    `report` says that the HTML report followed the scores; `refused`, of attempt 0, that a check before the first
    attempt found why there can be none.
    """

    run_id: int
    attempt: int
    what: Literal["started", "paused", "succeeded", "failed", "cancelled", "lost", "report", "refused"]
    worker: str = ""
    result: RunResult | None = None
    failure: Failure | None = None
    loss: Loss | None = None


def progress_key(run_id: int) -> str:
    """Return the key of a run's progress hash."""
    return f"scopebot:run:{run_id}:progress"


def announce(redis: Redis, event: Event) -> None:
    """Append a transition to the stream."""
    redis.xadd(EVENTS, {"event": event.model_dump_json()}, maxlen=EVENTS_KEPT, approximate=True)


def write_progress(redis: Redis, run_id: int, progress: Progress) -> None:
    """Overwrite a run's progress."""
    fields = {name: value for name, value in progress.model_dump(mode="json").items() if value is not None}
    fields["scores"] = _scores.dump_json(progress.scores).decode()
    fields["verdicts"] = _verdicts.dump_json(progress.verdicts).decode()
    pipe = redis.pipeline()
    pipe.delete(progress_key(run_id))
    pipe.hset(progress_key(run_id), items=[item for pair in fields.items() for item in pair])
    pipe.expire(progress_key(run_id), PROGRESS_TTL)
    pipe.execute()


def read_progress(redis: Redis, run_id: int) -> Progress | None:
    """Return a run's progress, None where there is none."""
    return parse_progress(cast("dict[bytes, bytes]", redis.hgetall(progress_key(run_id))))


def parse_progress(fields: dict[bytes, bytes]) -> Progress | None:
    """Read a progress hash as Redis gives it; None where there is none."""
    if not fields:
        return None
    values: dict[str, object] = {key.decode(): value.decode() for key, value in fields.items()}
    try:
        values["scores"] = _scores.validate_json(str(values.get("scores", "[]")))
        values["verdicts"] = _verdicts.validate_json(str(values.get("verdicts", "[]")))
        return Progress.model_validate(values)
    except ValidationError:  # being written by another version
        return None
