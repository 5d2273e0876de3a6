"""One QUIC connection and its streams: waiting for what the endpoint tells of them."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import trio
from trio.lowlevel import (
    Abort,
    ParkingLot,
    RaiseCancelT,
    Task,
    checkpoint,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from alknet._core.quic import Endpoint
from alknet.errors import AlknetError, Disconnected

_READ_BYTES: Final = 256 * 1024
_READS_IN_A_ROW: Final = 8
# Reading so much makes room at once; what is less is told with whatever is sent next.
_LARGE_BYTES: Final = 16 * 1024
# How long an end that closes waits for what it said to arrive: so long, and so many round trips.
_LINGER_SECONDS: Final = 1.0
_LINGER_ROUND_TRIPS: Final = 6.0

# Codes of the application (RFC 9000, section 20.2).
IN_GOOD_ORDER: Final = 0
FAULT: Final = 1


class Waiter:
    """The one task that waits for something; it looks again when it is woken."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: Task | None = None

    async def park(self) -> None:
        """Return when `unpark` has been called."""
        self._task = current_task()
        await wait_task_rescheduled(self._abandon)

    def unpark(self) -> None:
        """Wake the task, if there is one."""
        task, self._task = self._task, None
        if task is not None:
            reschedule(task)

    def _abandon(self, _: RaiseCancelT) -> Abort:
        self._task = None
        return Abort.SUCCEEDED


class Stream:
    """One stream of a connection; one task may send on it."""

    def __init__(self, connection: "Connection", number: int, *, is_ours: bool) -> None:
        self.number = number
        self.is_ours = is_ours
        self._connection = connection
        self._endpoint = connection.endpoint
        self._writer = Waiter()
        self._finished = trio.Event()
        self._is_finishing = False
        self._has_ended = False

    @property
    def is_one_way(self) -> bool:
        """Whether only the end that has opened it may speak on it (RFC 9000, section 2.1)."""
        return bool(self.number & 2)

    def read(self) -> bytes | None:
        """Return what has arrived, `b""` at the end of the stream, None if nothing has.

        Raises:
            Disconnected: the connection was closed, or the peer has given the stream up.
        """
        if self._has_ended:
            return b""
        connection = self._connection
        if connection.is_closed:
            raise Disconnected("it was closed")
        data = self._endpoint.read(connection.number, self.number, _READ_BYTES)
        if data is None:
            return None
        if len(data) >= _LARGE_BYTES:
            connection.flush()
        self._has_ended = not data
        return data

    async def receive(self) -> bytes:
        """Return what arrives next, `b""` at the end of the stream.

        Raises:
            Disconnected: as `read`, or the connection is gone.
        """
        while (data := self.read()) is None:
            self._connection.check()
            await self._connection.readable.park()
        return data

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        """Have sent what there is room for; return the rest, which must be sent next.

        Raises:
            Disconnected: the connection is gone, or the peer wants to hear no more.
        """
        for index, chunk in enumerate(chunks):
            taken = self._write(chunk, 0)
            if taken < len(chunk):
                self._connection.flush()
                return [chunk[taken:], *chunks[index + 1 :]]
        self._connection.flush()
        return []

    async def send(self, chunks: list[bytes]) -> None:
        """Have *chunks* sent, waiting while the peer does not read.

        Raises:
            Disconnected: as `send_nowait`.
        """
        for chunk in chunks:
            start = 0
            while start < len(chunk):
                taken = self._write(chunk, start)
                start += taken
                if start < len(chunk):
                    self._connection.flush()
                    await self._writer.park()
        self._connection.flush()

    def _write(self, chunk: bytes, start: int) -> int:
        connection = self._connection
        connection.check()
        return self._endpoint.write(connection.number, self.number, chunk, start)

    def finish(self) -> None:
        """Say that nothing will follow."""
        if not self._is_finishing:
            self._is_finishing = True
            self._connection.check()
            if not self._endpoint.finish(self._connection.number, self.number):
                self._finished.set()
            self._connection.flush()

    async def finished(self) -> None:
        """Return when the peer has everything, the end too, or the connection is gone."""
        await self._finished.wait()

    def happened(self, what: str) -> None:
        """Wake who waits for *what*."""
        if what == "writable":
            self._writer.unpark()
        elif what == "finished":
            self._finished.set()

    def ended(self) -> None:
        """Wake everybody: the connection is gone."""
        self._writer.unpark()
        self._finished.set()


