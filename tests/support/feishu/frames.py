"""The binary frames of the long connection, written and read by hand: what the bot's SDK does, another way."""

from __future__ import annotations

from dataclasses import dataclass, field

VARINTS = {1: "seq_id", 2: "log_id", 3: "service", 4: "method"}
TEXTS = {6: "encoding", 7: "payload_type", 9: "log_id_new"}
CONTROL, DATA = 0, 1


@dataclass
class Frame:
    """One frame; `method` is `CONTROL` or `DATA`."""

    method: int
    headers: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""
    service: int = 0
    seq_id: int = 0
    log_id: int = 0
    encoding: str = ""
    payload_type: str = ""
    log_id_new: str = ""


def write(frame: Frame) -> bytes:
    """Return a frame as it goes over the wire."""
    out = b"".join(_tag(number, 0) + _varint(int(getattr(frame, name))) for number, name in VARINTS.items())
    for key, value in frame.headers.items():
        out += _tag(5, 2) + _sized(_tag(1, 2) + _sized(key.encode()) + _tag(2, 2) + _sized(value.encode()))
    return out + (_tag(8, 2) + _sized(frame.payload) if frame.payload else b"")


def read(data: bytes) -> Frame:
    """Return a frame that came over the wire. Raises ValueError for what is none."""
    frame = Frame(method=-1)
    for number, value in _fields(data):
        if number in VARINTS and isinstance(value, int):
            setattr(frame, VARINTS[number], value)
        elif number == 5 and isinstance(value, bytes):
            pair = dict(_fields(value))
            key, said = pair.get(1), pair.get(2)
            if not isinstance(key, bytes) or not isinstance(said, bytes):
                raise ValueError("a header has a key and a value")
            frame.headers[key.decode()] = said.decode()
        elif number == 8 and isinstance(value, bytes):
            frame.payload = value
        elif number not in TEXTS:
            raise ValueError(f"field {number}")
    if frame.method not in {CONTROL, DATA}:
        raise ValueError("no method")
    return frame


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == 0:
            number, at = _read_varint(data, at)
            found.append((tag >> 3, number))
        elif tag & 7 == 2:
            length, at = _read_varint(data, at)
            if at + length > len(data):
                raise ValueError("cut short")
            found.append((tag >> 3, data[at : at + length]))
            at += length
        else:
            raise ValueError(f"wire type {tag & 7}")
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("cut short")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
