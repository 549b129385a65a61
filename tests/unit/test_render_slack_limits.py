"""Any message at all stays within what Slack takes, at every level, and says what it leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.slack.blocks import check_blocks, check_view, too_long
from support.slack.schema import Report

from bot.render.slack import Level, render, render_home
from handlers.message import Button, Buttons, Chart, Fields, Link, Log, Message, Part, Progress, Series, Table, Text
from handlers.texts import Texts

LEVELS = list(Level)
IN_TEXT = {"section", "context", "divider", "actions", "rich_text"}
WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", " ", "\n", "&<>", "<!channel>", "a|b>c", "*x*", "qwen-plus", "62.5 %", "1,319", "模型" * 20]),
    st.integers(1, 9_000).map(lambda count: "<&> word\n" * (count // 8)),
    st.integers(1, 5_000).map(lambda count: "长" * count),
)
NUMBERS = st.floats(-1e9, 1e9) | st.just(float("nan")) | st.none()
STATES = st.sampled_from(["waiting", "running", "paused", "succeeded", "failed", "cancelled"])
BUTTONS = st.builds(Button, id=st.text(max_size=20), label=WORDS, primary=st.booleans())


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(WORDS, max_size=25))
    row = st.lists(WORDS, max_size=25) | st.just(["12"] * len(columns))
    rows = draw(st.lists(row, max_size=6)) * draw(st.sampled_from([1, 1, 40]))
    numeric = draw(st.lists(st.sampled_from(columns))) if columns else []
    return Table(columns=tuple(columns), rows=tuple(map(tuple, rows)), numeric=tuple(numeric))


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    categories = draw(st.lists(WORDS, max_size=25))
    values = st.lists(NUMBERS, min_size=len(categories), max_size=len(categories)).map(tuple)
    series = draw(st.lists(st.builds(Series, name=WORDS, values=values), max_size=14))
    return Chart(
        title=draw(WORDS), kind=draw(st.sampled_from(["bar", "line"])), categories=tuple(categories),
        series=tuple(series), x_label=draw(WORDS), y_label=draw(WORDS),
    )  # fmt: skip


PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Fields, items=st.lists(st.tuples(WORDS, WORDS), max_size=14).map(tuple)),
    tables(),
    charts(),
    st.builds(
        Progress, label=WORDS, done=st.integers(0, 10**6), total=st.none() | st.integers(0, 10**6), score=WORDS,
        note=WORDS, state=STATES,
    ),
    st.builds(Log, title=WORDS, text=WORDS),
    st.builds(Link, label=WORDS, url=WORDS | WORDS.map(lambda text: f"https://h/{text}")),
    st.builds(Buttons, items=st.lists(BUTTONS, max_size=30).map(tuple), shortcuts=st.booleans()),
)  # fmt: skip
MESSAGES = st.builds(
    Message,
    text=WORDS,
    parts=st.lists(PARTS, max_size=8).flatmap(
        lambda parts: st.sampled_from([1, 1, 1, 9]).map(lambda n: tuple(parts * n))
    ),
    mention=st.sampled_from(["", "slack:U123", "feishu:ou_<!channel>"]),
)


def value(button: Button) -> str:
    return f"signed {button.id}"


def problems(blocks: list[dict[str, Any]]) -> list[str]:
    report = Report("message")
    check_blocks(blocks, report, least=1)
    return report.problems + (["msg_blocks_too_long"] if too_long(report) else [])


def pictures(message: Message) -> list[str]:
    return [f"F{number}" if number % 2 else "" for number, part in enumerate(message.parts) if isinstance(part, Chart)]


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60, deadline=None)
@given(message=MESSAGES, language=st.sampled_from(["en", "zh"]))
def test_any_message_is_one_that_slack_takes(level: Level, message: Message, language: Any) -> None:
    rendered = render(message, level, value=value, pictures=pictures(message), texts=Texts(language))
    assert problems(rendered.blocks) == []
    assert 0 < len(rendered.text) <= 3_900
    assert json.loads(json.dumps(rendered.blocks, allow_nan=False)) == rendered.blocks
    if level is Level.TEXT:
        assert {block["type"] for block in rendered.blocks} <= IN_TEXT


@settings(max_examples=40, deadline=None)
@given(message=MESSAGES)
def test_any_home_is_one_that_slack_takes(message: Message) -> None:
    report = Report("home")
    view = render_home(message, value=value)
    check_view(view, report)
    assert report.problems == []