class Connection:
    """A connection with *peer* (`host:port`), which has the *number* at *endpoint*.

    *flush* has what must be sent sent; *close* is told the code and the reason when it closes.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        number: int,
        peer: str,
        *,
        flush: Callable[[], None],
        close: Callable[[int, str], None],
    ) -> None:
        self.endpoint = endpoint
        self.number = number
        self.peer = peer
        self.flush = flush
        self._close = close
        self._is_over = False
        # Why it is gone, if the far end or the road made it so.
        self.error: AlknetError | None = None
        self.is_closed = False
        self._is_connected = False
        # The one task that receives, on any stream, waits here.
        self.readable = Waiter()
        # Streams of the peer's alone on which something may have arrived, the longest first.
        self.ready: dict[Stream, None] = {}
        self._reads = 0
        self._streams: dict[int, Stream] = {}
        self._opened: deque[Stream] = deque()
        self._changed = ParkingLot()

    async def connected(self) -> None:
        """Return when both ends have proven who they are.

        Raises:
            Refused: the server's certificate is not trusted.
            Locked: the server has none to show.
            RemoteProtocolError: the peer breaks the protocol.
            Unreachable: the far end takes no more connections.
            Disconnected: the connection is gone for any other reason.
        """
        while not self._is_connected:
            if self.error is not None:
                raise self.error
            await self._changed.park()

    @property
    def peer_key(self) -> bytes | None:
        """The Ed25519 key that the peer has proven to hold, if its certificate is of one."""
        return self.endpoint.peer_key(self.number)

    def open(self) -> Stream:
        """Open a stream.

        Raises:
            Disconnected: the connection is gone, or the peer allows no more streams.
        """
        self.check()
        number = self.endpoint.open(self.number)
        if number is None:
            raise Disconnected("the far end allows no more streams")
        self._streams[number] = stream = Stream(self, number, is_ours=True)
        return stream

    def open_one_way(self) -> Stream | None:
        """Open a stream on which only we speak, if the peer allows another.

        Raises:
            Disconnected: the connection is gone.
        """
        self.check()
        number = self.endpoint.open_one_way(self.number)
        if number is None:
            return None
        self._streams[number] = stream = Stream(self, number, is_ours=True)
        return stream

    def forget(self, stream: Stream) -> None:
        """Let go of *stream*, which has ended."""
        self._streams.pop(stream.number, None)

    async def turn(self) -> None:
        """Give others their turn, now and then."""
        self._reads += 1
        if self._reads >= _READS_IN_A_ROW:
            self._reads = 0
            await checkpoint()

    async def opened(self) -> Stream:
        """Return the next stream that the peer has opened for both to speak on.

        Raises:
            Disconnected: the connection is gone.
        """
        while not self._opened:
            self.check()
            await self._changed.park()
        return self._opened.popleft()

    def check(self) -> None:
        """Do nothing if the connection is there.

        Raises:
            Disconnected: it is not.
        """
        if self.is_closed:
            raise Disconnected("it was closed")
        if self.error is not None:
            raise Disconnected(str(self.error))

    def happened(self, what: str, detail: Any) -> None:
        """Take what the endpoint tells of this connection."""
        if what == "opened":
            self._streams[detail] = stream = Stream(self, detail, is_ours=False)
            if stream.is_one_way:
                self.ready[stream] = None
                self.readable.unpark()
            else:
                self._opened.append(stream)
                self._changed.unpark_all()
        elif what == "connected":
            self._is_connected = True
            self._changed.unpark_all()
        elif what == "lost":
            self.lose(detail)
        elif detail in self._streams:
            stream = self._streams[detail]
            if what == "readable":
                if stream.is_one_way:
                    self.ready[stream] = None
                self.readable.unpark()
            else:
                stream.happened(what)
                if what == "finished" and stream.is_one_way:
                    self.forget(stream)

    def lose(self, error: AlknetError) -> None:
        """Note that the connection is gone, and wake everybody."""
        if self.error is None:
            self.error = error
        self._wake()

    def _wake(self) -> None:
        self._changed.unpark_all()
        self.readable.unpark()
        for stream in self._streams.values():
            stream.ended()

    async def aclose(self, stream: Stream, reason: str) -> None:
        """Close when the peer has what was said on *stream*, or does not take it in time.

        Who sends or receives at this end sees Disconnected at once. Safe to call twice.
        """
        if self.is_closed:
            await checkpoint()
            return
        try:
            if self.error is None:
                # The one that says that all is said is the last.
                ours = [each for each in self._streams.values() if each.is_ours] + [stream]
                for each in ours:
                    each.finish()
                self._deafen()
                round_trip = self.endpoint.round_trip(self.number)
                patience = _LINGER_SECONDS + _LINGER_ROUND_TRIPS * round_trip
                with trio.move_on_after(patience):
                    for each in ours:
                        await each.finished()
        finally:
            self.abort(IN_GOOD_ORDER, reason)

    def _deafen(self) -> None:
        # Those who wait look again and find it closed; what was said goes on being sent.
        self.is_closed = True
        self._changed.unpark_all()
        self.readable.unpark()
        for stream in self._streams.values():
            stream.happened("writable")

    def abort(self, code: int, reason: str) -> None:
        """Close at once, telling the peer *code* and *reason*; safe to call twice."""
        if not self._is_over:
            self._is_over = self.is_closed = True
            self._wake()
            self._close(code, reason)
