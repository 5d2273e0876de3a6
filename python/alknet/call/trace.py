"""Trace context: the trace that a call belongs to, as W3C Trace Context has it.

A traceparent reads `00-{trace id}-{span id}-{flags}` (https://www.w3.org/TR/trace-context, 3.2).
One that comes with a call over a link is the call's own; what its handler asks of others gets a
span id of its own under the same trace. So a trace that began elsewhere goes through a node that
knows of no tracing, and a call that has none pays nothing.

With a `Tracer` (`alknet.tracing` has one) each call is a span that is reported too, and one without
a parent begins a trace.
"""

import re
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from random import getrandbits
from typing import Any, Final, Literal, NewType, Protocol

# Text that `parse` has found good, or that was made here.
TraceParent = NewType("TraceParent", str)

# Who sees the call: the node that answers it, the one that asks it over a link, the one that passes
# it on, or both in one, within the process.
Side = Literal["server", "client", "relay", "local"]

_IDS: Final = r"(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})"
_KNOWN: Final = re.compile(rf"00-{_IDS}-[0-9a-f]{{2}}")
# Of a later version only what version 00 has may be read, and it is passed on as version 00 (4.3).
_LATER: Final = re.compile(
    rf"(?!00|ff)[0-9a-f]{{2}}-{_IDS}-(?P<flags>[0-9a-f]{{2}})(?:-.*)?", re.DOTALL
)
_TRACE_ID: Final = slice(3, 35)
_BEFORE_SPAN_ID: Final = 36
_FLAGS: Final = slice(53, 55)
# Sampled is the one flag that version 00 defines; the others must go out as zero (3.2.2.5.2).
_SAMPLED: Final = 1


def parse(text: str | None) -> TraceParent | None:
    """Return *text* if it is a traceparent, as one of version 00; else None, which is no error."""
    if text is None:
        return None
    if _KNOWN.fullmatch(text):
        return TraceParent(text)
    later = _LATER.fullmatch(text)
    if later is None:
        return None
    return TraceParent(f"00-{later['ids']}-{int(later['flags'], 16) & _SAMPLED:02x}")


def child_of(parent: TraceParent) -> TraceParent:
    """Return a traceparent of the same trace, with a span id of its own."""
    span_id = getrandbits(64) or 1  # zero means that there is none
    flags = int(parent[_FLAGS], 16) & _SAMPLED
    return TraceParent(f"{parent[:_BEFORE_SPAN_ID]}{span_id:016x}-{flags:02x}")


def trace_id(traceparent: TraceParent) -> str:
    """Return the 32 hex digits that all calls of a trace share."""
    return traceparent[_TRACE_ID]


_ambient: ContextVar[TraceParent | None] = ContextVar("alknet_traceparent", default=None)


class Span:
    """One call, as its trace sees it; this one is not reported anywhere, only passed on."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: TraceParent) -> None:
        self.traceparent = traceparent

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make calls from within the block, and from tasks that it starts, belong to this one."""
        global is_live
        is_live = True
        token = _ambient.set(self.traceparent)
        try:
            yield
        finally:
            _ambient.reset(token)

    def end(self, code: str | None = None) -> None:
        """Say that the call is over: answered, or with an error of this *code*."""


class Tracer(Protocol):
    """Reports calls as spans."""

    def begin(
        self, name: str, side: Side, parent: TraceParent | None, about: Mapping[str, str], /
    ) -> Span | None:
        """Begin the span of a call of the operation *name*, if there is to be one.

        Without a *parent* it belongs to what is active around it, if it is made here, or begins a
        trace. `end` is called once.
        """
        ...


# Whether there is a tracer, or a call with a trace has been: until then nobody need look for one.
is_live = False
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Report calls to *tracer* from now on, or to nobody."""
    global is_live, _tracer
    _tracer = tracer
    is_live = is_live or tracer is not None


def served(name: str, received: str | None, about: Mapping[str, str]) -> Span | None:
    """Return the span of a call that has come over a link, or None if it has no trace.

    *received* is the traceparent that came with it; one that is malformed counts as none.
    """
    parent = parse(received)
    if _tracer is not None:
        return _tracer.begin(name, "server", parent, about)
    return None if parent is None else Span(parent)


def relayed(name: str, received: str | None, about: Mapping[str, str]) -> Span | None:
    """Return the span of a call that is passed on, as `served` does.

    It goes on with the traceparent that it came with, unless there is a tracer.
    """
    parent = parse(received)
    if _tracer is not None:
        return _tracer.begin(name, "relay", parent, about)
    return None if parent is None else Span(parent)


def made(name: str, side: Side, parent: TraceParent | None) -> Span | None:
    """Return the span of a call that is made here, or None if it has no trace.

    Without a *parent* it belongs to the call that is active around it, if there is one.
    """
    if _tracer is not None:
        return _tracer.begin(name, side, parent, {})
    parent = parent or _ambient.get()
    return None if parent is None else Span(child_of(parent))


async def awaited(span: Span, answer: Coroutine[Any, Any, Any]) -> Any:
    """Await *answer*, with *span* active."""
    with span.active():
        return await answer


async def iterated(span: Span, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """Yield *items*, with *span* active."""
    with span.active():
        async with aclosing(items):
            async for item in items:
                yield item
