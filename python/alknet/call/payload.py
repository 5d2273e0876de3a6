"""Payloads: typed values on our side, raw JSON or msgpack on the wire.

The envelope codec leaves inputs and outputs as raw bytes, so a payload is read exactly once, by
whoever knows its type, and never by a node that only passes it on.
"""

import math
import re
from typing import Any, Final

import msgspec

from alknet.errors import InvalidInput
from alknet.wire.link import Format

_WHERE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"(?:required|unknown) field `(?P<field>[^`]*)`")

_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def encode(value: Any, format: Format) -> bytes:
    """Return *value* as one JSON or msgpack value; bytes become base64 text in JSON.

    Raises:
        TypeError: a value of a type that has no form on the wire.
    """
    return _encode_json(value) if format == "json" else _encode_msgpack(value)


class PayloadType:
    """Reads payloads of one type, checking them against it as they are read."""

    __slots__ = ("_json", "_msgpack", "type")

    def __init__(self, type_: Any) -> None:
        self.type = type_
        self._json = msgspec.json.Decoder(type_).decode
        self._msgpack = msgspec.msgpack.Decoder(type_).decode

    def decode(self, raw: bytes, format: Format) -> Any:
        """Return the value that *raw* holds.

        Bytes may be base64 text in msgpack too, and so may what else JSON writes as text: an
        untyped caller does not know what it stands for.

        Raises:
            InvalidInput: it does not fit the type; `details["field"]` says where.
        """
        try:
            return self._read(raw, format)
        except InvalidInput as error:
            if format == "json":
                raise
            return self._read_as_json(raw, error)

    def _read(self, raw: bytes, format: Format) -> Any:
        try:
            return self._json(raw) if format == "json" else self._msgpack(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unfit(error) from None

    def _read_as_json(self, raw: bytes, otherwise: InvalidInput) -> Any:
        """Return what *raw*, of msgpack, holds by the rules of JSON; or raise *otherwise*."""
        try:
            value = msgspec.msgpack.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise otherwise from None
        try:
            return self.convert(value)
        except RecursionError:
            raise otherwise from None

    def convert(self, value: Any) -> Any:
        """Return the typed value of JSON-like *value* (dicts, lists, str, ...).

        Raises:
            InvalidInput: it does not fit the type.
        """
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError as error:
            raise unfit(error) from None

    def misfit(self, value: Any) -> InvalidInput | None:
        """Return in what *value*, which a handler has answered, is not of the type; None if it is.

        It is written and read again, as on its way over a link.
        """
        try:
            self._read(_encode_msgpack(value), "msgpack")
        except InvalidInput as error:
            return error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return InvalidInput(f"the input does not fit: it cannot be written: {error}")
        return None


class PlainType(PayloadType):
    """Reads payloads of any type as what JSON would hold, in whichever of the two they come."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Any)

    def decode(self, raw: bytes, format: Format) -> Any:
        value = super().decode(raw, format)
        if format == "json":
            return value
        try:
            return as_in_json(value)
        except TypeError as error:
            raise unfit(error) from None


def plain(value: Any) -> Any:
    """Return *value* as the dicts with text for keys, lists and strings that JSON would hold."""
    return _with_lists(msgspec.to_builtins(value, str_keys=True))


def as_in_json(value: Any) -> Any:
    """As `plain`, for an answer: a number that JSON has not (infinite, or none) is None there."""
    return _with_lists(msgspec.to_builtins(value, str_keys=True), all_numbers=False)


def _with_lists(value: Any, *, all_numbers: bool = True) -> Any:
    if isinstance(value, list | tuple):
        return [_with_lists(each, all_numbers=all_numbers) for each in value]
    if isinstance(value, dict):
        return {key: _with_lists(each, all_numbers=all_numbers) for key, each in value.items()}
    if isinstance(value, float) and not (all_numbers or math.isfinite(value)):
        return None
    return value


def unfit(error: Exception) -> InvalidInput:
    """Return the error that says which field does not fit, and what was expected of it."""
    found = _WHERE.match(str(error))
    what, where = (found["what"], found["where"]) if found else (str(error), None)
    missing = _MISSING.search(what)
    field = ".".join(part for part in (where, missing and missing["field"]) if part)
    sentence = what[:1].lower() + what[1:]
    if where:
        sentence = f"`{where}`: {sentence}"
    return InvalidInput(f"the input does not fit: {sentence}", details={"field": field or None})
