"""Session: one authenticated link, both ways. Each side may ask, and each may answer.

Two tasks serve a link. The reader takes whatever has arrived, hands every event over and never
waits for a handler; the writer sends whatever has been queued in one piece, so that the busier a
link is, the fewer system calls a message costs.
"""

from typing import Any, Protocol

import msgspec
import structlog
import trio
from trio.lowlevel import ParkingLot

from alknet._core.envelope import (
    CallAborted,
    CallCompleted,
    CallCredit,
    CallFailed,
    CallFinished,
    CallItem,
    CallRequested,
    CallResponded,
    Decoder,
    Encoder,
    LinkPing,
)
from alknet.call.access_log import open_access_log
from alknet.call.deadlines import Deadlines
from alknet.call.payload import encode
from alknet.call.pending import Pending
from alknet.call.wakeup import Wakeup
from alknet.errors import (
    Aborted,
    CallError,
    Disconnected,
    LocalProtocolError,
    RemoteProtocolError,
    Unavailable,
    from_wire,
    traced,
)
from alknet.identity import Identity
from alknet.wire.limits import DEFAULT_LIMITS, UNSENT_PAUSE_BYTES, Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.session")

_CLOSING_SECONDS = 2.0
_EAGER_MESSAGES = 8
_SHORT_CHARACTERS = 200


class Inbound(Protocol):
    """A call of the peer's that is being answered."""

    def cancel(self) -> None:
        """Stop: the peer has given the call up."""

    def credit(self, items: int, /) -> None:
        """Go on: the peer has room for *items* more."""

    def item(self, item: bytes, format: Format, /) -> None:
        """Take an item of the peer's upload or duplex."""

    def finished(self) -> None:
        """Note that the peer will send no more items."""


class Answerer(Protocol):
    """Answers what a peer asks."""

    def requested(self, session: "Session", event: CallRequested, /) -> None:
        """Answer *event*, which came over *session*, or have it answered; never waits."""


