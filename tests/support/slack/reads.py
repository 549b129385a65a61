"""What a test reads from the server."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, TypeVar

from support.slack.shown import text_of

Json = dict[str, Any]
T = TypeVar("T")


class Impossible(Exception):
    """What the test asks for cannot be done in Slack."""


class Reads:
    """A connection to the server, and what can be read from it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self.aio = _Aio(self)
        self._look()

    def _look(self) -> None:
        about = self.about()
        self.app_id, self.app_token = str(about["app_id"]), str(about["app_token"])
        self.signing_secret = str(about["signing_secret"])
        self.client_id, self.client_secret = str(about["client_id"]), str(about["client_secret"])

    @property
    def api_url(self) -> str:
        """The base URL for Slack's clients."""
        return f"{self.url}/api/"

    def _do(self, operation: str, **arguments: Any) -> Any:
        body = json.dumps({name: value for name, value in arguments.items() if value is not None})
        for attempt in range(2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                address = urllib.parse.urlsplit(self.url)
                connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
                self._local.connection = connection
                self._connections.append(connection)
            try:
                connection.request("POST", f"/control/{operation}", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
                break
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                # a connection that lay idle too long was closed
                connection.close()
                self._local.connection = None
                if attempt:
                    raise
        if response.status != 200:
            raise Impossible(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def reset(self, *, teams: int = 0) -> None:
        """Forget everything, and begin anew at the same address: other tokens, no messages, no faults."""
        self._do("reset", teams=teams)
        self._look()

    def about(self) -> Json:
        """Return ids, tokens and secrets."""
        return dict(self._do("about"))

    def sockets(self) -> int:
        """Return how many sockets the app has open."""
        return int(self._do("sockets"))

    def messages(self, channel: str, *, team: str = "") -> list[Json]:
        """Return all messages of a channel, threads included."""
        return list(self._do("messages", channel=channel, team=team))

    def thread(self, channel: str, ts: str, *, team: str = "") -> list[Json]:
        """Return a thread, its parent first."""
        return list(self._do("thread", channel=channel, ts=ts, team=team))

    def message(self, channel: str, ts: str, *, team: str = "") -> Json | None:
        """Return one message; None where it was deleted."""
        found = self._do("message", channel=channel, ts=ts, team=team)
        return dict(found) if found else None

    def versions(self, channel: str, ts: str, *, team: str = "") -> list[Json]:
        """Return what a message said before, and what it says now."""
        return list(self._do("versions", channel=channel, ts=ts, team=team))

    def ephemerals(self, user: str = "", channel: str = "", *, team: str = "") -> list[Json]:
        """Return what only one person sees: {ts, channel, user, text, blocks, thread_ts, source}."""
        return list(self._do("ephemerals", user=user, channel=channel, team=team))

    def home(self, user: str, *, team: str = "") -> Json | None:
        """Return somebody's Home tab."""
        found = self._do("home", user=user, team=team)
        return dict(found) if found else None

    def views(self, user: str, *, team: str = "") -> list[Json]:
        """Return somebody's open modals, the topmost last."""
        return list(self._do("views", user=user, team=team))

    def unfurls(self, *, team: str = "") -> list[Json]:
        """Return what was unfurled."""
        return list(self._do("unfurls", team=team))

    def prompts(self, *, team: str = "") -> list[Json]:
        """Return the prompts that were suggested."""
        return list(self._do("prompts", team=team))

    def statuses(self, *, team: str = "") -> list[Json]:
        """Return the statuses and titles that were set."""
        return list(self._do("statuses", team=team))

    def files(self, *, team: str = "") -> list[Json]:
        """Return all files."""
        return list(self._do("files", team=team))

    def calls(self, method: str = "", since: float = 0.0) -> list[Json]:
        """Return the calls of the Web API: {at, took, method, team, status, error}."""
        return list(self._do("calls", method=method, since=since))

    def posts(self, channel: str = "", *, team: str = "") -> list[Json]:
        """Return when the bot posted what: {at, channel, ts, text, thread_ts, blocks, event_type}."""
        return list(self._do("posts", channel=channel, team=team))

    def edits(self, channel: str = "", *, team: str = "") -> list[Json]:
        """Return when the bot edited what: {at, channel, ts, text, blocks}."""
        return list(self._do("edits", channel=channel, team=team))

    def responses(self) -> list[Json]:
        """Return the answers by response_url."""
        return list(self._do("responses"))

    def deliveries(self, kind: str = "", since: float = 0.0) -> list[Json]:
        """Return what was sent to the app: {kind, what, event_id, attempt, sent_at, acked_at, answer, …}."""
        return list(self._do("deliveries", kind=kind, since=since))

    def unacked(self) -> list[Json]:
        """Return what the app never acknowledged in time."""
        return list(self._do("unacked"))

    def violations(self, kind: str = "") -> list[Json]:
        """Return what the app did and may not do: {at, kind, detail, method}."""
        return list(self._do("violations", kind=kind))

    def stats(self) -> dict[str, int]:
        """Return counts: calls by method, hasty edits, refused links, …"""
        return dict(self._do("stats"))

    def forget(self) -> None:
        """Empty all logs."""
        self._do("forget")

    @staticmethod
    def rendered_text(message: Any) -> str:
        """Return the text that people see of a message, an ephemeral one, a view, or some blocks."""
        return text_of(message)

    @staticmethod
    def wait_for(predicate: Callable[[], T], within: float = 10.0, what: str = "") -> T:
        """Wait until something is true, and return it."""
        deadline = time.monotonic() + within
        while not (found := predicate()):
            if time.monotonic() > deadline:
                raise TimeoutError(what or "it did not happen")
            time.sleep(0.02)
        return found


class _Aio:
    """The same operations for a coroutine: each runs in a thread."""

    def __init__(self, control: Reads) -> None:
        self._control = control

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self._control, name)

        async def in_thread(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(operation, *args, **kwargs)

        return in_thread
