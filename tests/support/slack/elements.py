"""Block Kit's elements, and in which blocks each may stand."""

from __future__ import annotations

import re
from typing import Any

from support.slack.objects import CONFIRM, DISPATCH, FILTER, SLACK_FILE, URL, WEB_URL, any_text, option, plain
from support.slack.schema import (
    Check,
    Fields,
    Report,
    anything,
    boolean,
    by_type,
    every,
    exactly_one,
    integer,
    listing,
    record,
    string,
)

_DECIMAL = r"-?\d+(\.\d+)?"


def _element(required: Fields | None = None, optional: Fields | None = None, *, also: Check = anything) -> Check:
    return record({"type": anything, **(required or {})}, {"action_id": string(255), **(optional or {})}, also=also)


def _focus(value: Any, pointer: str, report: Report) -> None:
    boolean(value, pointer, report)
    if value is True:
        report.counts["focus"] += 1
        report.expect(report.surface != "message", pointer, "focus_on_load is only for views")
        report.expect(report.counts["focus"] < 2, pointer, "only one element may have focus_on_load")


def _only_in_modals(value: Any, pointer: str, report: Report) -> None:
    boolean(value, pointer, report)
    report.expect(report.surface == "modal", pointer, "response_url_enabled is only for modals")


_MENU: Fields = {"placeholder": plain(150), "confirm": CONFIRM, "focus_on_load": _focus}
_CHOICE: Fields = {"confirm": CONFIRM, "focus_on_load": _focus}
_MANY: Fields = {"max_selected_items": integer(1)}
_TYPED: Fields = {"placeholder": plain(150), "focus_on_load": _focus, "dispatch_action_config": DISPATCH}
_GROUP = record({"label": plain(75), "options": listing(option(), 100)})
_STATIC: Fields = {"options": listing(option(), 100), "option_groups": listing(_GROUP, 100)}
_LINE = any_text(75)


