"""What goes over the long connection: binary frames of the SDK's own schema."""

from __future__ import annotations

import base64
import json
import time
from collections import OrderedDict
from typing import Any, Final

from lark_oapi.ws.pb import pbbp2_pb2
from lark_oapi.ws.pb.google.protobuf.message import DecodeError

CONTROL, DATA = 0, 1
Frame: Any = pbbp2_pb2.Frame
PARTS_KEPT: Final = 30.0
"""Seconds for which the first parts of an event wait for the others; then it is delivered again as a whole."""
MOST_PARTS = 100
TOLD, NOT_TOLD = 200, 500


def read(data: bytes) -> Any:
    """Return a frame of the SDK's, None for what is none."""
    frame = Frame()
    try:
        frame.ParseFromString(data)
    except (DecodeError, ValueError, IndexError):
        return None
    return frame


def header(frame: Any, key: str) -> str:
    """Return one of a frame's headers, empty where it has none of that name."""
    return next((str(each.value) for each in frame.headers if each.key == key), "")


def ping(service: int) -> bytes:
    """Return what Feishu answers with a pong."""
    frame = Frame()
    frame.headers.add(key="type", value="ping")
    frame.service, frame.method, frame.SeqID, frame.LogID = service, CONTROL, 0, 0
    return bytes(frame.SerializeToString())


def answer(frame: Any, code: int, began_at: float, result: dict[str, Any] | None = None) -> bytes:
    """Return the acknowledgement of an event; with `result` what the person who clicked sees of it."""
    frame.headers.add(key="biz_rt", value=str(round((time.monotonic() - began_at) * 1000)))
    said: dict[str, Any] = {"code": code}
    if result is not None:
        said["data"] = base64.b64encode(json.dumps(result, ensure_ascii=False).encode()).decode()
    frame.payload = json.dumps(said).encode()
    return bytes(frame.SerializeToString())


class Parts:
    """Events that come in several frames, until all of them are there."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[float, dict[int, bytes]]] = OrderedDict()

    def whole(self, frame: Any) -> bytes | None:
        """Return the payload of an event once all of it is there."""
        count = int(header(frame, "sum") or 1)
        if count <= 1:
            return bytes(frame.payload)
        self._forget()
        name = header(frame, "message_id")
        _, parts = self._waiting.setdefault(name, (time.monotonic(), {}))
        parts[int(header(frame, "seq") or 0)] = bytes(frame.payload)
        if len(parts) < count:
            return None
        del self._waiting[name]
        return b"".join(parts[at] for at in sorted(parts))

    def _forget(self) -> None:
        now = time.monotonic()
        while self._waiting:
            began_at, _ = next(iter(self._waiting.values()))
            if now - began_at < PARTS_KEPT and len(self._waiting) < MOST_PARTS:
                return
            self._waiting.popitem(last=False)
