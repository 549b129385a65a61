"""Everything the server knows: the app, the workspaces it is installed in, what is made to fail, and what happened."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.slack.chance import token
from support.slack.faults import Faults
from support.slack.limits import Limits
from support.slack.methods import ALL_SCOPES
from support.slack.schema import Report
from support.slack.workspace import Ephemeral, Message, Workspace, populate

KEPT = 20_000
"""Entries that each log keeps."""
HARMLESS = {
    "already_reacted", "no_reaction", "message_not_found", "channel_not_found", "not_in_channel", "hash_conflict",
    "is_archived", "token_revoked", "account_inactive", "user_not_found", "thread_not_found", "user_not_in_channel",
    "not_found", "file_not_found", "bot_not_found", "internal_error",
}  # fmt: skip
"""Refusals that come of what others did meanwhile; all others say that the caller did something wrong."""


class Refused(Exception):
    """Slack says no."""

    def __init__(self, error: str, *messages: str, status: int = 200, **more: Any) -> None:
        super().__init__(error)
        self.error, self.messages, self.status, self.more = error, messages, status, more

    def answer(self) -> dict[str, Any]:
        """Return what Slack answers."""
        answer: dict[str, Any] = {"ok": False, "error": self.error, **self.more}
        if self.messages:
            answer |= {
                "errors": list(self.messages),
                "response_metadata": {"messages": [f"[ERROR] {message}" for message in self.messages]},
            }
        return answer


class Nonsense(Exception):
    """A person cannot do that in Slack, so a test may not ask for it."""


@dataclass
class Settings:
    """Times, in seconds, and other numbers that a test may change."""

    ack_within: float = 3.0
    retry_delays: tuple[float, ...] = (1.0, 1.0, 1.0)
    trigger_life: float = 3.0
    ticket_life: float = 30.0
    processing: float = 0.0
    """How long an uploaded file cannot be shown."""
    url_life: float = 1800.0
    url_uses: int = 5
    copies: int = 1
    """How often each payload is delivered."""
    copied: tuple[str, ...] = ("events_api", "slash_commands", "interactive")
    same_event: bool = True
    """Whether copies of an event have its event id."""
    same_envelope: bool = False
    echo: bool = True
    """Whether the app hears of its own messages and edits, as it does at Slack."""
    sockets: int = 10


@dataclass
class App:
    """The app, as its settings pages at Slack have it."""

    id: str = "A00000001"
    app_token: str = field(default_factory=lambda: f"xapp-1-A00000001-{token(8)}")
    signing_secret: str = field(default_factory=lambda: token(16))
    client_id: str = "1000.2000"
    client_secret: str = field(default_factory=lambda: token(16))
    verification_token: str = "verification"
    request_url: str | None = None
    """Where everything is posted; None means Socket Mode."""
    signs: str = "good"
    """`good`, `bad` (another secret) or `old` (an hour ago)."""
    events: frozenset[str] | None = None
    """The bot events it subscribes to; None means all."""
    commands: dict[str, bool] | None = None
    """Its commands, and whether each escapes; None means any."""
    shortcuts: dict[str, str] | None = None
    """Its shortcuts' types by callback id; None means any."""
    interactive: bool = True
    home_tab: bool = True
    messages_tab: bool = True
    unfurl_domains: tuple[str, ...] = ()


@dataclass
class ResponseUrl:
    """Where an app may answer an interaction for a while."""

    team: str
    channel: str
    user: str
    thread_ts: str | None = None
    message_ts: str | None = None
    ephemeral: bool = False
    made: float = field(default_factory=time.monotonic)
    uses: int = 0


@dataclass
class Trigger:
    """Leave to open a modal, for a moment and once."""

    team: str
    user: str
    view: str | None
    made: float = field(default_factory=time.monotonic)
    used: bool = False


