"""Links within one process: for tests, and for nodes that share one."""

import trio

from alknet.errors import Disconnected
from alknet.wire.link import Link


class MemoryLink(Link):
    """One end of a pair; what one sends the other receives, a message for each chunk.

    At most *capacity* messages wait unread; then the sender does.
    """

    is_confidential = True

    def __init__(
        self,
        name: str,
        outgoing: trio.MemorySendChannel[bytes],
        incoming: trio.MemoryReceiveChannel[bytes],
    ) -> None:
        self.peer_address = name
        self._outgoing = outgoing
        self._incoming = incoming

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                await self._outgoing.send(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Disconnected(f"the link to {self.peer_address} is closed") from None

    async def receive(self) -> bytes:
        try:
            return await self._incoming.receive()
        except trio.EndOfChannel:
            return b""
        except trio.ClosedResourceError:
            raise Disconnected(f"the link to {self.peer_address} is closed") from None

    async def aclose(self, reason: str = "") -> None:
        self._outgoing.close()
        self._incoming.close()


def memory_pair(*, capacity: int = 64) -> tuple[MemoryLink, MemoryLink]:
    """Return the two ends of a link within this process."""
    to_b, from_a = trio.open_memory_channel[bytes](capacity)
    to_a, from_b = trio.open_memory_channel[bytes](capacity)
    return MemoryLink("memory:b", to_b, from_b), MemoryLink("memory:a", to_a, from_a)
