"""Uplink: the session that calls go over, now or once it has been reopened."""

from trio.lowlevel import ParkingLot

from alknet.call.client import Timeout
from alknet.call.session import Session
from alknet.errors import Disconnected
from alknet.wire.limits import UNSENT_PAUSE_BYTES


class Uplink:
    """Holds the `session` to ask over; with *reconnects* another will be attached when it is lost.

    A request that waits here was never sent, so that a link lost meanwhile costs it nothing if
    there will be another.
    """

    __slots__ = ("_attached", "reconnects", "session")

    def __init__(self, session: Session, *, reconnects: bool) -> None:
        self.session = session
        self.reconnects = reconnects
        self._attached = ParkingLot()

    def attach(self, session: Session) -> None:
        """Ask over *session* from now on, and let those go on that wait for a link."""
        self.session = session
        self._attached.unpark_all()

    @property
    def is_ready(self) -> bool:
        """Whether there is a link with room for a request."""
        session = self.session
        return not session.is_closed and session.encoder.pending <= UNSENT_PAUSE_BYTES

    async def wait(self, path: str, seconds: float) -> None:
        """Wait until the link is ready, or DeadlineExceeded is due for a call of *path*.

        Raises:
            Disconnected: the link is lost, and nobody reopens it.
        """
        with Timeout(path, seconds):
            await self.ready()

    async def ready(self) -> Session:
        """Return the session to ask over, once there is room on it for a request.

        Raises:
            Disconnected: the link is lost, and nobody reopens it.
        """
        while True:
            while self.session.is_closed and self.reconnects:
                await self._attached.park()
            session = self.session
            try:
                await session.outbox.room()
            except Disconnected:
                if not self.reconnects:
                    raise
            else:
                return session
