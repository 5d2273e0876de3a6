"""Plain TCP: a stream of frames, for nodes on one machine or behind a tunnel that encrypts.

The sockets are used as they are, non-blocking, and Trio is asked to wait only when one really is
empty or full: a stream object and its checkpoint on every read cost more than the read itself.
"""

import socket
from typing import Final

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

from alknet.errors import Disconnected, Unreachable
from alknet.transport.address import Address, bracket, in_words, is_loopback
from alknet.transport.gate import OPEN, Gate
from alknet.transport.listener import Serve, serve_port
from alknet.transport.opening import open_stream
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

_READ_BYTES: Final = 256 * 1024
# A busy socket is read this often before other tasks get their turn.
_READS_IN_A_ROW: Final = 8
# How many probes of the kernel may go unanswered.
_PROBES: Final = 4


class TcpLink(Link):
    """A link over one TCP connection."""

    transport = "tcp"
    framed = True

    def __init__(self, connection: socket.socket, address: str, limits: Limits) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch(connection, limits.silence_seconds)
        self._socket = connection
        self._reads = 0
        self._is_closed = False
        self.peer_address = address
        self.is_confidential = is_loopback(address)

    async def send(self, chunks: list[bytes]) -> None:
        for chunk in self.send_nowait(chunks):
            await self._send_rest(memoryview(chunk))

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        for index, chunk in enumerate(chunks):
            try:
                sent = self._socket.send(chunk)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise self._gone(error) from None
            if sent < len(chunk):
                return [chunk[sent:], *chunks[index + 1 :]]
        return []

    async def _send_rest(self, rest: memoryview) -> None:
        try:
            while rest:
                await wait_writable(self._socket)
                rest = rest[self._socket.send(rest) :]
        except (OSError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            self._reads += 1
            if self._reads >= _READS_IN_A_ROW:
                self._reads = 0
                await checkpoint()
            while True:
                try:
                    return self._socket.recv(_READ_BYTES)
                except BlockingIOError:
                    self._reads = 0
                    await wait_readable(self._socket)
        except (OSError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._gone(error) from None
        await checkpoint()

    async def aclose(self, reason: str = "") -> None:
        if not self._is_closed:
            self._is_closed = True
            notify_closing(self._socket)
            self._socket.close()
        await checkpoint()

    def _gone(self, error: BaseException) -> Disconnected:
        why = "it was closed" if self._is_closed else in_words(error)
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")


def taken(stream: trio.SocketStream) -> socket.socket:
    """Return the socket of *stream*, which owns it no longer."""
    return socket.socket(fileno=stream.socket.detach())


def watch(connection: socket.socket, seconds: float) -> None:
    """Have the kernel see whether the far end is there: not every peer answers pings of ours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    beat = max(round(seconds / (_PROBES + 1)), 1)
    for name, value in (("KEEPIDLE", beat), ("KEEPINTVL", beat), ("KEEPCNT", _PROBES)):
        option = getattr(socket, f"TCP_{name}", None)  # not every system knows all of them
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,  # noqa: ARG001
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections at *url* until cancelled, running `serve(link)` for each in its own task.

    These tasks run in *links*, where they outlive the listener, or else end with it. `started`
    gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """

    async def take(stream: trio.SocketStream, name: str) -> Link:
        return TcpLink(taken(stream), name, limits)

    await serve_port(url, take, serve, limits=limits, links=links, task_status=task_status)


async def dial(
    nursery: trio.Nursery,  # noqa: ARG001 - every transport's `dial` takes the same
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: ARG001, B008 - it is frozen
    timeout: float = 10.0,
) -> TcpLink:
    """Open a TCP connection to *url*. *timeout* is in seconds.

    Raises:
        Unreachable: nobody answers there.
    """
    address = Address.parse(url)
    try:
        with trio.fail_after(timeout):
            stream = await open_stream(address.host, address.port)
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    name = f"{bracket(address.host)}:{address.port}"
    link = TcpLink(taken(stream), name, limits)
    link.format = format
    return link
