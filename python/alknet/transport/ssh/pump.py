"""Pump: a socket as asyncssh takes it, read and written by tasks of Trio.

asyncio's own transport does too, but each of its reads goes through the queue of the loop, which
costs as much again as what is done with the bytes.
"""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import Any, Final

import trio
from trio.lowlevel import ParkingLot, checkpoint, notify_closing, wait_readable, wait_writable

from alknet.transport.address import in_words
from alknet.wire.limits import KIB

_READ_BYTES: Final = 256 * KIB
_READS_IN_A_ROW: Final = 8
# asyncssh is told to pause above the first, and to go on below the second.
_HIGH_BYTES: Final = 256 * KIB
_LOW_BYTES: Final = 64 * KIB


class Pump(asyncio.Transport):
    """*connection*, which is connected and from now on the pump's, for *protocol*."""

    def __init__(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__()
        connection.setblocking(False)
        self._socket = connection
        self._protocol = protocol
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._is_full = False
        self._is_closed = False
        self._is_reading = True
        self._readers = ParkingLot()
        self._writers = ParkingLot()

    async def run(self) -> None:
        """Carry bytes both ways until the connection ends, however it does."""
        error: Exception | None = None
        try:
            self._protocol.connection_made(self)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_on)
                error = await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self.abort()
            self._protocol.connection_lost(error)

    async def _read(self) -> Exception | None:
        """Read until the end; return what it was that ended the connection, if it was cut."""
        reads = 0
        while True:
            try:
                while not self._is_reading:
                    await self._readers.park()
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                reads = 0
                try:
                    await wait_readable(self._socket)
                except trio.ClosedResourceError:
                    return None
                continue
            except OSError as error:
                return None if self._is_closed else ConnectionError(in_words(error))
            if not data:
                self._protocol.eof_received()
                return None
            self._protocol.data_received(data)
            reads += 1
            if reads >= _READS_IN_A_ROW:
                reads = 0
                await checkpoint()

    async def _write_on(self) -> None:
        """Write what `write` could not, as the socket takes it."""
        with suppress(trio.ClosedResourceError):
            while True:
                while not self._unsent:
                    await self._writers.park()
                await wait_writable(self._socket)
                self._push()

    def _push(self) -> None:
        try:
            while self._unsent:
                chunk = self._unsent[0]
                sent = self._socket.send(chunk)
                self._unsent_bytes -= sent
                if sent < len(chunk):
                    self._unsent[0] = chunk[sent:]
                    break
                self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self.abort()  # whoever reads says why
            return
        if self._is_full and self._unsent_bytes <= _LOW_BYTES:
            self._is_full = False
            self._protocol.resume_writing()

    # What asyncssh calls.

    def write(self, data: Any) -> None:
        if self._is_closed:
            return
        was_empty = not self._unsent
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        if was_empty:
            self._push()
        if not self._unsent:
            return
        self._writers.unpark_all()
        if not self._is_full and self._unsent_bytes > _HIGH_BYTES:
            self._is_full = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        self._is_reading = True
        self._readers.unpark_all()

    def abort(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._unsent.clear()
            self._unsent_bytes = 0
            self.resume_reading()
            notify_closing(self._socket)
            self._socket.close()

    def close(self) -> None:
        self.abort()

    def is_closing(self) -> bool:
        return self._is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        with suppress(OSError):
            match name:
                case "socket":
                    return self._socket
                case "peername":
                    return self._socket.getpeername()
                case "sockname":
                    return self._socket.getsockname()
        return default
