"""What people do with modals, and with menus that the app itself fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.slack import content, forms
from support.slack.api_surfaces import checked_view, new_view, replace, shown_view
from support.slack.interactions import Interactions, find
from support.slack.objects import option, plain
from support.slack.people import channel_in, person_in
from support.slack.schema import listing, record
from support.slack.workspace import Message, Person, View, Workspace
from support.slack.world import Nonsense, Refused

_OPTIONS = record(
    {},
    {
        "options": listing(option(), 100, 0),
        "option_groups": listing(record({"label": plain(75), "options": listing(option(), 100, 0)}), 100, 0),
    },
)


class Modals(Interactions):
    """All that people do with what the app shows."""

    async def options(
        self, user: str, where: str, action_id: str, value: str = "", *, channel: str = "", team: str = ""
    ) -> list[dict[str, Any]]:
        """Type into an external menu of a view, or of a message in a channel; return the options it then offers."""
        place = self.world.team(team)
        person = person_in(place, user)
        if channel:
            there = place.open_im(person.id) if channel == "dm" else channel_in(place, channel)
            shown = self._seen(place, person, there.id, where)
            block, element = find(shown.blocks, action_id)
            about: dict[str, Any] = {
                "container": {"type": "message", "message_ts": where, "channel_id": there.id, "is_ephemeral": False},
                "channel": {"id": there.id, "name": there.name},
            }  # fmt: skip
            if isinstance(shown, Message):
                about["message"] = place.shown(shown)
        else:
            view = self._view(place, user, where)
            where = view.id
            block, element = find(view.content["blocks"], action_id)
            values = self._state(place, view.content["blocks"], view.id, view)
            about = {
                "container": {"type": "view", "view_id": view.id},
                "view": shown_view(self.world, place, view, values),
            }  # fmt: skip
        if "external" not in element["type"]:
            raise Nonsense(f"a {element['type']} has its own options")
        if len(value) < element.get("min_query_length", 3):
            raise Nonsense(f"the client asks from {element.get('min_query_length', 3)} characters on")
        payload = self._who(place, person) | about | {
            "type": "block_suggestion", "action_id": element["action_id"], "block_id": block["block_id"],
            "value": value,
        }  # fmt: skip
        asked = self._ask("interactive", f"block_suggestion {element['action_id']}", payload)
        answer = (await self.ack(asked["envelope"]))["answer"]
        report = self.world.report(place, "message")
        _OPTIONS(answer, "", report)
        if report.problems:
            self.world.violate("invalid_options", report.problems)
            return []
        groups = [one for group in answer.get("option_groups", []) for one in group["options"]]
        place.options[where, element["action_id"]] = offers = [*answer.get("options", []), *groups]
        return offers

    async def submit(
        self, user: str, view: str, values: dict[str, Any] | None = None, team: str = ""
    ) -> dict[str, Any]:
        """Fill a modal in and send it off; return the answer, after the client has acted on it."""
        place = self.world.team(team)
        person, shown = person_in(place, user), self._view(place, user, view)
        stack = place.modals.get(person.id, [])
        if not stack or stack[-1] is not shown:
            raise Nonsense("another modal lies on top")
        if "submit" not in shown.content:
            raise Nonsense("the modal has no button to send it off")
        for key, given in (values or {}).items():
            block, element = find(shown.content["blocks"], key)
            value = forms.value_of(place, element, given, self._offered(place, shown.id))
            shown.values[block["block_id"], element["action_id"]] = value
        state = self._state(place, shown.content["blocks"], shown.id, shown)
        missing = [key for key in self._needed(shown) if forms.is_empty(state[key[0]][key[1]])]
        if missing:
            raise Nonsense(f"the client wants these filled in: {[block for block, _ in missing]}")
        payload = self._who(place, person) | {
            "type": "view_submission", "trigger_id": self.world.new_trigger(place, person.id, shown.id),
            "view": shown_view(self.world, place, shown, state),
            "response_urls": self._urls(place, person, shown, state),
        }  # fmt: skip
        asked = self._ask("interactive", f"view_submission {shown.content.get('callback_id', '')}", payload)
        delivery = await self.ack(asked["envelope"])
        problem = "" if delivery["acked_at"] and not delivery["late"] else "the app did not answer in time"
        answer = delivery["answer"] or {}
        if not problem:
            try:
                self._act(place, person, shown, answer)
            except Refused as refused:
                self.world.violate(refused.error, list(refused.messages), what="answer to a submission")
                problem = refused.error
        return {
            "answer": answer,
            "errors": answer.get("errors", {}),
            "problem": problem,
            "open": self._open(place, person),
        }

    def _open(self, team: Workspace, person: Person) -> list[str]:
        return [view.id for view in team.modals.get(person.id, [])]

    def _needed(self, view: View) -> Iterator[tuple[str, str]]:
        for block in view.content["blocks"]:
            if block["type"] == "input" and not block.get("optional"):
                yield block["block_id"], block["element"]["action_id"]

    def _urls(self, team: Workspace, person: Person, view: View, state: dict[str, Any]) -> list[dict[str, str]]:
        urls = []
        for block, element in content.elements(view.content["blocks"]):
            value = state.get(block["block_id"], {}).get(element["action_id"], {})
            channel = value.get("selected_conversation") or value.get("selected_channel")
            if element.get("response_url_enabled") and channel:
                urls.append({
                    "block_id": block["block_id"], "action_id": element["action_id"], "channel_id": channel,
                    "response_url": self.world.new_url(team, channel, person.id),
                })  # fmt: skip
        return urls

    def _act(self, team: Workspace, person: Person, view: View, answer: dict[str, Any]) -> None:
        """Do with the modals what the answer to a submission says."""
        stack, action = team.modals[person.id], answer.get("response_action")
        fields = {None: set(), "errors": {"errors"}, "update": {"view"}, "push": {"view"}, "clear": set()}
        if action not in fields or set(answer) != fields[action] | ({"response_action"} if action else set()):
            raise Refused("invalid_response_action", str(answer)[:500])
        if action is None:
            stack.pop()
        elif action == "clear":
            stack.clear()
        elif action == "errors":
            inputs = {block["block_id"] for block in view.content["blocks"] if block["type"] == "input"}
            errors = answer["errors"]
            if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
                raise Refused("invalid_errors", f"{errors} are not errors of the inputs {sorted(inputs)}")
            if not all(isinstance(text, str) and 0 < len(text) <= 2000 for text in errors.values()):
                raise Refused("invalid_errors", "must be text")
        elif action == "update":
            replace(view, checked_view(self.world, team, answer["view"], "modal"))
        elif len(stack) >= 3:
            raise Refused("push_limit_reached")
        else:
            stack.append(new_view(team, person.id, checked_view(self.world, team, answer["view"], "modal"), view))

    def close_view(self, user: str, view: str, team: str = "") -> dict[str, Any] | None:
        """Close a modal without sending it off."""
        place = self.world.team(team)
        person, shown = person_in(place, user), self._view(place, user, view)
        place.modals[person.id].remove(shown)
        if not shown.content.get("notify_on_close"):
            return None
        values = self._state(place, shown.content["blocks"], shown.id, shown)
        payload = self._who(place, person) | {
            "type": "view_closed", "view": shown_view(self.world, place, shown, values), "is_cleared": False,
        }  # fmt: skip
        return self._ask("interactive", "view_closed", payload)
