"""What the roads are measured beside: bytes that are echoed, with no calls and no identity.

`raw TCP` is what a road can at best be; the two WebSocket libraries are what ours is chosen among,
aioquic is what our QUIC is held against, and asyncssh our SSH.
Each side is Trio, as ours is, but for asyncssh, which is asyncio's.
"""

import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Any, Final

import trio

from alknet.keys import Ed25519Key
from alknet.transport import quic
from alknet.transport.gate import Gate
from alknet.transport.trust import Trust
from alknet.wire.limits import DEFAULT_LIMITS
from alknet.wire.link import Link
from benches import aioquic_road, asyncssh_road
from benches.remote_calls import pinned

MESSAGE: Final = b"x" * 200
BLOCK: Final = b"y" * (256 * 1024)
_FLOOD: Final = b"flood"

# One end of a connection that keeps messages apart.
Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[bytes]]


async def _answer(send: Send, receive: Receive) -> None:
    """Echo what comes; to `flood` and a number, send as many blocks."""
    while message := await receive():
        if message.startswith(_FLOOD):
            for _ in range(int(message[len(_FLOOD) :])):
                await send(BLOCK)
        else:
            await send(message)


# Raw TCP: messages of 200 bytes, so that there is no framing at all.


async def _tcp_serve(stream: trio.SocketStream) -> None:
    async def receive() -> bytes:
        return bytes(await stream.receive_some(65536))

    # Who has what he wanted may hang up as he likes.
    with suppress(trio.BrokenResourceError):
        async with stream:
            await _answer(stream.send_all, receive)


@asynccontextmanager
async def _tcp_open(port: int) -> AsyncIterator[tuple[Send, Receive]]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:

        async def receive() -> bytes:
            return bytes(await stream.receive_some(262144))

        yield stream.send_all, receive


async def _tcp_listen(task_status: trio.TaskStatus[int]) -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, _tcp_serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        task_status.started(listeners[0].socket.getsockname()[1])


# The libraries alone.


async def _trio_websocket_listen(task_status: trio.TaskStatus[int]) -> None:
    import trio_websocket

    async def serve(request: Any) -> None:
        socket = await request.accept()
        try:
            await _answer(socket.send_message, socket.get_message)
        except trio_websocket.ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        listen = partial(
            trio_websocket.serve_websocket, serve, "127.0.0.1", 0, None, message_queue_size=16
        )
        task_status.started((await nursery.start(listen)).port)


@asynccontextmanager
async def _trio_websocket_open(port: int) -> AsyncIterator[tuple[Send, Receive]]:
    import trio_websocket

    async with trio_websocket.open_websocket_url(
        f"ws://127.0.0.1:{port}/", message_queue_size=16
    ) as socket:
        yield socket.send_message, socket.get_message


async def _websockets_listen(task_status: trio.TaskStatus[int]) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.trio.server import serve

    async def answer(connection: Any) -> None:
        try:
            await _answer(connection.send, connection.recv)
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        listen = partial(serve, answer, 0, host="127.0.0.1", compression=None, ping_interval=None)
        server = await nursery.start(listen)
        task_status.started(server.listeners[0].socket.getsockname()[1])


@asynccontextmanager
async def _websockets_open(port: int) -> AsyncIterator[tuple[Send, Receive]]:
    from websockets.trio.client import connect

    async with connect(
        f"ws://127.0.0.1:{port}/", compression=None, ping_interval=None, proxy=None
    ) as connection:
        yield connection.send, connection.recv


# Our QUIC, with no calls above it, as aioquic is measured.


def _key() -> Ed25519Key:
    return Ed25519Key.from_private_key(bytes(range(32)))


async def _quic_listen(task_status: trio.TaskStatus[int]) -> None:
    async def answer(link: Link) -> None:
        async def send(data: bytes) -> None:
            await link.send([data])

        await _answer(send, link.receive)

    async with trio.open_nursery() as nursery:
        listen = partial(
            quic.listen, "quic://127.0.0.1:0", answer, limits=DEFAULT_LIMITS, gate=Gate(key=_key)
        )
        task_status.started(int((await nursery.start(listen)).rpartition(":")[2]))


@asynccontextmanager
async def _quic_open(port: int) -> AsyncIterator[tuple[Send, Receive]]:
    async with trio.open_nursery() as nursery:
        link = await quic.dial(
            nursery,
            f"quic://127.0.0.1:{port}",
            limits=DEFAULT_LIMITS,
            trust=Trust.of(_key(), _key().public_key),
        )

        async def send(data: bytes) -> None:
            await link.send([data])

        yield send, link.receive
        await link.aclose()
        nursery.cancel_scope.cancel()


async def _aioquic_listen(task_status: trio.TaskStatus[int]) -> None:
    await aioquic_road.listen(_answer, task_status)


LISTEN: Final = {
    "raw QUIC": _quic_listen,
    "aioquic": _aioquic_listen,
    "raw TCP": _tcp_listen,
    "trio-websocket": _trio_websocket_listen,
    "websockets.trio": _websockets_listen,
}
OPEN: Final = {
    "raw QUIC": _quic_open,
    "aioquic": aioquic_road.connected,
    "asyncssh": asyncssh_road.connected,
    "raw TCP": _tcp_open,
    "trio-websocket": _trio_websocket_open,
    "websockets.trio": _websockets_open,
}


async def echo(name: str, port: int, messages: int, in_flight: int) -> list[float]:
    """Have so many messages echoed, so many at a time; return how long each took, in seconds."""
    took = []
    async with OPEN[name](port) as (send, receive):
        sent: deque[float] = deque()
        left, partial_bytes = messages, 0
        while len(took) < messages:
            while left and len(sent) < in_flight:
                sent.append(perf_counter())
                await send(MESSAGE)
                left -= 1
            partial_bytes += len(await receive())
            now = perf_counter()
            while partial_bytes >= len(MESSAGE):
                partial_bytes -= len(MESSAGE)
                took.append(now - sent.popleft())
    return took


async def flood(name: str, port: int, blocks: int) -> float:
    """Receive so many blocks; return how many seconds that took."""
    left = blocks * len(BLOCK)
    async with OPEN[name](port) as (send, receive):
        started = perf_counter()
        await send(_FLOOD + b"%d" % blocks)
        while left > 0:
            left -= len(await receive())
        return perf_counter() - started


@asynccontextmanager
async def idle(name: str, port: int) -> AsyncIterator[None]:
    """Hold a connection that says nothing."""
    async with OPEN[name](port):
        yield


async def _serve(name: str) -> None:
    async with trio.open_nursery() as nursery:
        print(await nursery.start(LISTEN[name]), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    with pinned(0):
        if sys.argv[1] == "asyncssh":
            asyncssh_road.run(asyncssh_road.serve(_answer))
        else:
            trio.run(_serve, sys.argv[1])
