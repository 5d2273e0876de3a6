"""The services that are worn out: every kind of handler, and a record of what was carried out."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Literal

import trio

from alknet import Duplex, Request, Service, Subscription, Upload, handler, operation
from alknet.errors import NotFound, ServiceFailed

# What a handler does before it answers: nothing, give others a turn, wait a little, wait for ever,
# crash, raise an error of its own, or say that its service cannot go on.
How = Literal["answer", "turn", "sleep", "hold", "crash", "refuse", "fail"]


class Record:
    """Counts how often each call, by its number, has begun, and how many handlers are at work."""

    def __init__(self, calls: int) -> None:
        self.times_begun = bytearray(calls)
        self.at_work = 0

    def begin(self, number: int) -> None:
        self.times_begun[number] += 1
        self.at_work += 1

    def end(self) -> None:
        self.at_work -= 1


async def act(how: How, number: int) -> int:
    """Do as *how* says, and return what every caller expects of *number*."""
    if how == "turn":
        await trio.lowlevel.checkpoint()
    elif how == "sleep":
        await trio.sleep(number % 50 / 1000)
    elif how == "hold":
        await trio.sleep_forever()
    elif how == "fail":
        await trio.sleep(0.01)  # so that others come meanwhile, and wait
    return act_now(how, number)


def act_now(how: How, number: int) -> int:
    if how == "crash":
        raise ZeroDivisionError(f"call {number} was told to crash")
    if how == "refuse":
        raise NotFound(f"call {number} was told to be refused")
    if how == "fail":
        raise ServiceFailed(f"call {number} was told to fail")
    return number ^ 0x5A5A


def shapes(namespace: str) -> SimpleNamespace:
    """Return the request types of a service called *namespace*, and the service itself."""

    @operation(f"{namespace}/take", kind="mutation")
    class Take(Request[int], frozen=True):
        """One at a time, waiting."""

        number: int
        how: How

    @operation(f"{namespace}/snatch", kind="mutation")
    class Snatch(Request[int], frozen=True):
        """One at a time, without waiting."""

        number: int
        how: How

    @operation(f"{namespace}/fetch", kind="mutation")
    class Fetch(Request[int], frozen=True):
        """Side by side, waiting."""

        number: int
        how: How

    @operation(f"{namespace}/peek", kind="mutation")
    class Peek(Request[int], frozen=True):
        """Side by side, without waiting."""

        number: int
        how: How

    @operation(f"{namespace}/count")
    class Count(Subscription[int], frozen=True):
        """The numbers below `to`, and then what `how` says."""

        number: int
        how: How
        to: int

    @operation(f"{namespace}/sum")
    class Sum(Upload[int, int], frozen=True):
        """The sum of the items, after what `how` says, of which `most` are read."""

        number: int
        how: How
        most: int

    @operation(f"{namespace}/pile")
    class Pile(Upload[int, int], frozen=True):
        """The same, one at a time."""

        number: int
        how: How
        most: int

    @operation(f"{namespace}/double")
    class Double(Duplex[int, int], frozen=True):
        """Twice each item, and then what `how` says."""

        number: int
        how: How

    class Work(Service, namespace=namespace):
        def __init__(self, record: Record) -> None:
            self._record = record
            self._is_taken = False

        @handler
        async def take(self, request: Take) -> int:
            self._record.begin(request.number)
            assert not self._is_taken, "two exclusive handlers ran at once"
            self._is_taken = True
            try:
                return await act(request.how, request.number)
            finally:
                self._is_taken = False
                self._record.end()

        @handler
        def snatch(self, request: Snatch) -> int:
            self._record.begin(request.number)
            try:
                return act_now(request.how, request.number)
            finally:
                self._record.end()

        @handler(concurrent=True)
        async def fetch(self, request: Fetch) -> int:
            self._record.begin(request.number)
            try:
                return await act(request.how, request.number)
            finally:
                self._record.end()

        @handler(concurrent=True)
        def peek(self, request: Peek) -> int:
            self._record.begin(request.number)
            try:
                return act_now(request.how, request.number)
            finally:
                self._record.end()

        @handler
        async def count(self, request: Count) -> AsyncIterator[int]:
            self._record.begin(request.number)
            try:
                for item in range(request.to):
                    yield item
                await act(request.how, request.number)
            finally:
                self._record.end()

        async def _sum(self, request: Sum | Pile, items: AsyncIterator[int]) -> int:
            self._record.begin(request.number)
            try:
                total, left = 0, request.most
                async for item in items:
                    total += item
                    left -= 1
                    if not left:
                        break
                await act(request.how, request.number)
                return total
            finally:
                self._record.end()

        @handler(concurrent=True)
        async def sum(self, request: Sum, items: AsyncIterator[int]) -> int:
            return await self._sum(request, items)

        @handler
        async def pile(self, request: Pile, items: AsyncIterator[int]) -> int:
            return await self._sum(request, items)

        @handler
        async def double(self, request: Double, items: AsyncIterator[int]) -> AsyncIterator[int]:
            self._record.begin(request.number)
            try:
                async for item in items:
                    yield 2 * item
                await act(request.how, request.number)
            finally:
                self._record.end()

    return SimpleNamespace(
        Work=Work,
        calls=(Take, Snatch, Fetch, Peek),
        Count=Count,
        uploads=(Sum, Pile),
        Double=Double,
    )
