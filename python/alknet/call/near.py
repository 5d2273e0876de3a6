"""Invocations whose caller is a task of this process."""

import math
from collections.abc import Callable
from typing import Any

import trio
from trio.lowlevel import reschedule

from alknet.call.context import Context
from alknet.call.invocation import ContextSource, Entry, Invocation, departed
from alknet.call.measure import code_of
from alknet.call.oneshot import OneShot
from alknet.call.stream import Stream
from alknet.call.trace import Span
from alknet.errors import Aborted


class LocalInvocation(OneShot, Invocation):
    """A call from a task of this process, which sleeps until the outcome wakes it."""

    __slots__ = ("_source", "entry", "items", "request", "scope")

    deadline = math.inf
    is_local = True
    span: Span | None = None

    def __init__(self, entry: Entry, request: Any, source: ContextSource) -> None:
        # OneShot.__init__, written out: this is made for every call.
        self._task = None
        self._value = None
        self._error = None
        self.is_over = False
        self.entry = entry
        self.request = request
        self.scope = None
        self.items = None
        self._source = source

    @property
    def context(self) -> Context:
        source = self._source
        if not isinstance(source, Told):
            # Made once, so that the call goes by one request id whoever asks for it.
            self._source = source = Told(source.context(self.entry))
        return source.context(self.entry)

    def respond(self, value: Any) -> None:
        # OneShot.respond, written out and counted: this is run for every call.
        if not self.is_over:
            self.is_over = True
            self.entry.measure.answered += 1
            self._value = value
            task = self._task
            if task is not None:
                self._task = None
                reschedule(task, self)  # type: ignore[arg-type] # all it asks for is `unwrap`

    def fail(self, error: BaseException) -> None:
        if not self.is_over:
            self.entry.measure.failed(code_of(error))
            super().fail(error)

    def abandon(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        if not self.is_over:
            self.entry.measure.failed(Aborted.code)
        super().cancel()


class TracedInvocation(LocalInvocation):
    """A call from this process that belongs to a trace."""

    __slots__ = ("span",)

    def __init__(self, entry: Entry, request: Any, source: ContextSource, span: Span) -> None:
        super().__init__(entry, request, source)
        self.span = span


class Told:
    """A source of one context that has been made already."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def context(self, _: Entry) -> Context:
        """Return it."""
        return self._context


class LocalStreamInvocation(Invocation):
    """A subscription from a task of this process: items go straight into its Stream."""

    __slots__ = (
        "_context",
        "_convert",
        "_done",
        "_started",
        "_stream",
        "entry",
        "is_over",
        "items",
        "request",
        "scope",
        "span",
    )

    deadline = math.inf
    is_local = True

    def __init__(
        self,
        entry: Entry,
        request: Any,
        context: Context,
        stream: Stream[Any],
        convert: Callable[[Any], Any] | None = None,
        span: Span | None = None,
    ) -> None:
        self.entry = entry
        self.request = request
        self._context = context
        self.scope = None
        self.is_over = False
        self._stream = stream
        self._done = trio.Event()
        self.items = None
        self._convert = convert
        self.span = span
        self._started = trio.current_time()
        entry.measure.local += 1

    @property
    def context(self) -> Context:
        return self._context

    def respond(self, value: Any) -> None:
        raise TypeError(f"{self.entry.spec.name} is a stream; it has no single answer")

    def fail(self, error: BaseException) -> None:
        self._done.set()
        if not self.is_over:
            self._end(code_of(error))
            self._stream.finish(error)

    async def stop(self) -> None:
        """Cancel the handler, and return when its `finally` blocks have run."""
        if not self._done.is_set():
            self.cancel()
            await self._done.wait()

    async def send(self, item: Any) -> None:
        await self._stream.room()
        if self.is_over:
            raise departed(self)
        self._stream.push(item if self._convert is None else self._convert(item))

    def complete(self) -> None:
        self._done.set()
        if not self.is_over:
            self._end()
            self._stream.finish()

    def cancel(self) -> None:
        if not self.is_over:
            self._end(Aborted.code)
        super().cancel()

    def _end(self, code: str | None = None) -> None:
        self.is_over = True
        self.entry.measure.ended(code, trio.current_time() - self._started)
        if self.span is not None:
            self.span.end(code)
