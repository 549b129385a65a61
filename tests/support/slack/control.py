"""The server as a test sees it: `with Slack() as slack:` starts it, and people do what the test has them do.

Channels and people are named by id or name (`general`, `ann`; `dm` is somebody's direct messages with the bot, where
an interaction takes place). It blocks, and may be used from several threads; in a test whose bot runs on the same
event loop, `await slack.aio.submit(…)` does the same without blocking.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from support.slack.reads import Impossible, Json, Reads

__all__ = ["Control", "Impossible", "Slack"]
TESTS = Path(__file__).resolve().parents[2]


class Control(Reads):
    """What a test can do; `team` is a workspace, `T1` unless told otherwise."""

    # who and what there is

    def bot_token(self, team: str = "T1") -> str:
        """Return the bot's token."""
        return str(self.about()["teams"][team]["bot_token"])

    def bot_user(self, team: str = "T1") -> str:
        """Return the bot's user id."""
        return str(self.about()["teams"][team]["bot_user"])

    def team_id(self, team: str = "T1") -> str:
        """Return a workspace's id."""
        return str(self.about()["teams"][team]["id"])

    def user(self, name: str, team: str = "T1") -> str:
        """Return somebody's id."""
        return str(self.about()["teams"][team]["users"][name])

    def channel(self, name: str, team: str = "T1") -> str:
        """Return a channel's id."""
        return str(self.about()["teams"][team]["channels"][name])

    def dm_channel(self, user: str, team: str = "") -> str:
        """Return the id of somebody's direct messages with the bot."""
        return str(self._do("dm_channel", user=user, team=team))

    # what people do

    def say(
        self, user: str, channel: str, text: str, thread_ts: str | None = None, files: Any = (), *, team: str = ""
    ) -> str:
        """Write a message, with files by name or as {name, mimetype, content}; return its ts."""
        given = {"files": list(files)} if files else {}
        return str(self._do("say", user=user, channel=channel, text=text, thread_ts=thread_ts, team=team, **given))

    def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None, *, team: str = "") -> str:
        """Write a message that begins with the bot's name; return its ts."""
        return self.say(user, channel, f"<@{self.bot_user(team or 'T1')}> {text}", thread_ts, team=team)

    def dm(self, user: str, text: str, thread_ts: str | None = None, files: Any = (), *, team: str = "") -> str:
        """Write to the bot directly; return the message's ts."""
        given = {"files": list(files)} if files else {}
        return str(self._do("dm", user=user, text=text, thread_ts=thread_ts, team=team, **given))

    def say_many(self, messages: list[Json], over: float = 0.0) -> list[str]:
        """Write many messages, evenly over some seconds; each is what `say` takes, or `dm` without a channel."""
        return list(self._do("say_many", messages=messages, over=over))

    def edit(self, user: str, channel: str, ts: str, text: str, *, team: str = "") -> None:
        """Change what was written."""
        self._do("edit", user=user, channel=channel, ts=ts, text=text, team=team)

    def delete(self, user: str, channel: str, ts: str, *, team: str = "") -> None:
        """Delete what was written."""
        self._do("delete", user=user, channel=channel, ts=ts, team=team)

    def react(self, user: str, channel: str, ts: str, name: str, *, remove: bool = False, team: str = "") -> None:
        """React to a message, or take that back."""
        self._do("react", user=user, channel=channel, ts=ts, name=name, remove=remove, team=team)

    def share_link(self, user: str, channel: str, url: str, thread_ts: str | None = None, *, team: str = "") -> str:
        """Write a link; return the message's ts."""
        return str(self._do("share_link", user=user, channel=channel, url=url, thread_ts=thread_ts, team=team))

    def command(self, user: str, channel: str, command: str, text: str = "", *, team: str = "") -> Json:
        """Use a slash command; return {envelope, trigger_id, response_url}, see `ack`."""
        return dict(self._do("command", user=user, channel=channel, command=command, text=text, team=team))

    def ack(self, asked: Json, within: float = 10.0) -> Json:
        """Wait for the answer to what `command`, `press`, … returned: {acked_at, answer, problem, late, …}."""
        return dict(self._do("ack", envelope=asked["envelope"], within=within))

    def press(self, user: str, channel: str, ts: str, what: str, value: Any = None, *, team: str = "") -> Json:
        """Use a button or a menu of a message, also one that only they see; `what`: action id, label or value."""
        return dict(self._do("press", user=user, channel=channel, ts=ts, what=what, value=value, team=team))

    def click(self, user: str, view: str, what: str, value: Any = None, *, team: str = "") -> Json:
        """Use an element of an open modal, or of the Home tab (`view="home"`)."""
        return dict(self._do("click", user=user, view=view, what=what, value=value, team=team))

    def options(
        self, user: str, where: str, action_id: str, value: str = "", *, channel: str = "", team: str = ""
    ) -> list[Json]:
        """Type into an external menu of a view, or of the message `where` in a channel; return what it offers."""
        return list(
            self._do("options", user=user, where=where, action_id=action_id, value=value, channel=channel, team=team)
        )

    def submit(self, user: str, view: str, values: Json | None = None, *, team: str = "") -> Json:
        """Fill a modal in, by block id, and send it off; return {answer, errors, problem, open}."""
        return dict(self._do("submit", user=user, view=view, values=values, team=team))

    def close_view(self, user: str, view: str, *, team: str = "") -> Json | None:
        """Close a modal without sending it off."""
        closed = self._do("close_view", user=user, view=view, team=team)
        return dict(closed) if closed else None

    def shortcut(self, user: str, callback_id: str, *, team: str = "") -> Json:
        """Use a global shortcut."""
        return dict(self._do("shortcut", user=user, callback_id=callback_id, team=team))

    def message_shortcut(self, user: str, callback_id: str, channel: str, ts: str, *, team: str = "") -> Json:
        """Use a message's shortcut."""
        given = {"user": user, "callback_id": callback_id, "channel": channel, "ts": ts, "team": team}
        return dict(self._do("message_shortcut", **given))

    def open_home(self, user: str, tab: str = "home", *, team: str = "") -> None:
        """Open the app's `home` or `messages` tab."""
        self._do("open_home", user=user, tab=tab, team=team)

    def add_user(self, name: str, real_name: str = "", *, team: str = "", **fields: Any) -> str:
        """Have somebody join the workspace (locale, tz, tz_offset); return their id."""
        return str(self._do("add_user", name=name, real_name=real_name, team=team, **fields))

    def add_channel(
        self, name: str, kind: str = "channel", members: list[str] | None = None, *, bot: bool = True, team: str = ""
    ) -> str:
        """Make a `channel`, a private `group` or an `mpim`; return its id."""
        return str(self._do("add_channel", name=name, kind=kind, members=members, bot=bot, team=team))

    def join(self, user: str, channel: str, *, team: str = "") -> None:
        """Have somebody join a channel; `bot` is the bot."""
        self._do("join", user=user, channel=channel, team=team)

    def leave(self, user: str, channel: str, *, team: str = "") -> None:
        """Have somebody leave a channel; `bot` is the bot."""
        self._do("leave", user=user, channel=channel, team=team)

    def archive(self, channel: str, *, archived: bool = True, team: str = "") -> None:
        """Archive a channel, or bring it back."""
        self._do("archive", channel=channel, archived=archived, team=team)

    def uninstall(self, *, team: str = "") -> None:
        """Take the app out of the workspace."""
        self._do("uninstall", team=team)

    def revoke(self, *, team: str = "") -> None:
        """Revoke the app's token."""
        self._do("revoke", team=team)

    def reinstall(self, *, team: str = "") -> str:
        """Install the app again; return its new token."""
        return str(self._do("reinstall", team=team))

    def authorize(self, *, team: str = "") -> str:
        """Have somebody allow the app; return the code for oauth.v2.access."""
        return str(self._do("authorize", team=team))

    # settings

    def configure(self, **values: Any) -> None:
        """Set times and numbers: ack_within, retry_delays, trigger_life, processing, copies, …; see `Settings`."""
        self._do("configure", **values)

    def duplicate(
        self, copies: int, *, same_event: bool = True, same_envelope: bool = False, kinds: Any = None
    ) -> None:
        """Deliver each payload so often from now on."""
        more = {"copied": list(kinds)} if kinds is not None else {}
        self.configure(copies=copies, same_event=same_event, same_envelope=same_envelope, **more)

    def subscribe(self, events: Any = None, unfurl_domains: Any = None) -> None:
        """Set the bot events the app subscribes to (all unless set), and the domains whose links it unfurls."""
        self._do("subscribe", events=events and list(events), unfurl_domains=unfurl_domains and list(unfurl_domains))

    def use_manifest(self, manifest: Json) -> None:
        """Have the app be as its manifest says."""
        problems = self._do("use_manifest", manifest=manifest)
        if problems:
            raise Impossible("Slack refuses the manifest: " + "; ".join(problems))

    def scopes(self, *, grant: Any = (), remove: Any = (), team: str = "") -> list[str]:
        """Grant and remove scopes; return what the token has."""
        return list(self._do("scopes", grant=list(grant), remove=list(remove), team=team))

    def old_tenant(self, *blocks: str, team: str = "") -> None:
        """Have the workspace not know some types of blocks (all known: no argument)."""
        self._do("old_tenant", blocks=list(blocks), team=team)

    def limits(self, scale: float) -> None:
        """Scale all rate limits; 0 turns them off."""
        self._do("limits", scale=scale)

    def add_team(self) -> str:
        """Make another workspace; return its id."""
        return str(self._do("add_team"))

    def http_mode(self, url: str | None, *, signs: str = "good", verify: bool = True) -> bool:
        """Post everything to a URL; None goes back to Socket Mode. `signs`: good, bad or old."""
        return bool(self._do("http_mode", url=url, signs=signs, verify=verify))

    # faults

    def fail(self, method: str, status: int = 500, times: int = 1, when: str = "before") -> None:
        """Answer calls of a method with an HTTP error, `before` or `after` performing it; `*`: any method."""
        self._do("fail", method=method, status=status, times=times, when=when)

    def error(self, method: str, error: str = "internal_error", times: int = 1) -> None:
        """Answer calls of a method with an error."""
        self._do("error", method=method, error=error, times=times)

    def ratelimit(self, method: str, times: int = 1, retry_after: int = 1) -> None:
        """Answer calls of a method with 429."""
        self._do("ratelimit", method=method, times=times, retry_after=retry_after)

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Perform a method, then close the connection; also `response_url` and `upload`."""
        self._do("lose_answer", method=method, times=times)

    def delay(self, method: str, seconds: float, times: int = 1) -> None:
        """Take some time before performing a method."""
        self._do("delay", method=method, seconds=seconds, times=times)

    def heal(self) -> None:
        """Take back all faults that did not happen yet."""
        self._do("heal")

    def dark(self, seconds: float, *, sever: bool = False) -> None:
        """Let nothing through for some seconds, without a word; `sever`: open sockets stay half open for good."""
        self._do("dark", seconds=seconds, sever=sever)

    def disconnect(self, reason: str = "refresh_requested", count: int | None = None, grace: float = 0.2) -> int:
        """Send the app's sockets away; return how many."""
        return int(self._do("disconnect", reason=reason, count=count, grace=grace))

    def cut(self) -> int:
        """Break the app's sockets without a word; return how many."""
        return int(self._do("cut"))

    def refuse_tickets(self, count: int = 1) -> None:
        """Refuse all tickets given so far, and the next connections."""
        self._do("refuse_tickets", count=count)

    def refuse_connections(self, seconds: float) -> None:
        """Have apps.connections.open fail for some seconds."""
        self._do("refuse_connections", seconds=seconds)


class Slack(Control):
    """The server's process, for as long as the block lasts."""

    def __init__(self, *, port: int = 0, teams: int = 1, seed: int | None = None) -> None:
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        seeded = [] if seed is None else ["--seed", str(seed)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.slack.server", "--port", str(port), "--teams", str(teams), *seeded],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        assert self._process.stdout is not None
        super().__init__(self._process.stdout.readline().strip())

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def pause(self) -> None:
        """Stop the process, its connections open, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
