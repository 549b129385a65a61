"""A schedule in a sentence: when something is to come again, and what."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import JsonValue

from handlers.intents.admit import settle
from handlers.intents.lexicon import FLAGS
from handlers.intents.parsed import Parsed
from handlers.intents.when import read_when
from handlers.registry import understood

SCHEDULE_REF = re.compile(
    r"(?<![\w\-./])s#?(\d{1,6})(?![\w\-]|\.\d)|\bschedule\s+#?(\d{1,6})\b|定时(?:任务)?\s*#?(\d{1,6})", FLAGS
)
"""How a schedule is named: s3."""
STARTS = frozenset({"eval", "perf", "rag", "rerun"})
TELLS = frozenset({"compare", "leaderboard", "results", "status", "benchmarks"})

_ASKED = re.compile(
    r"\b(?:(?:please|can\s+you|could\s+you)\s+)?(?:(?:set\s+up|create|add|make)\s+(?:a\s+|an\s+)?)?"
    r"(?:schedule(?!s|d|\s*#?\d)|(?:recurring|scheduled)\s+(?:job|run|task|evaluation|post|report))"
    r"(?:\s+(?:a|an|the))?(?:\s+(?:job|run|task|evaluation|post|report|stress\s+test)(?=\s+(?:to|that|for|of|on|every|each|at)\b))?"
    r"(?:\s+(?:to|that|for|of)\b)?|(?:请|帮我)*(?:设置?|安排|创建|新建|加|建)?(?:一个|个)?定时(?:任务)?(?!\s*#?\d)",
    FLAGS,
)
_POSTS = re.compile(r"\b(?:post|send|share|publish|remind|report|show)\b|发|推送|播报|汇报|贴", FLAGS)
_EVERY = re.compile(r"\b(?:every|each)\b|每|定时", FLAGS)
_CHANNEL = re.compile(
    r"(?:\b(?:to|in|into|on)\s+(?:the\s+)?|发?(?:到|在|给))?\s*(?P<name>#[\w\u4e00-\u9fff\-]{1,80})(?:\s*(?:channel|频道|群))?(?:里|上)?",
    FLAGS,
)
_POST_IT = re.compile(
    r",?\s*(?:\band\s+)?\b(?:post|send|share)\s+(?:it|them|that|(?:the\s+)?(?:results?|scores?|summary))?\s*(?:here|there|in\s+(?:this|the)\s+(?:channel|thread))?\s*$"
    r"|,?\s*(?:并|然后)?(?:把)?(?:结果)?(?:发|贴|推送)(?:到)?(?:这里|这个频道|频道里|群里|出来)\s*$",
    FLAGS,
)
_LONGEST = 1_000


def read_schedule(text: str, parse: Callable[[str], Parsed]) -> Parsed | None:
    """Return the schedule that a sentence asks for, None for any other; `parse` reads what is to be done."""
    text = text[:_LONGEST]
    when, asked = read_when(text), _ASKED.search(text)
    if when is None and asked is None:
        return None
    args: dict[str, JsonValue] = {}
    rest = text if when is None else when.rest
    posts, every = _POSTS.search(rest), _EVERY.search(text)
    if (channel := _CHANNEL.search(rest)) is not None:
        args["channel"] = channel["name"]
        rest = f"{rest[: channel.start()]} {rest[channel.end() :]}"
    inner = parse(_POST_IT.sub("", _ASKED.sub(" ", rest).strip(" ,")).strip(" ,"))
    if not _is_meant(inner, asked=asked is not None, timed=when is not None and when.cron is not None,
                     says_so=bool(posts or every)):  # fmt: skip
        return None
    if when is not None:
        args |= {name: said for name, said in (("cron", when.cron), ("timezone", when.timezone)) if said is not None}
    if inner.intent == "rerun" and set(inner.args) == {"run"}:
        args["run"] = inner.args["run"]
    elif inner.intent in STARTS | TELLS:
        args["request"] = {"intent": inner.intent, "args": dict(inner.args)}
    return settle(understood()["schedule"], args, inner.refused)


def _is_meant(inner: Parsed, *, asked: bool, timed: bool, says_so: bool) -> bool:
    """Tell "run it every day" and "post the leaderboard daily at 9" from "how did the daily run go?"."""
    if inner.intent in STARTS:
        return True
    if inner.intent in TELLS:
        return asked or (timed and says_so)
    return asked and inner.intent == "none" and timed