def options_of(element: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all options an element itself offers."""
    return [*element.get("options", []), *(o for group in element.get("option_groups", []) for o in group["options"])]


def _initial(value: dict[str, Any], pointer: str, report: Report) -> None:
    """Check that what is chosen from the start is on offer."""
    chosen = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    for one in chosen:
        report.expect(one in options_of(value), pointer, "initial option must match one of the options")


def _lengths(value: dict[str, Any], pointer: str, report: Report) -> None:
    least, most = value.get("min_length", 0), value.get("max_length", 3000)
    report.expect(least <= most, pointer, "min_length must not exceed max_length")
    report.expect(len(value.get("initial_value", "")) <= most, pointer, "initial_value is longer than max_length")


def _numbers(value: dict[str, Any], pointer: str, report: Report) -> None:
    least, most = float(value.get("min_value", "-inf")), float(value.get("max_value", "inf"))
    report.expect(least <= most, pointer, "min_value must not exceed max_value")
    initial = value.get("initial_value")
    if initial is not None:
        report.expect(least <= float(initial) <= most, pointer, "initial_value is out of range")
        report.expect(
            value["is_decimal_allowed"] or re.fullmatch(r"-?\d+", initial), pointer, "initial_value must be whole"
        )


_static_also = every(exactly_one("options", "option_groups"), _initial)
_FEEDBACK = record({"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75)})

ELEMENTS: dict[str, Check] = {
    "button": _element(
        {"text": plain(75)},
        {
            "value": string(2000), "url": URL, "style": string(among=("primary", "danger")), "confirm": CONFIRM,
            "accessibility_label": string(75),
        },
    ),
    "image": record(
        {"type": anything, "alt_text": string(2000)}, {"image_url": WEB_URL, "slack_file": SLACK_FILE},
        also=exactly_one("image_url", "slack_file"),
    ),
    "static_select": _element({}, {**_MENU, **_STATIC, "initial_option": option()}, also=_static_also),
    "multi_static_select": _element(
        {}, {**_MENU, **_MANY, **_STATIC, "initial_options": listing(option(), 100)}, also=_static_also
    ),
    "external_select": _element({}, {**_MENU, "initial_option": option(), "min_query_length": integer(0)}),
    "multi_external_select": _element(
        {}, {**_MENU, **_MANY, "initial_options": listing(option(), 100), "min_query_length": integer(0)}
    ),
    "users_select": _element({}, {**_MENU, "initial_user": string()}),
    "multi_users_select": _element({}, {**_MENU, **_MANY, "initial_users": listing(string())}),
    "conversations_select": _element(
        {},
        {
            **_MENU, "initial_conversation": string(), "default_to_current_conversation": boolean, "filter": FILTER,
            "response_url_enabled": _only_in_modals,
        },
    ),
    "multi_conversations_select": _element(
        {},
        {
            **_MENU, **_MANY, "initial_conversations": listing(string()), "default_to_current_conversation": boolean,
            "filter": FILTER,
        },
    ),
    "channels_select": _element({}, {**_MENU, "initial_channel": string(), "response_url_enabled": _only_in_modals}),
    "multi_channels_select": _element({}, {**_MENU, **_MANY, "initial_channels": listing(string())}),
    "checkboxes": _element(
        {"options": listing(option(_LINE), 10)}, {**_CHOICE, "initial_options": listing(option(_LINE), 10)},
        also=_initial,
    ),
    "radio_buttons": _element(
        {"options": listing(option(_LINE), 10)}, {**_CHOICE, "initial_option": option(_LINE)}, also=_initial
    ),
    "overflow": _element({"options": listing(option(url=True), 5)}, {"confirm": CONFIRM}),
    "datepicker": _element({}, {**_MENU, "initial_date": string(pattern=r"\d{4}-\d\d-\d\d")}),
    "timepicker": _element({}, {**_MENU, "initial_time": string(pattern=r"\d\d:\d\d"), "timezone": string()}),
    "datetimepicker": _element({}, {**_CHOICE, "initial_date_time": integer(1_000_000_000, 9_999_999_999)}),
    "plain_text_input": _element(
        {},
        {
            **_TYPED, "initial_value": string(3000, 0), "multiline": boolean, "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
        also=_lengths,
    ),
    "number_input": _element(
        {"is_decimal_allowed": boolean},
        {**_TYPED, **dict.fromkeys(("initial_value", "min_value", "max_value"), string(pattern=_DECIMAL))},
        also=_numbers,
    ),
    "email_text_input": _element({}, {**_TYPED, "initial_value": string()}),
    "url_text_input": _element({}, {**_TYPED, "initial_value": string()}),
    "rich_text_input": _element({}, {**_TYPED, "initial_value": anything}),
    "file_input": _element({}, {"filetypes": listing(string()), "max_files": integer(1, 10)}),
    "feedback_buttons": _element({"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}),
    "icon_button": _element(
        {"icon": string(among=("trash",)), "text": plain(75)},
        {
            "value": string(2000), "confirm": CONFIRM, "accessibility_label": string(75),
            "visible_to_user_ids": listing(string()),
        },
    ),
}  # fmt: skip

SINGLE = ("static_select", "external_select", "users_select", "conversations_select", "channels_select")
MULTI = tuple(f"multi_{name}" for name in SINGLE)
PICKERS = ("datepicker", "timepicker", "datetimepicker")
GROUPS = ("checkboxes", "radio_buttons")
TYPED = ("plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input")


def _some(*names: str) -> Check:
    return by_type({name: ELEMENTS[name] for name in names}, "element")


_TEXT_LINE = any_text(3000)
IN_SECTION = _some(
    "button", "image", "overflow", "datepicker", "timepicker", *SINGLE, *MULTI, *GROUPS
)  # fmt: skip
IN_ACTIONS = _some("button", "overflow", *SINGLE, *PICKERS, *GROUPS)
IN_INPUT = _some(*SINGLE, *MULTI, *PICKERS, *GROUPS, *TYPED, "file_input")
IN_CONTEXT = by_type({"image": ELEMENTS["image"], "plain_text": _TEXT_LINE, "mrkdwn": _TEXT_LINE}, "element")
IN_CONTEXT_ACTIONS = _some("feedback_buttons", "icon_button")
IN_CARD = _some("button")
