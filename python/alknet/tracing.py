"""Tracing: calls as OpenTelemetry spans. It needs the extra `alknet[otel]`.

    from alknet import tracing
    tracing.use_opentelemetry()

A call within the process is one span. A call over a link is one where it is made (client) and one
where it is answered (server); a head that relays it adds one in between. Handlers run with their
call's span as the current one, so that what they ask of others, here or over links, and spans of
your own, stand below it, in whatever task that they start. Spans hold names, ids and codes, and
never what was asked or answered.

Without this module a trace that began elsewhere is passed on all the same (`alknet.call.trace`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from alknet._core import __version__
from alknet.call import trace
from alknet.call.trace import Side, TraceParent
from alknet.errors import Aborted

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace as otel
except ImportError as error:
    raise ImportError("alknet.tracing needs OpenTelemetry: pip install 'alknet[otel]'") from error

_KINDS: Final[dict[Side, otel.SpanKind]] = {
    "server": otel.SpanKind.SERVER,
    "relay": otel.SpanKind.SERVER,
    "client": otel.SpanKind.CLIENT,
    "local": otel.SpanKind.INTERNAL,
}


def use_opentelemetry(provider: otel.TracerProvider | None = None) -> None:
    """Make a span of every call from now on, with *provider* or the one that is set globally."""
    trace.use(_Tracer(otel.get_tracer("alknet", __version__, provider)))


def stop() -> None:
    """Make no more spans; those that have begun are ended as they would have been."""
    trace.use(None)


class _Span(trace.Span):
    __slots__ = ("_span",)

    def __init__(self, traceparent: TraceParent, span: otel.Span) -> None:
        super().__init__(traceparent)
        self._span = span

    @contextmanager
    def active(self) -> Iterator[None]:
        # What an error says stays out of the trace: it may quote what was asked.
        with otel.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    def end(self, code: str | None = None) -> None:
        if code is not None:
            self._span.set_attribute("error.type", code)
            if code == Aborted.code:
                self._span.set_attribute("alknet.cancelled", True)
            self._span.set_status(otel.StatusCode.ERROR, code)
        self._span.end()


class _Tracer:
    def __init__(self, tracer: otel.Tracer) -> None:
        self._tracer = tracer

    def begin(
        self, name: str, side: Side, parent: TraceParent | None, about: Mapping[str, str]
    ) -> trace.Span | None:
        service, _, method = name.rpartition("/")
        span = self._tracer.start_span(
            name,
            context=_parent_of(side, parent),
            kind=_KINDS[side],
            attributes={
                "rpc.system": "alknet",
                "rpc.service": service,
                "rpc.method": method,
                "alknet.relayed": side == "relay",
                **{f"alknet.{key}": value for key, value in about.items()},
            },
        )
        found = span.get_span_context()
        return _Span(_written(found), span) if found.is_valid else None


def _parent_of(side: Side, parent: TraceParent | None) -> contexts.Context | None:
    """Return the context that the span belongs in; None is the current one.

    A call that came over a link belongs to the trace that came with it, and to nothing that happens
    to be current where it is read. A call that is made here belongs to the innermost span around
    it, unless that is of another trace than the handler which makes the call.
    """
    if side in ("client", "local"):
        current = otel.get_current_span().get_span_context()
        if parent is None or _written(current)[:_TRACE_END] == parent[:_TRACE_END]:
            return None
    if parent is None:
        return contexts.Context()
    return otel.set_span_in_context(otel.NonRecordingSpan(_read(parent)), contexts.Context())


_TRACE_END: Final = 35


def _written(found: otel.SpanContext) -> TraceParent:
    flags = found.trace_flags & otel.TraceFlags.SAMPLED
    return TraceParent(f"00-{found.trace_id:032x}-{found.span_id:016x}-{flags:02x}")


def _read(traceparent: TraceParent) -> otel.SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return otel.SpanContext(
        int(trace_id, 16), int(span_id, 16), True, otel.TraceFlags(int(flags, 16))
    )
