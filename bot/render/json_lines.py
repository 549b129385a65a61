"""Neutral message → one JSON line per post or edit, for programs."""

from __future__ import annotations

import json
from typing import Literal

from handlers.message import Message


def json_line(kind: Literal["post", "edit"], message_id: str, thread: str, message: Message) -> str:
    """Return the line: kind, id, thread, text and parts, each with its type first."""
    parts = [part.model_dump(mode="json", exclude={"shortcuts"}) for part in message.parts]
    line = {"kind": kind, "id": message_id, "thread": thread, "text": message.text, "parts": parts}
    return json.dumps(line, ensure_ascii=False)
