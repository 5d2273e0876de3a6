"""Sinks: the asker's side of the items it sends, and the two shapes of call that have them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing, nullcontext
from typing import Any, Generic, TypeVar

import trio

from alknet.call.items import Items
from alknet.call.stream import Start, Stream
from alknet.call.wakeup import Wakeup
from alknet.errors import Aborted

In = TypeVar("In")
Out = TypeVar("Out")
Answer = TypeVar("Answer")


class Sink(ABC):
    """Takes items for a handler, as fast as the handler reads them."""

    @abstractmethod
    async def send(self, item: Any) -> None:
        """Pass *item* on, waiting while the handler has enough unread.

        Raises:
            Aborted: the handler reads no more.
        """

    @abstractmethod
    def finish(self) -> None:
        """Say that no more items come; the handler's iteration ends."""


class LocalSink(Sink):
    """A sink whose handler is in this process."""

    def __init__(self, items: Items[Any], convert: Callable[[Any], Any] | None = None) -> None:
        self._items = items
        self._convert = convert

    async def send(self, item: Any) -> None:
        await trio.lowlevel.checkpoint()
        await self._items.room()
        if self._items.is_over:
            raise Aborted("the handler reads no more items")
        self._items.push(item if self._convert is None else self._convert(item))

    def finish(self) -> None:
        self._items.finish()


class CreditedSink(Sink):
    """A sink at the far end of a link: it takes what it has granted credit for.

    *write* puts one item on the link, *end* says that there are no more, *room* waits while the
    link has enough unsent.
    """

    def __init__(
        self,
        write: Callable[[Any], None],
        end: Callable[[], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._write = write
        self._end = end
        self._room = room
        self._credit = 0
        self._granted = Wakeup()
        self._is_over = False

    async def send(self, item: Any) -> None:
        await trio.lowlevel.checkpoint()
        while self._credit <= 0 and not self._is_over:
            await self._granted.wait()
        await self._room()
        if self._is_over:
            raise Aborted("the handler reads no more items")
        self._credit -= 1
        self._write(item)

    def finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._end()

    def grant(self, items: int) -> None:
        """Allow *items* more."""
        self._credit += items
        self._granted.set()

    def close(self) -> None:
        """Take no more: the call is over."""
        self._is_over = True
        self._granted.set()


class DuplexStream(Stream[Out], Generic[In, Out]):
    """The asker's side of a duplex: iterate over what comes, `send` what goes.

    Leaving the block ends both directions.
    """

    def __init__(self, start: Start, window: int) -> None:
        super().__init__(start, window)
        self.sink: Sink | None = None

    async def send(self, item: In) -> None:
        """Send *item* to the handler, waiting while it has enough unread.

        Raises:
            Aborted: the handler has ended, or reads no more.
        """
        if self.sink is None or self.is_over:
            raise Aborted("the duplex is not open")
        await self.sink.send(item)

    def finish_sending(self) -> None:
        """Say that no more items will be sent; those that come can still be read."""
        if self.sink is not None:
            self.sink.finish()


async def pour(
    items: AsyncIterable[Any] | Iterable[Any], sink: Sink, answer: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Send all of *items* into *sink* while waiting for *answer*; return the answer.

    A handler may answer before it has read everything; the rest is then not sent, and *items*, if
    they are an async generator, are closed. An error of theirs gives the call up and is raised as
    it is.
    """
    failed: Exception | None = None
    results: list[Answer] = []
    async with trio.open_nursery() as nursery:

        async def pump() -> None:
            nonlocal failed
            try:
                await send_all(items, sink)
            except Exception as error:
                failed = error
                nursery.cancel_scope.cancel()

        nursery.start_soon(pump)
        try:
            results.append(await answer())
        except Exception as error:
            failed = failed or error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return results[0]


async def send_all(items: AsyncIterable[Any] | Iterable[Any], sink: Sink) -> None:
    """Send *items*, and then their end, unless the handler reads no more; raise what they raise."""
    # Nobody else can close a generator that was made where the upload is called.
    async with aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext():
        if isinstance(items, AsyncIterable):
            async for item in items:
                if not await _takes(sink, item):
                    return
        else:
            for item in items:
                if not await _takes(sink, item):
                    return
    sink.finish()


async def _takes(sink: Sink, item: Any) -> bool:
    """Send *item*; return whether the handler reads on."""
    try:
        await sink.send(item)
    except Aborted:
        return False
    return True
