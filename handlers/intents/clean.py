"""Clean-up of what a platform hands over: markup, widths, quotes and invisible characters."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans("“”„‟«»‘’‚‛′″「」『』", '""""""\'\'\'\'\'"""""')
_SLACK_LINK = re.compile(r"<((?:https?|mailto):[^<>|\s]{1,2000})(?:\|[^<>]{0,2000})?>")
_SLACK_CHANNEL = re.compile(r"<#[A-Z0-9]{1,20}\|([^<>]{0,100})>")
_MENTION = re.compile(r"<[@!#][^<>\s]{0,100}>|<at [^<>]{0,200}>(?:[^<>]{0,100}</at>)?|@_(?:user_\d{1,6}|all)\b")
_OWN_NAME = re.compile(r"^\s*(?:@scopebot\b|scopebot\s*[,:])[\s,:]*", re.IGNORECASE | re.ASCII)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_BLANKS = re.compile(r"[^\S\n]+")
_LONGEST_WORD = 200
_TOO_LONG = re.compile(rf"(?<![\w\-./:+*'])(?!https?:)[\w\-./:+*']{{{_LONGEST_WORD},}}", re.ASCII)
_SIGNS = str.maketrans({"：": "： ", "？": "？ ", "！": "！ "})
"""Full-width signs that end something: half-width ones do so only before a blank."""
_LIST_SIGN = re.compile("(?<=[0-9０-９])[，、](?=[0-9０-９])")
"""A full-width comma between digits is never one of thousands: 并发 10，100 个请求."""
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\u0085\v\f]")


def clean(text: str) -> str:
    """Return `text` as the person meant it: half-width, plain quotes, no mentions. Code ticks stay."""
    text = _LIST_SIGN.sub(", ", _LINE_ENDS.sub("\n", text)).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    text = _SLACK_CHANNEL.sub(r"#\1", _SLACK_LINK.sub(r"\1", text))
    text = _MENTION.sub(" ", text)
    for entity, char in _ENTITIES:
        text = text.replace(entity, char)
    return _OWN_NAME.sub("", text).strip()


def mentions_somebody(text: str) -> bool:
    """Tell whether a platform's mark of a person or a channel stands in `text`."""
    return _MENTION.search(text) is not None


def without_ticks(text: str) -> str:
    """Return `text` without the ticks of inline code and code blocks."""
    return text.replace("`", " ").strip()


def unquoted(text: str) -> str:
    """Return what a person says beside what they quote: lines that begin with `>` are somebody else's words."""
    lines = text.splitlines()
    own = [line for line in lines if not line.lstrip().startswith(">")]
    return "\n".join(own) if any(line.strip() for line in own) else text


def squeeze(text: str) -> str:
    """Return `text` with single blanks, and without words that are too long to be the name of anything."""
    return _BLANKS.sub(" ", _TOO_LONG.sub(" ", text))
