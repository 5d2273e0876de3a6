"""Turns: how much of what one link says is answered before others are."""

from math import inf
from time import perf_counter, thread_time
from typing import Final

from trio.lowlevel import checkpoint

from alknet.turnstile import Share
from alknet.wire.link import Link

# However fast they are answered: a link that is alone on its node is read in such turns.
_TURN_EVENTS: Final = 64
# And after so long, however little came at a time.
_BUSY_SECONDS: Final = 0.0003
# So much of a byte stream is looked at in a turn.
_TURN_BYTES: Final = 32 * 1024


class Turns:
    """The turns in which *link* is read; *share* is what it has of the thread, None if all.

    A turn lasts while what has been received is not used up, but no longer than the share says.
    """

    __slots__ = ("_began", "_busy", "_count", "_is_on", "_link", "_share", "_until")

    def __init__(self, link: Link, share: Share | None) -> None:
        self._link = link
        self._share = share
        self._is_on = False
        self._count = 0
        self._busy = 0.0
        self._began = 0.0
        self._until = inf

    def parts(self, data: bytes) -> list[bytes]:
        """Return *data* in pieces, each of which is for one turn at most."""
        if len(data) <= _TURN_BYTES or not self._link.framed:
            return [data]
        return [data[at : at + _TURN_BYTES] for at in range(0, len(data), _TURN_BYTES)]

    async def begin(self) -> None:
        """Begin a turn, unless the last one goes on; wait for it if need be."""
        if self._is_on or self._share is None:
            return
        seconds = await self._share.begin()
        self._is_on = True
        # What is counted is the thread's work, and not that of others on the same machine. To look
        # at the clock on the wall costs less.
        self._began = thread_time()
        self._until = perf_counter() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the turn has been as long as it may be; to ask counts an event."""
        self._count += 1
        return self._count > _TURN_EVENTS or perf_counter() > self._until

    async def pause(self) -> None:
        """End the turn, let others go, and begin the next."""
        self.end(is_done=False)
        self._count = 0
        self._busy = 0.0
        if self._share is None or self._share.is_alone:
            await checkpoint()
        await self.begin()
        self._count += 1

    async def rest(self) -> None:
        """End the turn if all that was received is used up, or if the turn is over."""
        if self._link.is_behind:
            if perf_counter() > self._until:
                await self.pause()
            return
        self.end(is_done=True)
        if self._count >= _TURN_EVENTS or self._busy > _BUSY_SECONDS:
            # Not every link lets others go on before it returns what it has.
            self._count = 0
            self._busy = 0.0
            await checkpoint()

    def end(self, *, is_done: bool) -> None:
        """End the turn; *is_done* if all that was received is used up."""
        if self._is_on and self._share is not None:
            self._is_on = False
            seconds = thread_time() - self._began
            self._busy += seconds
            self._share.spent(seconds, is_done=is_done)
