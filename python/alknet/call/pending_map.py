"""PendingMap: the calls that this side of a link has asked and the other has not answered yet."""

from typing import Any

import msgspec

from alknet._core.envelope import CallCompleted, CallFailed, CallResponded
from alknet.call.outbox import Outbox
from alknet.call.pending import Pending
from alknet.errors import Aborted, CallError, Disconnected, Unavailable, from_wire
from alknet.wire.link import Format


class PendingMap:
    """Pending calls by their request id, at most *bound* of them; `len()` tells how many.

    Requests go out through *outbox*, numbered from 1 with *prefix* in front. What comes for an id
    that is not in the map goes nowhere.
    """

    def __init__(self, outbox: Outbox, *, address: str, prefix: str, bound: int) -> None:
        self._outbox = outbox
        self._encoder = outbox.encoder
        self._address = address
        self._prefix = prefix
        self._bound = bound
        self._pending: dict[str, Pending] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._pending)

    # Asking.

    def ask(
        self,
        operation: str,
        input: bytes,
        pending: Pending,
        *,
        deadline_ms: int | None = None,
        window: int | None = None,
        **fields: Any,
    ) -> str:
        """Send a request; its answer goes to *pending*. Return the request's id.

        *fields* are the others of `Encoder.requested`, which most requests have none of. Never
        waits: await `room` before asking much.

        Raises:
            Disconnected: the link is gone.
            Unavailable: too many calls are in flight on this link.
            LocalProtocolError: the request is larger than a frame may be.
        """
        if self._outbox.lost is not None:
            raise Disconnected(str(self._outbox.lost))
        if len(self._pending) >= self._bound:
            raise Unavailable(
                f"{len(self._pending)} calls are in flight on the link to {self._address}, "
                f"the most that `calls_in_flight` under [limits] allows"
            )
        self._last_id += 1
        request_id = f"{self._prefix}{self._last_id}"
        if fields:
            self._encoder.requested(
                request_id, operation, input, deadline_ms=deadline_ms, window=window, **fields
            )
        else:
            # Without `**`, which costs as much as writing the request; most have no more fields.
            self._encoder.requested(
                request_id, operation, input, deadline_ms=deadline_ms, window=window
            )
        self._pending[request_id] = pending
        self._outbox.queue()
        return request_id

    def give_up(self, request_id: str) -> None:
        """Tell the peer that nobody waits for the answer to *request_id* any more."""
        if self._pending.pop(request_id, None) is not None:
            self._encoder.aborted(request_id)
            self._outbox.wake()

    def send_item(self, request_id: str, item: bytes, format: Format) -> None:
        """Send an item of our upload or duplex *request_id*."""
        if request_id in self._pending:
            self._encoder.item(request_id, item, format)
            self._outbox.queue()

    def finish_items(self, request_id: str) -> None:
        """Say that our upload or duplex *request_id* has no more items."""
        if request_id in self._pending:
            self._encoder.finished(request_id)
            self._outbox.queue()

    def grant(self, request_id: str, items: int) -> None:
        """Tell the peer that there is room for *items* more of the stream *request_id*."""
        if request_id in self._pending:
            self._encoder.credit(request_id, items)
            self._outbox.wake()

    # What the peer says.

    def responded(self, event: CallResponded) -> None:
        """Take an answer or an item of a stream."""
        request_id = event.id
        pending = self._pending.get(request_id)
        if pending is not None and pending.responded(event.output, event.format):
            self._pending.pop(request_id, None)

    def completed(self, event: CallCompleted) -> None:
        """Take the end of a stream."""
        pending = self._pending.pop(event.id, None)
        if pending is not None:
            pending.completed()

    def failed(self, event: CallFailed) -> None:
        """Take the error that a call ends with."""
        pending = self._pending.pop(event.id, None)
        if pending is not None:
            pending.failed(read_error(event))

    def aborted(self, request_id: str) -> None:
        """Take the peer's word that it will not answer."""
        pending = self._pending.pop(request_id, None)
        if pending is not None:
            pending.failed(Aborted("the peer has aborted the call"))

    def invited(self, request_id: str, items: int) -> None:
        """Take the peer's word that it has room for *items* more of an upload or duplex."""
        pending = self._pending.get(request_id)
        if pending is not None:
            pending.invited(items)

    def close(self, reason: str) -> None:
        """Fail whatever has no answer: the link is gone, and *reason* says why."""
        pending, self._pending = self._pending, {}
        for call in pending.values():
            # One error for each: an error that several tasks raise collects all their tracebacks.
            call.failed(Disconnected(reason))


def read_error(event: CallFailed) -> CallError:
    """Return the error that a peer's `call.error` carries."""
    details = None
    if event.details is not None:
        decoder = msgspec.json.decode if event.format == "json" else msgspec.msgpack.decode
        value = decoder(event.details)
        details = value if isinstance(value, dict) else {"value": value}
    return from_wire(event.code, event.message, retryable=event.retryable, details=details)
