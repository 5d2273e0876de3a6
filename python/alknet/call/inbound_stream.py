"""Invocations of streams whose consumer is at the other end of a link."""

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from alknet._core.envelope import CallRequested
from alknet.call.home import Home
from alknet.call.inbound import RemoteInvocation
from alknet.call.invocation import Entry, departed
from alknet.call.payload import encode
from alknet.call.session import Session
from alknet.call.wakeup import Wakeup
from alknet.errors import CallError, DeadlineExceeded, SlowConsumer
from alknet.identity import Identity

# A producer that never waits lets others have their turn after so many items.
_TURN_ITEMS: Final = 64


class RemoteStreamInvocation(RemoteInvocation):
    """A peer's subscription: items are written to its link as far as its credit reaches.

    A peer that names no window gets every item as soon as the link takes it. One that makes no room
    for `stalled_seconds` loses the subscription, and so does one that has named an idle timeout, if
    the producer has nothing for it for so long. The two ends of a duplex talk to each other, and
    how long one waits for the other is theirs to say.
    """

    __slots__ = ("_credit", "_granted", "_idle_from", "_idle_seconds", "_in_a_row", "_outbox")

    def __init__(
        self,
        home: Home,
        session: Session,
        event: CallRequested,
        entry: Entry,
        identity: Identity | None,
        deadline: float,
        started: float,
    ) -> None:
        super().__init__(home, session, event, entry, identity, deadline, started)
        self._outbox = session.lanes.begin(event.id)
        self._credit = math.inf if event.window is None else event.window
        self._granted = Wakeup()
        self._in_a_row = 0
        # Since when the producer has had nothing; infinite while it waits for the consumer.
        self._idle_from = started
        self._idle_seconds = math.inf
        if event.idle_timeout_ms:  # callers of the older dialect write 0 for none
            self._idle_seconds = event.idle_timeout_ms / 1000
            session.deadlines.add(started + self._idle_seconds, self)

    def respond(self, value: Any) -> None:
        raise TypeError(f"{self.entry.spec.name} is a stream; it has no single answer")

    async def send(self, item: Any) -> None:
        session = self.session
        if (self._credit <= 0 or self._outbox.is_full) and not self.is_over:
            self._idle_from = math.inf
            while self._credit <= 0 and not self.is_over:
                await self._patiently(self._granted.wait)
            await self._patiently(self._outbox.room)
            self._in_a_row = 0
        elif self._in_a_row >= _TURN_ITEMS:
            await trio.lowlevel.checkpoint()
            self._in_a_row = 0
        if self.is_over:
            raise departed(self)
        self._credit -= 1
        self._in_a_row += 1
        self._idle_from = trio.current_time()
        session.respond(self._event.id, encode(item, session.format), session.format)

    async def _patiently(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for the consumer, but not for ever."""
        is_duplex = self.entry.spec.kind == "duplex"
        seconds = math.inf if is_duplex else self.session.limits.stalled_seconds
        with trio.move_on_after(seconds) as patience:
            await wait()
        if patience.cancelled_caught and not self.is_over:
            self._give_up(
                SlowConsumer(
                    f"{self.entry.spec.name} was ended, for its items were not read: it has waited "
                    f"{seconds:g} s for room; ask again, behind the last item if it can be resumed"
                )
            )

    def expire(self) -> None:
        """Look whether the producer has had nothing for longer than the consumer waits."""
        now = trio.current_time()
        due = min(self._idle_from, now) + self._idle_seconds
        if self._idle_from < math.inf and due <= now:
            self._give_up(
                DeadlineExceeded(
                    f"{self.entry.spec.name} sent nothing for {self._idle_seconds:g} s"
                )
            )
            self._granted.set()
        else:
            self.session.deadlines.add(due, self)

    def _give_up(self, error: CallError) -> None:
        """End the stream with *error*, and its producer."""
        self.fail(error)
        if self.scope is not None:
            self.scope.cancel(reason=error.message)

    def complete(self) -> None:
        if self._end():
            self.session.complete(self._event.id)

    def credit(self, items: int) -> None:
        self._credit += items
        self._granted.set()

    def cancel(self) -> None:
        super().cancel()
        self._granted.set()