class World:
    """All of it, in one process."""

    def __init__(self, teams: int = 1) -> None:
        self.url = ""
        """Set once the port is known."""
        self.settings, self.app, self.limits, self.faults = Settings(), App(), Limits(), Faults()
        self.teams: dict[str, Workspace] = {}
        for _ in range(teams):
            self.add_team()
        self.triggers: dict[str, Trigger] = {}
        self.urls: dict[str, ResponseUrl] = {}
        self.codes: dict[str, tuple[str, float]] = {}
        """OAuth codes: the team, and when each was given."""
        self.tickets: dict[str, float] = {}
        """Leave to open one socket, and when each was given."""
        self.closed_until = 0.0
        """Until when apps.connections.open fails."""
        self.calls: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.posts: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.edits: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.responses: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.violations: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.stats: Counter[str] = Counter()
        self.numbers = itertools.count(1)
        self.tell: Callable[[Workspace, str, dict[str, Any]], None] = lambda *_: None
        """Delivers an event: the workspace, the name apps subscribe to, and the event."""

    def add_team(self) -> Workspace:
        """Make a workspace with people and channels, the app installed in it."""
        team = populate(Workspace(len(self.teams) + 1, ALL_SCOPES))
        self.teams[team.id] = team
        return team

    def team(self, key: str = "") -> Workspace:
        """Find a workspace by id, by `T1`, `T2`, …, or take the first."""
        if not key:
            return next(iter(self.teams.values()))
        for team in self.teams.values():
            if key in {team.id, f"T{team.number}"}:
                return team
        raise Nonsense(f"no such workspace: {key}")

    def violate(self, kind: str, detail: Any = "", **more: Any) -> None:
        """Note what no app may do."""
        self.violations.append({"at": time.time(), "kind": kind, "detail": detail, **more})

    def new_trigger(self, team: Workspace, user: str, view: str | None = None) -> str:
        """Return a new trigger id."""
        trigger_id = f"{next(self.numbers)}.{team.number}.{token(12)}"
        self.triggers[trigger_id] = Trigger(team.id, user, view)
        return trigger_id

    def use_trigger(self, trigger_id: Any) -> Trigger:
        """Take a trigger id, once and in time."""
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise Refused("invalid_trigger_id")
        if trigger.used:
            raise Refused("exchanged_trigger_id")
        if time.monotonic() > trigger.made + self.settings.trigger_life:
            raise Refused("expired_trigger_id")
        trigger.used = True
        return trigger

    def new_url(self, team: Workspace, channel: str, user: str, **more: Any) -> str:
        """Return a new response_url."""
        key = f"{next(self.numbers)}-{token(8)}"
        self.urls[key] = ResponseUrl(team.id, channel, user, **more)
        return f"{self.url}/response/{key}"

    def report(self, team: Workspace, surface: str) -> Report:
        """Return what the blocks for a workspace are checked with."""
        return Report(surface, team.old, lambda file: self._file_problem(team, file))

    def _file_problem(self, team: Workspace, slack_file: dict[str, Any]) -> str | None:
        key = slack_file.get("id") or slack_file["url"].partition("/files/")[2].partition("/")[0]
        file = team.files.get(key)
        if file is None or not file.complete:
            return "invalid slack file: file not found"
        if not file.mimetype.startswith("image/"):
            return "invalid slack file: not an image"
        return "invalid slack file: file not ready" if time.monotonic() < file.ready_at else None

    def post(self, team: Workspace, message: Message) -> Message:
        """Put a message where it belongs."""
        channel = team.channels[message.channel]
        channel.messages[message.ts] = message
        if message.thread_ts and message.thread_ts != message.ts:
            channel.messages[message.thread_ts].replies.append(message.ts)
        if message.by_bot:
            self.posts.append({
                "at": message.at, "team": team.id, "channel": channel.id, "ts": message.ts, "text": message.text[:300],
                "thread_ts": message.thread_ts, "blocks": len(message.blocks),
                "event_type": (message.metadata or {}).get("event_type"),
            })  # fmt: skip
        return message

    def show_to(self, team: Workspace, ephemeral: Ephemeral) -> Ephemeral:
        """Show a message to one person."""
        team.ephemerals.append(ephemeral)
        del team.ephemerals[:-5000]
        return ephemeral
