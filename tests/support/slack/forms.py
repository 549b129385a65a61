"""What people do with elements: the values they put in, as Slack's payloads carry them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from support.slack.elements import options_of
from support.slack.workspace import Workspace
from support.slack.world import Nonsense

Offered = Callable[[str], list[dict[str, Any]]]
"""The options an external menu was last answered with, by its action id."""
_KEYS = {
    "static_select": "selected_option", "external_select": "selected_option", "overflow": "selected_option",
    "radio_buttons": "selected_option", "checkboxes": "selected_options", "multi_static_select": "selected_options",
    "multi_external_select": "selected_options", "users_select": "selected_user", "datepicker": "selected_date",
    "multi_users_select": "selected_users", "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations", "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels", "timepicker": "selected_time",
    "datetimepicker": "selected_date_time", "plain_text_input": "value", "number_input": "value",
    "email_text_input": "value", "url_text_input": "value",
}  # fmt: skip
_INITIAL = {
    "users_select": "initial_user", "multi_users_select": "initial_users", "channels_select": "initial_channel",
    "multi_channels_select": "initial_channels", "conversations_select": "initial_conversation",
    "multi_conversations_select": "initial_conversations", "datepicker": "initial_date", "timepicker": "initial_time",
    "datetimepicker": "initial_date_time", "checkboxes": "initial_options", "multi_static_select": "initial_options",
    "multi_external_select": "initial_options", "static_select": "initial_option", "radio_buttons": "initial_option",
    "external_select": "initial_option",
}  # fmt: skip


def has_state(element: dict[str, Any]) -> bool:
    """Tell whether an element holds a value."""
    return element["type"] in _KEYS and element["type"] != "overflow"


def empty_of(element: dict[str, Any]) -> dict[str, Any]:
    """Return the value an element has before anybody touches it."""
    kind = element["type"]
    nothing: Any = [] if kind.startswith("multi_") or kind == "checkboxes" else None
    return {"type": kind, _KEYS[kind]: element.get(_INITIAL.get(kind, "initial_value"), nothing)}


def is_empty(value: dict[str, Any]) -> bool:
    """Tell whether an element's value is none."""
    return next(v for key, v in value.items() if key != "type") in (None, "", [])


def value_of(team: Workspace, element: dict[str, Any], given: Any, offered: Offered) -> dict[str, Any]:
    """Return an element's value for what a person puts in: text, a number, an option by label or value, or a list."""
    kind = element["type"]
    if kind not in _KEYS:
        raise Nonsense(f"nothing can be put into a {kind}")
    if kind in {"plain_text_input", "number_input", "email_text_input", "url_text_input"}:
        return {"type": kind, "value": _typed(element, given)}
    if kind.startswith("multi_") or kind == "checkboxes":
        many = [_chosen(team, element, one, offered) for one in given or ()]
        if len(many) > element.get("max_selected_items", 100):
            raise Nonsense(f"no more than {element['max_selected_items']} can be selected")
        return {"type": kind, _KEYS[kind]: many}
    return {"type": kind, _KEYS[kind]: None if given is None else _chosen(team, element, given, offered)}


def _typed(element: dict[str, Any], given: Any) -> str | None:
    if given is None or given == "":
        return None
    text = str(given)
    if element["type"] == "number_input":
        pattern = r"-?\d+(\.\d+)?" if element["is_decimal_allowed"] else r"-?\d+"
        if not re.fullmatch(pattern, text):
            raise Nonsense(f"the client takes no such number: {text}")
        low, high = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
        if not low <= float(text) <= high:
            raise Nonsense(f"the client takes numbers from {low} to {high}: {text}")
    elif not element.get("min_length", 0) <= len(text) <= element.get("max_length", 3000):
        raise Nonsense(f"the client takes no text of {len(text)} characters here")
    if element["type"] == "plain_text_input" and not element.get("multiline") and "\n" in text:
        raise Nonsense("the client takes one line here")
    return text


def _chosen(team: Workspace, element: dict[str, Any], given: Any, offered: Offered) -> Any:
    kind = element["type"].removeprefix("multi_")
    if kind == "users_select":
        person = team.person(given)
        if person is None:
            raise Nonsense(f"nobody here is {given}")
        return person.id
    if kind in {"conversations_select", "channels_select"}:
        channel = team.channel(given)
        if channel is None:
            raise Nonsense(f"no channel here is {given}")
        return channel.id
    if kind in {"datepicker", "timepicker", "datetimepicker"}:
        return given
    offers = offered(element["action_id"]) if kind == "external_select" else options_of(element)
    wanted = given["value"] if isinstance(given, dict) else given
    for option in offers:
        if wanted in {option["value"], option["text"]["text"]}:
            return option
    raise Nonsense(f"{given!r} is not on offer: {[option['text']['text'] for option in offers]}")
