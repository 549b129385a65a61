"""What we say, platform-neutral: a message is text and an ordered list of parts that each platform renders."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.models import Frozen

State = Literal["waiting", "running", "paused", "succeeded", "failed", "cancelled"]
"""How a run stands, as a bar shows it."""


class Text(Frozen):
    """A paragraph."""

    type: Literal["text"] = "text"
    text: str


class Fields(Frozen):
    """Short facts, name and value."""

    type: Literal["fields"] = "fields"
    items: tuple[tuple[str, str], ...]


class Table(Frozen):
    """Rows under columns; `numeric` names the columns that are aligned right."""

    type: Literal["table"] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()


class Series(Frozen):
    """One row of figures of a chart, one for each category; None where there is none."""

    name: str
    values: tuple[float | None, ...]


class Chart(Frozen):
    """Figures as bars or lines: each series has one value for each of the `categories`."""

    type: Literal["chart"] = "chart"
    title: str
    kind: Literal["bar", "line"]
    categories: tuple[str, ...]
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""


class Progress(Frozen):
    """How far a run is. `score` is the running score as people read it, `note` place, rate or time to go."""

    type: Literal["progress"] = "progress"
    label: str
    done: int
    total: int | None
    score: str = ""
    note: str = ""
    state: State = "running"


class Log(Frozen):
    """Lines of a log or a command, kept as they are."""

    type: Literal["log"] = "log"
    title: str
    text: str


class Link(Frozen):
    """A link people can follow."""

    type: Literal["link"] = "link"
    label: str
    url: str


class Button(Frozen):
    """`id` comes back when it is pressed."""

    id: str
    label: str
    primary: bool = False


class Buttons(Frozen):
    """A choice; or `shortcuts` to what could be said in words as well, which a terminal leaves out."""

    type: Literal["buttons"] = "buttons"
    items: tuple[Button, ...]
    shortcuts: bool = False


class Form(Frozen):
    """A form to fill in for an intent, in the message itself: for people of whom `Incoming.fills_forms` holds."""

    type: Literal["form"] = "form"
    intent: str


Part = Text | Fields | Table | Chart | Progress | Log | Link | Buttons | Form


class Message(Frozen):
    """`text` alone says what matters, for notifications and for platforms that render nothing else."""

    text: str
    parts: tuple[Part, ...] = Field(default=())
    mention: str = ""
    """Whom it is to be brought to the notice of: a person, as `Incoming.user` has them; nobody where it is empty."""
