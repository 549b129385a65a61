"""How a post is found again: each card ends in a short reference to the key that it was posted under.

Feishu keeps nothing else beside a card that could be looked for, and gives back its text alone.
"""

from __future__ import annotations

import hashlib


def reference_of(key: str) -> str:
    """Return what stands at the end of what is posted under a key."""
    return f"#{_digest(key, 5)}"


def uuid_of(key: str, kind: str = "") -> str:
    """Return the id by which Feishu knows, for an hour, that something was posted; at most 50 characters.

    What is posted under one key in another way, as into the chat where its thread is gone, is another `kind`.
    """
    return _digest(f"{key}|{kind}", 20)


def _digest(key: str, size: int) -> str:
    return hashlib.blake2b(key.encode(), digest_size=size).hexdigest()
