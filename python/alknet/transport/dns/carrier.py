"""Carrier: takes a client's messages to one name server, over UDP, or over TCP where it must."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio
from trio.lowlevel import wait_readable

from alknet.transport.dns.framing import Messages, framed

_DATAGRAM_BYTES: Final = 4096
_DATAGRAMS_IN_A_ROW: Final = 8
_READ_BYTES: Final = 65536
_UNSENT_QUERIES: Final = 64
# After so many answers that did not fit into a datagram, all is asked by TCP.
_MOST_TRUNCATED: Final = 3
# What cannot be reached by TCP is not tried again before that many seconds.
_TCP_PAUSE: Final = 0.5


class Carrier:
    """A UDP socket, and a TCP connection when there is need of one, to the server at *server*.

    *heard* is told of every message that comes. What cannot be sent is lost, as on the way.
    """

    def __init__(
        self, family: int, server: tuple[str, int], heard: Callable[["Carrier", bytes], None]
    ) -> None:
        self.server = server
        self.prefers_tcp = False
        self._family = family
        self._heard = heard
        self._truncated = 0
        self._hears_by_udp = False
        self._to_send, self._unsent = trio.open_memory_channel[bytes](_UNSENT_QUERIES)
        self._udp: socket.socket | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry until cancelled."""
        with socket.socket(self._family, socket.SOCK_DGRAM) as self._udp:
            self._udp.setblocking(False)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._by_tcp)
                task_status.started()
                await self._by_udp(self._udp)

    def send(self, message: bytes) -> None:
        """Send *message* by what has proven to work."""
        if self.prefers_tcp:
            self.send_by_tcp(message)
        elif self._udp is not None:
            # Full, or the network is away for now.
            with suppress(OSError):
                self._udp.sendto(message, self.server)

    def send_by_tcp(self, message: bytes) -> None:
        """Send *message* over TCP."""
        with suppress(trio.WouldBlock):
            self._to_send.send_nowait(message)

    def was_truncated(self, message: bytes) -> None:
        """Send *message* again, whose answer did not fit into a datagram."""
        self._truncated += 1
        self.prefers_tcp |= self._truncated >= _MOST_TRUNCATED
        self.send_by_tcp(message)

    async def _by_udp(self, udp: socket.socket) -> None:
        while True:
            await wait_readable(udp)
            for _ in range(_DATAGRAMS_IN_A_ROW):
                try:
                    message, sender = udp.recvfrom(_DATAGRAM_BYTES)
                except OSError:
                    break
                if sender[:2] == self.server:
                    self._hears_by_udp = True
                    self._heard(self, message)
            await trio.lowlevel.checkpoint()

    async def _by_tcp(self) -> None:
        async for message in self._unsent:
            try:
                async with await trio.open_tcp_stream(*self.server) as stream:
                    await stream.send_all(framed(message))
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._send_rest, stream)
                        await self._receive(stream)
                        nursery.cancel_scope.cancel(reason="the server has hung up")
            except* (OSError, trio.BrokenResourceError):
                await trio.sleep(_TCP_PAUSE)

    async def _send_rest(self, stream: trio.SocketStream) -> None:
        async for message in self._unsent:
            await stream.send_all(framed(message))

    async def _receive(self, stream: trio.SocketStream) -> None:
        messages = Messages()
        while data := await stream.receive_some(_READ_BYTES):
            # Where no datagram has come back, none will.
            self.prefers_tcp |= not self._hears_by_udp
            for message in messages.feed(data):
                self._heard(self, message)
