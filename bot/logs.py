"""Structured logs on standard error, the run's id bound to each line about it."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRETS = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|(?<=ticket=)[^\s&'\"]+|(?<=hooks.slack.com/)[^\s'\"]+|(?<=Bearer )[^\s'\"]+"
    r"|(?<=access_key=)[^\s&'\"]+|\bt-[\w-]{16,}"
)
"""Tokens of chat platforms, and what stands for one in an address or a header."""


def without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave secrets out of what libraries say in their errors."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRETS.sub("…", value)
    return event


class _Lines:
    """Writes to what is standard error at the moment; what a full disk does not take is lost, and nothing else."""

    def msg(self, line: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = fatal = exception = log = msg


def set_up_logging(level: str) -> None:
    """Log `level` and above: key=value for people on a terminal, JSON for machines elsewhere."""
    number = logging.getLevelNamesMapping()[level.upper()]
    terminal = sys.stderr.isatty()
    plain = (
        structlog.dev.plain_traceback
    )  # a rich one would print local variables, and they may hold addresses and keys
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=plain)
        if terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(() if terminal else (structlog.processors.format_exc_info,)),
            without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr)
