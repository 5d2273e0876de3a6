"""Outbox: what waits to be sent over a link, and the task that sends it.

Whatever has been encoded is sent in one piece, so that the busier a link is, the fewer system calls
a message costs.
"""

from collections.abc import Callable

from trio.lowlevel import ParkingLot

from alknet._core.envelope import Encoder
from alknet.call.wakeup import Wakeup
from alknet.errors import Disconnected, RemoteProtocolError
from alknet.wire.limits import UNSENT_PAUSE_BYTES, Limits
from alknet.wire.link import Link

_EAGER_MESSAGES = 8


class Outbox:
    """The outgoing half of a link: encode into `encoder`, then say `queue`.

    *overflown* is told why, when the peer leaves more unread than *limits* allow. `lost` is the
    error that the link ended with, and None while it is there. `has_sent` is set whenever something
    has been sent; whoever watches clears it.
    """

    def __init__(self, link: Link, limits: Limits, overflown: Callable[[str], None]) -> None:
        self.encoder = Encoder(link.format, framed=link.framed, frame_bytes=limits.frame_bytes)
        self.lost: Disconnected | RemoteProtocolError | None = None
        self.has_sent = False
        self._link = link
        self._most_bytes = limits.unsent_bytes
        self.overflown = overflown
        self._queued = Wakeup()
        self._queued_messages = 0
        self._unsent: list[bytes] = []
        self._sent = ParkingLot()
        self._is_sending = False
        self._is_finishing = False
        self._waiting: list[Callable[[], None]] = []

    @property
    def unsent_bytes(self) -> int:
        """How much is queued that the link has not taken yet."""
        return self.encoder.pending + sum(map(len, self._unsent))

    @property
    def is_empty(self) -> bool:
        """Whether the link has taken all that was queued."""
        return not (self.encoder.pending or self._unsent or self._is_sending)

    @property
    def is_full(self) -> bool:
        """Whether so much is unsent that queueing more would only use up memory."""
        return self.encoder.pending > UNSENT_PAUSE_BYTES

    def queue(self) -> None:
        """Have what was just encoded sent: at once if much has gathered, else by the writer.

        Sending a part while the rest is still being worked out lets the peer work at the same time;
        without it two busy nodes take turns.
        """
        self._queued_messages += 1
        if self._queued_messages >= _EAGER_MESSAGES and not self._is_sending and not self._unsent:
            self._queued_messages = 0
            try:
                self._unsent = self._link.send_nowait(self.encoder.take())
            except Disconnected:
                return  # the reader and the writer see it too, and clean up
        self._queued.set()
        if self.encoder.pending > self._most_bytes:
            self.overflown(f"the peer has left {self.encoder.pending} bytes of answers unread")

    def wake(self) -> None:
        """Have what was just encoded sent by the writer: it is small, and nobody waits for it."""
        self._queued.set()

    def finish(self) -> None:
        """Have `run` return when it has sent what is queued, behind which nothing may be queued."""
        self._is_finishing = True
        self._queued.set()

    async def run(self) -> None:
        """Send what is queued, until cancelled, or until `finish` was said and all is sent.

        Raises:
            Disconnected: the link is gone.
        """
        link, encoder = self._link, self.encoder
        while True:
            if self._waiting and not self.is_full:
                waiting, self._waiting = self._waiting, []
                for go_on in waiting:
                    go_on()
            if not (encoder.pending or self._unsent):
                if self._is_finishing:
                    return
                await self._queued.wait()
                continue
            chunks, self._unsent = [*self._unsent, *encoder.take()], []
            self._queued_messages = 0
            self._is_sending = True
            await link.send(chunks)
            self._is_sending = False
            self.has_sent = True
            self._sent.unpark_all()

    def close(self, error: Disconnected | RemoteProtocolError) -> None:
        """Note that the link is lost; who waits for it is let go."""
        self.lost = error
        self._waiting.clear()
        self._sent.unpark_all()

    def stir(self) -> None:
        """Let those who wait for `progress` look again, at something other than the link."""
        self._sent.unpark_all()

    async def progress(self) -> None:
        """Wait until the link has taken something, or is lost, or somebody says `stir`."""
        await self._sent.park()

    async def room(self) -> None:
        """Wait while so much is unsent that queueing more would only use up memory.

        Raises:
            Disconnected: the link is gone.
        """
        while self.is_full and self.lost is None:
            await self._sent.park()
        if self.lost is not None:
            raise Disconnected(str(self.lost))

    def when_room(self, go_on: Callable[[], None]) -> None:
        """Have *go_on* called once, when the outbox is full no more; never if the link is lost."""
        self._waiting.append(go_on)
        self._queued.set()
