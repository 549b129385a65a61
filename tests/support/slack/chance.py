"""Tokens and secrets: different at each start, or always the same for one seed."""

from __future__ import annotations

import random

_random = random.Random()


def seed(number: int | None) -> None:
    """Have the same tokens follow from one number."""
    _random.seed(number)


def token(size: int = 8) -> str:
    """Return a new token of so many bytes, as hexadecimal digits."""
    return _random.randbytes(size).hex()
