"""What the caller is told of an error that a handler has raised."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from alknet.call.operation import OperationSpec
from alknet.errors import CallError, Internal, class_of, traced

log = structlog.get_logger("alknet.runtime")

Facts = Callable[[], Mapping[str, Any]]


def outcome(error: Exception, spec: OperationSpec, facts: Facts) -> CallError:
    """Return *error* as the caller of the operation may see it; *facts* are those of its call.

    An error whose code has a class in `alknet.errors`, or is declared by *spec*, is itself. Any
    other code is INTERNAL, with its own under `details["code"]`: a caller may build upon nothing
    that is not declared. What is no CallError at all is logged; the caller is told the log's id.
    """
    if not isinstance(error, CallError):
        return fault(error, spec, facts())
    declared = next((each for each in spec.errors if each.code == error.code), None)
    if declared is not None:
        if "retryable" not in vars(error):
            error.retryable = declared.retryable
    elif class_of(error.code) is None:
        with suppress(Exception):  # as below
            log.error("undeclared code", **facts(), code=error.code)
        details = {"code": error.code}
        return Internal(
            error.message,
            details=details if error.details is None else {**details, "details": error.details},
        )
    return error


def fault(error: Exception, spec: OperationSpec, facts: Mapping[str, Any]) -> Internal:
    """Log *error*, and return what the caller is told: that it is our fault, and the log's id.

    *facts* are those of the call, which the line in the log begins with.
    """
    correlation = secrets.token_hex(4)
    cause = traced(error, is_confidential=spec.confidential)
    with suppress(Exception):  # a log that cannot be written must not end the service
        log.error("handler failed", **facts, correlation=correlation, cause=cause)
    return Internal(f"{spec.name} failed; the log of its node has the cause under {correlation}")
