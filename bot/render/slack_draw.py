"""The parts of a neutral message, one by one, as Slack's blocks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import partial
from typing import TypeVar

from bot.render.slack_charts import MOST_DRAWN, data_visualization, is_drawn, picture, text_bars
from bot.render.slack_fit import Piece
from bot.render.slack_tables import Look, draw_table, fits_plain
from bot.render.slack_text import (
    MOST_SECTION,
    Block,
    bold,
    chunks,
    context,
    escape,
    link_text,
    mrkdwn,
    plain,
    rich,
    run_of,
    section,
    text_length,
    titled,
)
from bot.render.text import clean, one_line, shorten
from handlers.message import Button, Buttons, Chart, Fields, Form, Link, Log, Message, Part, Progress, Table, Text
from handlers.texts import Texts

ENGLISH = Texts("en")
MOST_HEADLINE = 6_000
MOST_FIELD = 1_900
"""Characters of one field; Slack takes 2,000."""
MOST_FIELDS = 10
"""Fields of one section."""
MOST_BUTTONS = 25
"""Buttons of one block."""
MOST_LABEL = 75
MOST_TASKS = 30
MOST_TASK = 1_500
MOST_TITLE = 200
MOST_LOG = 2_900
LEAST_LOG = 100
FEW_LINES = 12
"""Lines of a command: it keeps its beginning. A longer log keeps its end."""
BAR = 20
STATUS = {
    "waiting": "pending",
    "paused": "pending",
    "running": "in_progress",
    "succeeded": "complete",
    "failed": "error",
    "cancelled": "error",
}
_PERSON = re.compile(r"[UW][A-Z0-9]{1,31}")
_RUN = re.compile(r"\br\d{1,9}\b")


class Level(IntEnum):
    """Which blocks a workspace takes: text alone, one plain table and pictures too, or tables, charts and tasks."""

    TEXT = 0
    PLAIN = 1
    RICH = 2


def mention_of(message: Message) -> str:
    """Return the mark that brings a message to a person's notice; empty where nobody is meant."""
    person = message.mention.rpartition(":")[2]
    return f"<@{person}> " if _PERSON.fullmatch(person) else ""


