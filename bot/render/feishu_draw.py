"""The parts of a neutral message, one by one, as the components of a card."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bot.render.feishu_charts import MOST_DRAWN, drawn, is_drawn, picture, text_bars
from bot.render.feishu_fit import Piece
from bot.render.feishu_tables import as_csv, draw_table
from bot.render.feishu_text import (
    Element,
    at,
    bold,
    code,
    escape,
    grey,
    link,
    markdown,
    marked,
    plain,
    size,
)
from bot.render.text import clean, one_line, shorten
from handlers.message import Button, Buttons, Chart, Fields, Form, Link, Log, Message, Part, Progress, Table, Text
from handlers.texts import Texts

MOST_HEADLINE = 9_000
"""Bytes of a message's own text."""
MOST_SHOWN_TITLE = 150
"""Characters of the text that a title shows; of a longer one all of it stands below."""
MOST_TABLES = 5
MOST_TASKS = 40
MOST_LABEL = 60
MOST_FIELD = 600
BUTTONS_IN_A_ROW = 6
MOST_BUTTONS = 24
BAR = 20
LEAST_TEXT = 200


@dataclass(frozen=True)
class Attachment:
    """A file that is sent beside a card."""

    name: str
    content: bytes


class Drawer:
    """Makes the pieces of one message, in its order."""

    def __init__(
        self,
        message: Message,
        *,
        value: Callable[[Button], str],
        texts: Texts,
        pictures: Mapping[Chart, str],
        titled: bool,
    ) -> None:
        self._message, self._value, self._texts = message, value, texts
        self._pictures, self._titled = pictures, titled
        self._files: dict[int, Attachment] = {}
        """What a part at a place has no room for, as it was drawn last."""
        parts = list(enumerate(message.parts))
        self._tables = [at_ for at_, part in parts if isinstance(part, Table)]
        self._charts = [at_ for at_, part in parts if isinstance(part, Chart) and is_drawn(part)][:MOST_DRAWN]

    def attachments(self) -> tuple[Attachment, ...]:
        """Return the files that belong to what was drawn last."""
        return tuple(file for _, file in sorted(self._files.items()))

    def left_out(self, count: int) -> str:
        """Return what is said of parts that were left out."""
        return self._texts("cut.parts", count=count)

    def pieces(self) -> Iterator[Piece]:
        """Yield who is meant and the text, then what each part becomes; links in a row are one piece."""
        yield Piece(lambda _: self._headline(), keep=True)
        for kind, found in itertools.groupby(enumerate(self._message.parts), key=lambda item: item[1].type):
            several = dict(found)
            if kind == "link":
                links = [part for part in several.values() if isinstance(part, Link)]
                shown = " · ".join(link(part.label, part.url) for part in links)
                yield Piece(partial(_fixed, [markdown(shown)]), keep=True)
            elif kind == "progress":
                bars = [part for part in several.values() if isinstance(part, Progress)]
                yield Piece(partial(self._progress, bars))
            else:
                yield from (self._piece(part, index) for index, part in several.items())

    def _piece(self, part: Part, index: int) -> Piece:
        match part:
            case Text():
                return Piece(partial(self._text, part.text))
            case Fields():
                return Piece(partial(self._fields, part))
            case Table():
                return Piece(partial(self._table, part, index))
            case Chart():
                return Piece(partial(self._chart, part, index))
            case Log():
                return Piece(partial(self._log, part, index))
            case Buttons():
                return Piece(partial(_fixed, self._buttons(part)), keep=True)
            case Progress() | Link() | Form():  # drawn above, in a row; a form is a card of its own
                return Piece(partial(_fixed, []))

    def _headline(self) -> list[Element]:
        mention, text = at(self._message.mention), clean(self._message.text).strip()
        if self._titled and one_line(text) == text and len(text) <= MOST_SHOWN_TITLE:
            return [markdown(mention)] if mention else []
        elements = self._text(text, MOST_HEADLINE)
        if mention and elements and elements[0]["tag"] == "markdown":
            elements[0] = markdown(f"{mention} {elements[0]['content']}")
            return elements
        return [markdown(mention), *elements] if mention else elements

    def _text(self, text: str, most: int) -> list[Element]:
        """Return a paragraph within about `most` bytes."""
        text = clean(text).strip()
        if not text:
            return []
        whole = markdown(marked(text))
        if size(whole) <= most:
            return [whole]
        shown = _within(text, max(LEAST_TEXT, most - 200))
        return [markdown(escape(shown) + "…"), grey(self._texts("cut.text", count=len(text) - len(shown)))]

    def _fields(self, part: Fields, most: int) -> list[Element]:
        each = min(MOST_FIELD, max(40, most // max(1, 5 * len(part.items))))
        if not part.items:
            return []
        lines, whole = [], True
        for name, value in part.items:
            said = clean(value).strip() or "–"
            whole = whole and len(said) <= each
            lines.append(f"{bold(shorten(name, MOST_LABEL))}　{marked(shorten(said, each))}")
        return [markdown("\n".join(lines)), *([] if whole else [grey(self._texts("cut.cells"))])]

    def _table(self, part: Table, index: int, most: int) -> list[Element]:
        self._files.pop(index, None)
        if index not in self._tables[:MOST_TABLES]:
            name = self._file(index, "csv", as_csv(part))
            return [grey(self._texts("feishu.cut.table", name=name))]
        table, shown, whole = draw_table(part, most)
        notes = []
        if shown < len(part.rows):
            name = self._file(index, "csv", as_csv(part))
            rows = self._texts("cut.rows", count=len(part.rows) - shown)
            notes.append(f"{rows} {self._texts('feishu.cut.file', name=name)}")
        elif not whole:
            name = self._file(index, "csv", as_csv(part))
            notes.append(f"{self._texts('cut.cells')} {self._texts('feishu.cut.file', name=name)}")
        return [table, *map(grey, notes)]

    def _chart(self, part: Chart, index: int, most: int) -> list[Element]:
        if index in self._charts and size(component := drawn(part)) <= most:
            return [component]
        if part in self._pictures:
            return [picture(part, self._pictures[part])]
        text, left = text_bars(part)
        notes = [grey(self._texts("cut.rows", count=left))] if left else []
        return [{"tag": "div", "text": plain(text)}, *notes]

    def _progress(self, parts: Sequence[Progress], most: int) -> list[Element]:
        """Return how far runs are, a paragraph for each."""
        few = parts[:MOST_TASKS]
        each = max(60, most // max(1, len(few)) // 4)
        elements = [markdown("\n".join(_bar_lines(part, each))) for part in few]
        left = len(parts) - len(few)
        return [*elements, *([grey(self._texts("cut.rows", count=left))] if left else [])]

    def _log(self, part: Log, index: int, most: int) -> list[Element]:
        """Return lines that open when they are wanted; a log up to its end, the whole of it as a file."""
        self._files.pop(index, None)
        text = clean(part.text).strip("\n")
        title = shorten(one_line(part.title), MOST_LABEL * 2) or "…"
        notes: list[Element] = []
        if size(text) > most - 300:
            name = self._file(index, "txt", text.encode())
            end = text[len(text) - len(_within(text[::-1], max(LEAST_TEXT, most - 500))) :]
            text = end.partition("\n")[2] or end
            notes = [grey(self._texts("feishu.cut.file", name=name))]
        panel: Element = {
            "tag": "collapsible_panel",
            "expanded": False,
            "header": {"title": plain(title), "vertical_align": "center"},
            "elements": [code(text)],
        }
        return [panel, *notes]

    def _buttons(self, part: Buttons) -> list[Element]:
        columns = [
            {"tag": "column", "width": "auto", "elements": [self._button(item)]} for item in part.items[:MOST_BUTTONS]
        ]
        return [
            {"tag": "column_set", "flex_mode": "flow", "columns": columns[first : first + BUTTONS_IN_A_ROW]}
            for first in range(0, len(columns), BUTTONS_IN_A_ROW)
        ]

    def _button(self, item: Button) -> Element:
        return {
            "tag": "button",
            "text": plain(shorten(one_line(item.label), MOST_LABEL)),
            "type": "primary" if item.primary else "default",
            "behaviors": [{"type": "callback", "value": {"v": self._value(item)}}],
        }

    def _file(self, index: int, kind: str, content: bytes) -> str:
        """Keep a file for the part at a place, and return its name."""
        numbers = [at_ for at_, part in enumerate(self._message.parts) if isinstance(part, Table | Log)]
        name = f"{'table' if kind == 'csv' else 'log'}-{numbers.index(index) + 1}.{kind}"
        self._files[index] = Attachment(name, content)
        return name


def _fixed(elements: list[Element], _most: int) -> list[Element]:
    return elements


def _bar_lines(part: Progress, most: int) -> list[str]:
    """Return a run's name, how far it is, and its score so far."""
    counts = " · ".join(filter(None, [bar_text(part), one_line(part.note)]))
    lines = [bold(shorten(one_line(part.label), most)), escape(shorten(counts, max(60, most)))]
    return [*lines, *([escape(shorten(one_line(part.score), most))] if one_line(part.score) else [])]


def bar_text(part: Progress) -> str:
    """Return how far a run is: a bar and numbers; only the number where nobody knows how much there is."""
    if part.total is None:
        return f"{part.done:,}"
    full = round(BAR * min(1.0, max(0.0, part.done / part.total))) if part.total > 0 else 0
    return f"{'▓' * full}{'░' * (BAR - full)} {part.done:,} / {part.total:,}"


def _within(text: str, most: int) -> str:
    """Return the beginning of a text that takes at most `most` bytes once it is escaped."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(escape(text[:middle])) <= most else (low, middle - 1)
    return text[:low]
