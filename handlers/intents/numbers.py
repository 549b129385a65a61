"""Numbers as people write them: 100, 1,000, 1k, 10%, a hundred, 一百, 两千, 一半."""

from __future__ import annotations

import math
import re

import cn2an

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "a": 1, "an": 1, "couple": 2, "dozen": 12,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SUFFIXES = {"k": 1000, "w": 10_000, "m": 1_000_000, "十": 10, "百": 100, "千": 1000, "万": 10_000}
_FRACTIONS = {
    "half": 0.5, "one half": 0.5, "a half": 0.5, "一半": 0.5, "半数": 0.5, "a quarter": 0.25, "one quarter": 0.25,
    "a fifth": 0.2, "one fifth": 0.2, "a tenth": 0.1, "one tenth": 0.1,
}  # fmt: skip

_SURE_WORD = "|".join(sorted({*_UNITS, *_TENS, *_SCALES} - {"a", "an", "couple"}, key=len, reverse=True))
_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,15})?(?:\s?[十百千万]|\s?[kKwW](?!\w))?"
_HAN = "[零〇一二两三四五六七八九十百千万]{1,12}"

_FIRST = rf"(?:{_SURE_WORD}|an?\s+(?:couple\s+of\s+)?(?:hundred|thousand|dozen))"
_ENGLISH = rf"(?<![\w\-]){_FIRST}(?:(?:\s+and\s+|[\s\-]+)(?:{_SURE_WORD})){{0,8}}(?!\w)"

NUMBER = rf"(?:(?<![\w./])(?<!\w-){_DIGITS}|{_HAN}|{_ENGLISH})"
"""A pattern (no groups; use with IGNORECASE and ASCII) of one number without a sign."""

FRACTION = "(?:" + "|".join(sorted(_FRACTIONS, key=len, reverse=True)) + ")"
"""A pattern of a fraction said in words: half, 一半."""

_PERCENT = re.compile(r"(.+?)\s*(?:%|per\s?cent)")
_PARTS = re.compile(r"(.+?)分之(.+)")
_TENTHS = re.compile("(.)成")
_PLAIN = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s?([a-z十百千万])?", re.ASCII)


def to_number(said: str) -> int | float | None:
    """Return the number that `said` is, None if it is none. Whole numbers are int, shares are fractions of 1."""
    said = said.strip().lower()
    if said in _FRACTIONS:
        return _FRACTIONS[said]
    if match := _PERCENT.fullmatch(said):
        return _share(to_number(match[1]), 100)
    if match := _PARTS.fullmatch(said):
        return _share(to_number(match[2]), to_number(match[1]))
    if match := _TENTHS.fullmatch(said):
        return _share(to_number(match[1]), 10)
    if match := _PLAIN.fullmatch(said):
        return _plain(match[1], match[2])
    return _english(said) if said.isascii() else _han(said)


def to_int(said: str) -> int | None:
    """Return the whole number that `said` is, None if it is none."""
    number = to_number(said)
    return number if isinstance(number, int) else None


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _plain(digits: str, suffix: str | None) -> int | float | None:
    factor = 1 if suffix is None else _SUFFIXES.get(suffix)
    if factor is None or len(digits) > 40:
        return None
    digits = digits.replace(",", "")
    if "." not in digits:
        return int(digits) * factor
    value = round(float(digits) * factor, 9)
    return int(value) if suffix is not None and value.is_integer() and math.isfinite(value) else value


def _english(said: str) -> int | None:
    words = [word for word in re.split(r"[\s\-]+", said) if word not in {"and", "of"}]
    total = group = 0
    for place, word in enumerate(words):
        if word in _UNITS or word in _TENS:
            group = group * 12 if word == "dozen" and place and group else group + (_UNITS | _TENS)[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        else:
            return None
    return total + (0 if words == ["a"] else group) if words and words not in (["a"], ["an"]) else None


def _han(said: str) -> int | float | None:
    if not re.fullmatch("[零〇一二两三四五六七八九十百千万亿廿点]{1,30}", said):
        return None
    if said[0] in "百千万":
        said = "一" + said
    try:
        value: int | float = cn2an.cn2an(said, "smart")
    except ValueError:
        return None
    return value
