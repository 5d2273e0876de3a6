"""Splice: two byte streams joined, so that what comes from one goes to the other."""

from typing import NamedTuple, Protocol

import trio


class ByteStream(Protocol):
    """A connection, as it is seen from one of its ends; each direction ends by itself."""

    async def receive(self) -> bytes:
        """Return the next bytes; `b""` when the far end sends no more."""
        ...

    async def send(self, data: bytes, /) -> None:
        """Send *data*, waiting while the far end does not read."""
        ...

    async def send_eof(self) -> None:
        """Say that nothing will follow; what comes can still be received."""
        ...


class Copied(NamedTuple):
    """How many bytes went from the first stream to the second, and how many came back."""

    there: int
    back: int


async def splice(near: ByteStream, far: ByteStream) -> Copied:
    """Copy both ways until both ends have said that they send no more; return how much it was.

    An end of one direction is passed on, and the other goes on. One chunk is in hand for each
    direction: who does not read is not read for. Neither stream is closed; what one of them raises
    ends both directions, and comes out as it is.
    """
    counts = [0, 0]
    failed: list[Exception] = []

    async def copy(source: ByteStream, target: ByteStream, direction: int) -> None:
        try:
            while data := await source.receive():
                await target.send(data)
                counts[direction] += len(data)
            await target.send_eof()
        except Exception as error:
            failed.append(error)
            both.cancel_scope.cancel(reason="the other direction has failed")

    async with trio.open_nursery() as both:
        both.start_soon(copy, near, far, 0)
        both.start_soon(copy, far, near, 1)
    if failed:
        raise failed[0]
    return Copied(*counts)
