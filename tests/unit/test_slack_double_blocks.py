"""The Slack double takes Block Kit up to its limits and nothing beyond."""

from __future__ import annotations

from typing import Any

import pytest
from support.slack.blocks import BLOCKS_TEXT, check_blocks, check_view, too_long
from support.slack.schema import Report

Json = dict[str, Any]


def plain(size: int = 4) -> Json:
    return {"type": "plain_text", "text": "x" * size}


def mrkdwn(size: int = 4) -> Json:
    return {"type": "mrkdwn", "text": "x" * size}


def section(size: int = 4, **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(size), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(), "action_id": "a", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def option(size: int = 4, value: int = 4) -> Json:
    return {"text": plain(size), "value": "v" * value}


def select(count: int, **more: Any) -> Json:
    return {"type": "static_select", "options": [option() for _ in range(count)], **more}


def groups(count: int) -> Json:
    group = {"label": plain(75), "options": [option()]}
    return {"type": "static_select", "option_groups": [group] * count}


def entry(element: Json, **more: Any) -> Json:
    return {"type": "input", "label": plain(), "element": element, **more}


def cell(text: Any = "x") -> Json:
    return (
        {"type": "raw_text", "text": text}
        if isinstance(text, str)
        else {"type": "raw_number", "value": text, "text": "1"}
    )


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def word(size: int = 4, **more: Any) -> Json:
    return {"type": "text", "text": "x" * size, **more}


def table(rows: int = 2, columns: int = 2, **more: Any) -> Json:
    return {"type": "table", "rows": [[cell()] * columns] * rows, **more}


def data_table(rows: int = 2, columns: int = 2, text: str = "x", **more: Any) -> Json:
    return {"type": "data_table", "caption": "c", "rows": [[cell(text)] * columns] * rows, **more}


def chart(series: int = 1, categories: int = 2, kind: str = "bar", title: int = 5, label: int = 1) -> Json:
    labels = [f"{number}".rjust(label, "x") for number in range(categories)]
    data = [{"label": name, "value": 1} for name in labels]
    return {
        "type": "data_visualization", "title": "t" * title,
        "chart": {
            "type": kind, "series": [{"name": f"s{number}", "data": data} for number in range(series)],
            "axis_config": {"categories": labels, "x_label": "x", "y_label": "y"},
        },
    }  # fmt: skip


def pie(segments: int = 2, value: float = 1) -> Json:
    parts = [{"label": f"s{number}", "value": value} for number in range(segments)]
    return {"type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": parts}}


def changed(block: Json, **more: Any) -> Json:
    return block | {"chart": block["chart"] | more}


def task(**more: Any) -> Json:
    return {"type": "task_card", "task_id": "1", "title": "t", "status": "pending", **more}


def container(count: int = 1, **more: Any) -> Json:
    return {"type": "container", "title": plain(150), "child_blocks": [section() for _ in range(count)], **more}


def image(**more: Any) -> Json:
    return {"type": "image", "alt_text": "x", **more}


CONFIRM = {"title": plain(100), "text": mrkdwn(300), "confirm": plain(30), "deny": plain(30), "style": "danger"}
URL = "https://example.org/"
MULTI = {"type": "multi_static_select", "options": [option()], "max_selected_items": 3}
NUMBER = {
    "type": "number_input",
    "is_decimal_allowed": True,
    "min_value": "0",
    "max_value": "2",
    "initial_value": "1.5",
}
CONVERSATIONS = {
    "type": "conversations_select", "default_to_current_conversation": True, "response_url_enabled": True,
    "filter": {"include": ["public", "private"], "exclude_bot_users": True},
}  # fmt: skip
LIST = {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [rich(word())["elements"][0]]}
CODE = {"type": "rich_text_preformatted", "elements": [word()]}
EXTERNAL = {"type": "external_select", "min_query_length": 0, "placeholder": plain(150)}

