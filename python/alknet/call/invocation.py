"""Invocation: one call on its way from who asked to who answers, and to exactly one outcome.

Whoever answers calls `respond` or `fail` once; whoever asked may `cancel`. The first of them
decides, and whatever comes later goes nowhere. What an outcome does is up to the subclass: wake a
task of this process (`near.py`), or write to a link (`inbound.py`).
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import trio

from alknet.call.context import Context
from alknet.call.declared import Declared
from alknet.call.items import Items
from alknet.call.measure import Measure
from alknet.call.operation import OperationSpec
from alknet.call.payload import PayloadType
from alknet.call.trace import Span
from alknet.errors import Aborted
from alknet.protocol.request import AnyRequest


class Endpoint(Protocol):
    """Who answers an operation."""

    def submit(self, invocation: "Invocation", /) -> None:
        """Take the call, or fail it at once; never waits."""

    @property
    def is_inline(self) -> bool:
        """Whether `answer` may run in the caller's task."""
        ...

    @property
    def wants_context(self) -> bool:
        """Whether the context of each call is looked at: what it says must be right."""
        ...

    @property
    def declared(self) -> Declared:
        """What its handler has said of itself beforehand."""
        ...

    async def answer(self, entry: "Entry", request: Any, source: "ContextSource", /) -> Any:
        """Run the handler in the calling task; only where `is_inline`."""


class Entry:
    """One registered operation, and the measure of its calls."""

    __slots__ = ("endpoint", "input", "item", "measure", "output", "request_type", "spec")

    def __init__(
        self,
        spec: OperationSpec,
        endpoint: Endpoint,
        *,
        input: PayloadType,
        output: PayloadType,
        item: PayloadType | None = None,
        request_type: type[AnyRequest] | None = None,
    ) -> None:
        self.spec = spec
        self.endpoint = endpoint
        self.input = input
        self.output = output
        self.item = item
        self.request_type = request_type
        self.measure = Measure()


class Invocation(ABC):
    """One call: the request, its context, and where the outcome goes.

    `deadline` is in Trio's clock; infinite means that the caller's own scope watches the time.
    `scope` is what to cancel while the handler runs, and None before and after. `is_local` says
    that a task of this process sleeps until the outcome, so that its number bounds itself. `items`
    is what the caller of an upload or a duplex sends. `span` is None for a call without a trace.
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
    span: Span | None

    @property
    def sender(self) -> object:
        """The link that the call came by; None if it comes from this process."""
        return None

    @property
    @abstractmethod
    def context(self) -> Context:
        """The call's surroundings, made when they are first asked for."""

    def facts(self) -> dict[str, Any]:
        """Return what every line of the log says about this call; never raises."""
        return self.context.facts()

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


def departed(invocation: Invocation) -> Aborted:
    """Return the error for a handler that goes on sending after its consumer has left."""
    return Aborted(f"the consumer of {invocation.entry.spec.name} has left")
