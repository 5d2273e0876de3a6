"""Session: one authenticated link, both ways. Each side may ask, and each may answer.

The session's reader takes whatever has arrived, hands every event over and never waits for a
handler; its outbox sends what has been queued.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog
import trio

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
    LinkPing,
)
from alknet.call.access_log import open_access_log
from alknet.call.answering import Inbound
from alknet.call.deadlines import Deadlines
from alknet.call.heartbeat import Heartbeat
from alknet.call.lanes import Lanes
from alknet.call.outbox import Outbox
from alknet.call.pending_map import PendingMap
from alknet.call.refusals import Refusals
from alknet.call.replies import Replies
from alknet.call.turns import Turns
from alknet.errors import (
    Disconnected,
    RemoteProtocolError,
)
from alknet.identity import Identity
from alknet.turnstile import turnstile
from alknet.wire.limits import DEFAULT_LIMITS, Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.session")

_CLOSING_SECONDS = 2.0


class Answerer(Protocol):
    """Answers what a peer asks."""

    def requested(self, session: "Session", event: CallRequested, /) -> None:
        """Answer *event*, which came over *session*, or have it answered; never waits."""


class Session(Replies):
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
        outbox = Outbox(link, limits, self.cancel)
        super().__init__(outbox, Lanes(link, limits, outbox), link.format)
        self.link = link
        self.identity = identity
        self.limits = limits
        self._is_dialled = is_dialled
        # What this side has asked. Each side numbers its own calls; the listener's numbers have a
        # mark, so that an id means one call on a link, whichever side made it.
        self.pending = PendingMap(
            self.outbox,
            address=link.peer_address,
            prefix="" if is_dialled else "~",
            bound=limits.calls_in_flight,
        )
        # What the peer has asked.
        self.inbound: dict[str, Inbound] = {}
        self.refusals = Refusals()
        self.deadlines = Deadlines()
        self._heartbeat = Heartbeat(link, self.outbox, limits.silence_seconds, self.cancel)
        # The peer's identity, as it was written for those to whom its calls are passed on.
        self.introduced: dict[Format, bytes] = {}
        # And for whom the peer asks, by the words in which it says so: a head says the same often.
        self.spoken_for: dict[bytes, Identity] = {}
        # The dispatcher's memory of which operations this peer has been found to be allowed.
        self.admitted: dict[str, Any] = {}
        self._decoder = Decoder(
            link.format, framed=link.framed, frame_bytes=limits.frame_bytes, depth=limits.depth
        )
        # Where each call of the peer's is logged, if anywhere.
        self.access_log = open_access_log(self.peer)
        # Who takes what the peer says; what is not in here is passed over.
        self._takes: dict[type, Callable[[Any], None]] = {
            CallRequested: (
                self._requested if dispatcher is None else partial(dispatcher.requested, self)
            ),
            CallResponded: self.pending.responded,
            CallCompleted: self.pending.completed,
            CallFailed: self._failed,
            CallAborted: self._aborted,
            CallCredit: self._credited,
            CallItem: self._item,
            CallFinished: self._finished,
            LinkPing: self._pinged,
        }
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Session with {self.peer} at {self.link.peer_address}>"

    @property
    def peer(self) -> str:
        """What the peer is called: its identity's id, or its address if it has none."""
        return self.link.peer_address if self.identity is None else self.identity.id

    @property
    def remote(self) -> str:
        """Where the peer is, as `host:port`."""
        return self.link.peer_address

    # Running.

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the link until either side closes it.

        Whatever was asked over it and has no answer then fails with Disconnected, and whatever the
        peer has asked is cancelled. Raises nothing when the link is lost, only logs it.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self.lanes.nursery = nursery
                    nursery.start_soon(self._write)
                    nursery.start_soon(self.deadlines.run)
                    nursery.start_soon(self._heartbeat.run)
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
        return self.outbox.lost is not None

    async def closed(self) -> None:
        """Return when `run` has returned and the link is closed."""
        await self._ended.wait()

    async def flushed(self) -> None:
        """Return when everything queued so far has been handed to the link."""
        await self.lanes.flushed()

    async def answered(self) -> None:
        """Return when the peer waits for no answer of ours."""
        while self.inbound:
            await self.outbox.progress()

    def _turns(self) -> Turns:
        if self._is_dialled:
            # This side has chosen the peer: its answers do not wait for those who come unasked.
            return Turns(self.link, None)
        party = None if self.identity is None else self.identity.id
        return Turns(self.link, turnstile().share(party))

    async def _read(self) -> None:
        link, decoder, heartbeat = self.link, self._decoder, self._heartbeat
        takers, outbox, turns = self._takes, self.outbox, self._turns()
        try:
            while True:
                data = await link.receive()
                heartbeat.has_heard = True
                if not data:
                    return
                await turns.begin()
                for part in turns.parts(data):
                    if decoder.completes_large(len(part)):
                        turns.end(is_done=False)
                        events = await trio.to_thread.run_sync(decoder.feed, part)
                        await turns.begin()
                    else:
                        events = decoder.feed(part)
                    for event in events:
                        if turns.is_over:
                            await turns.pause()
                        taker = takers.get(type(event))
                        if taker is not None:
                            taker(event)
                        if outbox.lost is not None:
                            return
                if self.refusals:
                    turns.end(is_done=False)
                    await self._hold_up()
                await turns.rest()
        except RemoteProtocolError as error:
            log.warning("peer broke the protocol", peer=link.peer_address, error=str(error))
            for event in error.events:
                # Not what asks: nobody would hear the answer. Nor a second fault: one is enough.
                if type(event) in takers and type(event) not in (CallRequested, LinkPing):
                    with suppress(RemoteProtocolError):
                        takers[type(event)](event)
            self._close(error)
            await self._say_goodbye(error)
        except Disconnected as error:
            self._close(error)

    async def _hold_up(self) -> None:
        """Let the peer wait for what it was refused; not one that asks for others too.

        Nor is everybody meant who may do everything, but who was let in as a head.
        """
        if self.identity is None or "identity:forward" not in self.identity.scopes:
            await self.refusals.pause()

    async def _say_goodbye(self, error: RemoteProtocolError) -> None:
        """Tell the peer why the link is about to be closed, as an error that answers no call."""
        self.encoder.failed("", "INVALID_INPUT", str(error))
        self.outbox.wake()
        with trio.move_on_after(_CLOSING_SECONDS):
            while not self.outbox.is_empty:
                await self.outbox.progress()

    async def _write(self) -> None:
        try:
            await self.outbox.run()
        except Disconnected as error:
            self._close(error)
            self._scope.cancel(reason="the link was cut")

    def _close(self, error: Disconnected | RemoteProtocolError) -> None:
        if self.is_closed:
            return
        self.outbox.close(error)
        self.lanes.close(error)
        self.pending.close(str(error))
        inbound, self.inbound = self.inbound, {}
        for answering in inbound.values():
            answering.cancel()

    # What the peer says.

    def _requested(self, event: CallRequested) -> None:
        self.fail(event.id, "NOT_FOUND", "this side of the link answers no calls")

    def _item(self, event: CallItem) -> None:
        answering = self.inbound.get(event.id)
        if answering is not None:
            answering.item(event.item, event.format)

    def _finished(self, event: CallFinished) -> None:
        answering = self.inbound.get(event.id)
        if answering is not None:
            answering.finished()

    def _credited(self, event: CallCredit) -> None:
        answering = self.inbound.get(event.id)
        if answering is None:
            self.pending.invited(event.id, event.items)
        else:
            answering.credit(event.items)

    def _aborted(self, event: CallAborted) -> None:
        answering = self.inbound.pop(event.id, None)
        if answering is None:
            self.pending.aborted(event.id)
        else:
            answering.cancel()
            self.lanes.end(event.id)
            self.outbox.stir()

    def _failed(self, event: CallFailed) -> None:
        if event.id == "":
            raise RemoteProtocolError(f"the peer closes the link: {event.message}")
        self.pending.failed(event)

    def _pinged(self, event: LinkPing) -> None:
        self.encoder.pong(event.id)
        self.outbox.queue()
