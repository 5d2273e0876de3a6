"""A call within the process: through a mailbox and its actor, or in the caller's own task.

The peer is what one would write first: a task that reads a memory channel, and for each call a
size-1 channel for the reply.
"""

from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter

import trio

from alknet import Request, Service, Settings, handler, open_node, operation
from alknet.call.client import Client
from benches.harness import Measured, Pace, measured_row

PEER = "memory channel + size-1 reply channel"
CALLS = 20_000
QUICK_CALLS = 400

Run = Callable[[int, int], Awaitable[float]]


@operation("bench/echo")
class Echo(Request[int], frozen=True):
    """Return the number, through the mailbox."""

    number: int


@operation("bench/inline")
class Inline(Request[int], frozen=True):
    """Return the number, in the caller's task."""

    number: int


class Bench(Service, namespace="bench"):
    @handler
    async def echo(self, request: Echo) -> int:
        return request.number

    @handler(concurrent=True)
    async def inline(self, request: Inline) -> int:
        return request.number


async def _together(callers: int, each: int, call: Callable[[int], Awaitable[int]]) -> float:
    """Return the microseconds a call takes when *callers* tasks make *each* calls."""

    async def caller() -> None:
        for number in range(each):
            if await call(number) != number:
                raise AssertionError("a call was answered with another's number")

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return (perf_counter() - started) / (callers * each) * 1e6


async def _peer(callers: int, calls: int) -> float:
    send, receive = trio.open_memory_channel[tuple[int, trio.MemorySendChannel[int]]](64)

    async def actor() -> None:
        async for number, reply in receive:
            await reply.send(number)

    async def call(number: int) -> int:
        reply, answer = trio.open_memory_channel[int](1)
        await send.send((number, reply))
        return await answer.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor)
        figure = await _together(callers, calls // callers, call)
        nursery.cancel_scope.cancel()
    return figure


def _measure(pace: Pace, callers: int, request: Callable[[int], Request[int]]) -> Measured:
    calls = CALLS if pace.rounds > 3 else QUICK_CALLS

    async def main() -> Measured:
        async with open_node(Settings(), services=[Bench()]) as node:
            client: Client = node.client

            async def call(number: int) -> int:
                return await client.call(request(number))

            ours, peer = [], []
            for _ in range(pace.rounds):
                ours.append(await _together(callers, calls // callers, call))
                peer.append(await _peer(callers, calls))
            return Measured(median(ours), median(peer))

    return trio.run(main)


@measured_row("local_call_1", peer=PEER, goal=1.8)
def local_call_1(pace: Pace) -> Measured:
    return _measure(pace, 1, Echo)


@measured_row("local_call_100", peer=PEER, goal=5)
def local_call_100(pace: Pace) -> Measured:
    return _measure(pace, 100, Echo)


@measured_row("local_call_inline", peer=PEER, goal=3.5)
def local_call_inline(pace: Pace) -> Measured:
    return _measure(pace, 1, Inline)
