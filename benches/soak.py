"""Hours of calls: throughput, latency and memory over time, and whether memory grows.

    python -m benches soak --seconds 3600

A node runs in a process of its own and this one is its load: 64 calls in flight over TCP, with
scope, validation and deadline, and a subscription; in the node itself, sixteen tasks call one of
its services and say how long that takes while the node is busy. Every answer is checked. Where
there are two processors, the node has the first and the load the second.

Memory is judged by the second half of the run, since the first fills caches. The exit code is 1 if
it grows.
"""

import argparse
import contextlib
import math
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter

import msgspec
import psutil
import trio
from rich.console import Console
from rich.table import Table

from alknet import (
    NodeSettings,
    Request,
    Service,
    Settings,
    Subscription,
    connect,
    handler,
    open_node,
    operation,
)
from alknet.call.client import Client
from alknet.keys import ssh_public_line
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.testing import key
from benches.remote_calls import RECORD, Record, pinned

IN_FLIGHT = 64
LOCAL_TASKS = 16
# The load within the node is there to be measured by, not to be measured: so many calls a second.
LOCAL_CALLS = 1600
TICKS_A_SECOND = 1000
ROWS = 20
MIB = 1024 * 1024


class Latencies:
    """How many calls took how long, to 2 %, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.calls = 0

    def add(self, seconds: float) -> None:
        self._counts[int(math.log(seconds) * 50)] += 1
        self.calls += 1

    def at(self, share: float) -> float:
        """Return how many milliseconds *share* of the calls took at most."""
        left = math.ceil(share * self.calls)
        for step, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return math.exp((step + 1) / 50) * 1000
        return 0.0


class Figures(msgspec.Struct, frozen=True):
    """What the node has measured since it was last asked; times are in milliseconds."""

    calls: int
    p50: float
    p99: float
    p999: float


@operation("soak/record", scopes=("soak:record",))
class Store(Request[Record], frozen=True):
    """Return the record, through a mailbox."""

    record: Record


@operation("soak/local", visibility="internal")
class Local(Request[int], frozen=True):
    """Return the number; asked only within the node."""

    number: int


@operation("soak/ticks", scopes=("soak:record",))
class Ticks(Subscription[int], frozen=True):
    """Yield 0, 1, 2, ..., a thousand a second."""


@operation("soak/figures", scopes=("soak:record",))
class Measured(Request[Figures], frozen=True):
    """Return the node's own figures, and begin to measure anew."""


class Soak(Service, namespace="soak"):
    def __init__(self) -> None:
        self.local = Latencies()

    @handler
    async def store(self, request: Store) -> Record:
        return request.record

    @handler
    async def local_(self, request: Local) -> int:
        return request.number

    @handler
    async def ticks(self, _: Ticks) -> AsyncIterator[int]:
        number = 0
        due = trio.current_time()
        while True:
            # Ten at a time: a timer for each would be most of the work.
            for _ in range(10):
                yield number
                number += 1
            due += 10 / TICKS_A_SECOND
            await trio.sleep_until(due)

    @handler(concurrent=True)
    def figures(self, _: Measured) -> Figures:
        local, self.local = self.local, Latencies()
        return Figures(local.calls, local.at(0.5), local.at(0.99), local.at(0.999))


# The node.


