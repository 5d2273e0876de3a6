"""A link around another link, which can be cut at any moment."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

from alknet.errors import Disconnected
from alknet.transport.memory import MemoryLink
from alknet.wire.link import Link

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class WrappedLink(Link):
    """The near end of *link*; a subclass says what becomes of what passes through it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.transport = link.transport
        self.framed = link.framed
        self.format = link.format
        self.unread = link.take_unread()
        self.is_confidential = link.is_confidential
        self.peer_address = link.peer_address
        self.credential = link.credential
        self._why = ""
        self._waits: set[trio.CancelScope] = set()

    @property
    def is_over(self) -> bool:
        """Whether the link was cut or closed at this end."""
        return bool(self._why)

    def cut(self) -> None:
        """Part the two ends: what has left may still arrive, and then both see Disconnected.

        Over a link that leaves the process, the far end sees it when this one is closed.
        """
        self._end("it was cut")
        if isinstance(self._link, MemoryLink | WrappedLink):
            self._link.cut()

    async def send_eof(self) -> None:
        self.check()
        await self._link.send_eof()

    async def aclose(self, reason: str = "") -> None:
        self._end("it is closed")
        await self._link.aclose(reason)

    def check(self) -> None:
        """Raise Disconnected if the link is over."""
        if self._why:
            raise Disconnected(f"the link to {self.peer_address} is gone: {self._why}")

    async def unless_over(self, wait: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
        """Return what *wait* does, or raise Disconnected as soon as the link is over."""
        with trio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await wait(*arguments)
            finally:
                self._waits.discard(scope)
        self.check()
        raise AssertionError("only the end of the link cancels that scope")

    def _end(self, why: str) -> None:
        if not self._why:
            self._why = why
            for scope in self._waits:
                scope.cancel(reason=why)
