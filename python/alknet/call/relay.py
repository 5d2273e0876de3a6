"""Relay: a call that this node passes on to a peer, payload unread."""

from typing import TYPE_CHECKING, Final

from alknet._core.envelope import CallRequested
from alknet.call import trace
from alknet.call.payload import encode
from alknet.call.trace import Span
from alknet.errors import (
    Aborted,
    CallError,
    Disconnected,
    InvalidInput,
    LocalProtocolError,
    SlowConsumer,
    Unavailable,
    UnknownCode,
)
from alknet.identity import Identity
from alknet.wire.limits import MOST_HOPS
from alknet.wire.link import Format

if TYPE_CHECKING:
    from alknet.call.session import Session

# What a peer may have unread of the calls that are passed on to it, of all that its link may have:
# enough is left that no request which passes can be the one for which the link is cut.
_CONGESTED: Final = 0.5


class Relay:
    """One call between two links: pending on the one it goes to, inbound on the one it came from.

    Inputs, outputs and items pass as the raw bytes they came as. Credit and abort pass too, so the
    flow control is the caller's own and nothing piles up here: the target's invitation to send
    items is held back while the link to it has enough unsent.
    """

    __slots__ = (
        "_has_items",
        "_held_back",
        "_invited",
        "_span",
        "origin",
        "origin_id",
        "target",
        "target_id",
    )

    def __init__(
        self, origin: "Session", origin_id: str, target: "Session", *, has_items: bool
    ) -> None:
        self.origin = origin
        self.origin_id = origin_id
        self.target = target
        self.target_id = ""
        self._has_items = has_items
        self._invited = 0
        self._held_back = 0
        self._span: Span | None = None

    def begin(self, event: CallRequested, name: str, identity: Identity) -> None:
        """Ask the target on behalf of *identity*.

        Raises:
            InvalidInput: the request is too large to be passed on, or was passed on too often.
            Unavailable: the target has too much in flight or unread, or is gone.
        """
        hops = (event.hops or 0) + 1
        if hops > MOST_HOPS:
            raise InvalidInput(
                f"{name} was passed on {hops - 1} times, the most there may be: are there nodes "
                f"that pass calls on to each other in a circle?"
            )
        if self._is_congested():
            raise Unavailable(f"{self.target.peer} does not read fast enough what it is asked")
        received = event.traceparent
        if received is not None or trace.is_live:
            about = {"request_id": event.id, "peer": self.origin.peer}
            self._span = trace.relayed(name, received, about)
        try:
            self.target_id = self.target.pending.ask(
                f"/head/{name}",
                event.input,
                self,
                # Of the rest too: all that a request carries is written in one format.
                input_format=event.format,
                deadline_ms=event.deadline_ms,
                idle_timeout_ms=event.idle_timeout_ms,
                parent_id=event.parent_id,
                forwarded_for=self._introduce(identity, event.format),
                metadata=event.metadata,
                window=self.window(event.window),
                traceparent=None if self._span is None else self._span.traceparent,
                hops=hops,
            )
        except LocalProtocolError as error:
            self.end(InvalidInput.code)
            raise InvalidInput(f"the request cannot be passed on: {error}") from None
        except CallError as error:
            self.end(error.code)
            raise
        self.origin.inbound[self.origin_id] = self

    def _introduce(self, identity: Identity, format: Format) -> bytes:
        """Return *identity* as it travels; that of the peer itself is written once."""
        origin = self.origin
        if identity is not origin.identity:
            return encode(identity, format)
        written = origin.introduced.get(format)
        if written is None:
            written = origin.introduced[format] = encode(identity, format)
        return written

    def window(self, asked: int | None) -> int | None:
        """Return the window to ask the target for, when the origin has *asked* for this one."""
        return asked

    def end(self, code: str | None = None) -> None:
        """Note that the call is over: answered, or with an error of this *code*."""
        self.origin.inbound.pop(self.origin_id, None)
        span, self._span = self._span, None
        if span is not None:
            span.end(code)

    def fail(self, error: CallError) -> None:
        """End the call here: the target is told to stop, and the origin why."""
        self.target.pending.give_up(self.target_id)
        self.failed(error)

    def _is_congested(self) -> bool:
        target = self.target
        return target.encoder.pending > target.limits.unsent_bytes * _CONGESTED

    # What the target answers.

    def responded(self, output: bytes, format: Format) -> bool:
        self.end()
        self.origin.respond(self.origin_id, output, format)
        return True

    def completed(self) -> None:
        self.end()
        self.origin.complete(self.origin_id)

    def failed(self, error: CallError) -> None:
        if isinstance(error, UnknownCode):
            # Whether the code means anything is for the caller to know.
            error = error.sent
        self.end(error.code)
        if isinstance(error, Disconnected):
            # The caller knows the peer by its name, not by an address that only this node sees.
            error = Disconnected(f"{self.target.peer} has gone: {error.message}")
        self.origin.refuse(self.origin_id, error)

    def invited(self, items: int) -> None:
        self._held_back += items
        self._invite()

    def _invite(self) -> None:
        if self.origin.inbound.get(self.origin_id) is not self:
            return
        if self.target.outbox.is_full:
            self.target.outbox.when_room(self._invite)
        elif self._held_back:
            self._invited += self._held_back
            self.origin.invite(self.origin_id, self._held_back)
            self._held_back = 0

    # What the origin says.

    def cancel(self) -> None:
        self.end(Aborted.code)
        self.target.pending.give_up(self.target_id)

    def credit(self, items: int) -> None:
        """Credit means nothing for a call with a single answer."""

    def item(self, item: bytes, format: Format) -> None:
        if not self._has_items:
            return
        if self._invited <= 0:
            self.fail(InvalidInput("more items came than there was credit for"))
        elif self._is_congested():
            self.fail(SlowConsumer(f"{self.target.peer} does not read the items fast enough"))
        else:
            self._invited -= 1
            self.target.pending.send_item(self.target_id, item, format)

    def finished(self) -> None:
        self.target.pending.finish_items(self.target_id)
