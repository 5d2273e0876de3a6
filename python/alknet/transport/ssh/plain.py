"""Plain: a stream of anyio as those that are spliced look: its end is no bytes."""

import anyio
from anyio.abc import ByteStream

from alknet.errors import Disconnected


class Plain:
    """*stream*, whose `receive` returns `b""` at the end, and which raises Disconnected if cut."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        """Return the next bytes; `b""` when the far end sends no more."""
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _gone(error) from None

    async def send(self, data: bytes) -> None:
        """Send *data*, waiting while the far end does not read."""
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _gone(error) from None

    async def send_eof(self) -> None:
        """Say that nothing will follow; what comes can still be received."""
        try:
            await self._stream.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _gone(error) from None


def _gone(error: Exception) -> Disconnected:
    return Disconnected(str(error) or "it was closed")
