"""What people do with an app's commands, buttons, menus and shortcuts."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from support.slack import content, forms
from support.slack.api_surfaces import shown_view
from support.slack.delivery import Hub
from support.slack.mrkdwn import escape
from support.slack.people import channel_in, message_in, person_in
from support.slack.posting import Delivery
from support.slack.responses import said_in_answer
from support.slack.workspace import Ephemeral, Message, Person, View, Workspace
from support.slack.world import Nonsense, Refused, World


def _label(element: dict[str, Any]) -> str:
    for name in ("text", "placeholder"):
        if name in element:
            return str(element[name]["text"])
    return ""


def find(blocks: list[dict[str, Any]], what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the element that a person means by its action id, label, value or block id, with its block."""
    all_parts = list(content.elements(blocks))
    for wanted in (
        lambda block, element: element.get("action_id") == what,
        lambda block, element: _label(element) == what,
        lambda block, element: element.get("value") == what,
        lambda block, element: block.get("block_id") == what,
    ):
        for block, element in all_parts:
            if wanted(block, element):
                return block, element
    raise Nonsense(f"nothing here is {what!r}: {[_label(element) or element['action_id'] for _, element in all_parts]}")


class Interactions:
    """What people do with what the app shows; answers come as Slack's client would act on them."""

    def __init__(self, world: World, hub: Hub) -> None:
        self.world, self.hub = world, hub
        self.handed: dict[str, Delivery] = {}

    def _who(self, team: Workspace, person: Person) -> dict[str, Any]:
        return {
            "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": team.id},
            "api_app_id": self.world.app.id, "token": self.world.app.verification_token, "enterprise": None,
            "team": {"id": team.id, "domain": team.domain}, "is_enterprise_install": False,
        }  # fmt: skip

    def _ask(self, kind: str, what: str, payload: dict[str, Any]) -> dict[str, Any]:
        if kind == "interactive" and not self.world.app.interactive:
            raise Nonsense("interactivity is not enabled in the app's manifest")
        delivery = self.hub.ask(kind, what, payload)
        self.handed[delivery.envelope] = delivery
        for old in list(self.handed)[:-2000]:
            del self.handed[old]
        return {
            "envelope": delivery.envelope, "trigger_id": payload.get("trigger_id"),
            "response_url": payload.get("response_url"),
        }  # fmt: skip

    async def ack(self, envelope: str, within: float = 10.0) -> dict[str, Any]:
        """Wait for the answer to a command or an interaction."""
        delivery = self.handed[envelope]
        try:
            await asyncio.wait_for(delivery.done.wait(), within)
        except TimeoutError:
            raise Nonsense("it was neither acknowledged nor given up") from None
        return delivery.shown()

    async def command(self, user: str, channel: str, command: str, text: str = "", team: str = "") -> dict[str, Any]:
        """Use a slash command; what it is acknowledged with is shown to the person, or to the channel."""
        place = self.world.team(team)
        person = person_in(place, user)
        there = place.open_im(person.id) if channel == "dm" else channel_in(place, channel)
        if person.id not in there.members:
            raise Nonsense(f"{person.name} is not in {there.name}")
        known = self.world.app.commands
        if known is not None and command not in known:
            raise Nonsense(f"{command} is not a valid command")
        names = {"im": "directmessage", "group": "privategroup", "mpim": there.name, "channel": there.name}
        payload = {
            "token": self.world.app.verification_token, "team_id": place.id, "team_domain": place.domain,
            "channel_id": there.id, "channel_name": names[there.kind], "user_id": person.id, "user_name": person.name,
            "command": command, "text": self._escaped(place, command, text.strip()), "api_app_id": self.world.app.id,
            "is_enterprise_install": "false", "trigger_id": self.world.new_trigger(place, person.id),
            "response_url": self.world.new_url(place, there.id, person.id),
        }  # fmt: skip
        asked = self._ask("slash_commands", command, payload)
        self.hub.start(self._answered(place, person, there.id, self.handed[asked["envelope"]]))
        return asked

    def _escaped(self, team: Workspace, command: str, text: str) -> str:
        """Escape the text as the command's settings say: mentions of people and channels only where they do."""
        text = escape(text)
        if not (self.world.app.commands or {}).get(command):
            return text
        for person in team.people.values():
            text = text.replace(f"@{person.name}", f"<@{person.id}|{person.name}>")
        for channel in team.channels.values():
            text = text.replace(f"#{channel.name}", f"<#{channel.id}|{channel.name}>")
        return text

    async def _answered(self, team: Workspace, person: Person, channel: str, delivery: Delivery) -> None:
        """Show what a command was acknowledged with."""
        await delivery.done.wait()
        if not delivery.answer or delivery.late:
            return
        try:
            said_in_answer(self.world, team, channel, person.id, delivery.answer, source="ack")
        except Refused as refused:
            self.world.violate(refused.error, list(refused.messages), what="ack of a command")

    # buttons and menus

    def press(
        self, user: str, channel: str, ts: str, what: str, *, value: Any = None, team: str = ""
    ) -> dict[str, Any]:
        """Use a button or a menu of a message, by its action id, label or value; a menu takes what is chosen."""
        place = self.world.team(team)
        person = person_in(place, user)
        there = place.open_im(person.id) if channel == "dm" else channel_in(place, channel)
        shown = self._seen(place, person, there.id, ts)
        ephemeral = isinstance(shown, Ephemeral)
        block, element = find(shown.blocks, what)
        container = {
            "type": "message", "message_ts": ts, "channel_id": there.id, "is_ephemeral": ephemeral,
            "is_app_unfurl": False,
        }  # fmt: skip
        thread = {"thread_ts": shown.thread_ts} if shown.thread_ts else {}
        url = self.world.new_url(
            place, there.id, person.id, thread_ts=shown.thread_ts, message_ts=ts, ephemeral=ephemeral
        )
        names = {"im": "directmessage", "group": "privategroup"}
        payload = self._who(place, person) | {
            "type": "block_actions", "container": container | thread, "response_url": url,
            "trigger_id": self.world.new_trigger(place, person.id),
            "channel": {"id": there.id, "name": names.get(there.kind, there.name)},
        }  # fmt: skip
        action = self._action(place, block, element, value, where=ts)
        payload |= {"actions": [action], "state": {"values": self._state(place, shown.blocks, ts)}}
        if isinstance(shown, Message):
            payload["message"] = place.shown(shown)
        return self._ask("interactive", f"block_actions {element['action_id']}", payload)

    def _seen(self, team: Workspace, person: Person, channel: str, ts: str) -> Message | Ephemeral:
        for ephemeral in team.ephemerals:
            if ephemeral.ts == ts and ephemeral.channel == channel:
                if ephemeral.user != person.id:
                    raise Nonsense("that message is shown to somebody else")
                return ephemeral
        return message_in(team.channels[channel], ts)

    def click(self, user: str, view: str, what: str, value: Any = None, team: str = "") -> dict[str, Any]:
        """Use an element of an open modal, or of the Home tab (`view` is then `home`)."""
        place = self.world.team(team)
        person, shown = person_in(place, user), self._view(place, user, view)
        block, element = find(shown.content["blocks"], what)
        action = self._action(place, block, element, value, where=shown.id, view=shown)
        if block["type"] == "input" and not block.get("dispatch_action"):
            raise Nonsense("the client only tells of an input with dispatch_action")
        values = self._state(place, shown.content["blocks"], shown.id, shown)
        payload = self._who(place, person) | {
            "type": "block_actions", "container": {"type": "view", "view_id": shown.id},
            "trigger_id": self.world.new_trigger(place, person.id, shown.id), "actions": [action],
            "view": shown_view(self.world, place, shown, values), "state": {"values": values},
        }  # fmt: skip
        return self._ask("interactive", f"block_actions {element['action_id']}", payload)

    def _view(self, team: Workspace, user: str, view: str) -> View:
        person = person_in(team, user)
        shown = team.homes.get(person.id) if view == "home" else team.view(view)
        if shown is None or shown.user != person.id:
            raise Nonsense(f"{person.name} does not see the view {view}")
        return shown

    def _action(
        self, team: Workspace, block: dict[str, Any], element: dict[str, Any], value: Any, *, where: str,
        view: View | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        action: dict[str, Any] = {
            "action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"],
            "action_ts": f"{time.time():.6f}",
        }  # fmt: skip
        if element["type"] in {"button", "icon_button"}:
            return action | {name: element[name] for name in ("text", "value", "style") if name in element}
        chosen = forms.value_of(team, element, value, self._offered(team, where))
        key = (block["block_id"], element["action_id"])
        if view is not None and forms.has_state(element):
            view.values[key] = chosen
        elif forms.has_state(element):
            team.chosen[where, *key] = chosen
        return action | chosen

    def _offered(self, team: Workspace, where: str) -> forms.Offered:
        return lambda action_id: team.options.get((where, action_id), [])

    def _state(
        self, team: Workspace, blocks: list[dict[str, Any]], where: str, view: View | None = None
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for block, element in content.elements(blocks):
            if forms.has_state(element):
                key = (block["block_id"], element["action_id"])
                own = view.values.get(key) if view else team.chosen.get((where, *key))
                values.setdefault(key[0], {})[key[1]] = own or forms.empty_of(element)
        return values

    # shortcuts and Home

    def shortcut(self, user: str, callback_id: str, team: str = "") -> dict[str, Any]:
        """Use a global shortcut."""
        place = self.world.team(team)
        person = person_in(place, user)
        self._known(callback_id, "global")
        payload = self._who(place, person) | {
            "type": "shortcut", "callback_id": callback_id, "action_ts": f"{time.time():.6f}",
            "trigger_id": self.world.new_trigger(place, person.id),
        }  # fmt: skip
        return self._ask("interactive", f"shortcut {callback_id}", payload)

    def message_shortcut(self, user: str, callback_id: str, channel: str, ts: str, team: str = "") -> dict[str, Any]:
        """Use a message's shortcut."""
        place = self.world.team(team)
        person = person_in(place, user)
        there = place.open_im(person.id) if channel == "dm" else channel_in(place, channel)
        self._known(callback_id, "message")
        message = message_in(there, ts)
        url = self.world.new_url(place, there.id, person.id, thread_ts=message.thread_ts)
        payload = self._who(place, person) | {
            "type": "message_action", "callback_id": callback_id, "action_ts": f"{time.time():.6f}",
            "trigger_id": self.world.new_trigger(place, person.id), "response_url": url, "message_ts": ts,
            "channel": {"id": there.id, "name": there.name}, "message": place.shown(message),
        }  # fmt: skip
        return self._ask("interactive", f"message_action {callback_id}", payload)

    def _known(self, callback_id: str, kind: str) -> None:
        known = self.world.app.shortcuts
        if known is not None and known.get(callback_id) != kind:
            raise Nonsense(f"there is no {kind} shortcut {callback_id}")

    def open_home(self, user: str, tab: str = "home", team: str = "") -> None:
        """Open the app's Home or Messages tab."""
        place = self.world.team(team)
        person = person_in(place, user)
        view = place.homes.get(person.id)
        event = {
            "type": "app_home_opened", "user": person.id, "channel": place.open_im(person.id).id, "tab": tab,
            "event_ts": place.new_ts(),
        }  # fmt: skip
        shown = {"view": shown_view(self.world, place, view)} if view and tab == "home" else {}
        self.world.tell(place, "app_home_opened", event | shown)
