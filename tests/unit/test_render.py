"""Neutral messages on a terminal and as JSON lines: pure functions, nothing lost."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bot.render.json_lines import json_line
from bot.render.terminal import render
from handlers.message import Button, Buttons, Fields, Link, Log, Message, Progress, Table, Text

EVERYTHING = Message(
    text="headline",
    parts=(
        Text(text="a paragraph"),
        Fields(items=(("Model", "qwen"),)),
        Table(columns=("Name", "Score"), rows=(("gsm8k", "62.5 %"),), numeric=("Score",)),
        Progress(label="r1 running", done=3, total=10, score="50 %", note="2 s to go"),
        Log(title="Reproduce", text="evalscope eval --model x"),
        Link(label="Run page", url="http://h/runs/r1?t=abc"),
        Buttons(items=(Button(id="q1:run", label="Run", primary=True), Button(id="q1:cancel", label="Cancel"))),
    ),
)


def shown(message: Message, *, width: int = 10_000) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(render(message))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_no_bar_is_drawn_of_how_much_nobody_knows() -> None:
    assert "━" not in shown(Message(text="x", parts=(Progress(label="r1 waiting", done=0, total=None),)))
    assert "━" in shown(EVERYTHING)


def test_every_part_is_shown_on_a_terminal() -> None:
    text = shown(EVERYTHING)
    for fact in (
        "headline", "a paragraph", "Model", "qwen", "gsm8k", "62.5 %", "3/10", "50 %", "2 s to go", "Reproduce",
        "evalscope eval --model x", "Run page: http://h/runs/r1?t=abc", "[1] Run", "[2] Cancel",
    ):  # fmt: skip
        assert fact in text


def test_a_link_keeps_its_whole_address_in_a_file() -> None:
    url = "http://127.0.0.1:8080/runs/r1?t=" + "x" * 400
    assert url in shown(Message(text="t", parts=(Link(label="Run page", url=url),)))


@given(st.text(max_size=60))
def test_no_text_breaks_the_rendering_or_is_taken_for_markup(text: str) -> None:
    message = Message(text=text, parts=(Text(text=f"[bold]{text}[/nope]"), Table(columns=("a",), rows=((text,),))))
    assert "[bold]" in shown(message)


def test_a_json_line_has_the_fields_the_contract_names() -> None:
    line = json.loads(json_line("post", "m1", "t1", EVERYTHING))
    assert list(line) == ["kind", "id", "thread", "text", "parts"]
    kinds = {part["type"]: part for part in line["parts"]}
    assert list(kinds) == ["text", "fields", "table", "progress", "log", "link", "buttons"]
    assert kinds["table"]["columns"] == ["Name", "Score"]
    assert kinds["table"]["rows"] == [["gsm8k", "62.5 %"]]
    assert (kinds["progress"]["done"], kinds["progress"]["total"], kinds["progress"]["score"]) == (3, 10, "50 %")
    assert kinds["buttons"]["items"][0] == {"id": "q1:run", "label": "Run", "primary": True}


def test_a_json_line_is_one_line_whatever_the_text() -> None:
    assert "\n" not in json_line("edit", "m", "t", Message(text="a\nb\u2028c"))
