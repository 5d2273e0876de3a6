"""Stream: the consumer's side of a subscription, wherever the producer is."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import trio

from alknet.call.backoff import backoff
from alknet.call.items import DEFAULT_WINDOW, Items
from alknet.errors import CallError, Disconnected, Unavailable

Item = TypeVar("Item")

# Asks for the stream; returns what ends it.
Stop = Callable[[], Awaitable[None]]
Start = Callable[["Stream[Any]"], Awaitable[Stop]]


class Stream(Items[Item], Generic[Item]):
    """An async iterator over the items of a subscription, and the context manager that ends it.

        async with client.stream(Watch(stream="nodes")) as events:
            async for event in events: ...

    Leaving the block, by whatever road, cancels the producer; when the block is left, the `finally`
    blocks of a producer in this process have run, and one elsewhere has been told.
    """

    def __init__(
        self, start: Start, window: int = DEFAULT_WINDOW, *, idle_timeout: float | None = None
    ) -> None:
        super().__init__(window, idle_timeout=idle_timeout)
        self._start = start
        self._stop: Stop | None = None
        self._has_begun = False

    async def __aenter__(self) -> Self:
        self._stop = await self._start(self)
        self._has_begun = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop, self._stop = self._stop, None
        self.leave()
        if stop is not None:
            with trio.CancelScope(shield=True):
                await stop()


class ResumedStream(Stream[Item]):
    """A stream that asks again, behind the last item read, when it broke off.

    It does when its link is lost, and when the service or the node that it comes from is being
    restarted; any other error is the consumer's. *after* turns an item into a start that asks for
    what follows it.
    """

    def __init__(
        self,
        start: Start,
        window: int,
        after: Callable[[Item], Start],
        *,
        idle_timeout: float | None = None,
    ) -> None:
        super().__init__(start, window, idle_timeout=idle_timeout)
        self._after = after
        self._failures = 0

    async def __anext__(self) -> Item:
        while True:
            try:
                item = await super().__anext__()
            except Unavailable as error:
                if self._stop is None:
                    raise
                await self._resume(error)
            else:
                self._failures = 0
                self._start = self._after(item)
                return item

    async def _resume(self, lost: Unavailable) -> None:
        self._failures += 1
        if not isinstance(lost, Disconnected):
            # The link is there, so that nothing else keeps us from asking without a pause.
            await trio.sleep(backoff(self._failures))
        self.renew()
        try:
            self._stop = await self._start(self)
        except BaseException as error:
            # A consumer whose patience ended here may come back, and then it begins here again.
            self.finish(error if isinstance(error, CallError) else lost)
            raise
