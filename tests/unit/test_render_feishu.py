"""What a neutral message looks like in Feishu: a card that it takes, nothing in it markup, nothing cut silently."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feishu.cards import check_card
from support.feishu.shown import buttons_of, elements_of, shown, tables_of

from bot.render.feishu import Rendered, charts_as_pictures, render
from bot.render.feishu_forms import form_card, values_of
from bot.render.feishu_tables import as_csv
from handlers.form_options import benchmark_options
from handlers.forms import form_for
from handlers.intents.parsed import Vocabulary
from handlers.message import (
    Button,
    Buttons,
    Chart,
    Fields,
    Link,
    Log,
    Message,
    Part,
    Progress,
    Series,
    State,
    Table,
    Text,
)
from handlers.texts import EN, ZH, Texts
from jobs.catalog import snapshot
from jobs.config import Config

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}))
SCORES = Table(
    columns=("评测集", "分数", "样本数"),
    rows=(("gsm8k", "★ 62.5 % [30.0 – 86.0 %]", "1,319"), ("ifeval", "9.1 %", "541")),
    numeric=("分数", "样本数"),
)
BARS = Chart(
    title="分数", kind="bar", categories=("gsm8k", "ifeval"), series=(Series(name="qwen", values=(62.5, None)),),
    y_label="%",
)  # fmt: skip
RUNNING = Progress(label="r12 运行中", done=34, total=100, score="gsm8k 85.3 %", note="还需 2 分钟")
PAGE = Link(label="任务页面", url="https://h/runs/r1?t=a&b=c")
BUTTONS = Buttons(items=(Button(id="q1:run", label="运行", primary=True), Button(id="q1:cancel", label="取消")))
EVERYTHING = (
    Text(text="a paragraph"), Fields(items=(("模型", "qwen-plus"),)), SCORES, BARS, RUNNING,
    Log(title="复现命令", text="evalscope eval --model x"), PAGE, BUTTONS,
)  # fmt: skip


def drawn(*parts: Part, text: str = "r12：用 gsm8k 评测 prod", **options: Any) -> Rendered:
    """Return a message as a card that Feishu takes."""
    message = Message(text=text, parts=parts, mention=options.pop("mention", ""))
    rendered = render(
        message, value=lambda button: f"signed:{button.id}", texts=Texts("zh"), reference="#0123456789", **options
    )
    assert check_card(rendered.card) == []
    return rendered


def elements(rendered: Rendered, tag: str) -> list[dict[str, Any]]:
    return [element for element in elements_of(rendered.card) if element["tag"] == tag]


def test_every_part_is_shown_and_the_reference_stands_at_the_end() -> None:
    rendered = drawn(*EVERYTHING)
    text = shown({"card": rendered.card})
    for fact in (
        "r12：用 gsm8k 评测 prod", "a paragraph", "模型　qwen-plus", "★ 62.5 % [30.0 – 86.0 %]", "分数", "r12 运行中",
        "▓▓▓▓▓▓▓░░░░░░░░░░░░░ 34 / 100 · 还需 2 分钟", "gsm8k 85.3 %", "复现命令", "evalscope eval --model x",
        "任务页面 (https://h/runs/r1?t=a&b=c)", "运行", "取消",
    ):  # fmt: skip
        assert fact in text, fact
    assert text.splitlines()[-1] == "#0123456789"
    assert rendered.attachments == ()
    assert rendered.card["config"]["summary"] == {"content": "r12：用 gsm8k 评测 prod"}


def test_a_press_says_what_was_signed() -> None:
    values = [each["behaviors"][0]["value"] for each in buttons_of({"card": drawn(BUTTONS).card})]
    assert values == [{"v": "signed:q1:run"}, {"v": "signed:q1:cancel"}]


@pytest.mark.parametrize(
    ("states", "colour"),
    [
        (["running", "failed"], "blue"), (["waiting"], "grey"), (["succeeded", "failed"], "red"),
        (["succeeded"], "green"), (["paused", "succeeded"], "orange"),
    ],
)  # fmt: skip
def test_the_title_has_the_colour_of_the_state_that_matters_most(states: list[State], colour: str) -> None:
    bars = [Progress(label=f"r{n}", done=1, total=2, state=state) for n, state in enumerate(states)]
    assert drawn(*bars).card["header"]["template"] == colour


def test_who_is_meant_is_mentioned_and_nobody_else_can_be() -> None:
    rendered = drawn(Text(text="<at id=all></at>"), text="x <at id=ou_other></at>", mention="feishu:ou_abc")
    markdown = [each["content"] for each in elements(rendered, "markdown")]
    assert markdown[0].startswith("<at id=ou_abc></at> ")
    assert sum(content.count("<at") for content in markdown) == 1
    assert "<at" not in str(drawn(mention="feishu:all><").card["body"])


EVIL = (
    "<at id=all></at> **b** [x](https://evil) :OK: `c` ~~d~~ # h\n- i\n1. j\n<font color='red'>k</font> $x$ &#42; |a|"
)


def test_what_people_and_models_wrote_is_shown_as_it_is() -> None:
    parts = (
        Text(text=EVIL), Fields(items=((EVIL, EVIL),)), Progress(label=EVIL, done=1, total=2, score=EVIL, note=EVIL),
        Link(label=EVIL, url="https://h/?a=(<at>)"), Link(label=EVIL, url=f"javascript:{EVIL}"),
        Log(title=EVIL, text=f"```\n{EVIL}"), Log(title="t", text=EVIL),
        Table(columns=(EVIL,), rows=((EVIL,),)), Buttons(items=(Button(id="x", label=EVIL),)),
    )  # fmt: skip
    rendered = drawn(*parts, text=EVIL)
    for content in (each["content"] for each in elements(rendered, "markdown")):
        outside = content.replace("`c`", "").replace("**", "")
        assert "<at" not in outside
        assert "https://evil)" not in outside
        assert ":OK:" not in outside
    text = shown({"card": rendered.card})
    assert text.count("<at id=all></at>") >= len(parts)


def test_code_in_ticks_stays_code() -> None:
    (paragraph, *_) = elements(drawn(Text(text="write `resume r12` or `a<b`"), text=""), "markdown")
    assert paragraph["content"] == "write `resume r12` or &#96;a&#60;b&#96;"


# what does not fit


def test_rows_that_a_card_has_no_room_for_stand_in_a_file_that_spreadsheets_open() -> None:
    rows = tuple((f"评测集 {n}", f"{n} %", "x" * 60) for n in range(600))
    rendered = drawn(Table(columns=("名称", "分数", "说明"), rows=rows))
    (table,) = tables_of({"card": rendered.card})
    (file,) = rendered.attachments
    assert 50 < len(table) - 1 < 600
    assert f"另有 {600 - len(table) + 1} 行放不下" in shown({"card": rendered.card})
    assert file.name == "table-1.csv"
    assert file.name in shown({"card": rendered.card})
    assert file.content.startswith("\ufeff".encode())
    read = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert read == [["名称", "分数", "说明"], *map(list, rows)]


def test_a_cell_is_never_a_formula_in_the_file() -> None:
    table = Table(columns=("a",), rows=(("=cmd()",), ("@x",), ("-3 %",)))
    assert as_csv(table).decode("utf-8-sig").split() == ["a", "'=cmd()", "'@x", "-3", "%"]


def test_more_than_five_tables_stand_in_files_that_are_named() -> None:
    rendered = drawn(*[SCORES] * 7)
    assert len(tables_of({"card": rendered.card})) == 5
    assert [file.name for file in rendered.attachments] == ["table-6.csv", "table-7.csv"]
    assert all(file.name in shown({"card": rendered.card}) for file in rendered.attachments)


def test_a_long_log_keeps_its_end_and_the_whole_of_it_is_a_file() -> None:
    lines = "\n".join(f"line {n} <at id=all>" for n in range(5000))
    rendered = drawn(Log(title="日志", text=lines))
    text = shown({"card": rendered.card})
    assert "line 4999" in text
    assert "line 1 " not in text
    (file,) = rendered.attachments
    assert (file.name, file.content.decode()) == ("log-1.txt", lines)
    assert file.name in text


def test_a_long_text_says_how_much_is_missing() -> None:
    assert "个字符放不下" in shown({"card": drawn(Text(text="很长的文本" * 9000)).card})


def test_charts_that_would_fill_a_card_are_pictures_or_bars_of_text() -> None:
    wide = Chart(
        title="吞吐", kind="line", categories=tuple(map(str, range(200))),
        series=(Series(name="s", values=tuple(map(float, range(200)))),),
    )  # fmt: skip
    message = Message(text="x", parts=(BARS, wide))
    assert charts_as_pictures(message) == (wide,)
    rendered = drawn(BARS, wide, pictures={wide: "img_1"})
    assert len(elements(rendered, "chart")) == 1
    (picture,) = elements(rendered, "img")
    assert picture["img_key"] == "img_1"
    without = drawn(BARS, wide)
    assert "另有 170 行放不下" in shown({"card": without.card})


def test_a_figure_that_is_missing_leaves_a_gap() -> None:
    (chart,) = elements(drawn(BARS), "chart")
    assert chart["chart_spec"]["data"]["values"] == [{"x": "gsm8k", "y": 62.5, "s": "qwen"}]


TEXT = st.text(max_size=300) | st.sampled_from([EVIL, "表" * 4000, "x" * 20_000, "", "\x00\ud800"])
ROWS = st.lists(st.lists(TEXT, max_size=4).map(tuple), max_size=60).map(tuple)
VALUES = st.lists(st.none() | st.floats(), max_size=150).map(tuple)
SERIES = st.builds(Series, name=TEXT, values=VALUES)
PARTS = st.one_of(
    st.builds(Text, text=TEXT),
    st.builds(Fields, items=st.lists(st.tuples(TEXT, TEXT), max_size=30).map(tuple)),
    st.builds(Table, columns=st.lists(TEXT, min_size=1, max_size=60).map(tuple), rows=ROWS),
    st.builds(
        Chart, title=TEXT, kind=st.sampled_from(["bar", "line"]), categories=st.lists(TEXT, max_size=150).map(tuple),
        series=st.lists(SERIES, max_size=4).map(tuple), x_label=TEXT, y_label=TEXT,
    ),
    st.builds(
        Progress, label=TEXT, done=st.integers(0, 10**9), total=st.none() | st.integers(0, 10**9), score=TEXT,
        note=TEXT, state=st.sampled_from(["waiting", "running", "failed"]),
    ),
    st.builds(Log, title=TEXT, text=TEXT),
    st.builds(Link, label=TEXT, url=TEXT | st.just("https://h/x")),
    st.builds(
        Buttons, items=st.lists(st.builds(Button, id=st.just("x"), label=TEXT), min_size=1, max_size=40).map(tuple)
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(text=TEXT, parts=st.lists(PARTS, max_size=14), mention=st.sampled_from(["", "feishu:ou_abc", "feishu:x<"]))
def test_feishu_takes_the_card_of_any_message(text: str, parts: list[Part], mention: str) -> None:
    rendered = drawn(*parts, text=text, mention=mention)
    assert len(json.dumps(rendered.card, ensure_ascii=False).encode(errors="replace")) < 30_000


# forms


def test_a_form_is_filled_in_read_and_shown_again_with_what_is_wrong() -> None:
    texts, config = Texts("zh"), Config.model_validate({"models": {"prod": {"model": "m", "api_url": "http://h/v1"}}})
    form = form_for("eval", texts, config, VOCABULARY)
    assert form is not None
    options = benchmark_options("", VOCABULARY, texts, config)
    card = form_card(form, submit="signed", texts=texts, benchmarks=options, reference="#0")
    assert check_card(card) == []
    left = {"model": "prod", "datasets": ["gsm8k", "own"], "limit": "10%", "temperature": "hot", "other_model": ""}
    values = values_of(left, form)
    assert values["datasets"] == ["gsm8k", "own"]
    assert values["other_model"] is None
    assert values_of(left | {"datasets_typed": "hle，longbench_v2"}, form)["datasets"][2:] == ["hle", "longbench_v2"]
    again = form_card(
        form, submit="signed", texts=texts, values=values, errors={"temperature": "温度是一个数"}, benchmarks=options
    )
    assert check_card(again) == []
    inputs = {each["name"]: each for each in elements_of(again) if "name" in each}
    assert inputs["limit"]["default_value"] == "10%"
    assert inputs["datasets"]["selected_values"] == ["gsm8k", "own"]
    assert "温度是一个数" in shown({"card": again})
    (panel,) = [each for each in elements_of(again) if each["tag"] == "collapsible_panel"]
    assert panel["expanded"], "what is wrong is not hidden"


@pytest.mark.parametrize("intent", ["eval", "perf"])
def test_feishu_takes_every_form(intent: str) -> None:
    config = Config.model_validate({"models": {f"m{n}": {"model": "m", "api_url": "http://h/v1"} for n in range(150)}})
    for texts in (Texts("en"), Texts("zh")):
        form = form_for(intent, texts, config, VOCABULARY)
        assert form is not None
        options = benchmark_options("", VOCABULARY, texts, config)
        assert check_card(form_card(form, submit="s" * 300, texts=texts, benchmarks=options)) == []


def test_both_languages_say_everything() -> None:
    assert {key for key in EN if key.startswith("feishu.")} == {key for key in ZH if key.startswith("feishu.")}
