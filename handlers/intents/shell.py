"""Words of a pasted command, as a shell would split them; nothing is ever expanded or executed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_CONTINUED = re.compile(r"\\[ \t]*\n")
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
    """The words of one command. `operator`: a shell operator follows it; `rest`: what stands on later lines."""

    words: list[Word] = field(default_factory=list)
    operator: bool = False
    rest: str = ""


def split(text: str) -> Words:
    """Split the first command of `text`; what follows an operator (`;`, `|`, `>`, `$(…)`) is not read."""
    text = _NEXT_FLAG.sub(" ", _CONTINUED.sub(" ", text))
    found = Words()
    at, word, open_word, expands = 0, "", False, False
    while at < len(text):
        char = text[at]
        if char in " \t\n" or (char == "#" and not open_word):
            if open_word:
                found.words.append(Word(word, expands))
            word, open_word, expands = "", False, False
            if char in "\n#":
                line_end = text.find("\n", at)
                found.rest = text[line_end + 1 :] if line_end >= 0 else ""
                return found
            at += 1
        elif char in _PAIR and (pair := _PAIR[char].match(text, at)):
            expands |= char == '"' and bool(_EXPANDED.search(pair[1].replace("\\$", "").replace("\\`", "")))
            word += pair[1] if char == "'" else _ESCAPED.sub(r"\1", pair[1])
            open_word, at = True, pair.end()
        elif char == "\\" and at + 1 < len(text):
            word, open_word, at = word + text[at + 1], True, at + 2
        elif char == "$" and not text.startswith("$(", at):
            word, open_word, expands, at = word + char, True, True, at + 1
        elif plain := _PLAIN.match(text, at):
            word, open_word, at = word + plain[0], True, plain.end()
        else:  # an operator, or a quote that never ends
            found.operator = True
            if open_word and not (char in "<>" and word.isdigit()):
                found.words.append(Word(word, expands))
            return found
    if open_word:
        found.words.append(Word(word, expands))
    return found
