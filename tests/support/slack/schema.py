"""Checks of JSON as Slack makes them: each says what is wrong, and where, by JSON pointer.

A check is a function of a value, its pointer and the report; the functions here make checks out of checks.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Check = Callable[[Any, str, "Report"], None]
Fields = Mapping[str, Check]


@dataclass
class Report:
    """What a set of blocks is checked for, and what was found."""

    surface: str
    """`message`, `modal`, `home` or `unfurl`."""
    unknown: frozenset[str] = frozenset()
    """Block types that this workspace does not know yet."""
    file_problem: Callable[[dict[str, Any]], str | None] = lambda _: None
    """What is wrong with a `slack_file`; None where it may be shown."""
    problems: list[str] = field(default_factory=list)
    block_ids: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    """How often each block type occurs, characters of all text (`text`) and of all tables (`table text`)."""

    def add(self, pointer: str, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{problem} [json-pointer:{pointer}]")

    def expect(self, holds: Any, pointer: str, problem: str) -> bool:
        """Note a problem unless something holds; tell whether it does."""
        if not holds:
            self.add(pointer, problem)
        return bool(holds)


def anything(_value: Any, _pointer: str, _report: Report) -> None:
    """Take any value."""


def string(
    most: int | None = None, least: int = 1, *, among: tuple[str, ...] = (), pattern: str = "", counts: str = ""
) -> Check:
    """Take text by its length, by what it is one of, or by a pattern; `counts` adds its length to a total."""

    def check(value: Any, pointer: str, report: Report) -> None:
        if not report.expect(isinstance(value, str), pointer, "must be a string"):
            return
        if most is not None:
            report.expect(len(value) <= most, pointer, f"must be less than {most + 1} characters")
        report.expect(len(value) >= least, pointer, f"must be more than {least - 1} characters")
        if among:
            report.expect(value in among, pointer, f"must be one of: {', '.join(among)}")
        if pattern:
            report.expect(re.fullmatch(pattern, value), pointer, f"does not match {pattern}")
        if counts:
            report.counts["text"] += len(value)
            report.counts[counts] += len(value) if counts != "text" else 0

    return check


def boolean(value: Any, pointer: str, report: Report) -> None:
    """Take true or false."""
    report.expect(isinstance(value, bool), pointer, "must be a boolean")


def integer(least: int | None = None, most: int | None = None) -> Check:
    """Take a whole number in a range."""

    def check(value: Any, pointer: str, report: Report) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not report.expect(whole, pointer, "must be an integer"):
            return
        report.expect(least is None or value >= least, pointer, f"must be at least {least}")
        report.expect(most is None or value <= most, pointer, f"must be at most {most}")

    return check


def number(*, positive: bool = False) -> Check:
    """Take any number, or only one above zero."""

    def check(value: Any, pointer: str, report: Report) -> None:
        if report.expect(isinstance(value, int | float) and not isinstance(value, bool), pointer, "must be a number"):
            report.expect(math.isfinite(value), pointer, "must be a finite number")
            report.expect(not positive or value > 0, pointer, "must be more than 0")

    return check


def listing(item: Check, most: int | None = None, least: int = 1) -> Check:
    """Take a list whose items all pass."""

    def check(value: Any, pointer: str, report: Report) -> None:
        if not report.expect(isinstance(value, list), pointer, "must be an array"):
            return
        report.expect(len(value) >= least, pointer, f"no fewer than {least} items allowed")
        report.expect(most is None or len(value) <= most, pointer, f"no more than {most} items allowed")
        for place, inner in enumerate(value):
            item(inner, f"{pointer}/{place}", report)

    return check


def record(required: Fields | None = None, optional: Fields | None = None, *, also: Check = anything) -> Check:
    """Take an object with just these fields; `also` checks what holds between them."""
    required, optional = required or {}, optional or {}

    def check(value: Any, pointer: str, report: Report) -> None:
        if not report.expect(isinstance(value, dict), pointer, "must be an object"):
            return
        before = len(report.problems)
        for name in value:
            report.expect(name in required or name in optional, pointer, f"invalid additional property: {name}")
        for name, inner in required.items():
            if report.expect(name in value, pointer, f"missing required field: {name}"):
                inner(value[name], f"{pointer}/{name}", report)
        for name, inner in optional.items():
            if name in value:
                inner(value[name], f"{pointer}/{name}", report)
        if len(report.problems) == before:
            also(value, pointer, report)

    return check


def by_type(kinds: Mapping[str, Check], what: str = "type") -> Check:
    """Take an object whose `type` says which check it must pass."""

    def check(value: Any, pointer: str, report: Report) -> None:
        if not report.expect(isinstance(value, dict), pointer, "must be an object"):
            return
        if not report.expect(value.get("type"), pointer, "missing required field: type"):
            return
        kind = value["type"]
        if report.expect(isinstance(kind, str) and kind in kinds, f"{pointer}/type", f"unsupported {what}: {kind}"):
            kinds[kind](value, pointer, report)

    return check


def exactly_one(*names: str) -> Check:
    """Take an object that has one of these fields, not more."""

    def check(value: Any, pointer: str, report: Report) -> None:
        have = [name for name in names if name in value]
        report.expect(len(have) == 1, pointer, f"must define exactly one of: {', '.join(names)}")

    return check


def every(*checks: Check) -> Check:
    """Take what passes all of these."""

    def check(value: Any, pointer: str, report: Report) -> None:
        for each in checks:
            each(value, pointer, report)

    return check
