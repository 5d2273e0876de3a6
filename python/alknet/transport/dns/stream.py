"""Stream: the bytes of one session, as the tasks at either end of it wait for them."""

from collections.abc import Callable

import trio

from alknet.errors import Disconnected
from alknet.transport.dns.window import Incoming, Outgoing


class Stream:
    """Bytes both ways, in order. *stir* is told when there is more to send, or more room.

    Whoever moves segments through `outgoing` and `incoming` says so with `moved`, and with `end`
    that there will be no more.
    """

    def __init__(self, address: str) -> None:
        self.outgoing = Outgoing()
        self.incoming = Incoming()
        self.stir: Callable[[], None] = lambda: None
        self.address = address
        self.ended: str | None = None
        self._waiting = trio.lowlevel.ParkingLot()

    async def receive(self) -> bytes:
        """Return what comes next. Cancelling loses nothing.

        Raises:
            Disconnected: nothing more will.
        """
        await trio.lowlevel.checkpoint()
        while not self.incoming.has_data:
            self.check()
            await self._waiting.park()
        data = self.incoming.take()
        if self.incoming.has_news:
            self.stir()
        return data

    async def has_space(self) -> None:
        """Return when something may be written.

        Raises:
            Disconnected: nothing may ever be.
        """
        self.check()
        while not self.outgoing.has_space:
            await self._waiting.park()
            self.check()

    def write(self, data: bytes) -> None:
        """Send *data*, however much it is; wait for space before."""
        self.outgoing.write(data)
        self.stir()

    async def flushed(self) -> None:
        """Return when the far end has all that was written, or never will."""
        while not self.outgoing.is_empty and self.ended is None:
            await self._waiting.park()

    def moved(self) -> None:
        """Wake whoever waits for data, space or the end."""
        self._waiting.unpark_all()

    def end(self, why: str) -> None:
        """End it for both directions, but for what has come already; the first reason counts."""
        if self.ended is None:
            self.ended = why
            self.stir()
            self.moved()

    def check(self) -> None:
        """Raise Disconnected if it is over."""
        if self.ended is not None:
            raise Disconnected(f"the link to {self.address} is gone: {self.ended}")
