"""What people do in Slack: they write, react, invite, and come and go."""

from __future__ import annotations

import asyncio
import mimetypes
import time
from typing import Any

from support.slack import events
from support.slack.mrkdwn import links, rich, typed
from support.slack.workspace import Channel, File, Message, Person, Workspace
from support.slack.world import Nonsense, World


def person_in(team: Workspace, key: str) -> Person:
    """Return somebody by id or name."""
    person = team.person(key)
    if person is None:
        raise Nonsense(f"nobody here is {key}")
    return person


def channel_in(team: Workspace, key: str) -> Channel:
    """Return a channel by id or name."""
    channel = team.channel(key)
    if channel is None:
        raise Nonsense(f"no channel here is {key}")
    return channel


def message_in(channel: Channel, ts: str) -> Message:
    """Return a message by its ts."""
    message = channel.messages.get(ts)
    if message is None:
        raise Nonsense(f"no message in {channel.name} has the ts {ts}")
    return message


class People:
    """The people of all workspaces; each action returns what a test needs to go on."""

    def __init__(self, world: World) -> None:
        self.world = world

    def say(
        self, user: str, channel: str, text: str, thread_ts: str | None = None, *, files: list[Any] | None = None,
        team: str = "",
    ) -> str:  # fmt: skip
        """Write a message; return its ts."""
        place = self.world.team(team)
        where = channel_in(place, channel)
        return self._say(place, person_in(place, user), where, text, thread=thread_ts, files=files or [])

    def _say(
        self, team: Workspace, person: Person, channel: Channel, text: str, *, thread: str | None, files: list[Any]
    ) -> str:
        if person.id not in channel.members:
            raise Nonsense(f"{person.name} is not in {channel.name}")
        if channel.archived:
            raise Nonsense(f"{channel.name} is archived")
        if thread is not None:
            parent = message_in(channel, thread)
            thread = parent.thread_ts or parent.ts
        stored, number = typed(text), next(self.world.numbers)
        message = Message(
            team.new_ts(), channel.id, person.id, stored, thread_ts=thread, blocks=rich(stored),
            files=[self._file(team, person, file) for file in files], subtype="file_share" if files else None,
        )  # fmt: skip
        self.world.post(team, message)
        events.posted(self.world, team, message, f"00000000-0000-4000-8000-{number:012d}")
        self._share_links(team, message)
        return message.ts

    def _file(self, team: Workspace, person: Person, given: Any) -> dict[str, Any]:
        given = {"name": given} if isinstance(given, str) else given
        kind = given.get("mimetype") or mimetypes.guess_type(given["name"])[0] or "application/octet-stream"
        content = str(given.get("content", "")).encode()
        file = File(
            team.new_id("F"), given["name"], kind, person.id, len(content), content=content, uploaded=True,
            complete=True,
        )  # fmt: skip
        team.files[file.id] = file
        return file.shown(self.world.url)

    def _share_links(self, team: Workspace, message: Message) -> None:
        channel, shared = team.channels[message.channel], list[dict[str, str]]()
        for url in links(message.text):
            host = url.split("/")[2].partition(":")[0]
            known = [domain for domain in self.world.app.unfurl_domains if f".{host}".endswith(f".{domain}")]
            shared += [{"domain": domain, "url": url} for domain in known[:1]]
        if not shared:
            return
        key = f"{channel.id}.{message.ts}.{next(self.world.numbers)}"
        team.link_posts[key] = (channel.id, message.ts, [link["url"] for link in shared])
        event = {
            "type": "link_shared", "channel": channel.id, "user": message.user, "message_ts": message.ts,
            "is_bot_user_member": team.bot.id in channel.members, "unfurl_id": key, "links": shared,
            "source": "conversations_history", "event_ts": message.ts,
        }  # fmt: skip
        thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
        self.world.tell(team, "link_shared", event | thread)

    async def say_many(self, messages: list[dict[str, Any]], over: float = 0.0) -> list[str]:
        """Write many messages, evenly over some seconds; each is what `say` takes."""
        began, said = time.monotonic(), list[str]()
        for place, message in enumerate(messages):
            await asyncio.sleep(max(0.0, began + over * place / len(messages) - time.monotonic()))
            said.append(self.dm(**message) if "channel" not in message else self.say(**message))
        return said

    def share_link(self, user: str, channel: str, url: str, thread_ts: str | None = None, team: str = "") -> str:
        """Write a link; return the message's ts."""
        return self.say(user, channel, url, thread_ts, team=team)

    def dm(
        self, user: str, text: str, thread_ts: str | None = None, files: list[Any] | None = None, team: str = ""
    ) -> str:
        """Write to the bot directly; return the message's ts."""
        if not self.world.app.messages_tab:
            raise Nonsense("sending messages to this app has been turned off")
        place = self.world.team(team)
        person = person_in(place, user)
        where = place.open_im(person.id)
        return self._say(place, person, where, text, thread=thread_ts, files=files or [])

    def dm_channel(self, user: str, team: str = "") -> str:
        """Return the id of somebody's direct messages with the bot."""
        place = self.world.team(team)
        return place.open_im(person_in(place, user).id).id

    def edit(self, user: str, channel: str, ts: str, text: str, team: str = "") -> None:
        """Change what was written."""
        place = self.world.team(team)
        message = message_in(channel_in(place, channel), ts)
        if message.user != person_in(place, user).id:
            raise Nonsense("people can only edit their own messages")
        before = place.shown(message)
        message.remember()
        message.text = typed(text)
        message.blocks, message.changed_at = rich(message.text), time.time()
        message.edited = {"user": message.user, "ts": place.new_ts()}
        events.changed(self.world, place, message, before)

    def delete(self, user: str, channel: str, ts: str, team: str = "") -> None:
        """Delete what was written."""
        place = self.world.team(team)
        message = message_in(channel_in(place, channel), ts)
        if message.user != person_in(place, user).id:
            raise Nonsense("people can only delete their own messages")
        events.delete(self.world, place, message)

    def react(self, user: str, channel: str, ts: str, name: str, team: str = "", *, remove: bool = False) -> None:
        """React to a message, or take that back."""
        place = self.world.team(team)
        person, there = person_in(place, user), channel_in(place, channel)
        message, ts_now = message_in(there, ts), place.new_ts()
        users = [one for one in message.reactions.get(name, []) if one != person.id]
        message.reactions[name] = users if remove else [*users, person.id]
        if not message.reactions[name]:
            del message.reactions[name]
        if place.bot.id in there.members:
            kind = "reaction_removed" if remove else "reaction_added"
            item = {"type": "message", "channel": there.id, "ts": ts}
            self.world.tell(place, kind, {
                "type": kind, "user": person.id, "reaction": name, "item_user": message.user, "item": item,
                "event_ts": ts_now,
            })  # fmt: skip

    # channels and workspaces

    def add_user(self, name: str, real_name: str = "", team: str = "", **fields: Any) -> str:
        """Have somebody join the workspace and `general`; return their id."""
        place = self.world.team(team)
        person = place.add_person(name, real_name, **fields)
        channel_in(place, "general").members.add(person.id)
        return person.id

    def add_channel(
        self, name: str, kind: str = "channel", members: list[str] | None = None, team: str = "", *, bot: bool = True
    ) -> str:
        """Make a channel of some people, everybody unless named, with the bot or without; return its id."""
        place = self.world.team(team)
        names = members if members is not None else [p.id for p in place.people.values() if not p.is_bot]
        everybody = {person_in(place, one).id for one in names} | ({place.bot.id} if bot else set())
        return place.add_channel(name, kind, everybody).id

    def join(self, user: str, channel: str, team: str = "") -> None:
        """Have somebody join a channel; `bot` is the bot."""
        place = self.world.team(team)
        person, there = self._who(place, user), channel_in(place, channel)
        there.members.add(person.id)
        self._tell_of(place, there, "member_joined_channel", user=person.id, inviter=there.creator)

    def leave(self, user: str, channel: str, team: str = "") -> None:
        """Have somebody leave a channel; `bot` is the bot, which is removed."""
        place = self.world.team(team)
        person, there = self._who(place, user), channel_in(place, channel)
        there.members.discard(person.id)
        if person is place.bot:
            name = "channel_left" if there.kind == "channel" else "group_left"
            event = {"type": name, "channel": there.id, "actor_id": there.creator, "event_ts": place.new_ts()}
            self.world.tell(place, name, event)
        else:
            self._tell_of(place, there, "member_left_channel", user=person.id)

    def _who(self, place: Workspace, user: str) -> Person:
        return place.bot if user == "bot" else person_in(place, user)

    def _tell_of(self, place: Workspace, there: Channel, name: str, **more: Any) -> None:
        letter = "C" if there.kind == "channel" else "G"
        event = {
            "type": name, "channel": there.id, "channel_type": letter, "team": place.id, "event_ts": place.new_ts()
        }  # fmt: skip
        if place.bot.id in there.members:
            self.world.tell(place, name, event | more)

    def archive(self, channel: str, team: str = "", *, archived: bool = True) -> None:
        """Archive a channel, or bring it back."""
        place = self.world.team(team)
        there = channel_in(place, channel)
        there.archived = archived
        name = ("group_" if there.kind == "group" else "channel_") + ("archive" if archived else "unarchive")
        if place.bot.id in there.members:
            event = {"type": name, "channel": there.id, "user": there.creator, "event_ts": place.new_ts()}
            self.world.tell(place, name, event)

    def uninstall(self, team: str = "") -> None:
        """Take the app out of the workspace: its token is worthless, and it hears of it."""
        place = self.world.team(team)
        place.token_state = "account_inactive"
        self._revoked(place)
        self.world.tell(place, "app_uninstalled", {"type": "app_uninstalled", "event_ts": place.new_ts()})

    def revoke(self, team: str = "") -> None:
        """Revoke the app's token."""
        place = self.world.team(team)
        place.token_state = "token_revoked"
        self._revoked(place)

    def _revoked(self, place: Workspace) -> None:
        tokens = {"oauth": [], "bot": [place.bot.id]}
        event = {"type": "tokens_revoked", "tokens": tokens, "event_ts": place.new_ts()}
        self.world.tell(place, "tokens_revoked", event)
