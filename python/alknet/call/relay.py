"""Relay: a call that this node passes on to a peer, payload unread."""

from typing import TYPE_CHECKING

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
    UnknownCode,
)
from alknet.identity import Identity
from alknet.wire.link import Format

if TYPE_CHECKING:
    from alknet.call.session import Session


class Relay:
    """One call between two links: pending on the one it goes to, inbound on the one it came from.

    Inputs, outputs and items pass as the raw bytes they came as. Credit and abort pass too, so the
    flow control is the caller's own and nothing piles up here.
    """

    __slots__ = ("_is_stream", "_origin", "_origin_id", "_span", "_target", "_target_id")

    def __init__(
        self, origin: "Session", origin_id: str, target: "Session", *, is_stream: bool
    ) -> None:
        self._origin = origin
        self._origin_id = origin_id
        self._target = target
        self._target_id = ""
        self._is_stream = is_stream
        self._span: Span | None = None

    def begin(self, event: CallRequested, name: str, identity: Identity) -> None:
        """Ask the target on behalf of *identity*.

        Raises:
            InvalidInput: the request is too large to be passed on.
            Unavailable: the target has too many calls in flight, or is gone.
        """
        received = event.traceparent
        if received is not None or trace.is_live:
            about = {"request_id": event.id, "peer": self._origin.peer}
            self._span = trace.relayed(name, received, about)
        try:
            self._target_id = self._target.pending.ask(
                f"/head/{name}",
                event.input,
                self,
                # Of the identity too: all that a request carries is written in one format.
                input_format=event.format,
                deadline_ms=event.deadline_ms,
                parent_id=event.parent_id,
                forwarded_for=encode(identity, event.format),
                window=event.window,
                traceparent=None if self._span is None else self._span.traceparent,
            )
        except LocalProtocolError as error:
            self._end(InvalidInput.code)
            raise InvalidInput(f"the request cannot be passed on: {error}") from None
        except CallError as error:
            self._end(error.code)
            raise
        self._origin.inbound[self._origin_id] = self

    def _end(self, code: str | None = None) -> None:
        """Note that the call is over: answered, or with an error of this *code*."""
        self._origin.inbound.pop(self._origin_id, None)
        span, self._span = self._span, None
        if span is not None:
            span.end(code)

    # What the target answers.

    def responded(self, output: bytes, format: Format) -> bool:
        if not self._is_stream:
            self._end()
        self._origin.respond(self._origin_id, output, format)
        return not self._is_stream

    def completed(self) -> None:
        self._end()
        self._origin.complete(self._origin_id)

    def failed(self, error: CallError) -> None:
        if isinstance(error, UnknownCode):
            # Whether the code means anything is for the caller to know.
            error = error.sent
        self._end(error.code)
        if isinstance(error, Disconnected):
            # The caller knows the peer by its name, not by an address that only this node sees.
            error = Disconnected(f"{self._target.peer} has gone: {error.message}")
        self._origin.refuse(self._origin_id, error)

    def invited(self, items: int) -> None:
        self._origin.invite(self._origin_id, items)

    # What the origin says.

    def cancel(self) -> None:
        self._end(Aborted.code)
        self._target.pending.give_up(self._target_id)

    def credit(self, items: int) -> None:
        self._target.pending.grant(self._target_id, items)

    def item(self, item: bytes, format: Format) -> None:
        self._target.pending.send_item(self._target_id, item, format)

    def finished(self) -> None:
        self._target.pending.finish_items(self._target_id)
