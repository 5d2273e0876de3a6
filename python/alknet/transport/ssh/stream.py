"""Stream: a channel of SSH as a stream of bytes, with backpressure both ways."""

from collections import deque
from contextlib import suppress
from typing import Any, Final

import anyio
import trio
from anyio.abc import ByteStream
from trio.lowlevel import ParkingLot, checkpoint

from alknet.transport.ssh.engine import Engine
from alknet.transport.ssh.paced import Paced
from alknet.wire.limits import KIB

# Delivery pauses when so much waits to be read, and goes on below the second mark.
_PAUSE_BYTES: Final = 256 * KIB
_RESUME_BYTES: Final = 64 * KIB
# So much is handed over at a time, and so much may be on its way there.
_WRITE_BYTES: Final = 128 * KIB
_UNSENT_BYTES: Final = 256 * KIB
_READS_IN_A_ROW: Final = 8
# How long the other end may take to close its half when nothing waits to be sent.
_CLOSING_SECONDS: Final = 2.0


class ChannelStream(ByteStream):
    """One channel: asyncssh calls the methods in its second half, Trio those in the first.

    Trio's tasks never call asyncssh themselves, but have the engine do it.

    It can be used when it is `attached` to its channel. The errors are anyio's. An end that was cut
    is a BrokenResourceError, one in good order an EndOfStream. A `send` that is cancelled may have
    sent a part: close the stream after that.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._channel: Any = None
        self._connection: Paced | None = None
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._is_paused = False
        self._has_ended = False
        self._lost: Exception | None = None
        self._is_lost = False
        self._is_closed = False
        self._is_full = False
        self._reads = 0
        self._readers = ParkingLot()
        self._writers = ParkingLot()
        self._gone = trio.Event()
        self.attached = trio.Event()

    async def receive(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes, all that there are unless *max_bytes* says how many at most."""
        self._reads += 1
        if self._reads >= _READS_IN_A_ROW:
            self._reads = 0
            await checkpoint()
        while not self._received:
            self._check_open()
            if self._has_ended:
                raise anyio.EndOfStream
            if self._is_lost:
                if self._lost is None:
                    raise anyio.EndOfStream
                raise anyio.BrokenResourceError(_words(self._lost)) from None
            self._reads = 0
            await self._readers.park()
        data = b"".join(self._received) if len(self._received) > 1 else self._received[0]
        self._received.clear()
        if max_bytes is not None and len(data) > max_bytes:
            self._received.append(data[max_bytes:])
            data = data[:max_bytes]
        self._received_bytes -= len(data)
        if self._is_paused and self._received_bytes < _RESUME_BYTES:
            self._is_paused = False
            self._engine.now(self._channel.resume_reading)
        return data

    async def send(self, item: bytes) -> None:
        """Send *item*, waiting while the peer does not read."""
        rest = self.send_nowait(item)
        while rest:
            await self._writers.park()
            rest = self.send_nowait(rest)

    def send_nowait(self, item: bytes) -> bytes:
        """Send what can be sent of *item* without waiting; return the rest."""
        self._check_whole()
        start = 0
        while start < len(item):
            if not self._has_room():
                return item[start:]
            end = start + _WRITE_BYTES
            piece = item if start == 0 and end >= len(item) else item[start:end]
            self._engine.now(self._write, piece)
            start = end
        return b""

    async def send_eof(self) -> None:
        """Say that nothing will follow; the peer may still be received from."""
        self._check_whole()
        self._engine.now(self._channel.write_eof)
        await checkpoint()

    async def aclose(self) -> None:
        """Close; if nothing waits to be sent, when the peer has closed too; safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._readers.unpark_all()
            self._writers.unpark_all()
            self._engine.now(self._close)
        with trio.move_on_after(_CLOSING_SECONDS):
            await self._gone.wait()
        if not self._gone.is_set():
            self._engine.now(self._abort)
        await checkpoint()

    def _has_room(self) -> bool:
        if self._is_full:
            return False
        connection = self._connection
        if connection is None or connection.has_room:
            return True
        connection.when_room(self._writers.unpark_all)
        return False

    def _check_open(self) -> None:
        if self._is_closed:
            raise anyio.ClosedResourceError

    def _check_whole(self) -> None:
        self._check_open()
        if self._is_lost:
            raise anyio.BrokenResourceError(_words(self._lost))

    # What asyncssh calls, in its own loop.

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        self._connection = chan.get_connection()
        chan.set_write_buffer_limits(_UNSENT_BYTES)
        self.attached.set()

    def session_started(self) -> None:
        """Nothing more is needed to begin."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None or self._is_closed:
            return  # what a program would say on its stderr; there is none
        self._received.append(data)
        self._received_bytes += len(data)
        if not self._is_paused and self._received_bytes > _PAUSE_BYTES:
            self._is_paused = True
            self._channel.pause_reading()
        self._readers.unpark_all()

    def eof_received(self) -> bool:
        self._has_ended = True
        self._readers.unpark_all()
        return True  # the other half stays open

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._writers.unpark_all()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost, self._lost = True, exc
        self._gone.set()
        self._readers.unpark_all()
        self._writers.unpark_all()

    def _write(self, piece: bytes) -> None:
        with suppress(OSError):  # lost meanwhile, which whoever sends or receives next is told
            self._channel.write(piece)

    def _close(self) -> None:
        if self._channel is None:
            self._gone.set()
        elif self._is_full or not (self._connection is None or self._connection.has_room):
            self._abort()
        else:
            self._farewell()

    def _farewell(self) -> None:
        self._channel.write_eof()
        self._channel.close()

    def _abort(self) -> None:
        self._channel.abort()
        self._gone.set()


def _words(error: Exception | None) -> str:
    return "it was closed" if error is None else str(error) or type(error).__name__
