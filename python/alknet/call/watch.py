"""Watch: what is done around a call that is timed, or belongs to a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import trio

from alknet.call.measure import Measure, code_of
from alknet.call.trace import Span


class Watch:
    """Takes the time of the call in its block, and ends its span with what came of it.

    The time stands for so many *calls*, and is not taken for none. `span` is None without a trace.
    """

    __slots__ = ("_calls", "_measure", "_span", "_started")

    def __init__(self, measure: Measure, span: Span | None, *, calls: int = 1) -> None:
        self._measure = measure
        self._span = span
        self._calls = calls
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = trio.current_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._calls:
            self._measure.took(trio.current_time() - self._started, self._calls)
        if self._span is not None:
            self._span.end(None if error is None else code_of(error))


@contextmanager
def ended(span: Span | None) -> Iterator[None]:
    """End *span*, if there is one, with what comes of the call in the block."""
    try:
        yield
    except BaseException as error:
        if span is not None:
            span.end(code_of(error))
        raise
    if span is not None:
        span.end()
