"""Numbers in words, digits and Chinese numerals."""

from __future__ import annotations

import cn2an
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.intents import numbers
from handlers.intents.numbers import to_int, to_number

UNITS = [
    word for word, value in numbers._UNITS.items() if value < 20 and len(word) > 2 and word not in {"couple", "dozen"}
]
TENS = ["", "", *numbers._TENS]


def english(number: int) -> str:
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    for scale, word in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= scale:
            rest = f" and {english(number % scale)}" if number % scale else ""
            return f"{english(number // scale)} {word}{rest}"
    raise AssertionError


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("100", 100),
        ("1,000", 1000),
        ("1k", 1000),
        ("1.5k", 1500),
        ("2 K", 2000),
        ("1w", 10_000),
        ("0.5", 0.5),
        ("10%", 0.1),
        ("12.5 percent", 0.125),
        ("100%", 1),
        ("a hundred", 100),
        ("hundred", 100),
        ("two dozen", 24),
        ("a dozen", 12),
        ("twenty-five", 25),
        ("two hundred fifty", 250),
        ("half", 0.5),
        ("a quarter", 0.25),
        ("一百", 100),
        ("两百", 200),
        ("二十", 20),
        ("百", 100),
        ("十", 10),
        ("零", 0),
        ("两千五", 2500),
        ("3万", 30_000),
        ("1千", 1000),
        ("一半", 0.5),
        ("百分之十", 0.1),
        ("三分之一", 1 / 3),
        ("5分之2", 0.4),
    ],
)
def test_a_number_as_people_write_it(said: str, number: float) -> None:
    assert to_number(said) == number
    assert isinstance(to_number(said), int) == (isinstance(number, int) and not said.endswith("%"))


@pytest.mark.parametrize(
    "said", ["", "a", "an", "many", "模型", "分之", "%", "0分之1", "1.2.3", "--", "百百百分", "12x", "½x"]
)
def test_what_is_no_number(said: str) -> None:
    assert to_number(said) is None


@given(st.integers(0, 99_999_999))
def test_chinese_numerals_come_back(number: int) -> None:
    assert to_int(cn2an.an2cn(number)) == number


@given(st.integers(0, 999_999_999))
def test_english_numbers_come_back(number: int) -> None:
    assert to_int(english(number)) == number


@given(st.integers(0, 10**12))
def test_digits_come_back(number: int) -> None:
    assert to_int(str(number)) == to_int(f"{number:,}") == number


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_nothing_raises(text: str) -> None:
    to_number(text)
