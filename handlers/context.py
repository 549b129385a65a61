"""What a handler has at hand for one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from handlers.incoming import Incoming, Language
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.texts import Texts
from jobs.config import Config
from jobs.dispatch import Place
from jobs.models import Progress, Run
from jobs.store import Store

if TYPE_CHECKING:
    from handlers.registry import Intent


class Links(Protocol):
    """Makes the signed links people follow."""

    def run_url(self, run_id: int) -> str:
        """Return the link to a run's page."""

    def report_url(self, run_id: int) -> str:
        """Return the link to a run's HTML report."""


class Services(Protocol):
    """What the bot provides. All of it may be slow, none of it blocks."""

    store: Store
    config: Config
    links: Links
    dashboard_url: str | None
    """Where EvalScope's own dashboard is reached, if an admin has set one up."""

    async def vocabulary(self) -> Vocabulary:
        """Return the live catalog and the registered names."""

    async def classify(
        self, text: str, vocabulary: Vocabulary, thread_run: str | None, last_request: str = ""
    ) -> Parsed | None:
        """Return what the language model reads in a message without secrets; None where none is set, or it fails.

        `thread_run` is the run that the conversation is about, `last_request` what was asked for in it before.
        """

    async def submit(self, runs: list[Run]) -> None:
        """Send waiting runs to the workers."""

    async def cancel(self, run: Run) -> Run:
        """Cancel a run wherever it is; return it as it stands now."""

    async def places(self) -> dict[int, Place]:
        """Return each waiting run's place, start and reason."""

    async def progress(self, run_id: int) -> Progress | None:
        """Return a run's progress, None before it began."""

    async def progress_of(self, run_ids: Sequence[int]) -> dict[int, Progress]:
        """Return the progress of those of many runs that have begun, at once."""

    async def log_tail(self, run_id: int) -> str:
        """Return the last lines of a run's log, empty where there is none."""

    async def workers(self) -> list[dict[str, str]]:
        """Return the living workers."""

    def workers_starting(self) -> bool:
        """Tell whether this process has just started workers that are not yet alive."""


@dataclass(frozen=True)
class Context:
    """One message, what was understood of it, and the services."""

    incoming: Incoming
    parsed: Parsed
    language: Language
    services: Services
    thread_run: int | None = None
    """The run this conversation is about, where it is about one."""
    thread_runs: tuple[Run, ...] = ()
    """The runs of the request this conversation is about, where that asked for several."""

    @property
    def texts(self) -> Texts:
        """The texts in the person's language."""
        return Texts(self.language)

    def call(self, intent: Intent) -> str:
        """Return the command that asks for an intent where this was said."""
        return self.incoming.calls.get(intent.name, intent.slash[0])

    @property
    def timezone(self) -> tzinfo:
        """The zone that times are told in."""
        return zone_of(self.incoming.timezone, self.services.config)


def zone_of(timezone: str, config: Config) -> tzinfo:
    """Return the zone that times are told a person in: their own (IANA), else that of [defaults]."""
    for name in (timezone, config.defaults.timezone):
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):  # none, a path, a folder, or one that is not known here
            continue
    return UTC
