"""Forms as Slack's modals, and what was typed into them. Pure functions.

A field is an input block, whose `block_id` is the field's key: errors are told there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.forms import MOST_OPTIONS, Field, Form, Option, Value
from handlers.texts import Texts

View = dict[str, Any]
Block = dict[str, Any]

MORE = "more_settings"
"""The `action_id` of the button that shows the advanced fields."""
BENCHMARKS = "benchmarks"
"""The `action_id` of a menu whose options are looked up as one types."""
WHERE = "where_to_post"
"""The `block_id` and `action_id` of the choice of a conversation."""
ON = "on"
"""The value of a switch that is on."""
MOST_TITLE, MOST_METADATA, MOST_LABEL, MOST_VALUE = 24, 3000, 75, 150
MOST_TEXT, MOST_PLACEHOLDER, MOST_ERROR = 2000, 150, 1000
MOST_CHOSEN = 50
"""Benchmarks of one request."""


def modal(
    form: Form,
    *,
    callback_id: str,
    private_metadata: str,
    texts: Texts,
    expanded: bool = False,
    values: Mapping[str, Value] | None = None,
    ask_where: bool = False,
    where: str = "",
) -> View:
    """Return the view of a form; `values` are what was typed so far (see `values_of`), where it is shown again.

    The advanced fields are there only where it is `expanded`. `ask_where` asks for the conversation to post in;
    `where` is the one that was chosen. Raises ValueError for more `private_metadata` than Slack keeps.
    """
    if len(private_metadata) > MOST_METADATA:
        raise ValueError(f"private_metadata has {len(private_metadata)} characters")
    typed = values or {}
    plain = [field for field in form.fields if not field.advanced]
    advanced = [field for field in form.fields if field.advanced]
    blocks: list[Block] = [_input(field, typed.get(field.key, _initial(field))) for field in plain]
    if ask_where:
        blocks.append(_where(texts, where))
    if advanced and expanded:
        blocks += [{"type": "divider"}, {"type": "header", "text": _text(texts("forms.more"), MOST_PLACEHOLDER)}]
        blocks += [_input(field, typed.get(field.key, _initial(field))) for field in advanced]
    elif advanced:
        more = {"type": "button", "action_id": MORE, "text": _text(texts("forms.more"), MOST_LABEL)}
        blocks.append({"type": "actions", "block_id": MORE, "elements": [more]})
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": private_metadata,
        "title": _text(form.title, MOST_TITLE),
        "submit": _text(form.submit, MOST_TITLE),
        "close": _text(texts("button.cancel"), MOST_TITLE),
        "blocks": blocks,
    }


def is_expanded(view: View, form: Form) -> bool:
    """Tell whether a view shows the advanced fields."""
    shown = _block_ids(view)
    return any(field.key in shown for field in form.fields if field.advanced)


def values_of(view: View, form: Form) -> dict[str, Value]:
    """Return what is in the fields of a view, as `form_reading.read` takes it, but for those not shown.

    It is the same for a view that was submitted and for one in which a button was pressed.
    """
    state = _state(view)
    return {field.key: _value(field, state[field.key]) for field in form.fields if field.key in state}


def where_of(view: View) -> str:
    """Return the conversation that was chosen to post in, empty where there is none."""
    return str(_state(view).get(WHERE, {}).get("selected_conversation") or "")


def errors_response(errors: Mapping[str, str], view: View | None = None) -> dict[str, Any]:
    """Return the answer to a submission that has errors, by field.

    Slack takes errors only of input blocks that the view has: others are told at the first one.
    """
    if view is None:
        return {"response_action": "errors", "errors": {key: text[:MOST_ERROR] for key, text in errors.items()}}
    inputs = [str(block["block_id"]) for block in view.get("blocks", ()) if block.get("type") == "input"]
    told: dict[str, list[str]] = {}
    for key, text in errors.items():
        told.setdefault(key if key in inputs else inputs[0], []).append(text)
    shown = {key: " ".join(said)[:MOST_ERROR] for key, said in told.items()}
    return {"response_action": "errors", "errors": shown}


def options_response(options: Sequence[Option]) -> dict[str, Any]:
    """Return the answer to a menu that asks what there is to choose."""
    return {"options": [_option(value, label) for value, label in options if _fits(value)][:MOST_OPTIONS]}


def _input(field: Field, value: Value) -> Block:
    block: Block = {
        "type": "input",
        "block_id": field.key,
        "label": _text(field.label, MOST_TEXT),
        "optional": not field.required,
        "element": _element(field, value),
    }
    if field.hint:
        block["hint"] = _text(field.hint, MOST_TEXT)
    return block


def _element(field: Field, value: Value) -> dict[str, Any]:
    if field.kind == "switch":
        return _switch(field, on=bool(value))
    if field.kind == "choice":
        element = _menu(field, value)
    elif field.kind == "benchmarks":
        element = {
            "type": "multi_external_select", "action_id": BENCHMARKS, "min_query_length": 0,
            "max_selected_items": MOST_CHOSEN,
        }  # fmt: skip
        chosen = [_option(name, name) for name in value if _fits(name)] if isinstance(value, list) else []
        if chosen:
            element["initial_options"] = chosen[:MOST_CHOSEN]
    elif field.kind == "number":
        element = _number(field, value)
    else:
        element = {"type": "plain_text_input", "action_id": field.key}
        if field.long:
            element["multiline"] = True
        if isinstance(value, str) and value:
            element["initial_value"] = value[:3000]
    if field.placeholder:
        element["placeholder"] = _text(field.placeholder, MOST_PLACEHOLDER)
    return element


def _menu(field: Field, value: Value) -> dict[str, Any]:
    """Make a menu; of more choices than it can have, the last one is kept, which leads to all others."""
    fitting = [option for option in field.options if _fits(option[0])]
    if len(fitting) > MOST_OPTIONS:
        fitting = [*fitting[: MOST_OPTIONS - 1], fitting[-1]]
    options = {name: _option(name, label) for name, label in fitting}
    element: dict[str, Any] = {
        "type": "static_select", "action_id": field.key, "options": list(options.values()),
    }  # fmt: skip
    if isinstance(value, str) and value in options:
        element["initial_option"] = options[value]
    return element


def _number(field: Field, value: Value) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "number_input", "action_id": field.key, "is_decimal_allowed": not field.whole,
    }  # fmt: skip
    least, most = field.least, field.most
    if least is not None:
        element["min_value"] = f"{least:.12g}"
    if most is not None:
        element["max_value"] = f"{most:.12g}"
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    in_range = number is not None and (least is None or number >= least) and (most is None or number <= most)
    if isinstance(value, str) and number is not None and in_range and (not field.whole or value.isdecimal()):
        element["initial_value"] = value  # Slack refuses the whole view for one that is not in the range
    return element


def _switch(field: Field, *, on: bool) -> dict[str, Any]:
    option = _option(ON, field.label)
    element: dict[str, Any] = {"type": "checkboxes", "action_id": field.key, "options": [option]}
    if on:
        element["initial_options"] = [option]
    return element


def _where(texts: Texts, chosen: str) -> Block:
    element: dict[str, Any] = {
        "type": "conversations_select",
        "action_id": WHERE,
        "filter": {"include": ["public", "private", "mpim", "im"], "exclude_bot_users": True},
    }
    if chosen:
        element["initial_conversation"] = chosen
    else:
        element["default_to_current_conversation"] = True
    return {
        "type": "input",
        "block_id": WHERE,
        "label": _text(texts("forms.where"), MOST_TEXT),
        "hint": _text(texts("forms.where.hint"), MOST_TEXT),
        "optional": True,
        "element": element,
    }


def _value(field: Field, state: Mapping[str, Any]) -> Value:
    if field.kind == "switch":
        return bool(state.get("selected_options"))
    if field.kind == "benchmarks":
        return [str(option["value"]) for option in state.get("selected_options") or ()]
    if field.kind == "choice":
        chosen = state.get("selected_option")
        return None if chosen is None else str(chosen["value"])
    typed = state.get("value")
    return None if typed is None else str(typed)


def _state(view: View) -> dict[str, Mapping[str, Any]]:
    """Return the state of each input block: it has one element."""
    values = (view.get("state") or {}).get("values") or {}
    return {block_id: next(iter(actions.values())) for block_id, actions in values.items() if actions}


def _block_ids(view: View) -> set[str]:
    return {str(block.get("block_id")) for block in view.get("blocks", ())}


def _initial(field: Field) -> Value:
    return list(field.initial) if isinstance(field.initial, tuple) else field.initial


def _fits(value: str) -> bool:
    return 0 < len(value) <= MOST_VALUE


def _option(value: str, label: str) -> dict[str, Any]:
    return {"text": _text(label or value, MOST_LABEL), "value": value}


def _text(text: str, most: int) -> dict[str, Any]:
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return {"type": "plain_text", "text": cut}
