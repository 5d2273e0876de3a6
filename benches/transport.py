"""Every road in one run: calls a second, latency, bulk, processor time and memory.

    python -m benches transport                 every road, beside raw TCP and the libraries
    python -m benches transport tls wss         some of them
    python -m benches transport --json FILE     write the figures too
    python -m benches transport --quick         a smoke: figures mean little

For our roads a request is a call with scope, validation, deadline and a mailbox, of 200 bytes there
and back; for the others 200 bytes that are echoed. The large stream is 64 MiB in pieces of 256 KiB:
a subscription of ours, or bytes. `forward` is raw TCP by way of a port of the client's, from which
it goes over a link by `tcp` to a node, and from there to the echo in the node's own process.
Processor time is that of both processes, for one request at 64 in flight. Memory is what the server
grows by for each of 1,000 links on which nothing is said; those of ours are authenticated. DNS,
which is slow, is given a 64th of it all, directly and by way of a recursive resolver. Servers run
on the first processor, clients on the second, where there are two.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

import msgspec
import psutil
import trio
from rich.console import Console
from rich.table import Table

from alknet import (
    NodeSettings,
    Service,
    Settings,
    Subscription,
    connect,
    handler,
    logs,
    open_node,
    operation,
)
from alknet.forwarding.local import open_forward
from alknet.keys import Keyring
from alknet.protocol.config import RateLimits
from alknet.protocol.forward import ForwardLimits
from alknet.protocol.forwarding import ForwardingPolicy
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.services.config import ConfigSettings
from alknet.transport.address import Address
from benches import asyncssh_road, raw_roads, unbound
from benches.remote_calls import RECORD, Bench, Store, _key, _line, pinned

# By a resolver only where there is one: `benches/unbound.py` looks.
_BY_RESOLVER: Final = "dns by unbound"
OURS: Final = (
    *("tcp", "tls", "quic", "ssh", "ws", "wss", "dns"),
    *((_BY_RESOLVER,) if unbound.UNBOUND else ()),
)
# Raw TCP to a port of the client's, which leads over a link to where the node connects: raw TCP.
FORWARD: Final = "forward"
_NAMES: Final = (*OURS, FORWARD)
ZONE: Final = "tunnel.example"
MIB: Final = 1024 * 1024
T = TypeVar("T")


class Figures(msgspec.Struct, frozen=True):
    """Of one road. Latencies are in microseconds at the median and the 99th percentile."""

    requests_a_second: float
    p50_us: float
    p99_us: float
    requests_a_second_64: float
    p50_us_64: float
    p99_us_64: float
    mb_a_second: float
    cpu_us: float
    kib_a_link: float


class Load(msgspec.Struct, frozen=True):
    """How much of each is done."""

    alone: int = 3000
    together: int = 19_200
    blocks: int = 256
    links: int = 1000


SLOW: Final = Load(alone=300, together=1280, blocks=4, links=50)
QUICK: Final = Load(alone=50, together=128, blocks=4, links=20)


@operation("bulk/blocks", scopes=("bench:record",))
class Blocks(Subscription[bytes], frozen=True):
    """Send so many blocks."""

    count: int


class Bulk(Service, namespace="bulk"):
    @handler(concurrent=True)
    async def blocks(self, request: Blocks) -> AsyncIterator[bytes]:
        for _ in range(request.count):
            yield raw_roads.BLOCK


def _keyring() -> Keyring:
    return Keyring.from_seed(bytes(range(32)))


def _pin() -> bytes:
    return _keyring().ed25519(IDENTITY_PATH).public_key


async def _serve(scheme: str) -> None:
    # Nobody reads what a server prints after its first line: a full pipe would stop it.
    logs.configure(level="error")
    scheme = "tcp" if scheme == FORWARD else scheme
    caller = Peer("bench", (_line(_key()),), frozenset({"bench:record", "forward:open"}))
    settings = Settings(
        node=NodeSettings(listen=(f"{scheme}://127.0.0.1:0" + (f"/{ZONE}" * (scheme == "dns")),)),
        services={
            "auth": AuthSettings(peers=(caller,)),
            "config": ConfigSettings(
                ForwardingPolicy("allow"), RateLimits(max_forwards_per_identity=0)
            ),
            "forward": ForwardLimits(),
        },
    )
    async with (
        trio.open_nursery() as nursery,
        open_node(settings, keyring=_keyring(), services=[Bench(), Bulk()]) as node,
    ):
        target = await nursery.start(raw_roads.LISTEN["raw TCP"])
        print(node.url, target, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[tuple[psutil.Process, str]]:
    """Start `python -m MODULE ...`; yield it and the line it prints when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{module} {' '.join(arguments)} did not start")
        yield psutil.Process(process.pid), line
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


