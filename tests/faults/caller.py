"""Callers, and what they wait for: in the node's process, or from outside it.

    python -m tests.faults.caller URL PID

calls from outside, the node's process id being PID. Each line of its stdin says how many callers
there are to be at once; it answers with the figure of `waited_for`, in seconds.
"""

import sys
from statistics import quantiles
from time import clock_gettime, process_time, thread_time

import trio

from alknet import Request, Service, connect, handler, operation

from ..people import ALICE_KEY

CALLS = 320


@operation("clock/read")
class ReadClock(Request[float], frozen=True):
    """Return what the node's process has used of the processors, in seconds."""


class Clock(Service, namespace="clock"):
    @handler(concurrent=True)
    def read(self, _: ReadClock) -> float:
        return process_time()


async def waited_for(client, callers, asked):
    """Return what one call in a hundred waits for at least: `asked(client)` says it for one.

    It is the work that the node does in the meantime, for whomever. That is what others can add to;
    on a machine that others use too, the clock on the wall tells of them instead.
    """
    waited = []

    async def caller():
        for _ in range(CALLS // callers):
            waited.append(await asked(client))

    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return quantiles(waited, n=100)[98]


async def within(client):
    """Return the work of this thread, which is also the node's, until the answer has come."""
    then = thread_time()
    await client.call(ReadClock())
    return thread_time() - then


def outside(process):
    """Return the same for a node in another *process*, until it answers.

    What it does after that is not counted: who is not given a processor to take the answer with
    lets it go on with other things.
    """
    # clock_getcpuclockid(3), for which Python has no name.
    clock = ~process << 3 | 2

    async def asked(client):
        then = clock_gettime(clock)
        return await client.call(ReadClock()) - then

    return asked


async def main(url, process):
    asked = outside(int(process))
    async with connect(url, identity=ALICE_KEY) as client:
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            print(await waited_for(client, int(line), asked), flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
