"""Invocation: one call on its way to exactly one outcome.

Whoever answers calls `respond` or `fail` once; whoever asked may `cancel`. The first of them
decides, and whatever comes later goes nowhere. What an outcome does is up to the subclass: wake a
task of this process, or write to a link.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import trio

from alknet.call.context import Context
from alknet.call.items import Items
from alknet.call.oneshot import OneShot
from alknet.call.registry import Entry
from alknet.call.stream import Stream
from alknet.errors import Aborted


class Invocation(ABC):
    """One call: the request, its context, and where the outcome goes.

    `deadline` is in Trio's clock; infinite means that the caller's own scope watches the time.
    `scope` is what to cancel while the handler runs, and None before and after. `is_local` says
    that a task of this process sleeps until the outcome, so that its number bounds itself. `items`
    is what the caller of an upload or a duplex sends.
    """

    if not TYPE_CHECKING:
        # The subclasses have the slots: one has a second base, which has slots of its own.
        __slots__ = ()

    entry: Entry
    request: Any
    deadline: float
    scope: trio.CancelScope | None
    is_over: bool
    is_local: ClassVar[bool]
    items: Items[Any] | None

    @property
    @abstractmethod
    def context(self) -> Context:
        """The call's surroundings, made when they are first asked for."""

    @abstractmethod
    def respond(self, value: Any) -> None:
        """Give the answer; goes nowhere if the call is over."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Answer with *error* instead; goes nowhere if the call is over."""

    async def send(self, item: Any) -> None:
        """Pass one item of a stream on, waiting while the consumer has enough unread.

        Raises:
            Aborted: the consumer has left.
        """
        raise TypeError(f"{self.entry.spec.name} answers once; it is no stream")

    def complete(self) -> None:
        """End a stream after its last item."""
        raise TypeError(f"{self.entry.spec.name} answers once; it is no stream")

    def cancel(self) -> None:
        """Give the call up: one that has not begun never will, one that has is cancelled."""
        self.is_over = True
        if self.scope is not None:
            self.scope.cancel(reason="the caller has left")


class ContextSource(Protocol):
    """Makes the context of a call when a handler wants it."""

    def context(self, entry: Entry, /) -> Context:
        """Return the context for a call of *entry*."""
        ...


class LocalInvocation(OneShot, Invocation):
    """A call from a task of this process, which sleeps until the outcome wakes it."""

    __slots__ = ("_source", "entry", "items", "request", "scope")

    deadline = math.inf
    is_local = True

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
        return self._source.context(self.entry)

    def abandon(self) -> None:
        self.cancel()


class LocalStreamInvocation(Invocation):
    """A subscription from a task of this process: items go straight into its Stream."""

    __slots__ = (
        "_context",
        "_convert",
        "_done",
        "_stream",
        "entry",
        "is_over",
        "items",
        "request",
        "scope",
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

    @property
    def context(self) -> Context:
        return self._context

    def respond(self, value: Any) -> None:
        raise TypeError(f"{self.entry.spec.name} is a stream; it has no single answer")

    def fail(self, error: BaseException) -> None:
        self._done.set()
        if not self.is_over:
            self.is_over = True
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
            self.is_over = True
            self._stream.finish()


def departed(invocation: Invocation) -> Aborted:
    """Return the error for a handler that goes on sending after its consumer has left."""
    return Aborted(f"the consumer of {invocation.entry.spec.name} has left")