class Ours:
    """One of our roads, to the node at *url*."""

    module = "benches.transport"

    def __init__(self, url: str) -> None:
        self.url = url

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[Any]:
        async with connect(self.url, identity=_key(), expect=_pin(), format="msgpack") as client:
            yield client

    async def requests(self, count: int, in_flight: int) -> list[float]:
        took: list[float] = []
        request = Store(RECORD)
        async with self.idle() as client:

            async def caller() -> None:
                for _ in range(count // in_flight):
                    started = perf_counter()
                    if await client.call(request) != RECORD:
                        raise AssertionError("the answer is not what was sent")
                    took.append(perf_counter() - started)

            async with trio.open_nursery() as nursery:
                for _ in range(in_flight):
                    nursery.start_soon(caller)
        return took

    async def stream(self, blocks: int) -> float:
        received = 0
        async with self.idle() as client:
            started = perf_counter()
            async with client.stream(Blocks(blocks), window=16) as items:
                async for item in items:
                    received += len(item)
            took = perf_counter() - started
        assert received == blocks * len(raw_roads.BLOCK)
        return took


class Raw:
    """Something else, to the server at *port*."""

    module = "benches.raw_roads"

    def __init__(self, name: str, port: str) -> None:
        self.name, self.port = name, int(port)

    def idle(self) -> Any:
        return raw_roads.idle(self.name, self.port)

    async def requests(self, count: int, in_flight: int) -> list[float]:
        return await raw_roads.echo(self.name, self.port, count, in_flight)

    async def stream(self, blocks: int) -> float:
        return await raw_roads.flood(self.name, self.port, blocks)


class Forwarded:
    """Raw TCP to *port* as the node at *url* reaches it, by way of a port of this process."""

    def __init__(self, url: str, port: str) -> None:
        self._node = Ours(url)
        self._port = int(port)

    @asynccontextmanager
    async def _led(self) -> AsyncIterator[int]:
        async with (
            self._node.idle() as client,
            open_forward(client, "127.0.0.1", self._port) as where,
        ):
            yield int(where.rpartition(":")[2])

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        async with self._led() as port, raw_roads.OPEN["raw TCP"](port) as (send, receive):
            # It leads there when an answer has come from there.
            await send(raw_roads.MESSAGE)
            await receive()
            yield

    async def requests(self, count: int, in_flight: int) -> list[float]:
        async with self._led() as port:
            return await raw_roads.echo("raw TCP", port, count, in_flight)

    async def stream(self, blocks: int) -> float:
        async with self._led() as port:
            return await raw_roads.flood("raw TCP", port, blocks)


def _road(name: str, line: str) -> Ours | Forwarded | Raw:
    if name not in _NAMES:
        return Raw(name, line)
    url, target = line.split()
    return Forwarded(url, target) if name == FORWARD else Ours(url)


async def _hold(name: str, line: str, links: int) -> None:
    """Open so many links, say so, and hold them until told to end."""
    road = _road(name, line)
    at_once = trio.CapacityLimiter(32)
    left = links
    ready = trio.Event()

    async def hold() -> None:
        nonlocal left
        async with contextlib.AsyncExitStack() as stack:
            async with at_once:
                await stack.enter_async_context(road.idle())
            left -= 1
            if not left:
                ready.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(links):
            nursery.start_soon(hold)
        await ready.wait()
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        # In good order it would take longer than it did to open them.
        os._exit(0)


def _run(name: str, work: Callable[..., Coroutine[Any, Any, T]], *arguments: int) -> T:
    """Run *work* as the road called *name* wants it: asyncssh alone is the one of asyncio's."""
    if name == "asyncssh":
        return asyncssh_road.run(work(*arguments))
    return trio.run(work, *arguments)


def _busy(*processes: psutil.Process) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


@contextlib.contextmanager
def _between(name: str, line: str) -> Iterator[str]:
    """Yield what the server has said, *line*, with the URL that leads to it by way of *name*."""
    if name != _BY_RESOLVER:
        yield line
        return
    url, _, target = line.partition(" ")
    node = Address.parse(url)
    with unbound.running(ZONE, node.port) as port:
        yield f"{node.at(port)} {target}"


def measure(name: str, load: Load) -> Figures:
    """Return the figures of the road called *name*."""
    module = Ours.module if name in _NAMES else Raw.module
    arguments = ("serve", name.split()[0]) if name in _NAMES else (name,)
    with _process(module, *arguments) as (server, line), _between(name, line) as line, pinned(1):
        road = _road(name, line)
        _run(name, road.requests, load.together // 10, 64)  # warm
        alone = sorted(_run(name, road.requests, load.alone, 1))
        before, began = _busy(server, psutil.Process()), perf_counter()
        together = sorted(_run(name, road.requests, load.together, 64))
        took = perf_counter() - began
        busy = _busy(server, psutil.Process()) - before
        seconds = min(_run(name, road.stream, load.blocks) for _ in range(2))
        memory = server.memory_info().rss
        with _process("benches.transport", "hold", name, line, str(load.links)):
            memory = server.memory_info().rss - memory
    return Figures(
        requests_a_second=len(alone) / sum(alone),
        p50_us=_at(0.5, alone),
        p99_us=_at(0.99, alone),
        requests_a_second_64=len(together) / took,
        p50_us_64=_at(0.5, together),
        p99_us_64=_at(0.99, together),
        mb_a_second=load.blocks * len(raw_roads.BLOCK) / seconds / 1e6,
        cpu_us=busy / len(together) * 1e6,
        kib_a_link=memory / load.links / 1024,
    )


def _at(share: float, latencies: list[float]) -> float:
    return latencies[ceil(share * len(latencies)) - 1] * 1e6


COLUMNS: Final[dict[str, Callable[[Figures], str]]] = {
    "req/s": lambda f: f"{f.requests_a_second:,.0f}",
    "p50": lambda f: f"{f.p50_us:,.0f}",
    "p99": lambda f: f"{f.p99_us:,.0f}",
    "req/s 64": lambda f: f"{f.requests_a_second_64:,.0f}",
    "p50 64": lambda f: f"{f.p50_us_64:,.0f}",
    "p99 64": lambda f: f"{f.p99_us_64:,.0f}",
    "MB/s": lambda f: f"{f.mb_a_second:,.{0 if f.mb_a_second > 10 else 2}f}",
    "CPU": lambda f: f"{f.cpu_us:.1f}",
    "KiB": lambda f: f"{f.kib_a_link:.1f}",
}


LEGEND: Final = """
req/s, p50, p99: requests one after another, latency in us    64: so many in flight at once
MB/s: one large stream    CPU: us for a request, both processes, 64 in flight
KiB: what the server grows by for each idle link"""


def main(arguments: list[str]) -> int:
    """Run `python -m benches transport`; return the exit code."""
    known = [
        *("raw TCP", FORWARD, *OURS),
        *("raw QUIC", "aioquic", "asyncssh", "websockets.trio", "trio-websocket"),
    ]
    description, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m benches transport", description=description)
    parser.add_argument("roads", nargs="*", metavar="ROAD", help=", ".join(known))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="a smoke of a second a road")
    options = parser.parse_args(arguments)
    if unknown := set(options.roads) - set(known):
        parser.error(f"there is no road {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    # Raw TCP is in every run: figures of different runs cannot be compared.
    chosen = known if not options.roads else list(dict.fromkeys([known[0], *options.roads]))

    # Without lines and with short headings, which are explained below, it is a little wide.
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("road", no_wrap=True)
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    found: dict[str, Figures] = {}
    for name in chosen:
        with Console(stderr=True).status(name):
            full = SLOW if name.startswith("dns") else Load()
            found[name] = measure(name, QUICK if options.quick else full)
        table.add_row(name, *(write(found[name]) for write in COLUMNS.values()))
    Console(width=max(Console().width, 100)).print(table)
    print(LEGEND)
    if options.quick:
        print("quick: figures mean little")
    if options.json:
        figures = {name: msgspec.structs.asdict(each) for name, each in found.items()}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with pinned(0):
            trio.run(_serve, sys.argv[2])
    else:
        _, _, held, where, links = sys.argv
        if held == "asyncssh":
            asyncssh_road.run(asyncssh_road.hold(int(where), int(links)))
        else:
            trio.run(_hold, held, where, int(links))
