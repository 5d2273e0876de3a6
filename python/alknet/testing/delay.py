"""DelayedLink: a link on which everything takes its time."""

import random
from typing import Final

import trio

from alknet.errors import Disconnected
from alknet.testing.wrapped import WrappedLink
from alknet.wire.link import Link

# What a long road has in flight; beyond it, whoever sends waits.
_IN_FLIGHT: Final = 256


class DelayedLink(WrappedLink):
    """The near end of *link*; what either end sends arrives after *delay* seconds.

    *jitter* is how many seconds more it may take, drawn for each piece from *seed*. No piece
    overtakes another, but all can be on their way together, and those of different links pass each
    other. What is on its way waits in *nursery*.
    """

    def __init__(
        self,
        link: Link,
        nursery: trio.Nursery,
        *,
        delay: float,
        jitter: float = 0.0,
        seed: int | str = 0,
    ) -> None:
        super().__init__(link)
        self._departing = _Lane(delay, jitter, f"{seed} departing")
        self._arriving = _Lane(delay, jitter, f"{seed} arriving")
        nursery.start_soon(self._deliver, name=f"what is sent to {self.peer_address}")
        nursery.start_soon(self._fetch, name=f"what comes from {self.peer_address}")

    async def send(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self.check()
            await self.unless_over(self._departing.put, chunk)

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        self.check()
        return await self.unless_over(self._arriving.get)

    async def aclose(self, reason: str = "") -> None:
        # A link that closes in good order delivers what it has taken.
        while not self.is_over and self._departing.unsettled:
            await self.unless_over(self._departing.moved.park)
        await super().aclose(reason)

    async def _deliver(self) -> None:
        lane = self._departing
        try:
            while True:
                await self._link.send([await self.unless_over(lane.get)])
                lane.unsettled -= 1
                lane.moved.unpark_all()
        except Disconnected:
            if not self.is_over:
                self.cut()

    async def _fetch(self) -> None:
        lane = self._arriving
        try:
            data = b"a first"
            while data:
                data = await self.unless_over(self._link.receive)
                await self.unless_over(lane.put, data)
        except Disconnected as error:
            if not self.is_over:
                await lane.put(error)


class _Lane:
    """One direction: pieces in order, each with the moment at which it arrives."""

    def __init__(self, delay: float, jitter: float, seed: str) -> None:
        self._delay = delay
        self._jitter = jitter
        self._random = random.Random(seed)  # noqa: S311 - to vary delays, not to keep a secret
        self._last = 0.0
        self._put, self._get = trio.open_memory_channel[tuple[float, bytes | Disconnected]](
            _IN_FLIGHT
        )
        self._next: tuple[float, bytes | Disconnected] | None = None
        # How many pieces were put and have not been passed on by whoever got them.
        self.unsettled = 0
        self.moved = trio.lowlevel.ParkingLot()

    async def put(self, piece: bytes | Disconnected) -> None:
        due = trio.current_time() + self._delay + self._random.uniform(0, self._jitter)
        self._last = max(self._last, due)
        self.unsettled += 1
        await self._put.send((self._last, piece))

    async def get(self) -> bytes:
        """Return the next piece when it has arrived; cancelling loses nothing."""
        if self._next is None:
            self._next = await self._get.receive()
        due, piece = self._next
        await trio.sleep_until(due)
        self._next = None
        if isinstance(piece, Disconnected):
            raise piece
        return piece
