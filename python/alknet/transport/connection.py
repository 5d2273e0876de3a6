"""Connection: a bare TCP connection, for bytes that are none of ours."""

import struct
from contextlib import suppress
from typing import Final

import trio

from alknet.protocol.forward import CHUNK_BYTES
from alknet.transport.splice import ByteStream

# socket(7): to linger for no time is to reset the connection.
_NOT_AT_ALL: Final = struct.pack("ii", 1, 0)


class Connection(ByteStream):
    """A connection over *stream*, which it owns.

    `sent` and `received` count bytes. `active` is when some have moved last, in Trio's clock.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.sent = 0
        self.received = 0
        self.active = trio.current_time()
        self._stream = stream

    async def receive(self) -> bytes:
        """Return what the far end sends next; `b""` when it sends no more.

        Raises:
            trio.BrokenResourceError: it has cut the connection.
            trio.ClosedResourceError: we have closed it.
        """
        data = bytes(await self._stream.receive_some(CHUNK_BYTES))
        self.active = trio.current_time()
        self.received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Send *data*, waiting while the far end does not read.

        Raises:
            trio.BrokenResourceError: it has cut the connection.
            trio.ClosedResourceError: we have closed it.
        """
        await self._stream.send_all(data)
        self.active = trio.current_time()
        self.sent += len(data)

    async def send_eof(self) -> None:
        """Say that nothing will follow; what comes can still be received.

        Raises:
            trio.ClosedResourceError: we have closed it.
        """
        # Who has hung up needs not be told; `receive` says what there is to say of it.
        with suppress(trio.BrokenResourceError):
            await self._stream.send_eof()

    def cut(self) -> None:
        """Reset the connection, so that the far end does not take what it has for all there is."""
        with suppress(OSError):
            self._stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _NOT_AT_ALL)
        self.close()

    def close(self) -> None:
        """Close the connection; safe to call twice, and while others use it."""
        self._stream.socket.close()
