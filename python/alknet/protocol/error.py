"""ErrorSpec: an error that an operation may answer with, said beforehand."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.errors import class_of


class ErrorSpec(msgspec.Struct, frozen=True):
    """An error of the operation's own, beside those that a call of any operation may end with.

    `code` is what a program branches on; `schema` (JSON Schema 2020-12) is of the error's details,
    and an empty one says nothing of them. `retryable` says that the same request may succeed later,
    unless an error says otherwise of itself. `http_status` is what an HTTP gateway answers.
    """

    code: str
    description: str = ""
    schema: Mapping[str, Any] = {}
    retryable: bool = False
    http_status: int | None = None


def error_spec(declared: str | ErrorSpec) -> ErrorSpec:
    """Return *declared*, or, if it is a code alone, what its class in `alknet.errors` says of it.

    Raises:
        ValueError: it is no code: upper-case words, digits and underscores.
    """
    spec = declared if isinstance(declared, ErrorSpec) else _of_class(declared)
    code = spec.code
    if not (code.isascii() and code.isidentifier() and code == code.upper()):
        raise ValueError(f"{code!r} is no code of an error: write it as in CONTAINER_NOT_FOUND")
    return spec


def _of_class(code: str) -> ErrorSpec:
    known = class_of(code)
    if known is None:
        return ErrorSpec(code)
    first = (known.__doc__ or "").partition("\n")[0]
    return ErrorSpec(code, first, retryable=known.retryable)
