"""Forward: one connection that a node has opened for somebody, while it lasts."""

import struct
from contextlib import suppress
from typing import Final

import trio

from alknet.errors import CallError
from alknet.transport.address import bracket, in_words
from alknet.transport.egress import no_connection
from alknet.transport.splice import ByteStream

# As much as is in hand for each direction of a connection.
CHUNK_BYTES: Final = 64 * 1024
# socket(7): to linger for no time is to reset the connection.
_NOT_AT_ALL: Final = struct.pack("ii", 1, 0)


class Forward(ByteStream):
    """A connection to `host` at `port`, opened for `principal`, who asked by `transport`.

    `address` is the one of the host's addresses that was judged and is connected to. `sent` and
    `received` count bytes, to the target and from it. `active` is when some have moved last, in
    Trio's clock.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        *,
        host: str,
        port: int,
        address: str,
        principal: str | None,
        transport: str,
    ) -> None:
        self.host = host
        self.port = port
        self.address = address
        self.principal = principal
        self.transport = transport
        self.sent = 0
        self.received = 0
        self.active = trio.current_time()
        self._stream = stream
        self._ended: CallError | None = None

    @property
    def target(self) -> str:
        """Where it was asked to lead, as `host:port`."""
        return f"{bracket(self.host)}:{self.port}"

    async def receive(self) -> bytes:
        """Return what the target sends next; `b""` when it sends no more.

        Raises:
            Unavailable: the target has cut the connection.
            CallError: the forward was ended; why.
        """
        try:
            data = bytes(await self._stream.receive_some(CHUNK_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None
        self.active = trio.current_time()
        self.received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Send *data* to the target, waiting while it does not read.

        Raises:
            Unavailable: the target has cut the connection.
            CallError: the forward was ended; why.
        """
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None
        self.active = trio.current_time()
        self.sent += len(data)

    async def send_eof(self) -> None:
        """Tell the target that nothing will follow; what it sends can still be received.

        Raises:
            CallError: the forward was ended; why.
        """
        try:
            await self._stream.send_eof()
        except trio.ClosedResourceError as error:
            raise self._gone(error) from None
        except trio.BrokenResourceError:
            # Who has hung up needs not be told; `receive` says what there is to say of it.
            return

    def end(self, why: CallError) -> None:
        """Cut the connection; whoever uses it, now or later, is told *why*."""
        if self._ended is None:
            self._ended = why
        self.cut()

    def cut(self) -> None:
        """Reset the connection, so that the target does not take what it has for all there is."""
        with suppress(OSError):
            self._stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _NOT_AT_ALL)
        self.close()

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self._stream.socket.close()

    def _gone(self, error: BaseException) -> CallError:
        if self._ended is not None:
            return self._ended
        return no_connection(f"{self.target} has cut the connection: {in_words(error)}", "cut")