# name: surface, what passes, what does not
CASES: dict[str, tuple[str, Any, Any]] = {
    "blocks of a message": ("message", [section()] * 50, [section()] * 51),
    "blocks of a modal": ("modal", [section()] * 100, [section()] * 101),
    "blocks of a home tab": ("home", [section()] * 100, [section()] * 101),
    "section text": ("message", section(3000), section(3001)),
    "section text is not empty": ("message", section(1), section(0)),
    "section fields": ("message", section(fields=[mrkdwn()] * 10), section(fields=[mrkdwn()] * 11)),
    "section field": ("message", section(fields=[mrkdwn(2000)]), section(fields=[mrkdwn(2001)])),
    "section needs text or fields": ("message", {"type": "section", "fields": [plain()]}, {"type": "section"}),
    "unknown field of a block": ("message", section(expand=True), section(colour="red")),
    "unknown field of an element": ("message", actions(button()), actions(button(colour="red"))),
    "unknown field of a text": ("message", section(), {"type": "section", "text": mrkdwn() | {"emoji": True}}),
    "verbatim is for mrkdwn": (
        "message", {"type": "section", "text": mrkdwn() | {"verbatim": True}},
        {"type": "section", "text": plain() | {"verbatim": True}},
    ),
    "unknown block": ("message", {"type": "divider"}, {"type": "progress"}),
    "no type": ("message", {"type": "divider"}, {"text": plain()}),
    "null": ("message", section(), section(accessory=None)),
    "file and video": ("message", {"type": "divider"}, {"type": "file", "source": "remote", "external_id": "1"}),
    "header": ("message", {"type": "header", "text": plain(150)}, {"type": "header", "text": plain(151)}),
    "header is plain": ("message", {"type": "header", "text": plain()}, {"type": "header", "text": mrkdwn()}),
    "context elements": (
        "message", {"type": "context", "elements": [mrkdwn()] * 10}, {"type": "context", "elements": [mrkdwn()] * 11}
    ),
    "actions": (
        "message", actions(*[button(action_id=f"{n}") for n in range(25)]),
        actions(*[button(action_id=f"{n}") for n in range(26)]),
    ),
    "action ids in one block": (
        "message", [actions(button()), actions(button())], actions(button(), button())
    ),
    "action id": ("message", actions(button(action_id="a" * 255)), actions(button(action_id="a" * 256))),
    "block id": ("message", section(block_id="b" * 255), section(block_id="b" * 256)),
    "block ids": (
        "message", [section(block_id="a"), section(block_id="b")], [section(block_id="a"), section(block_id="a")]
    ),
    "button text": ("message", actions(button(text=plain(75))), actions(button(text=plain(76)))),
    "button value": ("message", actions(button(value="v" * 2000)), actions(button(value="v" * 2001))),
    "button url": (
        "message", actions(button(url=URL.ljust(3000, "x"))), actions(button(url=URL.ljust(3001, "x")))
    ),
    "button style": ("message", actions(button(style="danger")), actions(button(style="default"))),
    "confirm": ("message", actions(button(confirm=CONFIRM)), actions(button(confirm=CONFIRM | {"title": plain(101)}))),
    "confirm text": (
        "message", actions(button(confirm=CONFIRM)), actions(button(confirm=CONFIRM | {"text": mrkdwn(301)}))
    ),
    "confirm button": (
        "message", actions(button(confirm=CONFIRM)), actions(button(confirm=CONFIRM | {"deny": plain(31)}))
    ),
    "options": ("message", actions(select(100)), actions(select(101))),
    "no options": ("message", actions(select(1)), actions(select(0))),
    "option text": (
        "message", actions(select(1, options=[option(75)])), actions(select(1, options=[option(76)]))
    ),
    "option value": (
        "message", actions(select(1, options=[option(4, 150)])), actions(select(1, options=[option(4, 151)]))
    ),
    "option groups": ("message", actions(groups(100)), actions(groups(101))),
    "options or groups": ("message", actions(select(1)), actions(select(1) | groups(1))),
    "initial option": (
        "message", actions(select(1, initial_option=option())), actions(select(1, initial_option=option(5)))
    ),
    "placeholder": (
        "message", actions(select(1, placeholder=plain(150))), actions(select(1, placeholder=plain(151)))
    ),
    "external menu": ("message", actions(EXTERNAL), actions(EXTERNAL | {"options": [option()]})),
    "overflow": (
        "message", actions({"type": "overflow", "options": [option()] * 5}),
        actions({"type": "overflow", "options": [option()] * 6}),
    ),
    "multi menus stand in sections": ("message", section(accessory=MULTI), actions(MULTI)),
    "checkboxes": (
        "modal", entry({"type": "checkboxes", "options": [option()] * 10}),
        entry({"type": "checkboxes", "options": [option()] * 11}),
    ),
    "radio buttons": (
        "modal", entry({"type": "radio_buttons", "options": [option()]}),
        entry({"type": "radio_buttons", "options": []}),
    ),
    "buttons are no inputs": ("modal", entry(select(1)), entry(button())),
    "inputs stand in input blocks": (
        "modal", entry({"type": "plain_text_input"}), section(accessory={"type": "plain_text_input"})
    ),
    "input label": (
        "modal", entry(select(1), label=plain(2000), hint=plain(2000)), entry(select(1), label=plain(2001))
    ),
    "text input": (
        "modal", entry({"type": "plain_text_input", "max_length": 3000, "multiline": True}),
        entry({"type": "plain_text_input", "max_length": 3001}),
    ),
    "text input lengths": (
        "modal", entry({"type": "plain_text_input", "min_length": 2, "max_length": 2}),
        entry({"type": "plain_text_input", "min_length": 3, "max_length": 2}),
    ),
    "number input": ("modal", entry(NUMBER), entry({"type": "number_input"})),
    "number input's numbers are text": ("modal", entry(NUMBER), entry(NUMBER | {"max_value": 2})),
    "number input's range": ("modal", entry(NUMBER), entry(NUMBER | {"max_value": "1"})),
    "whole numbers": ("modal", entry(NUMBER), entry(NUMBER | {"is_decimal_allowed": False})),
    "conversations": ("modal", entry(CONVERSATIONS), entry(CONVERSATIONS | {"filter": {}})),
    "response_url_enabled": (
        "message", actions({"type": "conversations_select"}),
        actions({"type": "conversations_select", "response_url_enabled": True}),
    ),
    "one focus": (
        "modal", [entry(select(1, focus_on_load=True)), entry(select(1))],
        [entry(select(1, focus_on_load=True)), entry(select(1, focus_on_load=True))],
    ),
    "datepicker": (
        "message", actions({"type": "datepicker", "initial_date": "2026-01-31"}),
        actions({"type": "datepicker", "initial_date": "31.1.2026"}),
    ),
    "image": ("message", image(image_url=URL), image()),
    "image url": ("message", image(image_url=URL.ljust(3000, "x")), image(image_url=URL.ljust(3001, "x"))),
    "image alt text": ("message", image(image_url=URL, alt_text="x" * 2000), image(image_url=URL, alt_text="x" * 2001)),
    "image has one source": ("message", image(slack_file={"id": "F1"}), image(image_url=URL, slack_file={"id": "F1"})),
    "rich text": ("message", rich(word(style={"bold": True})), rich(word(style={"big": True}))),
    "rich text is not empty": ("message", rich(word(1)), rich(word(0))),
    "rich text list": (
        "message", {"type": "rich_text", "elements": [LIST]}, {"type": "rich_text", "elements": [LIST | {"indent": 9}]}
    ),
    "rich text code": (
        "message",
        {"type": "rich_text", "elements": [CODE]},
        {"type": "rich_text", "elements": [CODE | {"elements": [{"type": "emoji", "name": "x"}]}]},
    ),
    "markdown": ("message", {"type": "markdown", "text": "x" * 12_000}, {"type": "markdown", "text": "x" * 12_001}),
    "markdown is for messages": ("message", {"type": "markdown", "text": "x"}, None),
    "table rows": ("message", table(100), table(101)),
    "table cells": ("message", table(1, 20), table(1, 21)),
    "table columns": (
        "message", table(column_settings=[{"align": "right", "is_wrapped": True}] * 20),
        table(column_settings=[{}] * 21),
    ),
    "table alignment": (
        "message", table(column_settings=[{"align": "right"}]), table(column_settings=[{"align": "middle"}])
    ),
    "one table": ("message", [table()], [table(), table()]),
    "cells are not empty": ("message", table(rows=1), {"type": "table", "rows": [[cell("")]]}),
    "cells": (
        "message", {"type": "table", "rows": [[cell(1.5), rich(word())]]}, {"type": "table", "rows": [[plain()]]}
    ),
    "data table rows": ("message", data_table(101, 1), data_table(102, 1)),
    "data table has rows": ("message", data_table(2), data_table(1)),
    "data table columns": ("message", data_table(2, 20), data_table(2, 21)),
    "data table caption": ("message", data_table(), {"type": "data_table", "rows": [[cell()], [cell()]]}),
    "data table rows are equally long": (
        "message", data_table(), data_table() | {"rows": [[cell()], [cell(), cell()]]}
    ),
    "data table header": (
        "message", data_table() | {"rows": [[cell()], [rich(word())]]},
        data_table() | {"rows": [[rich(word())], [cell()]]},
    ),
    "data table pages": ("message", data_table(page_size=100), data_table(page_size=101)),
    "data table row header": (
        "message", data_table(row_header_column_index=1), data_table(row_header_column_index=2)
    ),
    "text of all tables": (
        "message", [data_table(100, 1, "x" * 50), data_table(100, 1, "x" * 50)],
        [data_table(100, 1, "x" * 50), data_table(101, 1, "x" * 50)],
    ),
    "tables are for messages": ("message", data_table(), None),
    "chart title": ("message", chart(title=50), chart(title=51)),
    "chart kind": ("message", chart(kind="area"), chart(kind="donut")),
    "chart series": ("message", chart(12), chart(13)),
    "chart categories": ("message", chart(1, 20), chart(1, 21)),
    "chart labels": ("message", chart(label=20), chart(label=21)),
    "chart points": (
        "message", chart(), changed(chart(), axis_config={"categories": ["0", "1", "2"]})
    ),
    "chart series names": (
        "message", chart(2), changed(chart(1), series=chart(1)["chart"]["series"] * 2)
    ),
    "pie segments": ("message", pie(12), pie(13)),
    "pie values": ("message", pie(value=0.1), pie(value=0)),
    "charts": ("message", [chart(), pie()], [chart(), pie(), pie()]),
    "charts are for messages": ("message", chart(), None),
    "task card": ("message", task(details=rich(word())), task(details="text")),
    "task status": ("message", task(status="complete"), task(status="done")),
    "task sources": (
        "message", task(sources=[{"type": "url", "url": URL, "text": "x"}]), task(sources=[{"url": URL}])
    ),
    "plan": (
        "message", {"type": "plan", "title": "t", "tasks": [task()]},
        {"type": "plan", "title": "t", "tasks": [section()]},
    ),
    "container": ("message", container(10), container(11)),
    "container title": ("message", container(), container(title=plain(151))),
    "containers in containers": ("message", container(), container(child_blocks=[container()])),
    "collapsed containers": (
        "message", container(is_collapsible=True, default_collapsed=True), container(default_collapsed=True)
    ),
    "alerts are for modals": ("modal", {"type": "alert", "text": plain(), "level": "info"}, None),
    "feedback": (
        "message",
        {
            "type": "context_actions",
            "elements": [{
                "type": "feedback_buttons", "action_id": "f", "positive_button": {"text": plain(), "value": "1"},
                "negative_button": {"text": plain(), "value": "0"},
            }],
        },
        {"type": "context_actions", "elements": [button()]},
    ),
}  # fmt: skip


