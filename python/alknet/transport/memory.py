"""Links within one process: for tests, and for nodes that share one."""

import trio

from alknet.errors import Disconnected
from alknet.wire.link import Format, Link


class MemoryLink(Link):
    """One end of a pair; what one sends the other receives, chunk by chunk.

    At most *capacity* chunks wait unread; then the sender does.
    """

    transport = "memory"
    is_confidential = True

    def __init__(
        self,
        name: str,
        outgoing: trio.MemorySendChannel[bytes],
        incoming: trio.MemoryReceiveChannel[bytes],
        *,
        framed: bool,
        format: Format,
    ) -> None:
        self.peer_address = name
        self.framed = framed
        self.format = format
        self._outgoing = outgoing
        self._incoming = incoming
        self._far: MemoryLink | None = None
        self._is_cut = False

    def join(self, far: "MemoryLink") -> None:
        """Make *far* the other end."""
        self._far, far._far = far, self

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                await self._outgoing.send(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._gone() from None

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        try:
            for index, chunk in enumerate(chunks):
                try:
                    self._outgoing.send_nowait(chunk)
                except trio.WouldBlock:
                    return chunks[index:]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._gone() from None
        return []

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            return await self._incoming.receive()
        except trio.EndOfChannel:
            if self._is_cut:
                raise self._gone() from None
            return b""
        except trio.ClosedResourceError:
            raise self._gone() from None

    async def send_eof(self) -> None:
        self._outgoing.close()
        await trio.lowlevel.checkpoint()

    async def aclose(self, reason: str = "") -> None:
        self._outgoing.close()
        self._incoming.close()

    def cut(self) -> None:
        """Part the two ends: what was sent still arrives, then both see Disconnected."""
        for end in (self, self._far):
            if end is not None:
                end._is_cut = True
                end._outgoing.close()

    def _gone(self) -> Disconnected:
        why = "it was cut" if self._is_cut else "it is closed"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")


def memory_pair(
    *, capacity: int = 64, framed: bool = False, format: Format = "json"
) -> tuple[MemoryLink, MemoryLink]:
    """Return the two ends of a link within this process.

    With *framed* it carries a byte stream, as TCP does, else an envelope in each message, as a
    WebSocket does.
    """
    to_b, from_a = trio.open_memory_channel[bytes](capacity)
    to_a, from_b = trio.open_memory_channel[bytes](capacity)
    a = MemoryLink("memory:b", to_b, from_b, framed=framed, format=format)
    b = MemoryLink("memory:a", to_a, from_a, framed=framed, format=format)
    a.join(b)
    return a, b
