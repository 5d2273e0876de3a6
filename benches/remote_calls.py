"""A call between two processes over loopback, 64 in flight: ours with everything on.

Ours checks the caller's scope, validates the input against its type, enforces the deadline and goes
through a service's mailbox; the peers do none of that. Both carry the same 200 bytes there and
back. The servers run on the first processor, the clients on the second, where there are two.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import msgspec
import trio

from alknet import NodeSettings, Request, Service, Settings, connect, handler, open_node, operation
from alknet.call.client import Client
from alknet.keys import Ed25519Key, Keyring, ssh_public_line
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.wire.link import Format
from benches.harness import Measured, Pace, measured_row

IN_FLIGHT = 64
CALLS = 12_800
QUICK_CALLS = 256


class Record(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=64)]
    body: str
    version: Annotated[int, msgspec.Meta(ge=0)]


RECORD = Record(name="record", body="x" * 160, version=7)
PAYLOAD = b"x" * 200


@operation("bench/record", scopes=("bench:record",))
class Store(Request[Record], frozen=True):
    """Return the record."""

    record: Record


class Bench(Service, namespace="bench"):
    @handler
    async def store(self, request: Store) -> Record:
        return request.record


def _key(path: str = "m/0'") -> Ed25519Key:
    return Keyring.from_seed(bytes(range(32))).ed25519(path)


def _line(key: Ed25519Key) -> str:
    return ssh_public_line(key.public_key, "bench")


async def _serve(scheme: str) -> None:
    """A node that lets the bench in, as a caller and as the worker behind a relay."""
    caller = Peer("bench", (_line(_key()),), frozenset({"bench:record"}))
    worker = Peer("worker", (_line(_key("m/1'")),), frozenset({"services:register"}))
    settings = Settings(
        node=NodeSettings(listen=(f"{scheme}://127.0.0.1:0",)),
        services={"auth": AuthSettings(peers=(caller, worker))},
    )
    async with open_node(settings, services=[Bench()]) as node:
        print(node.url, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


async def _work(url: str) -> None:
    """A worker of the node at *url*, which offers it the same service."""
    async with connect(url, identity=_key("m/1'"), services=[Bench()], format="msgpack"):
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


@contextlib.contextmanager
def _server(*arguments: str) -> Iterator[str]:
    """Start `python -m benches.remote_calls ...`; yield the line it prints when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benches.remote_calls", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=10)


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """Go before whatever else the machine does, in the block and in processes it starts.

    Of ours both processes are at work at once, of a peer often one waits for the other. What else
    runs on two processors therefore costs us up to twice what it costs the peer, and the ratio
    would say how busy the machine was. Where the system does not let us, it does say that.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _calls(client: Client, calls: int, node: str = "head") -> float:
    request = Store(RECORD)

    async def caller() -> None:
        for _ in range(calls // IN_FLIGHT):
            if await client.call(request, node=node) != RECORD:
                raise AssertionError("the answer is not what was sent")

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(IN_FLIGHT):
            nursery.start_soon(caller)
    return (perf_counter() - started) / calls * 1e6


def _ours(url: str, format: Format, calls: int, node: str = "head") -> float:
    async def main() -> float:
        async with connect(url, identity=_key(), format=format) as client:
            await _calls(client, QUICK_CALLS, node)
            return await _calls(client, calls, node)

    return trio.run(main)


# The peers.


def _rpyc_serve() -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Echo(rpyc.Service):
        def exposed_echo(self, data: bytes) -> bytes:
            return data

    server = ThreadedServer(Echo, hostname="127.0.0.1", port=0)
    print(server.port, flush=True)
    import threading

    threading.Thread(target=server.start, daemon=True).start()
    sys.stdin.read()


def _rpyc(port: str, calls: int) -> float:
    import rpyc

    connection = rpyc.connect("127.0.0.1", int(port))
    echo = rpyc.async_(connection.root.echo)

    def run(calls: int) -> float:
        waiting: list[Any] = [echo(PAYLOAD) for _ in range(IN_FLIGHT)]
        started = perf_counter()
        for index in range(calls):
            result = waiting[index % IN_FLIGHT]
            result.wait()
            assert result.value == PAYLOAD
            waiting[index % IN_FLIGHT] = echo(PAYLOAD)
        elapsed = perf_counter() - started
        for result in waiting:
            result.wait()
        return elapsed / calls * 1e6

    run(QUICK_CALLS)
    figure = run(calls)
    connection.close()
    return figure


def _grpc_serve() -> None:
    import asyncio

    import grpc

    async def echo(request: bytes, _: Any) -> bytes:
        return request

    async def main() -> None:
        server = grpc.aio.server()
        methods = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await server.stop(None)

    asyncio.run(main())


def _grpc(port: str, calls: int) -> float:
    import asyncio

    import grpc

    async def main() -> float:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/bench/Echo")

            async def caller(count: int) -> None:
                for _ in range(count):
                    assert await echo(PAYLOAD) == PAYLOAD

            async def run(calls: int) -> float:
                started = perf_counter()
                await asyncio.gather(*(caller(calls // IN_FLIGHT) for _ in range(IN_FLIGHT)))
                return (perf_counter() - started) / calls * 1e6

            await run(QUICK_CALLS)
            return await run(calls)

    return asyncio.run(main())


def _compare(pace: Pace, scheme: str, format: Format, peer: str) -> Measured:
    calls = CALLS if pace.rounds > 3 else QUICK_CALLS
    theirs = {"rpyc": _rpyc, "grpc": _grpc}[peer]
    ours_us, peer_us = [], []
    with ahead(), _server("ours", scheme) as url, _server(peer) as port, pinned(1):
        for _ in range(max(pace.rounds // 2, 1)):
            ours_us.append(_ours(url, format, calls))
            peer_us.append(theirs(port, calls))
    return Measured(median(ours_us), median(peer_us))


@measured_row("remote_call_64", peer="rpyc", goal=3)
def remote_call_64(pace: Pace) -> Measured:
    import rpyc  # noqa: F401 - a row whose peer is not installed says so before it starts anything

    return _compare(pace, "tcp", "msgpack", "rpyc")


@measured_row("websocket_call_64", peer="grpc.aio unary", goal=4)
def websocket_call_64(pace: Pace) -> Measured:
    import grpc  # noqa: F401

    return _compare(pace, "ws", "json", "grpc")


@measured_row("relay_call_64", peer="grpc.aio unary, no relay", goal=1)
def relay_call_64(pace: Pace) -> Measured:
    """Caller -> head -> worker: two links and three processes, against one link and two."""
    import grpc  # noqa: F401

    calls = CALLS if pace.rounds > 3 else QUICK_CALLS
    ours_us, peer_us = [], []
    with (
        ahead(),
        _server("ours", "tcp") as url,
        _server("worker", url),
        _server("grpc") as port,
        pinned(1),
    ):
        for _ in range(max(pace.rounds // 2, 1)):
            ours_us.append(_ours(url, "msgpack", calls, "worker"))
            peer_us.append(_grpc(port, calls))
    return Measured(median(ours_us), median(peer_us))


def main() -> None:
    with pinned(0):
        if sys.argv[1] == "ours":
            trio.run(_serve, sys.argv[2])
        elif sys.argv[1] == "worker":
            trio.run(_work, sys.argv[2])
        else:
            {"rpyc": _rpyc_serve, "grpc": _grpc_serve}[sys.argv[1]]()


if __name__ == "__main__":
    main()
