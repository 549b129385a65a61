"""How people name a run."""

from __future__ import annotations

from jobs.errors import UnknownRun


def run_number(said: str) -> int:
    """Return the number in a run's id; raises `UnknownRun` for what is no run id."""
    digits = said.strip().lower().removeprefix("r")
    if not digits.isdecimal() or len(digits) > 9:
        raise UnknownRun(run=said)
    return int(digits)
