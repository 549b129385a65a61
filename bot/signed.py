"""Buttons' values: signed, so that nobody can press what was never shown, and bound to their workspace and post."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

GOOD_FOR = 30 * 24 * 3600
"""Seconds in which a button may be pressed."""
EXPIRED, INVALID = "expired", "invalid"


class Pressed(NamedTuple):
    """Which button of which post was pressed; `EXPIRED` or `INVALID` in place of one that may not be."""

    button: str
    post: str


class Signer:
    """Signs buttons and reads them."""

    def __init__(self, secret_key: str) -> None:
        signing = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._serializer = URLSafeTimedSerializer(secret_key, salt="scopebot button", signer_kwargs=signing)

    def value(self, button: str, *, post: str, team: str) -> str:
        """Return a button's value."""
        signed = self._serializer.dumps([button, post, team])
        return signed if isinstance(signed, str) else signed.decode()

    def read(self, value: str, *, team: str) -> Pressed:
        """Return what a value stands for."""
        try:
            button, post, whose = self._serializer.loads(value, max_age=GOOD_FOR)
        except SignatureExpired:
            return Pressed(EXPIRED, "")
        except (BadData, ValueError, TypeError):
            return Pressed(INVALID, "")
        return Pressed(str(button), str(post)) if whose == team else Pressed(INVALID, "")
