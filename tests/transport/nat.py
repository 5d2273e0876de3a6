"""A router between two ends, that gives the inner one another port, or lets nothing through."""

import random
import socket
from contextlib import asynccontextmanager

import trio
from trio.lowlevel import notify_closing, wait_readable


class Nat:
    """Passes datagrams between whoever writes to `port` and the server at *server*."""

    def __init__(self, server):
        self.is_blocked = False
        # Which share of the datagrams is lost, by the same chance each time.
        self.loss = 0.0
        self._chance = random.Random(7)
        self.passed = 0
        self._server = server
        self._inner = bound()
        self._outer = bound()
        self._client = None

    @property
    def port(self):
        return self._inner.getsockname()[1]

    def rebind(self):
        """Go on with another port at the outside, as a router does that has forgotten."""
        old, self._outer = self._outer, bound()
        notify_closing(old)
        old.close()

    async def outward(self):
        while True:
            data, self._client = await received(self._inner)
            self._pass(self._outer, data, self._server)

    async def inward(self):
        while True:
            try:
                data, _ = await received(self._outer)
            except (trio.ClosedResourceError, OSError):
                continue  # another one has taken its place
            self._pass(self._inner, data, self._client)

    def _pass(self, through, data, to):
        if not self.is_blocked and self._chance.random() >= self.loss:
            self.passed += 1
            through.sendto(data, to)

    def close(self):
        self._inner.close()
        self._outer.close()


def bound():
    opened = socket.socket(type=socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind(("127.0.0.1", 0))
    return opened


async def received(opened):
    while True:
        try:
            return opened.recvfrom(65535)
        except BlockingIOError:
            await wait_readable(opened)


@asynccontextmanager
async def nat_before(port):
    """Yield a router before *port* of this machine."""
    nat = Nat(("127.0.0.1", port))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nat.outward)
            nursery.start_soon(nat.inward)
            yield nat
            nursery.cancel_scope.cancel()
    finally:
        nat.close()
