"""Stream: the consumer's side of a subscription, wherever the producer is.

Between producer and consumer stand at most `window` items. A producer in this process waits for
room; one at the far end of a link is told how many more it may send (its credit).
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import trio

from alknet.call.wakeup import Wakeup

Item = TypeVar("Item")

DEFAULT_WINDOW = 64


class Stream(AsyncIterator[Item], Generic[Item]):
    """An async iterator over the items of a subscription, and the context manager that ends it.

        async with client.stream(Watch(stream="nodes")) as events:
            async for event in events: ...

    Leaving the block, by whatever road, cancels the producer; its `finally` blocks run at once.
    Iteration stops at the end of the stream and raises if the producer failed.
    """

    def __init__(self, start: Callable[["Stream[Item]"], Callable[[], None]], window: int) -> None:
        self.window = window
        self._start = start
        self._stop: Callable[[], None] | None = None
        self._items: deque[Item] = deque()
        self._ready = Wakeup()
        self._room = Wakeup()
        self._is_over = False
        self._error: BaseException | None = None
        self._grant: Callable[[int], None] | None = None
        self._taken = 0

    async def __aenter__(self) -> Self:
        self._stop = self._start(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stop is not None and not self._is_over:
            self._stop()
        self._is_over = True
        self._items.clear()
        self._room.set()

    async def __anext__(self) -> Item:
        if self._items or self._is_over:
            await trio.lowlevel.checkpoint()
        while not self._items:
            if self._is_over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._ready.wait()
        item = self._items.popleft()
        self._taken += 1
        if self._grant is None:
            self._room.set()
        elif self._taken * 2 >= self.window:
            # Half a window at a time: one credit message for many items, and never a dry producer.
            self._grant(self._taken)
            self._taken = 0
        return item

    # The producer's side.

    def grant_with(self, grant: Callable[[int], None]) -> None:
        """Have *grant* told how many more items may come, each time some have been consumed."""
        self._grant = grant

    @property
    def is_full(self) -> bool:
        """Whether a well-behaved producer would wait before the next item."""
        return len(self._items) >= self.window

    @property
    def is_over(self) -> bool:
        """Whether the consumer has left or the stream has ended."""
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
        """End the stream; the items still unread are read first, then *error* is raised."""
        if not self._is_over:
            self._is_over = True
            self._error = error
            self._ready.set()
            self._room.set()
