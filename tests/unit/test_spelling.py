"""Slips of the pen are mended in our words, and in nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.intents.parsed import Vocabulary
from handlers.intents.spelling import WORDS, mend
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod", "strass", "parralel"}))


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("evalute prod on gsm8k, 20 smaples", "evaluate prod on gsm8k, 20 samples"),
        ("bechmark qwen-plus", "benchmark qwen-plus"),
        ("strees test prod, concurency 8, 80 reqeusts", "stress test prod, concurrency 8, 80 requests"),
        ("leaderbord for gsm8k", "leaderboard for gsm8k"),
    ],
)
def test_a_slip_is_mended(text: str, mended: str) -> None:
    assert mend(text, VOCABULARY) == mended


@pytest.mark.parametrize(
    "text",
    [
        "a simple question", "two stores", "the second state", "tests", "evalscope", "strass", "parralel",
        "model-sampels", "/sampels", "sampels.json", "SMAPLES", "hallusion_bench", "race and drop", "evaluated",
    ],
)  # fmt: skip
def test_a_word_of_its_own_and_a_name_stay(text: str) -> None:
    assert mend(text, VOCABULARY) == text


@given(st.sampled_from(sorted(WORDS)))
def test_a_word_that_is_right_stays(word: str) -> None:
    assert mend(word, VOCABULARY) == word
