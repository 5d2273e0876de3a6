"""Invocations whose caller is at the other end of a link."""

import math
from typing import Any

from alknet._core.envelope import CallRequested
from alknet.call.context import Context
from alknet.call.invocation import Invocation, departed
from alknet.call.payload import encode
from alknet.call.registry import Entry
from alknet.call.session import Session
from alknet.call.wakeup import Wakeup
from alknet.errors import CallError, Internal


class RemoteInvocation(Invocation):
    """A peer's call: the outcome is written to its link."""

    __slots__ = ("context", "deadline", "entry", "is_over", "request", "scope", "session")

    def __init__(self, entry: Entry, request: Any, context: Context) -> None:
        assert context.session is not None
        self.entry = entry
        self.request = request
        self.context = context
        self.deadline = context.deadline
        self.scope = None
        self.is_over = False
        self.session: Session = context.session

    @property
    def is_local(self) -> bool:
        return False

    def respond(self, value: Any) -> None:
        if not self.is_over:
            session = self.session
            raw = encode(value, session.format)
            self._end()
            session.respond(self.context.request_id, raw, session.format)

    def fail(self, error: BaseException) -> None:
        if self._end():
            known = error if isinstance(error, CallError) else Internal("the operation failed")
            details = None
            if known.details is not None:
                details = encode(known.details, self.session.format)
            self.session.fail(
                self.context.request_id, known.code, known.message, known.retryable, details
            )

    def _end(self) -> bool:
        """Mark the call as over; return whether it was not before."""
        if self.is_over:
            return False
        self.is_over = True
        self.session.inbound.pop(self.context.request_id, None)
        return True

    def credit(self, items: int) -> None:
        """Credit means nothing for a call with a single answer."""


class RemoteStreamInvocation(RemoteInvocation):
    """A peer's subscription: items are written to its link as far as its credit reaches.

    A peer that names no window gets every item as soon as the link takes it.
    """

    __slots__ = ("_credit", "_granted")

    def __init__(self, entry: Entry, request: Any, context: Context, event: CallRequested) -> None:
        super().__init__(entry, request, context)
        self._credit = math.inf if event.window is None else event.window
        self._granted = Wakeup()

    def respond(self, value: Any) -> None:
        raise TypeError(f"{self.entry.spec.name} is a stream; it has no single answer")

    async def send(self, item: Any) -> None:
        while self._credit <= 0 and not self.is_over:
            await self._granted.wait()
        await self.session.room()
        if self.is_over:
            raise departed(self)
        self._credit -= 1
        session = self.session
        session.respond(self.context.request_id, encode(item, session.format), session.format)

    def complete(self) -> None:
        if self._end():
            self.session.complete(self.context.request_id)

    def credit(self, items: int) -> None:
        self._credit += items
        self._granted.set()

    def cancel(self) -> None:
        super().cancel()
        self._granted.set()
