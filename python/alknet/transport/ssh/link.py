"""SshLink: the call protocol over one channel of an SSH connection."""

from collections.abc import Awaitable, Callable

import anyio

from alknet.errors import Disconnected
from alknet.protocol.auth import Granted
from alknet.transport.ssh.plain import Plain
from alknet.transport.ssh.stream import ChannelStream
from alknet.wire.credential import Certified
from alknet.wire.link import Link


class SshLink(Link):
    """A link over *stream*; *closed* is awaited when that has been closed."""

    transport = "ssh"
    framed = True
    is_confidential = True

    def __init__(
        self,
        stream: ChannelStream,
        address: str,
        credential: bytes | Certified | Granted,
        closed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._channel = stream
        self._stream = Plain(stream)
        self._closed = closed
        self.peer_address = address
        self.credential = credential

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                await self._stream.send(chunk)
        except Disconnected as error:
            raise self._gone(error) from None

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        try:
            for index, chunk in enumerate(chunks):
                if rest := self._channel.send_nowait(chunk):
                    return [rest, *chunks[index + 1 :]]
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise self._gone(error) from None
        return []

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            return await self._stream.receive()
        except Disconnected as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            await self._stream.send_eof()
        except Disconnected as error:
            raise self._gone(error) from None

    async def aclose(self, reason: str = "") -> None:
        await self._channel.aclose()
        if self._closed is not None:
            await self._closed()

    def _gone(self, error: Exception) -> Disconnected:
        why = str(error) or "it was closed"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")
