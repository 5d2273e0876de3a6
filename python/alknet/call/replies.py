"""Replies: what this side of a link says to the calls that the peer has made."""

from abc import ABC, abstractmethod

import structlog

from alknet.call.lanes import Lanes
from alknet.call.outbox import Outbox
from alknet.call.payload import encode
from alknet.errors import CallError, LocalProtocolError, traced
from alknet.wire.link import Format

log = structlog.get_logger("alknet.session")

_SHORT_CHARACTERS = 200


class Replies(ABC):
    """Writes answers, items and errors into *outbox*, or into one of *lanes*, in *format*.

    When the link is gone, they go nowhere. None of this waits.
    """

    def __init__(self, outbox: Outbox, lanes: Lanes, format: Format) -> None:
        self.outbox = outbox
        self.lanes = lanes
        self.encoder = outbox.encoder
        self.format: Format = format

    @property
    @abstractmethod
    def peer(self) -> str:
        """What the peer is called."""

    def invite(self, request_id: str, items: int) -> None:
        """Tell the peer that its upload or duplex *request_id* may send *items* more."""
        if self.outbox.lost is None:
            self.encoder.credit(request_id, items)
            self.outbox.queue()

    def respond(self, request_id: str, output: bytes, format: Format) -> None:
        """Answer the peer's call *request_id*, or send an item of its stream."""
        if self.outbox.lost is None:
            outbox = self.lanes.of(request_id)
            try:
                outbox.encoder.responded(request_id, output, format)
            except LocalProtocolError as error:
                self.fail(request_id, "INTERNAL", f"the answer cannot be sent: {error}")
                return
            outbox.queue()

    def complete(self, request_id: str) -> None:
        """End the peer's stream *request_id*."""
        if self.outbox.lost is None:
            outbox = self.lanes.of(request_id)
            outbox.encoder.completed(request_id)
            outbox.queue()
            self.lanes.end(request_id)

    def fail(
        self,
        request_id: str,
        code: str,
        message: str,
        retryable: bool = False,
        details: bytes | None = None,
    ) -> None:
        """Answer the peer's call *request_id* with an error."""
        if self.outbox.lost is None:
            outbox = self.lanes.of(request_id)
            try:
                outbox.encoder.failed(request_id, code, message, retryable, details)
            except (LocalProtocolError, UnicodeEncodeError):
                # Longer than a frame, or no text at all: still the call must have its outcome.
                short = message[:_SHORT_CHARACTERS].encode(errors="replace").decode()
                outbox.encoder.failed(request_id, code, short, retryable)
            outbox.queue()
            self.lanes.end(request_id)

    def refuse(self, request_id: str, error: CallError) -> None:
        """Answer the peer's call *request_id* with *error*, details and all."""
        details = None
        if error.details is not None:
            try:
                details = encode(error.details, self.format)
            except Exception as fault:
                # Whatever is wrong with them, the error itself must get through.
                log.error(
                    "error details lost",
                    request_id=request_id,
                    peer=self.peer,
                    code=error.code,
                    cause=traced(fault),
                )
        self.fail(request_id, error.code, error.message, error.retryable, details)