def problems(surface: str, blocks: Any, unknown: frozenset[str] = frozenset()) -> list[str]:
    report = Report(surface, unknown)
    check_blocks(blocks if isinstance(blocks, list) else [blocks], report)
    return report.problems


@pytest.mark.parametrize("name", CASES)
def test_what_is_just_right_passes_and_what_is_just_wrong_does_not(name: str) -> None:
    surface, good, bad = CASES[name]
    assert problems(surface, good) == []
    if bad is None:  # right here, and nowhere else
        other = "modal" if surface == "message" else "message"
        assert problems(other, good)
    else:
        found = problems(surface, bad)
        assert found
        assert all("[json-pointer:/blocks" in problem for problem in found)


def test_a_problem_says_what_and_where() -> None:
    assert problems("message", [section(), section(3001)]) == [
        "must be less than 3001 characters [json-pointer:/blocks/1/text/text]"
    ]


@pytest.mark.parametrize("kind", ["data_table", "data_visualization", "task_card", "table"])
def test_an_old_tenant_does_not_know_new_blocks(kind: str) -> None:
    blocks = {"data_table": data_table(), "data_visualization": chart(), "task_card": task(), "table": table()}
    assert problems("message", blocks[kind]) == []
    assert problems("message", blocks[kind], frozenset([kind])) == [
        f"unsupported type: {kind} [json-pointer:/blocks/0/type]"
    ]


