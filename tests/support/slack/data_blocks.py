"""Block Kit's blocks for data: tables and charts."""

from __future__ import annotations

from typing import Any

from support.slack.objects import RICH_TEXT
from support.slack.schema import (
    Check,
    Report,
    anything,
    boolean,
    by_type,
    integer,
    listing,
    number,
    record,
    string,
)

TABLE_TEXT = 10_000
"""Characters that all tables of one message may have together."""
CHARTS = 2
"""Charts that one message may have."""
SERIES = 12
CATEGORIES = 20


def _rich_cell(value: Any, pointer: str, report: Report) -> None:
    before = report.counts["text"]
    RICH_TEXT(value, pointer, report)
    report.counts["table text"] += report.counts["text"] - before


_RAW = {
    "raw_text": record({"type": anything, "text": string(counts="table text")}),
    "raw_number": record({"type": anything, "value": number(), "text": string(counts="table text")}),
}
_CELL = by_type({**_RAW, "rich_text": _rich_cell}, "cell")
_HEADER_CELL = by_type(_RAW, "header cell")
_COLUMN = record({}, {"align": string(among=("left", "center", "right")), "is_wrapped": boolean})
_BLOCK_ID = {"block_id": string(255)}

TABLE = record(
    {"type": anything, "rows": listing(listing(_CELL, 20), 100)},
    {"column_settings": listing(_COLUMN, 20), **_BLOCK_ID},
)


def _data_rows(value: Any, pointer: str, report: Report) -> None:
    listing(listing(anything, 20), 101, 2)(value, pointer, report)
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        return
    for place, row in enumerate(value):
        report.expect(len(row) == len(value[0]), f"{pointer}/{place}", "all rows must have the same number of cells")
        cell: Check = _CELL if place else _HEADER_CELL
        for column, inner in enumerate(row):
            cell(inner, f"{pointer}/{place}/{column}", report)


def _row_header(value: dict[str, Any], pointer: str, report: Report) -> None:
    column = value.get("row_header_column_index", 0)
    report.expect(column < len(value["rows"][0]), pointer, "row_header_column_index is not a column")


DATA_TABLE = record(
    {"type": anything, "caption": string(counts="text"), "rows": _data_rows},
    {"page_size": integer(1, 100), "row_header_column_index": integer(0), **_BLOCK_ID},
    also=_row_header,
)

_LABEL = string(20, counts="text")
_AXES = record(
    {"categories": listing(_LABEL, CATEGORIES)},
    {"x_label": string(50, counts="text"), "y_label": string(50, counts="text")},
)
_SEGMENT = record({"label": _LABEL, "value": number(positive=True)})
_POINT = record({"label": _LABEL, "value": number()})
_ONE_SERIES = record({"name": _LABEL, "data": listing(_POINT, CATEGORIES)})


def _segments(value: dict[str, Any], pointer: str, report: Report) -> None:
    labels = [segment["label"] for segment in value["segments"]]
    report.expect(len(set(labels)) == len(labels), f"{pointer}/segments", "labels must be unique")


def _points(value: dict[str, Any], pointer: str, report: Report) -> None:
    categories = value["axis_config"]["categories"]
    names = [one["name"] for one in value["series"]]
    report.expect(len(set(names)) == len(names), f"{pointer}/series", "names must be unique")
    unique = len(set(categories)) == len(categories)
    report.expect(unique, f"{pointer}/axis_config/categories", "categories must be unique")
    for place, one in enumerate(value["series"]):
        labels = [point["label"] for point in one["data"]]
        same = sorted(labels) == sorted(categories)
        report.expect(same, f"{pointer}/series/{place}/data", "must have one data point for each category")


_XY = record({"type": anything, "series": listing(_ONE_SERIES, SERIES), "axis_config": _AXES}, also=_points)
_PIE = record({"type": anything, "segments": listing(_SEGMENT, SERIES)}, also=_segments)
DATA_VISUALIZATION = record(
    {
        "type": anything,
        "title": string(50, counts="text"),
        "chart": by_type({"pie": _PIE, "bar": _XY, "line": _XY, "area": _XY}, "chart"),
    },
    _BLOCK_ID,
)
