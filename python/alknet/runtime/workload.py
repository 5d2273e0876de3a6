"""Workload: the calls that a service has taken and not answered, and whether it takes more."""

from collections import deque

import trio

from alknet.call.invocation import Invocation
from alknet.errors import ServiceFailed, Unavailable
from alknet.protocol.stats import State
from alknet.runtime.mailbox import Mailbox


class Workload:
    """What a service called *name* has to do; *size* bounds what links may leave waiting.

    Calls wait in `mailbox`, and then in `taken` for their turn. `current` is the one whose handler
    keeps those waiting now, which a watchdog looks at. `busy` counts all that were taken and not
    answered, handlers that run beside it among them, which a drain waits for, but for the `endless`
    streams, which it ends. `nursery` is where
    these run; there is one while the service lives.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.mailbox = Mailbox(name, size)
        self.taken: deque[Invocation] = deque()
        self.current: Invocation | None = None
        self.busy = 0
        self.endless: set[Invocation] = set()
        self.is_serving = False
        self.is_draining = False
        self.nursery: trio.Nursery | None = None
        self._idle = trio.lowlevel.ParkingLot()

    @property
    def state(self) -> State:
        """Whether it takes calls, only finishes those taken, or does neither."""
        if self.is_serving:
            return "serving"
        return "draining" if self.is_draining and self.nursery is not None else "down"

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn, those that their callers gave up among them."""
        return len(self.mailbox) + len(self.taken)

    def open(self, nursery: trio.Nursery) -> None:
        """Take calls from now on; those that run beside the others do in *nursery*."""
        self.nursery = nursery
        self.is_serving = True
        self.is_draining = False

    async def drain(self) -> None:
        """Take no more calls, and return when those taken have been answered."""
        self.is_serving = False
        self.is_draining = True
        for stream in list(self.endless):
            stream.fail(self.gone())
            stream.cancel()
        while self.busy or len(self.mailbox):
            await self._idle.park()

    def ended(self, invocation: Invocation) -> None:
        """Note that the current call's handler runs no more: a late cancel must reach no other."""
        invocation.scope = None
        self.current = None
        # `settled`, written out: this is run for every call that waits its turn.
        self.busy -= 1
        if self.is_draining:
            self._idle.unpark_all()

    def settled(self) -> None:
        """Note that a call is busy no more, and let `drain` look again."""
        self.busy -= 1
        if self.is_draining:
            self._idle.unpark_all()

    def close(self) -> None:
        """Take no more, and fail what has been taken or waits, since nobody will serve it."""
        self.is_serving = False
        self.nursery = None
        current = self.current
        if current is not None:
            self.ended(current)
            current.fail(self.gone())
        while self.taken:
            self.busy -= 1
            self.taken.popleft().fail(self.gone())
        self.mailbox.close(self.gone)
        self._idle.unpark_all()

    def crash(self, error: ServiceFailed) -> None:
        """End this life of the service with *error*, which was raised in somebody else's task."""
        if self.nursery is not None:
            self.nursery.start_soon(_raise, error, name=f"the end of {self.name}")

    def gone(self) -> Unavailable:
        """Return the error for a call that will not be answered."""
        return Unavailable(f"the service {self.name!r} is not running; it may be restarting")


async def _raise(error: Exception) -> None:
    raise error
