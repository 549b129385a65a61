"""Forms inside cards, and what was filled in in them. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.render.feishu import frame
from bot.render.feishu_text import Element, code, escape, grey, markdown, plain
from bot.render.text import shorten
from handlers.forms import Field, Form, Option, Value
from handlers.texts import Texts

MOST_OPTIONS, MOST_BENCHMARKS = 30, 90
"""Of one menu: each counts among the 200 components that a card may have. Further benchmarks are typed."""
TYPED = "datasets_typed"
"""The name of the field for benchmarks that the menu does not have."""
MOST_LABEL = 60
MOST_TYPED = 1_000
ON, OFF = "on", "off"


def form_card(
    form: Form,
    *,
    submit: str,
    texts: Texts,
    values: Mapping[str, Value] | None = None,
    errors: Mapping[str, str] | None = None,
    benchmarks: Sequence[Option] = (),
    reference: str = "",
) -> dict[str, Any]:
    """Return a card with a form; `submit` is what its button says when it is pressed.

    `values` is what was filled in before, `errors` what is wrong with it, by field.
    """
    wrong = dict(errors or {})
    drawn = [
        _Drawn(field, _before(field, values), wrong.get(field.key, ""), benchmarks, texts) for field in form.fields
    ]
    shown: list[Element] = []
    for advanced in (False, True):
        fields = [each for each in drawn if each.field.advanced is advanced]
        if advanced and fields:
            elements = [element for each in fields for element in each.elements()]
            opened = any(each.error or each.filled for each in fields)
            shown.append(_panel(texts("forms.more"), elements, opened=opened))
        else:
            shown += [element for each in fields for element in each.elements()]
    button: Element = {
        "tag": "button",
        "name": "submit",
        "text": plain(form.submit),
        "type": "primary",
        "form_action_type": "submit",
        "behaviors": [{"type": "callback", "value": {"v": submit}}],
    }
    body: list[Element] = [{"tag": "form", "name": f"form_{form.intent}", "elements": [*shown, button]}]
    card = frame(form.title, [*body, *([grey(reference)] if reference else [])])
    card["header"] = {"title": plain(form.title), "template": "red" if wrong else "blue"}
    return card


def closed_form_card(text: str, *, title: str, reference: str = "") -> dict[str, Any]:
    """Return the card of a form that was sent off: what it asked for."""
    card = frame(title, [code(text), *([grey(reference)] if reference else [])])
    card["header"] = {"title": plain(title), "template": "green"}
    return card


def values_of(form_value: Mapping[str, Any], form: Form) -> dict[str, Value]:
    """Return what was left in the fields, as `form_reading.read` takes it."""
    values = {field.key: _value(field, form_value.get(field.key)) for field in form.fields}
    typed = [name for name in re.split(r"[\s,，、;；]+", str(form_value.get(TYPED) or "")) if name]
    chosen = values.get("datasets")
    return values | ({"datasets": [*chosen, *typed]} if typed and isinstance(chosen, list) else {})


def _value(field: Field, left: Any) -> Value:
    if field.kind == "switch":
        return bool(left == ON)
    if field.kind == "benchmarks":
        chosen = left if isinstance(left, list) else [left] if left else []
        return [str(name) for name in chosen]
    return str(left) if left not in {None, ""} else None


class _Drawn:
    """One field with what is in it."""

    def __init__(self, field: Field, value: Value, error: str, benchmarks: Sequence[Option], texts: Texts) -> None:
        self.field, self.error = field, error
        self._value, self._benchmarks, self._texts = value, benchmarks, texts
        self.filled = value not in (None, "", [], False) and value != _initial(field)

    def elements(self) -> list[Element]:
        """Return its label, the component itself, its hint, and what is wrong with it."""
        field = self.field
        label = f"**{escape(field.label)}**" + ("<font color='red'> *</font>" if field.required else "")
        hint = f"<font color='grey'>{escape(field.hint)}</font>" if field.hint else ""
        wrong = f"<font color='red'>{escape(self.error)}</font>" if self.error else ""
        notes = [markdown(note, text_size="notation") for note in (hint, wrong) if note]
        typed = [self._typed()] if field.kind == "benchmarks" else []
        return [markdown(label), self._component(), *typed, *notes]

    def _component(self) -> Element:
        field = self.field
        if field.kind == "switch":
            return self._menu([(ON, "✓"), (OFF, "✗")], ON if self._value else OFF)
        if field.kind == "choice":
            return self._menu(field.options, self._value if isinstance(self._value, str) else None)
        if field.kind == "benchmarks":
            return self._benchmarks_menu()
        component: Element = {"tag": "input", "name": field.key, "required": False, "width": "fill"}
        if field.long:
            component |= {"input_type": "multiline_text", "max_length": MOST_TYPED}
        if field.placeholder:
            component["placeholder"] = plain(field.placeholder)
        if isinstance(self._value, str) and self._value:
            component["default_value"] = self._value[:MOST_TYPED]
        return component

    def _menu(self, options: Sequence[Option], chosen: str | None) -> Element:
        """Return a menu; of more choices than it can have, the last one is kept, which leads to all others."""
        few = [*options[: MOST_OPTIONS - 1], options[-1]] if len(options) > MOST_OPTIONS else options
        component: Element = {
            "tag": "select_static", "name": self.field.key, "required": False, "width": "fill",
            "options": [_option(value, label) for value, label in few],
        }  # fmt: skip
        if self.field.placeholder:
            component["placeholder"] = plain(self.field.placeholder)
        values = [value for value, _ in few]
        if chosen in values:
            component["initial_index"] = values.index(chosen) + 1
        return component

    def _benchmarks_menu(self) -> Element:
        """Return a menu of benchmarks; one that was chosen before and is not among them stays in it."""
        chosen = list(self._value) if isinstance(self._value, list) else []
        offered = dict(self._benchmarks[:MOST_BENCHMARKS])
        options = offered | {name: name for name in chosen if name and name not in offered}
        component: Element = {
            "tag": "multi_select_static", "name": self.field.key, "required": False, "width": "fill",
            "options": [_option(value, label) for value, label in options.items()],
        }  # fmt: skip
        if self.field.placeholder:
            component["placeholder"] = plain(self.field.placeholder)
        if chosen:
            component["selected_values"] = [name for name in chosen if name]
        return component

    def _typed(self) -> Element:
        """Return where benchmarks are typed that the menu does not have."""
        placeholder = plain(self._texts("feishu.form.typed"))
        return {"tag": "input", "name": TYPED, "required": False, "width": "fill", "placeholder": placeholder}


def _panel(title: str, elements: list[Element], *, opened: bool) -> Element:
    return {
        "tag": "collapsible_panel", "expanded": opened, "header": {"title": plain(title)}, "elements": elements,
    }  # fmt: skip


def _before(field: Field, values: Mapping[str, Value] | None) -> Value:
    return _initial(field) if values is None or field.key not in values else values[field.key]


def _initial(field: Field) -> Value:
    return list(field.initial) if isinstance(field.initial, tuple) else field.initial


def _option(value: str, label: str) -> Element:
    return {"text": plain(shorten(label or value, MOST_LABEL)), "value": value}
