"""Block Kit's composition objects: texts, options, confirmation dialogs, files, and rich text."""

from __future__ import annotations

from typing import Any

from support.slack.schema import (
    Check,
    Report,
    anything,
    boolean,
    by_type,
    exactly_one,
    integer,
    listing,
    record,
    string,
)

URL = string(3000, pattern=r"(?s)(https?|mailto|slack|tel):.+")
WEB_URL = string(3000, pattern=r"https?://\S+")


def plain(most: int, least: int = 1) -> Check:
    """Take a plain_text object."""
    return by_type({"plain_text": _plain(most, least)}, "type of text")


def any_text(most: int, least: int = 1) -> Check:
    """Take a plain_text or mrkdwn object."""
    mrkdwn = record({"type": anything, "text": string(most, least, counts="text")}, {"verbatim": boolean})
    return by_type({"plain_text": _plain(most, least), "mrkdwn": mrkdwn}, "type of text")


def _plain(most: int, least: int) -> Check:
    return record({"type": anything, "text": string(most, least, counts="text")}, {"emoji": boolean})


def option(text: Check | None = None, *, url: bool = False) -> Check:
    """Take an option of a menu, a checkbox group, …"""
    optional = {"description": any_text(75)} | ({"url": URL} if url else {})
    return record({"text": text or plain(75), "value": string(150)}, optional)


CONFIRM = record(
    {"title": plain(100), "text": any_text(300)},
    {"confirm": plain(30), "deny": plain(30), "style": string(among=("primary", "danger"))},
)
DISPATCH = record(
    {"trigger_actions_on": listing(string(among=("on_enter_pressed", "on_character_entered")), 2)},
)


def _not_empty(value: Any, pointer: str, report: Report) -> None:
    report.expect(value, pointer, "must not be empty")


FILTER = record(
    {},
    {
        "include": listing(string(among=("im", "mpim", "private", "public")), 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
    also=_not_empty,
)


def _ready(value: dict[str, Any], pointer: str, report: Report) -> None:
    exactly_one("id", "url")(value, pointer, report)
    problem = report.file_problem(value)
    report.expect(problem is None, pointer, problem or "")


SLACK_FILE = record({}, {"id": string(), "url": string(3000)}, also=_ready)

# rich text

_STYLE = record({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean))
_LINK_STYLE = record({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean))
_MENTION_STYLE = record(
    {}, dict.fromkeys(("bold", "italic", "strike", "highlight", "client_highlight", "unlink"), boolean)
)


def _inline(required: dict[str, Check], style: Check = _MENTION_STYLE, **optional: Check) -> Check:
    return record({"type": anything, **required}, {"style": style, **optional})


_TEXT = _inline({"text": string(counts="text")}, _STYLE)
_RICH_LINK = _inline({"url": URL}, _LINK_STYLE, text=string(counts="text"), unsafe=boolean)
INLINE = by_type(
    {
        "text": _TEXT,
        "link": _RICH_LINK,
        "user": _inline({"user_id": string(pattern=r"[UW][A-Z0-9]+")}),
        "channel": _inline({"channel_id": string(pattern=r"[CGD][A-Z0-9]+")}),
        "usergroup": _inline({"usergroup_id": string(pattern=r"S[A-Z0-9]+")}),
        "team": _inline({"team_id": string()}),
        "emoji": _inline({"name": string()}, unicode=string(), skin_tone=integer(1, 6)),
        "date": _inline({"timestamp": integer(0), "format": string()}, url=URL, fallback=string()),
        "broadcast": _inline({"range": string(among=("here", "channel", "everyone"))}),
        "color": _inline({"value": string(pattern=r"#[0-9A-Fa-f]{6}")}),
    },
    "rich text element",
)
_BORDER = integer(0, 1)
_SECTION = record({"type": anything, "elements": listing(INLINE, least=0)})
_RICH_PARTS = by_type(
    {
        "rich_text_section": _SECTION,
        "rich_text_quote": record({"type": anything, "elements": listing(INLINE, least=0)}, {"border": _BORDER}),
        "rich_text_preformatted": record(
            {"type": anything, "elements": listing(by_type({"text": _TEXT, "link": _RICH_LINK}))}, {"border": _BORDER}
        ),
        "rich_text_list": record(
            {
                "type": anything,
                "style": string(among=("bullet", "ordered")),
                "elements": listing(by_type({"rich_text_section": _SECTION})),
            },
            {"indent": integer(0, 8), "offset": integer(0), "border": _BORDER},
        ),
    },
    "rich text part",
)
RICH_TEXT = by_type(
    {"rich_text": record({"type": anything, "elements": listing(_RICH_PARTS)}, {"block_id": string(255)})}
)
