"""Items: what stands between a producer and a consumer, and never more than a window of it."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import trio

from alknet.call.wakeup import Wakeup
from alknet.errors import DeadlineExceeded

Item = TypeVar("Item")

DEFAULT_WINDOW = 64


class Items(AsyncIterator[Item], Generic[Item]):
    """A bounded queue from one producer to one consumer, which iterates over it.

    A producer in this process waits for `room`; one at the far end of a link is told how many more
    it may send (its credit), through the function given to `grant_with`. Iteration stops at the end
    and raises if the producer failed, in either case behind the items that came before; with
    *idle_timeout* it raises DeadlineExceeded when it has waited that many seconds for one.
    """

    def __init__(self, window: int = DEFAULT_WINDOW, *, idle_timeout: float | None = None) -> None:
        if window < 1:
            raise ValueError(f"a window of {window} items would never let one through: at least 1")
        self.window = window
        self.idle_timeout = idle_timeout
        self._items: deque[Item] = deque()
        self._ready = Wakeup()
        self._room = Wakeup()
        self._has_begun = True
        self._is_over = False
        self._error: BaseException | None = None
        self._grant: Callable[[int], None] | None = None
        self._taken = 0

    async def __anext__(self) -> Item:
        if self._items or self._is_over:
            await trio.lowlevel.checkpoint()
        while not self._items:
            if self._is_over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            if not self._has_begun:
                raise RuntimeError("a stream begins when it is entered: async with ... as items")
            if self.idle_timeout is None:
                await self._ready.wait()
            else:
                await self._wait(self.idle_timeout)
        item = self._items.popleft()
        self._taken += 1
        if self._grant is None:
            self._room.set()
        elif self._taken * 2 >= self.window:
            # Half a window at a time: one credit message for many items, and never a dry producer.
            self._grant(self._taken)
            self._taken = 0
        return item

    async def _wait(self, seconds: float) -> None:
        """Wait for the next item, but end the iteration if none comes for so long."""
        with trio.move_on_after(seconds) as patience:
            await self._ready.wait()
        if patience.cancelled_caught:
            self.finish(DeadlineExceeded(f"no item came within {seconds:g} s"))

    def grant_with(self, grant: Callable[[int], None]) -> None:
        """Have *grant* told how many more items may come, each time some have been consumed."""
        self._grant = grant

    @property
    def is_full(self) -> bool:
        """Whether a well-behaved producer would wait before the next item."""
        return len(self._items) >= self.window

    @property
    def is_over(self) -> bool:
        """Whether the producer has ended, or nobody reads any more."""
        return self._is_over

    async def room(self) -> None:
        """Wait until there is room for an item, or nobody to read it."""
        while self.is_full and not self._is_over:
            await self._room.wait()

    def push(self, item: Any) -> None:
        """Add an item that there is room for."""
        self._items.append(item)
        self._ready.set()

    def finish(self, error: BaseException | None = None) -> None:
        """End the items; those still unread are read first, then *error* is raised."""
        if not self._is_over:
            self._is_over = True
            self._error = error
            self._ready.set()
            self._room.set()

    def leave(self) -> None:
        """Read no more: what is unread is dropped, and the producer is let go."""
        self._is_over = True
        self._items.clear()
        self._room.set()

    def renew(self) -> None:
        """Begin again after an end, for a producer that has been found anew."""
        self._is_over = False
        self._error = None
        self._taken = 0
