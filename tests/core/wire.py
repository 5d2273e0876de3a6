"""Envelopes as other programs write them: the oracles of the codec's tests."""

import json
import struct
from collections.abc import Callable
from typing import Any

import msgpack

from alknet._core.envelope import Decoder, Encoder, Event

FORMATS = ("json", "msgpack")


def dumps(format: str, value: Any) -> bytes:
    """One value, as the common library of the format writes it."""
    if format == "json":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return msgpack.packb(value)


def loads(format: str, data: bytes) -> Any:
    return json.loads(data) if format == "json" else msgpack.unpackb(data, strict_map_key=False)


def envelope(format: str, type: str, id: str, payload: Any) -> bytes:
    return dumps(format, {"type": type, "id": id, "payload": payload})


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def decode(format: str, data: bytes, **limits: int) -> Event:
    [event] = Decoder(format, framed=False, **limits).feed(data)
    return event


def encode(format: str, append: Callable[[Encoder], object], **options: Any) -> bytes:
    """The one envelope that *append* appends."""
    encoder = Encoder(format, framed=False, **options)
    append(encoder)
    [data] = encoder.take()
    return data
