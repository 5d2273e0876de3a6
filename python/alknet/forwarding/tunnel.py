"""Tunnel: a connection that a node has opened for us, seen from here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import trio

from alknet.call.client import HERE, Client, Timeout
from alknet.call.sink import DuplexStream
from alknet.errors import Aborted, RemoteProtocolError, Unavailable
from alknet.protocol.forward import Opened, OpenForward
from alknet.transport.splice import ByteStream

# The node has bounds of its own for the name and for the connection; this one is for its silence.
_OPENING_SECONDS: Final = 30.0


class Tunnel(ByteStream):
    """The near end of a forwarded connection; `opened` says where its far end leads."""

    def __init__(self, stream: DuplexStream[bytes, Opened | bytes], opened: Opened) -> None:
        self.opened = opened
        self._stream = stream

    async def receive(self) -> bytes:
        """Return what the target sends next; `b""` when it sends no more.

        Raises:
            CallError: the connection is no more, or the link to the node.
        """
        async for item in self._stream:
            if isinstance(item, bytes):
                return item
            raise RemoteProtocolError("the node says twice that the connection is open")
        return b""

    async def send(self, data: bytes) -> None:
        """Send *data*, waiting while the target does not read; `receive` says if it never will."""
        with suppress(Aborted):
            await self._stream.send(data)

    async def send_eof(self) -> None:
        """Tell the target that nothing will follow."""
        self._stream.finish_sending()
        await trio.lowlevel.checkpoint()

    async def finished(self) -> None:
        """Return when the target has been sent everything, behind the end of both directions.

        Raises:
            CallError: it has not.
        """
        if await self.receive():
            raise RemoteProtocolError("the node sends more behind the end")


@asynccontextmanager
async def open_tunnel(
    client: Client, host: str, port: int, *, node: str = HERE
) -> AsyncIterator[Tunnel]:
    """Have *node* connect us to *host* at *port*, a name being resolved there.

    A block that is left before `finished` has returned cuts the connection.

    Raises:
        Unavailable: nothing answers there, or the link to the node is lost just now.
        Forbidden: the node's policy denies it; by which rule.
        CallError: as the operation `forward/open`.
        DeadlineExceeded: the node says nothing.
    """
    if not client.is_linked:
        raise Unavailable("the link to the node is lost; it is being dialled again")
    stream = client.duplex(OpenForward(host, port), node=node)
    async with AsyncExitStack() as stack:
        with Timeout(f"forward/open to {host}:{port}", _OPENING_SECONDS):
            await stack.enter_async_context(stream)
            opened = await anext(stream, None)
        if not isinstance(opened, Opened):
            raise RemoteProtocolError("the node does not say that the connection is open")
        yield Tunnel(stream, opened)
