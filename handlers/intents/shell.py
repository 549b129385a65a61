"""Words of a pasted command, as a shell would split them; nothing is ever expanded or executed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_CONTINUED = re.compile(r"\\[ \t]*\n|[\^`][ \t]*\n(?=\s*[—–-]{1,2}[a-z])|\\\s*$")
"""A line that goes on, as sh, cmd and PowerShell write it; or a backslash with nothing left to go on with."""
_NEXT_FLAG = re.compile(r"\n\s*(?=[—–-]{1,2}[a-z])")
_PAIR = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)}
_ESCAPED = re.compile(r'\\(["\\$`])')
_EXPANDED = re.compile(r"\$[\w({]|`")
_PLAIN = re.compile(r"[^\s'\"\\;&|<>$`()]+")


@dataclass(frozen=True)
class Word:
    """One word. `expands`: the shell would put something else in its place ($KEY), so its value is not known."""

    text: str
    expands: bool = False


@dataclass
class Words:
    """The words of one command.

    `operator`: a shell operator follows it; `unclosed`: a quote never ends; `rest`: what stands on later lines.
    """

    words: list[Word] = field(default_factory=list)
    operator: bool = False
    unclosed: bool = False
    rest: str = ""


def split(text: str) -> Words:
    """Split the first command of `text`; what follows an operator (`;`, `|`, `>`, `$(…)`) is not read."""
    text = _NEXT_FLAG.sub(" ", _CONTINUED.sub(" ", text))
    found = Words()
    at, word = 0, None
    while at < len(text):
        char = text[at]
        if char in " \t\n" or (char == "#" and word is None):
            if word is not None:
                found.words.append(word)
            word = None
            if char in "\n#":
                found.rest = text[at:].partition("\n")[2]
                return found
            at += 1
            continue
        part, end = _part(text, at)
        if end == at:  # an operator, or a quote that never ends
            found.operator = char not in _PAIR
            found.unclosed = char in _PAIR
            word = None if word is not None and char in "<>" and word.text.isdigit() else word
            break
        word, at = Word((word.text if word else "") + part.text, part.expands or bool(word and word.expands)), end
    if word is not None:
        found.words.append(word)
    return found


def _part(text: str, at: int) -> tuple[Word, int]:
    """Read one quoted, escaped or plain part of a word; return it and where it ends, `at` if it is none."""
    char = text[at]
    if char in _PAIR:
        pair = _PAIR[char].match(text, at)
        if pair is None:
            return Word(""), at
        if char == "'":
            return Word(pair[1]), pair.end()
        expands = _EXPANDED.search(pair[1].replace("\\$", "").replace("\\`", "")) is not None
        return Word(_ESCAPED.sub(r"\1", pair[1]), expands), pair.end()
    if char == "\\":
        return Word(text[at + 1 : at + 2]), min(at + 2, len(text)) if at + 1 < len(text) else at
    if char == "$" and not text.startswith("$(", at):
        return Word(char, expands=True), at + 1
    plain = _PLAIN.match(text, at)
    return (Word(""), at) if plain is None else (Word(plain[0]), plain.end())
