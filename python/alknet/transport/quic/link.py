"""QuicLink: a link over one QUIC connection.

The client opens a stream and says which kind it is, in one byte; then either end may speak. On the
stream of the calls all envelopes travel, each with its length in front, as over TCP.
"""

from typing import Final

from alknet.errors import Disconnected, RemoteProtocolError
from alknet.transport.quic.connection import Connection, Stream
from alknet.wire.link import Link

# The first byte of a stream, by which whoever takes it knows what it is for.
CALLS: Final = b"\0"


class QuicLink(Link):
    """A link over one connection, and the stream of it on which the calls are."""

    transport = "quic"
    framed = True
    is_confidential = True

    def __init__(self, connection: Connection, calls: Stream) -> None:
        self._connection = connection
        self._calls = calls
        self.peer_address = connection.peer
        self.credential = connection.peer_key

    async def send(self, chunks: list[bytes]) -> None:
        try:
            await self._calls.send(chunks)
        except Disconnected as error:
            raise self._gone(error) from None

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        try:
            return self._calls.send_nowait(chunks)
        except Disconnected as error:
            raise self._gone(error) from None

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            return await self._calls.receive()
        except Disconnected as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            self._calls.finish()
        except Disconnected as error:
            raise self._gone(error) from None

    async def aclose(self, reason: str = "") -> None:
        await self._connection.aclose(self._calls, reason)

    def _gone(self, error: Disconnected) -> Disconnected:
        return Disconnected(f"the link to {self.peer_address} is gone: {error}")


def begun(connection: Connection) -> QuicLink:
    """Return the link of who has dialled *connection*, on which it may speak at once.

    Raises:
        Disconnected: the connection is gone.
    """
    calls = connection.open()
    calls.send_nowait([CALLS])
    return QuicLink(connection, calls)


async def taken(connection: Connection) -> QuicLink:
    """Return the link of who was dialled, once the other end has begun it.

    Raises:
        RemoteProtocolError: it has begun something else.
        Disconnected: the connection is gone.
    """
    calls = await connection.opened()
    first = await calls.receive()
    if first[:1] != CALLS:
        raise RemoteProtocolError(
            f"{connection.peer} does not speak alknet over QUIC: its first stream begins with "
            f"{first[:1]!r}, and {CALLS!r} is due"
        )
    link = QuicLink(connection, calls)
    link.unread = first[1:]
    return link