async def _serve() -> None:
    load = Peer("load", (ssh_public_line(key("load").public_key),), frozenset({"soak:record"}))
    settings = Settings(
        node=NodeSettings(listen=("tcp://127.0.0.1:0",)),
        services={"auth": AuthSettings(peers=(load,))},
    )
    soak = Soak()
    async with open_node(settings, services=[soak]) as node, trio.open_nursery() as nursery:
        for _ in range(LOCAL_TASKS):
            nursery.start_soon(_call_locally, node.client, soak)
        sys.stdout.write(f"{node.url}\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


async def _call_locally(client: Client, soak: Soak) -> None:
    number = 0
    while True:
        started = perf_counter()
        if await client.call(Local(number)) != number:
            raise AssertionError("a local call was answered with another's number")
        soak.local.add(perf_counter() - started)
        number += 1
        await trio.sleep(LOCAL_TASKS / LOCAL_CALLS)


@contextlib.contextmanager
def _node() -> Iterator[tuple[str, psutil.Process]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benches.soak"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.stdin.close()
        process.wait(timeout=20)


# The load.


class Row(msgspec.Struct, frozen=True):
    """One line of the table: what was measured since the line before."""

    at: float
    calls_a_second: float
    p50: float
    p99: float
    p999: float
    items_a_second: float
    local: Figures
    node_bytes: int
    load_bytes: int


class Load:
    """Calls and reads until it is cancelled, and counts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls = 0
        self.latencies = Latencies()
        self.items = 0

    async def call(self) -> None:
        request = Store(RECORD)
        while True:
            started = perf_counter()
            if await self._client.call(request) != RECORD:
                raise AssertionError("the answer is not what was sent")
            self.latencies.add(perf_counter() - started)
            self.calls += 1

    async def read(self) -> None:
        async with self._client.stream(Ticks()) as ticks:
            async for number in ticks:
                if number != self.items:
                    raise AssertionError(f"item {number} came where {self.items} was due")
                self.items += 1


async def soak(
    url: str, node: psutil.Process, seconds: float, every: float, show: Callable[[Row], None]
) -> list[Row]:
    """Load the node at *url* for so many seconds; return a row for each *every* of them."""
    rows: list[Row] = []
    this = psutil.Process()
    async with (
        connect(url, identity=key("load"), format="msgpack") as client,
        trio.open_nursery() as nursery,
    ):
        load = Load(client)
        nursery.start_soon(load.read)
        for _ in range(IN_FLIGHT):
            nursery.start_soon(load.call)
        began = then = trio.current_time()
        calls = items = 0
        while then - began < seconds:
            await trio.sleep_until(min(then + every, began + seconds))
            now = trio.current_time()
            latencies, load.latencies = load.latencies, Latencies()
            row = Row(
                at=now - began,
                calls_a_second=(load.calls - calls) / (now - then),
                p50=latencies.at(0.5),
                p99=latencies.at(0.99),
                p999=latencies.at(0.999),
                items_a_second=(load.items - items) / (now - then),
                local=await client.call(Measured()),
                node_bytes=node.memory_info().rss,
                load_bytes=this.memory_info().rss,
            )
            calls, items, then = load.calls, load.items, now
            rows.append(row)
            show(row)
        nursery.cancel_scope.cancel()
    return rows


def growth(memory: list[int]) -> int:
    """Return by how many bytes *memory* has grown over its second half."""
    half = memory[len(memory) // 2 :]
    third = max(len(half) // 3, 1)
    # The least of some samples, at either end: what a process holds at a moment wavers upwards.
    return min(half[-third:]) - min(half[:third])


def verdict(name: str, memory: list[int]) -> tuple[str, bool]:
    """Return what is to be said of the memory of a process, and whether it is steady."""
    grown, allowed = growth(memory), max(MIB, memory[len(memory) // 2] // 50)
    is_steady = grown <= allowed
    words = "steady" if is_steady else "GROWS"
    return (
        f"memory of the {name}: {words}, {grown / MIB:+.2f} MiB over the second half of the run "
        f"({memory[-1] / MIB:.1f} MiB at its end; up to {allowed / MIB:.1f} MiB may be chance)"
    ), is_steady


def main(arguments: list[str]) -> int:
    """Run `python -m benches soak`; return its exit code."""
    description, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m benches soak", description=description)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run (60)")
    seconds = parser.parse_args(arguments).seconds
    if seconds < 1:
        parser.error("--seconds: at least 1, of which the first half is the warm-up")

    # Twelve columns of figures do not fit the eighty characters of a pipe.
    console = Console(width=max(Console().width, 110))
    table = Table(caption="latencies in ms; local calls run in the loaded node; memory in MiB")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)

    with _node() as (url, node), pinned(1), Console(stderr=True).status("soaking") as status:

        def show(row: Row) -> None:
            table.add_row(*_cells(row))
            status.update(f"{row.at:.0f} of {seconds:.0f} s, {row.calls_a_second:,.0f} calls/s")

        rows = trio.run(soak, url, node, seconds, max(seconds / ROWS, 0.25), show)
    console.print(table)
    judged = [
        verdict("node", [row.node_bytes for row in rows]),
        verdict("load", [row.load_bytes for row in rows]),
    ]
    for words, is_steady in judged:
        console.print(words, style="green" if is_steady else "red", highlight=False)
    return 0 if all(is_steady for _, is_steady in judged) else 1


_HEADINGS = (
    *("s", "calls/s", "p50", "p99", "p99.9", "items/s"),
    *("local", "p50", "p99", "p99.9"),
    *("node", "load"),
)


def _cells(row: Row) -> Iterator[str]:
    local = row.local
    yield f"{row.at:.0f}"
    yield f"{row.calls_a_second:,.0f}"
    yield from (f"{each:.2f}" for each in (row.p50, row.p99, row.p999))
    yield f"{row.items_a_second:,.0f}"
    yield f"{local.calls:,}"
    yield from (f"{each:.2f}" for each in (local.p50, local.p99, local.p999))
    yield from (f"{each / MIB:.1f}" for each in (row.node_bytes, row.load_bytes))


if __name__ == "__main__":
    with pinned(0):
        trio.run(_serve)
