"""What connections are forwarded to in the tests: real sockets on loopback."""

import socket
from contextlib import asynccontextmanager, suppress

import pytest
import trio


def has_ipv6():
    """Whether this machine has ::1."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


LOOPBACKS = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")),
]


@asynccontextmanager
async def target(serve, host="127.0.0.1"):
    """Run `serve(stream)` for each connection; yield the port."""
    listeners = await trio.open_tcp_listeners(0, host=host)

    async def take(stream):
        # Whoever connects may hang up as he likes.
        with suppress(trio.BrokenResourceError):
            async with stream:
                await serve(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, take, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def echo(stream):
    """Send back what comes, and then the end."""
    async for data in stream:
        await stream.send_all(data)
    await stream.send_eof()


async def hold(_):
    """Neither read nor send."""
    await trio.sleep_forever()


async def a_closed_port(host="127.0.0.1"):
    """Return a port at which nobody listens."""
    [listener] = await trio.open_tcp_listeners(0, host=host)
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


class Noted:
    """A target that reads to the end: `got` is what came, None if that was a reset."""

    def __init__(self):
        self.got = None
        self._ended = trio.Event()

    async def __call__(self, stream):
        try:
            self.got = await everything(stream.receive_some)
        finally:
            self._ended.set()

    async def ended(self):
        """Return when a connection has ended."""
        with trio.fail_after(10):
            await self._ended.wait()


async def everything(receive):
    """Return all that *receive* gives until the end."""
    parts = []
    while data := await receive():
        parts.append(data)
    return b"".join(parts)