def test_all_text_of_a_message_counts_together() -> None:
    report = Report("message")
    check_blocks([section(3000)] * 4 + [section(1200)], report)
    assert report.counts["text"] == BLOCKS_TEXT
    assert not too_long(report)
    check_blocks([section(1)], report)
    assert too_long(report)


VIEW = {"type": "modal", "title": plain(24), "submit": plain(24), "close": plain(24), "blocks": [entry(select(1))]}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (VIEW, VIEW | {"title": plain(25)}),
        (VIEW, {name: value for name, value in VIEW.items() if name != "title"}),
        (VIEW, {name: value for name, value in VIEW.items() if name != "submit"}),
        (VIEW | {"private_metadata": "x" * 3000}, VIEW | {"private_metadata": "x" * 3001}),
        (VIEW | {"callback_id": "x" * 255}, VIEW | {"callback_id": "x" * 256}),
        (VIEW | {"notify_on_close": True}, VIEW | {"size": "large"}),
        (VIEW, VIEW | {"blocks": []}),
        (VIEW, VIEW | {"type": "home"}),
    ],
)
def test_modals_have_limits_of_their_own(good: Json, bad: Json) -> None:
    for view, right in ((good, True), (bad, False)):
        report = Report("modal")
        check_view(view, report)
        assert (report.problems == []) is right


def test_a_home_tab_has_no_title_and_no_submit() -> None:
    report = Report("home")
    check_view({"type": "home", "blocks": [section()]}, report)
    assert report.problems == []
    check_view({"type": "home", "blocks": [section()], "title": plain()}, report)
    assert report.problems
