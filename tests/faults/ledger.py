"""A service whose requests say what was carried out, and how often."""

from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import trio

from alknet import Duplex, Request, Service, Subscription, Upload, handler, operation
from alknet.errors import ServiceFailed


class Line(msgspec.Struct, frozen=True):
    """One item of a subscription."""

    number: int


@operation("ledger/read")
class Read(Request[int], frozen=True):
    """Return `number`; a query, so that asking twice is no harm."""

    number: int


@operation("ledger/put", kind="mutation", idempotent=True)
class Put(Request[int], frozen=True):
    """Return `number`; a change that may be made twice."""

    number: int


@operation("ledger/pay", kind="mutation")
class Pay(Request[int], frozen=True):
    """Return `number`; a change that must not be made twice."""

    number: int


@operation("ledger/hold", kind="mutation")
class Hold(Request[int], frozen=True):
    """Never return."""

    number: int = 0


@operation("ledger/hold-again", kind="mutation", idempotent=True)
class HoldAgain(Request[int], frozen=True):
    """Never return, which may be asked for twice."""

    number: int = 0


@operation("ledger/hold-query")
class HoldQuery(Request[int], frozen=True):
    """Never return; a query."""


@operation("ledger/sum")
class Sum(Upload[int, int], frozen=True):
    """Return the sum of the items; the same items must not be summed twice."""


@operation("ledger/sum-again", idempotent=True)
class SumAgain(Upload[int, int], frozen=True):
    """Return the sum of the items, which may be asked for twice."""


@operation("ledger/follow", scopes=("ledger:follow",), resume=("after", "number"))
class Follow(Subscription[Line], frozen=True):
    """Yield lines behind `after`, up to `to`, then wait for more, or end if `ends`."""

    to: int
    after: int = -1
    ends: bool = True


@operation("ledger/lines")
class Lines(Subscription[Line], frozen=True):
    """Yield the lines below `to`; without a way to go on after a lost link."""

    to: int
    ends: bool = True


@operation("ledger/crash", kind="mutation")
class Crash(Request[None], frozen=True):
    """Let the service say that it cannot go on."""


@operation("ledger/double")
class Double(Duplex[int, int], frozen=True):
    """Yield twice each number that comes."""


class Ledger(Service, namespace="ledger"):
    """Answers the requests above.

    `done` counts how often each number was carried out. Lines below `written` can be followed.
    """

    def __init__(self, *, written: int = 10_000) -> None:
        self.written = written
        self.done: Counter[int] = Counter()
        self.active = 0
        self.begun = 0

    def _note(self, number: int) -> int:
        self.done[number] += 1
        return number

    async def _hold(self) -> int:
        self.begun += 1
        self.active += 1
        try:
            await trio.sleep_forever()
        finally:
            self.active -= 1
        return 0

    @handler
    async def read(self, request: Read) -> int:
        return self._note(request.number)

    @handler(concurrent=True)
    async def put(self, request: Put) -> int:
        await trio.lowlevel.checkpoint()
        return self._note(request.number)

    @handler
    async def pay(self, request: Pay) -> int:
        self._note(request.number)
        await trio.lowlevel.checkpoint()
        return request.number

    @handler(concurrent=True)
    async def hold(self, _: Hold) -> int:
        return await self._hold()

    @handler
    async def hold_again(self, _: HoldAgain) -> int:
        return await self._hold()

    @handler(concurrent=True)
    async def hold_query(self, _: HoldQuery) -> int:
        return await self._hold()

    @handler(concurrent=True)
    async def sum(self, _: Sum, items: AsyncIterator[int]) -> int:
        return sum([item async for item in items])

    @handler(concurrent=True)
    async def sum_again(self, _: SumAgain, items: AsyncIterator[int]) -> int:
        return sum([item async for item in items])

    @handler
    async def follow(self, request: Follow) -> AsyncIterator[Line]:
        self.active += 1
        try:
            for number in range(request.after + 1, min(request.to, self.written)):
                yield Line(number)
            if not request.ends:
                await trio.sleep_forever()
        finally:
            self.active -= 1

    @handler
    async def lines(self, request: Lines) -> AsyncIterator[Line]:
        self.active += 1
        try:
            for number in range(request.to):
                yield Line(number)
            if not request.ends:
                await trio.sleep_forever()
        finally:
            self.active -= 1

    @handler
    async def crash(self, _: Crash) -> None:
        raise ServiceFailed("enough")

    @handler
    async def double(self, _: Double, items: AsyncIterator[int]) -> AsyncIterator[int]:
        async for item in items:
            yield 2 * item
