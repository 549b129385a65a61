"""What a test may do with the server and read from it, beside what people do: each method is one operation."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields
from typing import Any

from support.slack.api_surfaces import shown_view
from support.slack.chance import token
from support.slack.delivery import Hub
from support.slack.faults import Fault
from support.slack.manifest import apply, problems_of
from support.slack.people import channel_in, message_in, person_in
from support.slack.workspace import Message, Workspace
from support.slack.world import Nonsense, World


class Operations:
    """Faults, settings, and reads."""

    def __init__(self, world: World, hub: Hub) -> None:
        self.world, self.hub = world, hub

    # settings

    def about(self) -> dict[str, Any]:
        """Return ids, tokens and secrets."""
        app = self.world.app
        teams = {
            f"T{team.number}": {
                "id": team.id, "bot_token": team.bot_token, "bot_user": team.bot.id, "bot_id": team.bot_id,
                "users": {person.name: person.id for person in team.people.values()},
                "channels": {channel.name: channel.id for channel in team.channels.values()},
            }
            for team in self.world.teams.values()
        }  # fmt: skip
        return {
            "url": self.world.url, "app_id": app.id, "app_token": app.app_token, "teams": teams,
            "signing_secret": app.signing_secret, "client_id": app.client_id, "client_secret": app.client_secret,
        }  # fmt: skip

    def configure(self, **values: Any) -> None:
        """Set times and numbers; see `Settings`."""
        known = {field.name for field in fields(self.world.settings)}
        for name, value in values.items():
            if name not in known:
                raise Nonsense(f"there is no setting {name}")
            setattr(self.world.settings, name, tuple(value) if isinstance(value, list) else value)

    def subscribe(self, events: list[str] | None = None, unfurl_domains: list[str] | None = None) -> None:
        """Set the bot events that the app subscribes to, and the domains whose links it unfurls."""
        if events is not None:
            self.world.app.events = frozenset(events)
        if unfurl_domains is not None:
            self.world.app.unfurl_domains = tuple(unfurl_domains)

    def use_manifest(self, manifest: Any) -> list[str]:
        """Have the app be as its manifest says; return what is wrong with it, and then change nothing."""
        problems = problems_of(manifest)
        if not problems:
            scopes = apply(manifest, self.world.app)
            for team in self.world.teams.values():
                team.scopes = scopes
        return problems

    def scopes(self, grant: list[str] | None = None, remove: list[str] | None = None, team: str = "") -> list[str]:
        """Grant and remove scopes; return what the token has."""
        place = self.world.team(team)
        place.scopes = (place.scopes | frozenset(grant or ())) - frozenset(remove or ())
        return sorted(place.scopes)

    def old_tenant(self, *, blocks: list[str], team: str = "") -> None:
        """Have the workspace not know some types of blocks."""
        self.world.team(team).old = frozenset(blocks)

    def limits(self, scale: float) -> None:
        """Scale all rate limits; 0 turns them off."""
        self.world.limits.scale = scale

    def add_team(self) -> str:
        """Make another workspace; return its id."""
        return self.world.add_team().id

    def reinstall(self, team: str = "") -> str:
        """Install the app again after it was removed; return its new token."""
        place = self.world.team(team)
        place.token_state, place.bot_token = "", f"xoxb-{place.number}-{token(8)}"
        return place.bot_token

    def authorize(self, team: str = "") -> str:
        """Have somebody allow the app, as on Slack's page; return the code for oauth.v2.access."""
        code = token(16)
        self.world.codes[code] = (self.world.team(team).id, time.monotonic())
        return code

    async def http_mode(self, url: str | None = None, signs: str = "good", *, verify: bool = True) -> bool:
        """Post everything to a URL from now on (None: back to Socket Mode); tell whether it took the challenge."""
        app = self.world.app
        app.request_url, app.signs = url, signs
        if url is None or not verify:
            return True
        challenge = token(16)
        body = {"token": app.verification_token, "challenge": challenge, "type": "url_verification"}
        try:
            status, text, _ = await self.hub.poster.fetch(json.dumps(body), {"Content-Type": "application/json"})
        except (TimeoutError, OSError):
            return False
        return status == 200 and challenge in text

    # faults

    def fail(self, method: str, status: int = 500, times: int = 1, when: str = "before") -> None:
        """Answer calls of a method with an HTTP error, before or after performing it."""
        self.world.faults.add(method, Fault("status", times, when == "before", status))

    def error(self, method: str, error: str = "internal_error", times: int = 1) -> None:
        """Answer calls of a method with an error, without performing it."""
        self.world.faults.add(method, Fault("error", times, error=error))

    def ratelimit(self, method: str, times: int = 1, retry_after: int = 1) -> None:
        """Answer calls of a method with 429, without performing it."""
        self.world.faults.add(method, Fault("ratelimit", times, seconds=retry_after))

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Perform a method, then close the connection instead of answering."""
        self.world.faults.add(method, Fault("lose", times))

    def delay(self, method: str, seconds: float, times: int = 1) -> None:
        """Take some time before performing a method."""
        self.world.faults.add(method, Fault("delay", times, seconds=seconds))

    def heal(self) -> None:
        """Take back all faults that did not happen yet, and the dark."""
        self.world.faults.by_method.clear()
        self.world.faults.dark_until = 0.0
        self.world.closed_until, self.hub.refused_links = 0.0, 0

    def dark(self, seconds: float, *, sever: bool = False) -> None:
        """Let nothing through for some seconds, without a word; `sever`: sockets stay so for good."""
        self.world.faults.dark_until = time.monotonic() + seconds
        if sever:
            self.hub.sever()

    async def disconnect(self, reason: str = "refresh_requested", count: int | None = None, grace: float = 0.2) -> int:
        """Send the app's sockets away, as Slack does now and then; return how many."""
        return await self.hub.disconnect(reason, count, grace)

    def cut(self) -> int:
        """Break the app's sockets without a word; return how many."""
        return self.hub.cut()

    def refuse_tickets(self, count: int = 1) -> None:
        """Refuse all tickets given so far, and the next connections whatever their ticket."""
        self.world.tickets.clear()
        self.hub.refused_links = count

    def refuse_connections(self, seconds: float) -> None:
        """Have apps.connections.open fail for some seconds."""
        self.world.closed_until = time.monotonic() + seconds

    # reads

    def sockets(self) -> int:
        """Return how many sockets the app has open."""
        return len(self.hub.sockets)

    def _shown(self, team: Workspace, message: Message) -> dict[str, Any]:
        return team.shown(message, metadata=True) | {"channel": message.channel, "at": message.at}

    def messages(self, channel: str, team: str = "") -> list[dict[str, Any]]:
        """Return all messages of a channel, threads included, the oldest first."""
        place = self.world.team(team)
        return [self._shown(place, message) for message in channel_in(place, channel).messages.values()]

    def thread(self, channel: str, ts: str, team: str = "") -> list[dict[str, Any]]:
        """Return a thread, its parent first."""
        place = self.world.team(team)
        there = channel_in(place, channel)
        return [self._shown(place, message) for message in place.thread(there, message_in(there, ts).ts)]

    def message(self, channel: str, ts: str, team: str = "") -> dict[str, Any] | None:
        """Return one message; None where it was deleted."""
        place = self.world.team(team)
        message = channel_in(place, channel).messages.get(ts)
        return self._shown(place, message) if message else None

    def versions(self, channel: str, ts: str, team: str = "") -> list[dict[str, Any]]:
        """Return what a message said before, the oldest first, and what it says now."""
        place = self.world.team(team)
        message = message_in(channel_in(place, channel), ts)
        now = {"at": message.changed_at or message.at, "text": message.text, "blocks": message.blocks}
        return [*message.versions, now]

    def ephemerals(self, user: str = "", channel: str = "", team: str = "") -> list[dict[str, Any]]:
        """Return what only one person sees."""
        place = self.world.team(team)
        who = person_in(place, user).id if user else None
        where = channel_in(place, channel).id if channel else None
        return [
            asdict(shown) for shown in place.ephemerals if who in {None, shown.user} and where in {None, shown.channel}
        ]

    def home(self, user: str, team: str = "") -> dict[str, Any] | None:
        """Return somebody's Home tab."""
        place = self.world.team(team)
        view = place.homes.get(person_in(place, user).id)
        return shown_view(self.world, place, view) if view else None

    def views(self, user: str, team: str = "") -> list[dict[str, Any]]:
        """Return somebody's open modals, the topmost last."""
        place = self.world.team(team)
        return [shown_view(self.world, place, view) for view in place.modals.get(person_in(place, user).id, [])]

    def unfurls(self, team: str = "") -> list[dict[str, Any]]:
        """Return what was unfurled."""
        return self.world.team(team).unfurls

    def prompts(self, team: str = "") -> list[dict[str, Any]]:
        """Return the prompts that were suggested."""
        return self.world.team(team).prompts

    def statuses(self, team: str = "") -> list[dict[str, Any]]:
        """Return the statuses and titles that were set."""
        return self.world.team(team).statuses

    def files(self, team: str = "") -> list[dict[str, Any]]:
        """Return all files, with their sizes and where they are."""
        return [
            file.shown(self.world.url) | {"complete": file.complete} for file in self.world.team(team).files.values()
        ]

    def calls(self, method: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """Return the calls of the Web API."""
        return [call for call in self.world.calls if call["at"] >= since and method in {"", call["method"]}]

    def posts(self, channel: str = "", team: str = "") -> list[dict[str, Any]]:
        """Return when the bot posted what."""
        return self._entries(self.world.posts, channel, team)

    def edits(self, channel: str = "", team: str = "") -> list[dict[str, Any]]:
        """Return when the bot edited what."""
        return self._entries(self.world.edits, channel, team)

    def _entries(self, entries: Any, channel: str, team: str) -> list[dict[str, Any]]:
        place = self.world.team(team)
        where = channel_in(place, channel).id if channel else None
        return [one for one in entries if where in {None, one["channel"]} and (not team or one["team"] == place.id)]

    def responses(self) -> list[dict[str, Any]]:
        """Return the answers by response_url."""
        return list(self.world.responses)

    def deliveries(self, kind: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """Return what was sent to the app, when, and when it was acknowledged with what."""
        return [d.shown() for d in self.hub.log if kind in {"", d.kind} and (not since or d.sent_at >= since)]

    def unacked(self) -> list[dict[str, Any]]:
        """Return what the app never acknowledged in time."""
        return [delivery.shown() for delivery in self.hub.unacked]

    def violations(self, kind: str = "") -> list[dict[str, Any]]:
        """Return what the app did and may not do."""
        return [one for one in self.world.violations if kind in {"", one["kind"]}]

    def stats(self) -> dict[str, int]:
        """Return counts: calls by method, hasty edits, refused links, …"""
        return dict(self.world.stats) | {"faults": self.world.faults.hits}

    def forget(self) -> None:
        """Empty all logs."""
        world = self.world
        for log in (world.calls, world.posts, world.edits, world.responses, world.violations):
            log.clear()
        self.hub.log.clear()
        self.hub.unacked.clear()
        world.stats.clear()
