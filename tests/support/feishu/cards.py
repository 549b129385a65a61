"""What Feishu refuses of a card (JSON 2.0): properties it does not know, what stands where it may not, too much.

Components that Scopebot does not use are refused as unknown, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MOST_BYTES = 30 * 1024
MOST_COMPONENTS = 200
MOST_TABLES = MOST_CHARTS = 5
MOST_COLUMNS = 50
MOST_DEPTH = 5
Check = Callable[[Any], bool]


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


def _one_of(*values: Any) -> Check:
    return lambda value: value in values


def _like(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _between(least: int, most: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


COLOURS = _like(
    r"(?:bg-)?(?:default|white|grey|red|orange|yellow|green|blue|wathet|turquoise|carmine|violet|purple|indigo|lime|neutral)"
    r"(?:-\d{2,3})?|rgba\([\d., ]+\)"
)
SPACE = _like(r"-?\d{1,2}px(?: -?\d{1,2}px){0,3}|0(?: 0){0,3}|(?:small|medium|large|extra_large)")
TEXT_SIZE = _one_of(
    "heading-0", "heading-1", "heading-2", "heading-3", "heading-4", "heading", "normal", "notation", "xxxx-large",
    "xxx-large", "xx-large", "x-large", "large", "medium", "small", "x-small",
)  # fmt: skip
ALIGN = _one_of("left", "center", "right")
VERTICAL = _one_of("top", "center", "bottom")
NAME = _like(r".{1,100}")
TEXT, FLAG, LIST, OBJECT = _is(str), _is(bool), _is(list), _is(dict)
TITLES = _one_of(
    "blue", "wathet", "turquoise", "green", "yellow", "orange", "red", "carmine", "violet", "purple", "indigo", "grey",
    "default",
)  # fmt: skip
COMMON: dict[str, Check] = {"tag": TEXT, "element_id": _like(r"[A-Za-z][A-Za-z0-9_]{0,19}"), "margin": SPACE}
LAYOUT: dict[str, Check] = {
    "direction": _one_of("vertical", "horizontal"), "padding": SPACE, "horizontal_spacing": SPACE,
    "vertical_spacing": SPACE, "horizontal_align": ALIGN, "vertical_align": VERTICAL,
}  # fmt: skip
FIELD: dict[str, Check] = {
    "name": NAME, "required": FLAG, "disabled": FLAG, "placeholder": OBJECT, "width": _like(r"default|fill|\d{2,3}px"),
    "behaviors": LIST, "confirm": OBJECT,
}  # fmt: skip
PROPERTIES: dict[str, dict[str, Check]] = {
    "div": {"text": OBJECT, "width": TEXT, "icon": OBJECT},
    "markdown": {"content": TEXT, "text_align": ALIGN, "text_size": TEXT_SIZE, "icon": OBJECT},
    "hr": {},
    "img": {
        "img_key": _like(r"img_\S+"), "alt": OBJECT, "title": OBJECT, "preview": FLAG, "corner_radius": TEXT,
        "scale_type": _one_of("crop_center", "crop_top", "fit_horizontal"), "size": TEXT, "transparent": FLAG,
    },
    "chart": {
        "aspect_ratio": _one_of("1:1", "2:1", "4:3", "16:9"), "chart_spec": OBJECT, "preview": FLAG,
        "color_theme": _one_of("brand", "rainbow", "complementary", "converse", "primary"),
        "height": _like(r"auto|\d{1,3}px"),
    },
    "table": {
        "page_size": _between(1, 10), "row_height": _like(r"low|middle|high|auto|\d{2,3}px"),
        "row_max_height": _like(r"\d{2,3}px"), "freeze_first_column": FLAG, "header_style": OBJECT, "columns": LIST,
        "rows": LIST,
    },
    "button": {
        "text": OBJECT, "size": _one_of("tiny", "small", "medium", "large"), "icon": OBJECT, "hover_tips": OBJECT,
        "type": _one_of("default", "primary", "danger", "text", "primary_text", "danger_text", "primary_filled",
                        "danger_filled", "laser"),
        "disabled": FLAG, "disabled_tips": OBJECT, "confirm": OBJECT, "behaviors": LIST, "name": NAME,
        "form_action_type": _one_of("submit", "reset"), "required": FLAG, "width": TEXT,
    },
    "column_set": {
        "flex_mode": _one_of("none", "stretch", "flow", "bisect", "trisect"), "background_style": COLOURS,
        "columns": LIST, "horizontal_spacing": SPACE, "horizontal_align": ALIGN, "action": OBJECT,
    },
    "column": LAYOUT | {
        "width": _like(r"auto|weighted|\d{2,3}px"), "weight": _between(1, 5), "background_style": COLOURS,
        "elements": LIST, "action": OBJECT,
    },
    "collapsible_panel": LAYOUT | {
        "expanded": FLAG, "background_color": COLOURS, "header": OBJECT, "border": OBJECT, "elements": LIST,
    },
    "form": LAYOUT | {"name": NAME, "elements": LIST},
    "input": FIELD | {
        "label": OBJECT, "label_position": _one_of("top", "left"), "default_value": TEXT, "value": OBJECT,
        "max_length": _between(1, 1000), "input_type": _one_of("text", "multiline_text", "password"),
        "rows": _between(1, 100), "max_rows": _between(1, 100), "auto_resize": FLAG, "show_icon": FLAG,
        "disabled_tips": OBJECT,
    },
    "select_static": FIELD | {
        "type": _one_of("default", "text"), "options": LIST, "initial_option": TEXT, "initial_index": _between(0, 1000),
    },
    "multi_select_static": FIELD | {"type": _one_of("default", "text"), "options": LIST, "selected_values": LIST},
}  # fmt: skip
REQUIRED: dict[str, tuple[str, ...]] = {
    "div": ("text",), "markdown": ("content",), "img": ("img_key", "alt"), "chart": ("chart_spec",),
    "table": ("columns", "rows"), "button": ("text",), "column_set": ("columns",), "column": ("elements",),
    "collapsible_panel": ("header", "elements"), "form": ("name", "elements"), "select_static": ("options",),
    "multi_select_static": ("options",),
}  # fmt: skip
PLAIN: dict[str, Check] = {
    "tag": _one_of("plain_text", "lark_md"), "content": TEXT, "text_size": TEXT_SIZE, "text_color": COLOURS,
    "text_align": ALIGN, "lines": _between(1, 100),
}  # fmt: skip
TABLE_COLUMN: dict[str, Check] = {
    "name": NAME, "display_name": TEXT, "width": _like(r"auto|\d{2,3}px|\d{1,3}%"), "vertical_align": VERTICAL,
    "data_type": _one_of("text", "lark_md", "markdown", "options", "number", "persons", "date"),
    "horizontal_align": ALIGN, "format": OBJECT, "date_format": TEXT,
}  # fmt: skip
PANEL_HEADER: dict[str, Check] = {
    "title": OBJECT, "background_color": COLOURS, "vertical_align": VERTICAL, "padding": SPACE,
    "position": _one_of("top", "bottom"), "width": TEXT, "icon": OBJECT, "icon_position": TEXT,
    "icon_expanded_angle": _is(int),
}  # fmt: skip
CONFIG: dict[str, Check] = {
    "streaming_mode": FLAG, "streaming_config": OBJECT, "summary": OBJECT, "locales": LIST, "enable_forward": FLAG,
    "update_multi": _one_of(True), "width_mode": _one_of("compact", "fill"), "use_custom_translation": FLAG,
    "enable_forward_interaction": FLAG, "style": OBJECT,
}  # fmt: skip
HEADER: dict[str, Check] = {
    "title": OBJECT, "subtitle": OBJECT, "text_tag_list": LIST, "i18n_text_tag_list": OBJECT, "template": TITLES,
    "icon": OBJECT, "padding": SPACE,
}  # fmt: skip
ROOT: dict[str, Check] = {
    "schema": _one_of("2.0"), "config": OBJECT, "card_link": OBJECT, "header": OBJECT, "body": OBJECT,
}  # fmt: skip
NAMED = frozenset({"button", "input", "select_static", "multi_select_static"})
CHARTS = frozenset({"line", "area", "bar", "pie", "scatter", "radar", "common", "wordCloud", "funnel"})
MARKUP = re.compile(r"<(/?)([a-zA-Z_]+)([^<>]*)>")
TAGS = {"font": r" color=['\"][a-z0-9-]+['\"]", "text_tag": r".*", "link": r".*", "at": r" id=(?:ou_\w+|on_\w+|all)"}


def check_card(card: Any) -> list[str]:
    """Return what Feishu refuses of a card; nothing where it takes it."""
    if not isinstance(card, dict):
        return ["a card is an object"]
    return list(_problems(card))


def _problems(card: dict[str, Any]) -> Iterator[str]:
    yield from _known(card, ROOT, "card")
    if card.get("schema") != "2.0":
        yield "card: schema is not 2.0"
    if len(json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode()) > MOST_BYTES:
        yield "card: more than 30 KB"
    if _count(card) > MOST_COMPONENTS:
        yield f"card: {_count(card)} components"
    yield from _known(card.get("config") or {}, CONFIG, "config")
    if "header" in card:
        yield from _known(card["header"], HEADER, "header")
        yield from _plain(card["header"].get("title"), "header.title")
    body = card.get("body") or {}
    yield from _known(body, LAYOUT | {"elements": LIST}, "body")
    elements = list(_all(body.get("elements") or []))
    for tag, most in (("table", MOST_TABLES), ("chart", MOST_CHARTS)):
        if sum(element.get("tag") == tag for element in elements) > most:
            yield f"card: more than {most} of {tag}"
    ids = [element["element_id"] for element in elements if "element_id" in element]
    if len(ids) != len(set(ids)):
        yield "card: an element_id twice"
    yield from _elements(body.get("elements") or [], "body", ())


def _elements(elements: Any, path: str, inside: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(elements, list):
        yield f"{path}: elements is no list"
        return
    for number, element in enumerate(elements):
        yield from _element(element, f"{path}[{number}]", inside)


def _element(element: Any, path: str, inside: tuple[str, ...]) -> Iterator[str]:
    tag = element.get("tag") if isinstance(element, dict) else None
    if tag not in PROPERTIES or (tag == "column") is not (inside[-1:] == ("column_set",)):
        yield f"{path}: no component {tag!r} here"
        return
    path = f"{path}.{tag}"
    yield from _known(element, COMMON | PROPERTIES[tag], path)
    yield from (f"{path}: lacks {name}" for name in REQUIRED.get(tag, ()) if name not in element)
    if tag in {"table", "form"} and inside:
        yield f"{path}: stands only at the root of a card"
    if len(inside) > MOST_DEPTH + 1:
        yield f"{path}: too deep"
    if tag == "multi_select_static" and "form" not in inside:
        yield f"{path}: stands only in a form"
    if (
        "form" in inside
        and tag in {"button", "input", "select_static", "multi_select_static"}
        and not element.get("name")
    ):
        yield f"{path}: lacks its name in a form"
    yield from DETAILS.get(tag, lambda *_: iter(()))(element, path)
    if "elements" in element:
        yield from _elements(element["elements"], path, (*inside, tag))
    if tag == "column_set":
        yield from _elements(element["columns"], path, (*inside, tag))
    if tag == "form":
        yield from _form(element, path)


def _known(found: Any, known: dict[str, Check], path: str) -> Iterator[str]:
    if not isinstance(found, dict):
        yield f"{path}: no object"
        return
    for name, value in found.items():
        if name not in known:
            yield f"{path}: unknown property {name}"
        elif not known[name](value):
            yield f"{path}: {name} cannot be {str(value)[:80]!r}"


def _plain(found: Any, path: str) -> Iterator[str]:
    yield from _known(found, PLAIN, path)
    if isinstance(found, dict) and not found.get("content"):
        yield f"{path}: empty"


def _div(element: dict[str, Any], path: str) -> Iterator[str]:
    yield from _plain(element.get("text"), f"{path}.text")


def _markdown(element: dict[str, Any], path: str) -> Iterator[str]:
    content, opened = str(element.get("content", "")), []
    if not content:
        yield f"{path}: empty"
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", content, flags=re.DOTALL)
    for closes, tag, more in MARKUP.findall(outside_code):
        if tag not in TAGS or (not closes and not re.fullmatch(TAGS[tag], more)):
            yield f"{path}: markup <{tag}{more}>"
        elif closes:
            if not opened or opened.pop() != tag:
                yield f"{path}: </{tag}> closes nothing"
        else:
            opened.append(tag)
    if opened:
        yield f"{path}: <{opened[-1]}> is not closed"


def _image(element: dict[str, Any], path: str) -> Iterator[str]:
    yield from _plain(element.get("alt"), f"{path}.alt")


def _chart(element: dict[str, Any], path: str) -> Iterator[str]:
    spec = element.get("chart_spec") or {}
    if spec.get("type") not in CHARTS:
        yield f"{path}: no type of chart"
    data = spec.get("data")
    values = data.get("values") if isinstance(data, dict) else None
    if not isinstance(values, list):
        yield f"{path}: no values"
    elif any(not isinstance(value, dict) for value in values):
        yield f"{path}: values are objects"


def _table(element: dict[str, Any], path: str) -> Iterator[str]:
    columns = element.get("columns") or []
    if not 0 < len(columns) <= MOST_COLUMNS:
        yield f"{path}: {len(columns)} columns"
    for number, column in enumerate(columns):
        yield from _known(column, TABLE_COLUMN, f"{path}.columns[{number}]")
    kinds = {column.get("name"): column.get("data_type") for column in columns if isinstance(column, dict)}
    if len(kinds) != len(columns):
        yield f"{path}: a column's name twice"
    for number, row in enumerate(element.get("rows") or []):
        for name, value in row.items():
            if name not in kinds:
                yield f"{path}.rows[{number}]: no column {name}"
            elif not (_is(int, float) if kinds[name] == "number" else _is(str, int) if kinds[name] == "date"
                      else _is(list, str) if kinds[name] in {"options", "persons"} else TEXT)(value):  # fmt: skip
                yield f"{path}.rows[{number}].{name}: {value!r} is no {kinds[name]}"


def _button(element: dict[str, Any], path: str) -> Iterator[str]:
    yield from _plain(element.get("text"), f"{path}.text")
    for behavior in element.get("behaviors") or []:
        kind = behavior.get("type")
        if kind == "callback" and not isinstance(behavior.get("value"), dict):
            yield f"{path}: a callback's value is an object"
        if kind == "open_url" and not str(behavior.get("default_url", "")).startswith(
            ("http://", "https://", "lark://")
        ):
            yield f"{path}: no address to open"
        if kind not in {"callback", "open_url"}:
            yield f"{path}: no behavior {kind!r}"


def _panel(element: dict[str, Any], path: str) -> Iterator[str]:
    header = element.get("header") or {}
    yield from _known(header, PANEL_HEADER, f"{path}.header")
    title = header.get("title") or {}
    if title.get("tag") not in {"plain_text", "markdown"} or not title.get("content"):
        yield f"{path}.header: no title"


def _menu(element: dict[str, Any], path: str) -> Iterator[str]:
    options = element.get("options") or []
    values = [option.get("value") for option in options if isinstance(option, dict)]
    if not options or len(set(values)) != len(options):
        yield f"{path}: options with a value of their own each"
    for number, option in enumerate(options):
        yield from _known(option, {"text": OBJECT, "value": TEXT, "icon": OBJECT}, f"{path}.options[{number}]")
        yield from _plain(option.get("text"), f"{path}.options[{number}].text")
    if element.get("initial_index", 0) > len(options):
        yield f"{path}: initial_index of no option"
    if not set(element.get("selected_values") or []) <= set(values):
        yield f"{path}: a selected value that is no option"


def _input(element: dict[str, Any], path: str) -> Iterator[str]:
    if len(element.get("default_value", "")) > element.get("max_length", 1000):
        yield f"{path}: default_value is too long"


def _form(element: dict[str, Any], path: str) -> Iterator[str]:
    inner = list(_all(element.get("elements") or []))
    if not any(each.get("form_action_type") == "submit" for each in inner):
        yield f"{path}: has no button to submit it"
    names = [each["name"] for each in inner if "name" in each]
    if len(names) != len(set(names)):
        yield f"{path}: a name twice"


DETAILS: dict[str, Callable[[dict[str, Any], str], Iterator[str]]] = {
    "div": _div, "markdown": _markdown, "img": _image, "chart": _chart, "table": _table, "button": _button,
    "collapsible_panel": _panel, "select_static": _menu, "multi_select_static": _menu, "input": _input,
}  # fmt: skip


def _all(elements: list[Any]) -> Iterator[dict[str, Any]]:
    for element in elements:
        if isinstance(element, dict):
            yield element
            yield from _all(element.get("elements") or [])
            yield from _all(element.get("columns") or [] if element.get("tag") == "column_set" else [])


def _count(found: Any) -> int:
    if isinstance(found, dict):
        return ("tag" in found) + sum(map(_count, found.values()))
    return sum(map(_count, found)) if isinstance(found, list) else 0
