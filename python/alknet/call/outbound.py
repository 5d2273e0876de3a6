"""Calls whose handler is at the other end of a link, as the caller waits for them."""

from typing import Any

import trio

from alknet.call.client import late
from alknet.call.payload import PayloadType, encode
from alknet.call.pending import PendingCall, PendingStream
from alknet.call.session import Session
from alknet.call.sink import CreditedSink
from alknet.call.stream import Stream
from alknet.errors import CallError


class RemoteCall(PendingCall):
    """A call over a link; a caller that stops waiting tells the peer."""

    __slots__ = ("_seconds", "_session", "request_id")

    def __init__(self, session: Session, path: str, reply: PayloadType, seconds: float) -> None:
        # PendingCall.__init__, written out: this is made for every call.
        self._task = None
        self._value = None
        self._error = None
        self.is_over = False
        self._type = reply
        self._name = path
        self._session = session
        self._seconds = seconds
        self.request_id = ""

    def abandon(self) -> None:
        self.is_over = True
        self._session.pending.give_up(self.request_id)

    def expire(self) -> None:
        self._session.pending.give_up(self.request_id)
        self.fail(late(self._name, self._seconds))


class RemoteUpload(RemoteCall):
    """An upload over a link: its time starts anew with each item that goes or is asked for."""

    __slots__ = ("due", "sink")

    def __init__(self, session: Session, path: str, reply: PayloadType, seconds: float) -> None:
        super().__init__(session, path, reply, seconds)
        self.due = trio.current_time() + seconds
        self.sink = CreditedSink(self._write, self._end, session.outbox.room)

    def invited(self, items: int) -> None:
        self.due = trio.current_time() + self._seconds
        self.sink.grant(items)

    def expire(self) -> None:
        if trio.current_time() < self.due:
            self._session.deadlines.add(self.due, self)
        else:
            super().expire()

    def _write(self, item: Any) -> None:
        session = self._session
        self.due = trio.current_time() + self._seconds
        session.pending.send_item(self.request_id, encode(item, session.format), session.format)

    def _end(self) -> None:
        self._session.pending.finish_items(self.request_id)

    def _settle(self) -> None:
        self.sink.close()
        super()._settle()


class PendingDuplex(PendingStream):
    """A duplex over a link: a subscription that sends items too."""

    __slots__ = ("_session", "request_id", "sink")

    def __init__(self, stream: Stream[Any], item: PayloadType, name: str, session: Session) -> None:
        super().__init__(stream, item, name)
        self._session = session
        self.request_id = ""
        self.sink = CreditedSink(self._write, self._end, session.outbox.room)

    def invited(self, items: int) -> None:
        self.sink.grant(items)

    def completed(self) -> None:
        self.sink.close()
        super().completed()

    def failed(self, error: CallError) -> None:
        self.sink.close()
        super().failed(error)

    def _write(self, item: Any) -> None:
        session = self._session
        session.pending.send_item(self.request_id, encode(item, session.format), session.format)

    def _end(self) -> None:
        self._session.pending.finish_items(self.request_id)
