"""What a neutral message looks like on Slack: escaped, in the blocks a workspace takes, nothing cut without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.slack.blocks import check_blocks, too_long
from support.slack.schema import Report

from bot.render.slack import Level, Rendered, render, render_home
from bot.render.slack_charts import unique
from bot.render.slack_tables import numbers_of
from bot.render.slack_text import chunks, escape, link_text
from bot.render.text import share
from handlers.message import Button, Buttons, Chart, Fields, Link, Log, Message, Part, Progress, Series, Table, Text
from handlers.texts import EN, ZH, Texts

LEVELS = list(Level)
PAGE = Link(label="Run page", url="https://h/runs/r1?t=a&b=c")
SCORES = Table(
    columns=("Benchmark", "Score", "Samples"),
    rows=(("gsm8k", "★ 62.5 % [30.0 – 86.0 %]", "1,319"), ("ifeval", "9.1 %", "541")),
    numeric=("Score", "Samples"),
)
BARS = Chart(
    title="Scores", kind="bar", categories=("gsm8k", "ifeval"), series=(Series(name="qwen", values=(62.5, 9.1)),),
    y_label="%",
)  # fmt: skip
RUNNING = Progress(label="r12 running", done=34, total=100, score="gsm8k 85.3 %", note="2 min to go")
BUTTONS = Buttons(items=(Button(id="q1:run", label="Run", primary=True), Button(id="q1:cancel", label="Cancel")))
EVERYTHING = (
    Text(text="a paragraph"), Fields(items=(("Model", "qwen-plus"),)), SCORES, BARS, RUNNING,
    Log(title="Reproduce", text="evalscope eval --model x"), PAGE, BUTTONS,
)  # fmt: skip


def shown(*parts: Part, text: str = "headline", level: Level = Level.RICH, **options: Any) -> list[dict[str, Any]]:
    message = Message(text=text, parts=parts, mention=options.pop("mention", ""))
    return drawn(message, level, **options).blocks


def drawn(message: Message, level: Level, **options: Any) -> Rendered:
    rendered = render(message, level, value=lambda button: f"signed:{button.id}", **options)
    report = Report("message")
    check_blocks(rendered.blocks, report, least=1)
    assert report.problems == []
    assert not too_long(report)
    return rendered


def kinds(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["type"] for block in blocks]


def said(blocks: list[dict[str, Any]]) -> str:
    return " ".join(each["text"] for block in blocks if block["type"] == "context" for each in block["elements"])


@pytest.mark.parametrize("level", LEVELS)
def test_every_part_is_shown_at_every_level(level: Level) -> None:
    text = json.dumps(shown(*EVERYTHING, level=level), ensure_ascii=False)
    for fact in (
        "headline", "a paragraph", "*Model*\\nqwen-plus", "62.5 % [30.0 – 86.0 %]", "1,319", "Scores", "r12 running",
        "▓▓▓▓▓▓▓░░░░░░░░░░░░░ 34 / 100 · 2 min to go", "gsm8k 85.3 %", "Reproduce", "evalscope eval --model x",
        "<https://h/runs/r1?t=a&amp;b=c|Run page>", "signed:q1:run",
    ):  # fmt: skip
        assert fact in text


def test_a_workspace_is_only_sent_the_blocks_that_its_level_knows() -> None:
    rich, plain = kinds(shown(*EVERYTHING)), kinds(shown(*EVERYTHING, level=Level.PLAIN, pictures=["F1"]))
    assert {"data_table", "data_visualization", "task_card"} <= set(rich)
    assert {"table", "image"} <= set(plain)
    assert not {"data_table", "data_visualization", "task_card"} & set(plain)
    assert set(kinds(shown(*EVERYTHING, level=Level.TEXT, pictures=["F1"]))) == {"section", "rich_text", "actions"}


# markup


@pytest.mark.parametrize("level", LEVELS)
def test_what_people_and_models_wrote_mentions_nobody_and_links_nowhere(level: Level) -> None:
    evil = "<!channel> <@U999> <https://evil|good> @here &"
    parts = (
        Text(text=evil), Fields(items=((evil, evil),)), Progress(label=evil, done=1, total=2, score=evil, note=evil),
        Link(label=evil, url="https://h/?a=<!channel>|x"), Link(label=evil, url=f"javascript:{evil}"),
    )  # fmt: skip
    rendered = drawn(Message(text=evil, parts=parts), level)
    for text in [rendered.text, *mrkdwn_texts(rendered.blocks)]:
        assert "<!" not in text
        assert "<@" not in text
        assert "<https://evil" not in text
    assert all("verbatim" in each for each in mrkdwn_objects(rendered.blocks))


def mrkdwn_objects(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, dict):
        here = [found] if found.get("type") == "mrkdwn" else []
        return here + mrkdwn_objects(list(found.values()))
    return [each for inner in found for each in mrkdwn_objects(inner)] if isinstance(found, list) else []


def mrkdwn_texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [each["text"] for each in mrkdwn_objects(blocks)]


def test_commands_and_cells_keep_their_characters_since_slack_reads_no_markup_there() -> None:
    command = "curl 'https://h/?a=1&b=2' <in >out"
    blocks = shown(Log(title="Reproduce", text=command), Table(columns=("a",), rows=((command,),)))
    assert blocks[1]["elements"][1]["elements"][0]["text"] == command
    assert blocks[2]["rows"][1][0]["text"] == command


def test_the_person_meant_is_mentioned_before_the_text_and_nobody_else_can_be() -> None:
    rendered = drawn(Message(text="done", mention="slack:U123"), Level.RICH)
    assert rendered.text == "<@U123> done"
    assert rendered.blocks[0]["text"]["text"] == "<@U123> done"
    assert drawn(Message(text="done", mention="slack:!channel"), Level.RICH).text == "done"


@given(st.text(max_size=300), st.integers(10, 60))
def test_no_split_falls_into_an_escaped_character_and_none_is_too_long(text: str, most: int) -> None:
    pieces = list(chunks(text, most))
    assert all(0 < len(escape(piece)) <= most for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_a_bar_in_a_label_or_an_address_breaks_no_link() -> None:
    assert link_text("a|b", "https://h/x|y z") == "<https://h/x%7Cyz|a∣b>"
    assert link_text("", "https://h") == "<https://h>"
    assert link_text("mail", "ftp://h/<x>") == "mail: ftp://h/&lt;x&gt;"


def test_links_in_a_row_stand_in_one_section() -> None:
    report = Link(label="Report", url="https://h/report")
    assert shown(PAGE, report, Text(text="x"), report)[1]["text"]["text"] == (
        "<https://h/runs/r1?t=a&amp;b=c|Run page> · <https://h/report|Report>"
    )


# text


def test_a_notification_has_the_text_cut_and_the_blocks_have_all_of_it() -> None:
    text = "<word> " * 400
    rendered = drawn(Message(text=text), Level.RICH)
    assert len(rendered.text) <= 3_900
    assert rendered.text.endswith("…")
    assert "".join(mrkdwn_texts(rendered.blocks)).count("&lt;word&gt;") == 400


def test_a_message_without_a_text_still_is_one() -> None:
    assert drawn(Message(text=" "), Level.RICH).text == "–"
    assert shown(PAGE, text="") == shown(PAGE, text="\n")


def test_fields_go_ten_to_a_section_and_an_empty_one_is_legal() -> None:
    blocks = shown(Fields(items=tuple((f"n{n}", "" if n == 3 else "v") for n in range(12))))
    assert [len(block["fields"]) for block in blocks[1:]] == [10, 2]
    assert blocks[1]["fields"][3]["text"] == "*n3*\n–"


# tables


def test_columns_of_figures_are_sorted_by_their_number() -> None:
    table = shown(SCORES)[1]
    assert table["rows"][0] == [{"type": "raw_text", "text": name} for name in SCORES.columns]
    assert table["rows"][1] == [
        {"type": "raw_text", "text": "gsm8k"},
        {"type": "raw_number", "value": 62.5, "text": "★ 62.5 % [30.0 – 86.0 %]"},
        {"type": "raw_number", "value": 1319, "text": "1,319"},
    ]
    assert (table["caption"], table["page_size"]) == (SCORES.columns[0], 2)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["62.5 %", "9 %"], [62.5, 9]),
        (["1,319", "541"], [1319, 541]),
        (["4.86 s", "12 s"], [4.86, 12]),
        (["45.1 (44 / 60 / 98)"], [45.1]),
        (["-0.412", "1e-05"], [-0.412, 1e-05]),
        (["62.5 %", "–"], None),
        (["62.5 %", "0.5"], None),
        (["first 8 of 1,319"], None),
        (["34 / 100"], None),
        (["5 min 12 s"], None),
        (["1,31"], None),
        (["9" * 400], None),
        ([], None),
    ],
)
def test_a_cell_is_a_number_only_where_it_shows_just_one(cells: list[str], numbers: list[float] | None) -> None:
    assert numbers_of(cells) == numbers


def test_an_empty_cell_and_a_short_row_are_filled() -> None:
    table = shown(Table(columns=("a", "b"), rows=(("", " "), ("x",))))[1]
    assert [[cell["text"] for cell in row] for row in table["rows"]] == [["a", "b"], ["–", "–"], ["x", "–"]]


def test_a_tables_caption_says_nothing_that_stands_above_it() -> None:
    assert shown(Text(text="First answers on gsm8k:"), SCORES)[2]["caption"] == SCORES.columns[0]


@pytest.mark.parametrize("level", LEVELS)
def test_rows_that_do_not_fit_are_counted_and_the_page_is_named(level: Level) -> None:
    table = Table(columns=("name", "n"), rows=tuple((f"<row{n}>" * 20, f"{n}") for n in range(300)), numeric=("n",))
    blocks = shown(table, PAGE, level=level)
    rows = json.dumps(blocks).count("<row") // 20
    assert 0 < rows <= 100
    assert said(blocks) == f"{300 - rows} more rows did not fit. The run page has everything."


def test_what_is_left_out_is_told_in_the_persons_language() -> None:
    table = Table(columns=("n",), rows=tuple((f"{n}",) for n in range(300)))
    page = Link(label=ZH["result.page"], url="https://h")
    assert said(shown(table, page, texts=Texts("zh"))) == ZH["cut.rows"].format(count=200) + " " + ZH["cut.page"]


def test_columns_beyond_twenty_are_counted() -> None:
    wide = Table(columns=tuple(f"c{n}" for n in range(23)), rows=(tuple(f"{n}" for n in range(23)),))
    assert said(shown(wide)) == "3 more columns did not fit."


def test_only_the_first_table_that_fits_is_one_where_a_workspace_takes_one() -> None:
    large = Table(columns=("n",), rows=tuple((f"{n}",) for n in range(150)))
    assert kinds(shown(large, SCORES, SCORES, level=Level.PLAIN))[1:] == ["rich_text", "table", "rich_text"]


def test_text_tables_stand_in_columns_and_wide_ones_in_lines() -> None:
    narrow = shown(SCORES, level=Level.TEXT)[1]["elements"][0]["elements"][0]["text"]
    assert narrow.splitlines() == [
        "Benchmark                     Score  Samples",
        "gsm8k      ★ 62.5 % [30.0 – 86.0 %]    1,319",
        "ifeval                        9.1 %      541",
    ]
    wide = Table(columns=("Question", "Answer"), rows=(("word " * 20, "x"), ("模型", "y")))
    lines = shown(wide, level=Level.TEXT)[1]["elements"][0]["elements"][0]["text"].splitlines()
    assert lines[1:] == ["Answer: x", "", "Question: 模型", "Answer: y"]


# charts


def test_a_chart_has_a_point_of_each_series_for_each_category() -> None:
    assert shown(BARS)[1] == {
        "type": "data_visualization",
        "title": "Scores",
        "chart": {
            "type": "bar",
            "series": [
                {"name": "qwen", "data": [{"label": "gsm8k", "value": 62.5}, {"label": "ifeval", "value": 9.1}]}
            ],
            "axis_config": {"categories": ["gsm8k", "ifeval"], "y_label": "%"},
        },
    }


def test_a_third_chart_and_one_with_gaps_are_told_as_text_and_a_picture_takes_their_place() -> None:
    gap = BARS.model_copy(update={"series": (Series(name="qwen", values=(62.5, None)),)})
    visual = "data_visualization"
    assert kinds(shown(BARS, gap, BARS, BARS))[1:] == [visual, "rich_text", visual, "rich_text"]
    with_pictures = shown(BARS, gap, BARS, BARS, pictures=["F1", "F2"])
    assert kinds(with_pictures)[1:] == [visual, "image", visual, "rich_text"]
    assert with_pictures[2]["slack_file"] == {"id": "F2"}
    assert with_pictures[2]["alt_text"] == "Scores: gsm8k 62.5; ifeval –"


def test_a_chart_as_text_has_its_longest_bar_for_its_highest_figure() -> None:
    title, lines = (part["elements"][0]["text"] for part in shown(BARS, level=Level.TEXT)[1]["elements"])
    assert title == "Scores (%)"
    assert lines.splitlines() == ["gsm8k   ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇  62.5", "ifeval  ▇▇▇                   9.1"]


def test_long_labels_stay_different_after_they_are_cut() -> None:
    found = unique(["Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B-Instruct", "", ""])
    assert len(set(found)) == 5
    assert all(0 < len(label) <= 20 for label in found)


# progress


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("waiting", "pending"), ("paused", "pending"), ("running", "in_progress"), ("succeeded", "complete"),
        ("failed", "error"), ("cancelled", "error"),
    ],
)  # fmt: skip
def test_a_task_has_the_runs_state_and_keeps_its_name_as_it_goes_on(state: Any, status: str) -> None:
    task = shown(RUNNING.model_copy(update={"state": state}))[1]
    assert (task["type"], task["task_id"], task["title"], task["status"]) == ("task_card", "r12", "r12 running", status)
    assert task["output"]["elements"][0]["elements"][0]["text"] == "gsm8k 85.3 %"


def test_several_bars_in_a_row_are_one_plan_with_a_task_each() -> None:
    plan = shown(RUNNING, RUNNING, Progress(label="2 of 3 ended", done=5, total=None))[1]
    assert [task["task_id"] for task in plan["tasks"]] == ["r12", "r12-2", "task"]
    assert plan["title"] == "3 runs"
    assert "output" not in plan["tasks"][2]
    assert plan["tasks"][2]["details"]["elements"][0]["elements"][0]["text"] == "5"


def test_a_bar_is_never_longer_than_whole_and_none_is_drawn_of_how_much_nobody_knows() -> None:
    over = shown(Progress(label="r1", done=12, total=10), level=Level.TEXT)[1]["text"]["text"]
    assert over == f"*r1*\n{'▓' * 20} 12 / 10"
    assert "▓" not in str(shown(Progress(label="r1", done=12, total=None), Progress(label="r2", done=0, total=0)))


# logs


def test_a_log_keeps_its_end_and_says_how_many_lines_are_missing() -> None:
    lines = [f"line {n}" for n in range(1_000)]
    blocks = shown(Log(title="Log of r1", text="\n".join(lines)), PAGE)
    kept = blocks[1]["elements"][1]["elements"][0]["text"].splitlines()
    assert kept == lines[-len(kept) :]
    assert said(blocks) == f"{1_000 - len(kept)} lines before these did not fit. The run page has everything."


def test_a_command_keeps_its_beginning_and_is_said_not_to_be_complete() -> None:
    command = "evalscope eval " + "--datasets gsm8k " * 400
    blocks = shown(Log(title="Reproduce", text=command))
    kept = blocks[1]["elements"][1]["elements"][0]["text"]
    assert command.startswith(kept)
    assert said(blocks) == f"Not complete: {len(command) - len(kept)} more characters did not fit."


# buttons


def test_buttons_are_told_apart_by_their_action_and_carry_the_signed_value() -> None:
    many = Buttons(items=tuple(Button(id=f"q{n}", label=f"{n} " * 60) for n in range(30)))
    blocks = shown(BUTTONS, many)[1:]
    elements = [element for block in blocks for element in block["elements"]]
    assert [len(block["elements"]) for block in blocks] == [2, 25, 5]
    assert [element["action_id"] for element in elements] == [f"b{n}" for n in range(32)]
    assert [element["value"] for element in elements[:3]] == ["signed:q1:run", "signed:q1:cancel", "signed:q0"]
    assert [element.get("style") for element in elements[:2]] == ["primary", None]
    assert elements[2]["text"]["text"].endswith("…")


# what does not fit


def test_the_longest_give_way_first() -> None:
    assert share([10, 100, 1_000], 150) == 70
    assert share([10, 20], 100) == 20
    assert share([10, 10], 0) == 0
    blocks = shown(Text(text="short"), Text(text="a " * 6_000), Text(text="b " * 4_000), PAGE)
    text = json.dumps(blocks)
    assert "short" in text
    assert abs(text.count("a ") - text.count("b ")) < 600
    assert said(blocks).count("more characters did not fit. The run page has everything.") == 2


@pytest.mark.parametrize("level", LEVELS)
def test_the_first_text_links_and_buttons_stay_whatever_else_there_is(level: Level) -> None:
    blocks = shown(*(Text(text=f"{n} " * 200) for n in range(80)), PAGE, BUTTONS, text="x" * 2_000, level=level)
    assert blocks[0]["text"]["text"] == "x" * 2_000
    assert kinds(blocks)[-3:] == ["context", "section", "actions"]
    texts = kinds(blocks).count("section") - 2
    assert said(blocks[-3:]) == f"{80 - texts} more parts of this message did not fit. The run page has everything."


SIZES = st.integers(0, 900)


@st.composite
def numbered(draw: st.DrawFn) -> tuple[Message, list[str]]:
    """A message made of words that are all different, and these words."""
    words: list[str] = []

    def some(count: int, between: str = " ") -> str:
        fresh = [f"w{len(words) + n:05d}" for n in range(count)]
        words.extend(fresh)
        return between.join(fresh)

    text = some(draw(st.integers(1, 2_000)))
    parts: list[Part] = []
    for kind in draw(st.lists(st.sampled_from(["text", "log", "command", "table", "fields", "bars"]), max_size=8)):
        size = draw(SIZES)
        if kind == "text":
            parts.append(Text(text=some(size)))
        elif kind in {"log", "command"}:
            parts.append(Log(title=some(1), text=some(size, "\n" if kind == "log" else " ")))
        elif kind == "table":
            across = draw(st.integers(1, 23))
            rows = tuple(tuple(some(draw(st.integers(1, 3))) for _ in range(across)) for _ in range(size // across))
            parts.append(Table(columns=tuple(some(1) for _ in range(across)), rows=rows))
        elif kind == "fields":
            parts.append(Fields(items=tuple((some(1), some(size // 4)) for _ in range(draw(st.integers(1, 12))))))
        else:
            count = draw(st.integers(1, 40))
            bars = [Progress(label=some(1), done=1, total=2, note=some(size // 9), score=some(1)) for _ in range(count)]
            parts += bars
    return Message(text=text, parts=tuple(parts)), words


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=40, deadline=None)
@given(numbered())
def test_nothing_is_left_out_without_a_word(level: Level, made: tuple[Message, list[str]]) -> None:
    message, words = made
    blocks = drawn(message, level).blocks
    text = json.dumps(blocks)
    if not all(word in text for word in words):
        notes = [EN[key].split("{count}")[-1] for key in EN if key.startswith("cut.") and key != "cut.page"]
        assert any(note in said(blocks) for note in notes)


# home


def test_a_home_has_headers_lines_and_buttons_and_no_block_that_homes_refuse() -> None:
    table = Table(columns=("Run", "Model", "Score"), rows=(("r12", "qwen-plus", "62.5 %"),), numeric=("Score",))
    message = Message(text="Scopebot", parts=(Text(text="Last results:"), table, RUNNING, BARS, BUTTONS, PAGE))
    view = render_home(message, value=lambda button: button.id)
    assert view["type"] == "home"
    assert kinds(view["blocks"]) == ["header", "header", "section", "section", "rich_text", "actions", "section"]
    assert view["blocks"][1]["text"]["text"] == "Last results"
    assert view["blocks"][2]["text"]["text"] == "*r12* qwen-plus — 62.5 %"


def test_a_home_says_what_does_not_fit() -> None:
    table = Table(columns=("Run", "x"), rows=tuple((f"r{n}", "word " * 200) for n in range(100)))
    view = render_home(Message(text="Scopebot", parts=(table,)), value=lambda button: button.id)
    assert "more rows did not fit." in said(view["blocks"])