class Session:
    """The calls that go both ways over one link.

    `identity` is who the peer has proven to be; `dispatcher` answers what it asks, and without one
    nothing is answered. `is_dialled` says that this side opened the link. Run it with
    `await nursery.start(session.run)`.
    """

    def __init__(
        self,
        link: Link,
        *,
        identity: Identity | None,
        dispatcher: "Answerer | None" = None,
        is_dialled: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.link = link
        self.identity = identity
        self.format: Format = link.format
        self.limits = limits
        self.encoder = Encoder(link.format, framed=link.framed, frame_bytes=limits.frame_bytes)
        self.inbound: dict[str, Inbound] = {}
        self.deadlines = Deadlines()
        # The dispatcher's memory of which operations this peer has been found to be allowed.
        self.admitted: dict[str, Any] = {}
        self._decoder = Decoder(
            link.format, framed=link.framed, frame_bytes=limits.frame_bytes, depth=limits.depth
        )
        # Where each call of the peer's is logged, if anywhere.
        self.access_log = open_access_log(self.peer)
        self._dispatcher = dispatcher
        self._pending: dict[str, Pending] = {}
        self._last_id = 0
        # Each side numbers its own calls. The listener's numbers have a mark, so that an id means
        # one call on a link, whichever side made it.
        self._prefix = "" if is_dialled else "~"
        self._queued = Wakeup()
        self._queued_messages = 0
        self._unsent: list[bytes] = []
        self._sent = ParkingLot()
        self._is_sending = False
        self._lost: Disconnected | RemoteProtocolError | None = None
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Session with {self.peer} at {self.link.peer_address}>"

    @property
    def peer(self) -> str:
        """What the peer is called: its identity's id, or its address if it has none."""
        return self.link.peer_address if self.identity is None else self.identity.id

    @property
    def asked(self) -> int:
        """How many calls of ours the peer has not answered yet."""
        return len(self._pending)

    @property
    def unsent_bytes(self) -> int:
        """How much is queued that the link has not taken yet."""
        return self.encoder.pending + sum(map(len, self._unsent))

    # Running.

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the link until either side closes it.

        Whatever was asked over it and has no answer then fails with Disconnected, and whatever the
        peer has asked is cancelled. Raises nothing when the link is lost, only logs it.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self.deadlines.run)
                    task_status.started()
                    await self._read()
                    nursery.cancel_scope.cancel()
        finally:
            self._close(Disconnected(f"the link to {self.link.peer_address} was closed"))
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
                await self.link.aclose()
            self._ended.set()

    def cancel(self, reason: str) -> None:
        """End the session at once; `run` returns soon after."""
        self._close(Disconnected(f"the link to {self.link.peer_address} was closed: {reason}"))
        self._scope.cancel(reason=reason)

    @property
    def is_closed(self) -> bool:
        """Whether the link is gone."""
        return self._lost is not None

    async def closed(self) -> None:
        """Return when `run` has returned and the link is closed."""
        await self._ended.wait()

    async def flushed(self) -> None:
        """Return when everything queued so far has been handed to the link."""
        while (self.encoder.pending or self._unsent or self._is_sending) and not self.is_closed:
            await self._sent.park()

    async def answered(self) -> None:
        """Return when the peer waits for no answer of ours."""
        while self.inbound:
            await self._sent.park()

    async def _read(self) -> None:
        link, feed = self.link, self._decoder.feed
        try:
            while True:
                data = await link.receive()
                if not data:
                    return
                for event in feed(data):
                    self._handle(event)
                    if self._lost is not None:
                        return
        except RemoteProtocolError as error:
            log.warning("peer broke the protocol", peer=link.peer_address, error=str(error))
            for event in error.events:
                if type(event) is not CallRequested:  # nobody would hear the answer
                    self._handle(event)
            self._close(error)
            await self._say_goodbye(error)
        except Disconnected as error:
            self._close(error)

    async def _say_goodbye(self, error: RemoteProtocolError) -> None:
        """Tell the peer why the link is about to be closed, as an error that answers no call."""
        self.encoder.failed("", "INVALID_INPUT", str(error))
        self._queued.set()
        with trio.move_on_after(_CLOSING_SECONDS):
            await self._written()

    async def _written(self) -> None:
        """Return when the link has taken all that was queued; only the writer writes."""
        while self.encoder.pending or self._unsent or self._is_sending:
            await self._sent.park()

    async def _write(self) -> None:
        link, encoder = self.link, self.encoder
        try:
            while True:
                while not (encoder.pending or self._unsent):
                    await self._queued.wait()
                chunks, self._unsent = [*self._unsent, *encoder.take()], []
                self._queued_messages = 0
                self._is_sending = True
                await link.send(chunks)
                self._is_sending = False
                self._sent.unpark_all()
        except Disconnected as error:
            self._close(error)
            self._scope.cancel(reason="the link was cut")

    def _close(self, error: Disconnected | RemoteProtocolError) -> None:
        if self._lost is not None:
            return
        self._lost = error
        pending, self._pending = self._pending, {}
        inbound, self.inbound = self.inbound, {}
        for call in pending.values():
            # One error for each: an error that several tasks raise collects all their tracebacks.
            call.failed(Disconnected(str(error)))
        for answering in inbound.values():
            answering.cancel()
        self._sent.unpark_all()

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
        if self._lost is not None:
            raise Disconnected(str(self._lost))
        if len(self._pending) >= self.limits.calls_in_flight:
            raise Unavailable(
                f"{len(self._pending)} calls are in flight on the link to "
                f"{self.link.peer_address}, the most that `calls_in_flight` under [limits] allows"
            )
        self._last_id += 1
        request_id = f"{self._prefix}{self._last_id}"
        if fields:
            self.encoder.requested(
                request_id, operation, input, deadline_ms=deadline_ms, window=window, **fields
            )
        else:
            # Without `**`, which costs as much as writing the request; most have no more fields.
            self.encoder.requested(
                request_id, operation, input, deadline_ms=deadline_ms, window=window
            )
        self._pending[request_id] = pending
        self._queue()
        return request_id

    def give_up(self, request_id: str) -> None:
        """Tell the peer that nobody waits for the answer to *request_id* any more."""
        if self._pending.pop(request_id, None) is not None:
            self.encoder.aborted(request_id)
            self._queued.set()

    def send_item(self, request_id: str, item: bytes, format: Format) -> None:
        """Send an item of our upload or duplex *request_id*."""
        if request_id in self._pending:
            self.encoder.item(request_id, item, format)
            self._queue()

    def finish_items(self, request_id: str) -> None:
        """Say that our upload or duplex *request_id* has no more items."""
        if request_id in self._pending:
            self.encoder.finished(request_id)
            self._queue()

    def grant(self, request_id: str, items: int) -> None:
        """Tell the peer that there is room for *items* more of the stream *request_id*."""
        if request_id in self._pending:
            self.encoder.credit(request_id, items)
            self._queued.set()

    async def room(self) -> None:
        """Wait while so much is unsent that queueing more would only use up memory.

        Raises:
            Disconnected: the link is gone.
        """
        while self.encoder.pending > UNSENT_PAUSE_BYTES and self._lost is None:
            await self._sent.park()
        if self._lost is not None:
            raise Disconnected(str(self._lost))

    # Answering.

    def invite(self, request_id: str, items: int) -> None:
        """Tell the peer that its upload or duplex *request_id* may send *items* more."""
        if self._lost is None:
            self.encoder.credit(request_id, items)
            self._queue()

    def respond(self, request_id: str, output: bytes, format: Format) -> None:
        """Answer the peer's call *request_id*, or send an item of its stream."""
        if self._lost is None:
            try:
                self.encoder.responded(request_id, output, format)
            except LocalProtocolError as error:
                self.fail(request_id, "INTERNAL", f"the answer cannot be sent: {error}")
                return
            self._queue()

    def complete(self, request_id: str) -> None:
        """End the peer's stream *request_id*."""
        if self._lost is None:
            self.encoder.completed(request_id)
            self._queue()

    def fail(
        self,
        request_id: str,
        code: str,
        message: str,
        retryable: bool = False,
        details: bytes | None = None,
    ) -> None:
        """Answer the peer's call *request_id* with an error."""
        if self._lost is None:
            try:
                self.encoder.failed(request_id, code, message, retryable, details)
            except (LocalProtocolError, UnicodeEncodeError):
                # Longer than a frame, or no text at all: still the call must have its outcome.
                short = message[:_SHORT_CHARACTERS].encode(errors="replace").decode()
                self.encoder.failed(request_id, code, short, retryable)
            self._queue()

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

    def _queue(self) -> None:
        """Have what was just encoded sent: at once if much has gathered, else by the writer.

        Sending a part while the rest is still being worked out lets the peer work at the same time;
        without it two busy nodes take turns.
        """
        self._queued_messages += 1
        if self._queued_messages >= _EAGER_MESSAGES and not self._is_sending and not self._unsent:
            self._queued_messages = 0
            try:
                self._unsent = self.link.send_nowait(self.encoder.take())
            except Disconnected:
                return  # the reader and the writer see it too, and clean up
        self._queued.set()
        if self.encoder.pending > self.limits.unsent_bytes:
            self.cancel(f"the peer has left {self.encoder.pending} bytes of answers unread")

    # Events.

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is CallResponded:
            request_id = event.id
            pending = self._pending.get(request_id)
            if pending is not None and pending.responded(event.output, event.format):
                self._pending.pop(request_id, None)
        elif kind is CallRequested:
            if self._dispatcher is None:
                self.fail(event.id, "NOT_FOUND", "this side of the link answers no calls")
            else:
                self._dispatcher.requested(self, event)
        elif kind is CallAborted:
            self._aborted(event.id)
        elif kind is CallFailed:
            self._failed(event)
        elif kind is CallCompleted:
            pending = self._pending.pop(event.id, None)
            if pending is not None:
                pending.completed()
        elif kind is CallCredit:
            self._credited(event)
        elif kind is CallItem:
            answering = self.inbound.get(event.id)
            if answering is not None:
                answering.item(event.item, event.format)
        elif kind is CallFinished:
            answering = self.inbound.get(event.id)
            if answering is not None:
                answering.finished()
        elif kind is LinkPing:
            self.encoder.pong(event.id)
            self._queue()

    def _credited(self, event: CallCredit) -> None:
        answering = self.inbound.get(event.id)
        if answering is not None:
            answering.credit(event.items)
            return
        pending = self._pending.get(event.id)
        if pending is not None:
            pending.invited(event.items)

    def _aborted(self, request_id: str) -> None:
        answering = self.inbound.pop(request_id, None)
        if answering is not None:
            answering.cancel()
            self._sent.unpark_all()
            return
        pending = self._pending.pop(request_id, None)
        if pending is not None:
            pending.failed(Aborted("the peer has aborted the call"))

    def _failed(self, event: CallFailed) -> None:
        if event.id == "":
            raise RemoteProtocolError(f"the peer closes the link: {event.message}")
        pending = self._pending.pop(event.id, None)
        if pending is not None:
            pending.failed(read_error(event))


def read_error(event: CallFailed) -> CallError:
    """Return the error that a peer's `call.error` carries."""
    details = None
    if event.details is not None:
        decoder = msgspec.json.decode if event.format == "json" else msgspec.msgpack.decode
        value = decoder(event.details)
        details = value if isinstance(value, dict) else {"value": value}
    return from_wire(event.code, event.message, retryable=event.retryable, details=details)