class Drawer:
    """Makes the pieces of one message, in its order."""

    def __init__(
        self,
        message: Message,
        level: Level,
        *,
        value: Callable[[Button], str],
        pictures: Sequence[str] = (),
        texts: Texts = ENGLISH,
    ) -> None:
        self.message = message
        self._level = level
        self._value = value
        self.texts = texts
        self._numbers = itertools.count()
        self._task_ids: set[str] = set()
        parts = list(enumerate(message.parts))
        charts = [at for at, part in parts if isinstance(part, Chart)]
        self._pictures = dict(zip(charts, pictures, strict=False))
        rich_charts = [at for at, part in parts if level is Level.RICH and isinstance(part, Chart) and is_drawn(part)]
        self._drawn = rich_charts[:MOST_DRAWN]
        tables = (at for at, part in parts if level is Level.PLAIN and isinstance(part, Table) and fits_plain(part))
        self._plain = next(tables, None)
        page = texts("result.page")
        self._has_page = any(isinstance(part, Link) and part.label.startswith(page) for part in message.parts)

    def pieces(self) -> Iterator[Piece]:
        """Yield the headline, then what each part becomes; links in a row are one piece, and so are bars."""
        yield Piece(lambda _: self.headline(), keep=True)
        for kind, found in itertools.groupby(enumerate(self.message.parts), key=lambda item: item[1].type):
            several = dict(found)
            if kind == "link":
                yield Piece(partial(_fixed, link_blocks(_only(Link, several.values()))), keep=True)
            elif kind == "progress" and self._level is Level.RICH:
                yield Piece(partial(self._tasks, _only(Progress, several.values())))
            else:
                yield from (self.piece(part, at) for at, part in several.items())

    def left_out(self, count: int) -> str:
        """Return what is said of parts that were left out."""
        return self.said(self.texts("cut.parts", count=count))

    def said(self, *notes: str) -> str:
        """Return what is said of what was left out, and where it is."""
        return " ".join([*notes, self.texts("cut.page")] if self._has_page else notes)

    def piece(self, part: Part, at: int) -> Piece:
        """Return what the part at a place becomes."""
        match part:
            case Text():
                return Piece(partial(self.text, part.text))
            case Fields():
                return Piece(partial(self._fields, part))
            case Table():
                return Piece(partial(self._table, part, at), table=True)
            case Chart():
                return Piece(partial(self._chart, part, at))
            case Progress():
                return Piece(partial(self.bar, part))
            case Log():
                return Piece(partial(self._log, part))
            case Link():
                return Piece(partial(_fixed, link_blocks([part])), keep=True)
            case Buttons():
                return Piece(partial(_fixed, self.buttons(part)), keep=True)
            case Form():
                return Piece(partial(_fixed, []))  # Slack has modals: nobody is given one in a message

    def noted(self, blocks: list[Block], notes: Sequence[str]) -> list[Block]:
        """Return blocks with what is said of what they lack."""
        return [*blocks, context(self.said(*notes))] if notes else blocks

    def headline(self) -> list[Block]:
        """Return the message's text, whoever it is for mentioned before it."""
        mention = mention_of(self.message)
        blocks = self.text(self.message.text, MOST_HEADLINE)
        if blocks:
            blocks[0] = section(mention + blocks[0]["text"]["text"])
            return blocks
        return [section(mention.strip())] if mention else []

    def text(self, text: str, most: int) -> list[Block]:
        """Return a paragraph within about `most` characters."""
        text = clean(text).strip()
        if len(escape(text)) <= most:
            return [section(escape(each)) for each in chunks(text)]
        start = next(chunks(text, max(1, most - 200)))
        blocks = [section(escape(each)) for each in chunks(start + "…")]
        return self.noted(blocks, [self.texts("cut.text", count=len(text) - len(start))])

    def _fields(self, part: Fields, most: int) -> list[Block]:
        each = min(MOST_FIELD, max(40, most // max(1, len(part.items)) - 20))
        found, notes = [], []
        for name, value in part.items:
            start = f"{bold(shorten(name, 200))}\n" if one_line(name) else ""
            said = next(chunks(clean(value), max(1, each - len(start))), "")
            if len(said) < len(clean(value).strip()):
                said, notes = f"{said}…", [self.texts("cut.cells")]
            found.append(mrkdwn(start + (escape(said) or "–")))
        blocks: list[Block] = [
            {"type": "section", "fields": found[at : at + MOST_FIELDS]} for at in range(0, len(found), MOST_FIELDS)
        ]
        return self.noted(blocks, notes)

    def _table(self, part: Table, at: int, most: int) -> list[Block]:
        look: Look = "data_table" if self._level is Level.RICH else "table" if at == self._plain else "text"
        return self.noted(*draw_table(part, look, most, self.texts))

    def _chart(self, part: Chart, at: int, most: int) -> list[Block]:
        if at in self._drawn and text_length(drawn := data_visualization(part)) <= most:
            return [drawn]
        uploaded = self._pictures.get(at)
        if uploaded and self._level >= Level.PLAIN:
            return [picture(part, uploaded)]
        return self.noted(*text_bars(part, most, self.texts))

    def bar(self, part: Progress, most: int) -> list[Block]:
        """Return how far a run is, as text."""
        counts = " · ".join(filter(None, [bar_text(part), one_line(part.note)]))
        said = [bold(part.label), escape(counts), escape(one_line(part.score))]
        text = "\n".join(filter(None, said))
        if len(text) <= min(most, MOST_SECTION):
            return [section(text)]
        return self.text(f"{part.label}\n{counts}\n{part.score}", most)

    def _tasks(self, parts: Sequence[Progress], most: int) -> list[Block]:
        few = parts[:MOST_TASKS]
        each = min(MOST_TASK, max(60, most // len(few) - 40))
        self._task_ids.clear()
        tasks: list[Block] = []
        notes: list[str] = []
        for part in few:
            task, whole = self._task(part, each)
            tasks.append(task)
            notes = notes if whole else [self.texts("cut.cells")]
        if len(parts) > len(few):
            notes.append(self.texts("cut.rows", count=len(parts) - len(few)))
        if len(tasks) == 1:
            return self.noted(tasks, notes)
        return self.noted(
            [{"type": "plan", "title": self.texts("slack.runs", count=len(parts)), "tasks": tasks}], notes
        )

    def _task(self, part: Progress, most: int) -> tuple[Block, bool]:
        """Return a task, and whether it shows all that is to be said."""
        said = [one_line(part.label) or "–", one_line(part.note), one_line(part.score)]
        label, note, score = (shorten(text, most // 3) for text in said)
        details = " · ".join(filter(None, [bar_text(part), note]))
        task: Block = {
            "type": "task_card",
            "task_id": self._task_id(part.label),
            "title": label,
            "status": STATUS[part.state],
            "details": _sentence(details),
        }
        return task | ({"output": _sentence(score)} if score else {}), [label, note, score] == said

    def _task_id(self, label: str) -> str:
        """Return the run's name, so that a task stays the same as it goes on."""
        found = _RUN.search(label)
        name = found[0] if found is not None else "task"
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        task_id = next(each for each in itertools.chain([name], numbered) if each not in self._task_ids)
        self._task_ids.add(task_id)
        return task_id

    def _log(self, part: Log, most: int) -> list[Block]:
        """Return lines as they are: a command from its beginning, a log up to its end."""
        text, title = clean(part.text).strip("\n"), shorten(one_line(part.title), MOST_TITLE)
        room = max(LEAST_LOG, min(MOST_LOG, most - len(title) - 150))
        if len(text) <= room:
            return [titled(title, text)]
        if text.count("\n") < FEW_LINES:
            return self.noted([titled(title, text[:room])], [self.texts("cut.command", count=len(text) - room)])
        end = text[-room:].partition("\n")[2] or text[-room:]
        lines = text[: -len(end)].count("\n")
        return self.noted([titled(title, end)], [self.texts("cut.lines", count=max(1, lines))])

    def buttons(self, part: Buttons) -> list[Block]:
        """Return buttons, each with an action of its own."""
        found = [self._button(item) for item in part.items]
        return [
            {"type": "actions", "elements": found[at : at + MOST_BUTTONS]} for at in range(0, len(found), MOST_BUTTONS)
        ]

    def _button(self, item: Button) -> Block:
        button: Block = {
            "type": "button",
            "action_id": f"b{next(self._numbers)}",
            "text": plain(item.label, MOST_LABEL),
            "value": self._value(item),
        }
        return button | ({"style": "primary"} if item.primary else {})


P = TypeVar("P", bound=Part)


def _only(kind: type[P], parts: Iterable[Part]) -> list[P]:
    return [part for part in parts if isinstance(part, kind)]


def _fixed(blocks: list[Block], _most: int) -> list[Block]:
    return blocks


def _sentence(text: str) -> Block:
    return rich({"type": "rich_text_section", "elements": [run_of(text)]})


def bar_text(part: Progress) -> str:
    """Return how far a run is: a bar and numbers; only the number where nobody knows how much there is."""
    if part.total is None:
        return f"{part.done:,}"
    full = round(BAR * min(1.0, max(0.0, part.done / part.total))) if part.total > 0 else 0
    return f"{'▓' * full}{'░' * (BAR - full)} {part.done:,} / {part.total:,}"


def link_blocks(parts: Sequence[Link]) -> list[Block]:
    """Return links in a row, in as few sections as they fit into."""
    lines, line = [], ""
    for shown in (link_text(part.label, part.url) for part in parts):
        if line and len(line) + len(shown) + 3 > MOST_SECTION:
            lines.append(line)
            line = ""
        line = f"{line} · {shown}" if line else shown
    return [section(each) for each in [*lines, line] if each]
