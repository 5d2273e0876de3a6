"""Listening: the node is the name server of a zone, at a UDP and a TCP port of the same number."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog
import trio
from trio.lowlevel import wait_readable

from alknet.errors import AlknetError, SettingsError, traced
from alknet.transport.address import Address, bracket, in_words, name_of
from alknet.transport.dns.authority import Asked, Authority, answer
from alknet.transport.dns.framing import Messages, framed
from alknet.transport.dns.link import DnsLink
from alknet.transport.dns.names import Zone
from alknet.transport.dns.packet import Down
from alknet.transport.dns.sessions import Session, Sessions
from alknet.transport.gate import OPEN, Gate
from alknet.transport.guard import counted, guarded
from alknet.transport.listener import Serve
from alknet.transport.tls import PROTOCOL
from alknet.transport.udp import UdpSocket, bound
from alknet.wire.limits import Limits

log = structlog.get_logger("alknet.transport")

_DATAGRAMS_IN_A_ROW: Final = 8
_READ_BYTES: Final = 65536
_MOST_CONNECTIONS: Final = 64
# RFC 7766, section 6.2.3: who says nothing for a while is hung up on.
_IDLE_SECONDS: Final = 30.0
_UNSENT_ANSWERS: Final = 64
# So often a port is looked for that is free for both.
_TRIES: Final = 16


class Port:
    """One name server: its two sockets, its sessions, and the links that they become."""

    def __init__(
        self,
        address: Address,
        udp: list[UdpSocket],
        tcp: list[trio.SocketListener],
        *,
        serve: Serve,
        gate: Gate,
        limits: Limits,
    ) -> None:
        self._udp = udp
        self._tcp = tcp
        self._serve = serve
        self._gate = gate
        self._limits = limits
        self._authority = Authority(Zone(address.zone), address.host)
        self._stirred = trio.Event()
        self._closed = trio.Event()
        self._sessions = Sessions(
            self._begin, lambda: self._stirred.set(), silence=limits.silence_seconds
        )
        self._connections = 0
        self._links: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Answer until cancelled, or until closed and without sessions.

        When it is cancelled, each session still has a moment in which its last words are fetched.
        """
        async with trio.open_nursery() as nursery:
            answering = await nursery.start(self._answer)
            try:
                async with trio.open_nursery() as self._links:
                    task_status.started()
                    await self._closed.wait()
                    while len(self._sessions):
                        await self._stirred.wait()
                        await trio.lowlevel.checkpoint()
            finally:
                answering.cancel(reason="the listener was closed")

    def close(self) -> None:
        """Take no more sessions; those that there are go on."""
        self._sessions.is_open = False
        self._closed.set()

    async def _answer(self, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        """Answer, and do what is due when it is due, until that scope is cancelled."""
        with ExitStack() as stack, trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                for udp in self._udp:
                    stack.callback(udp.close)
                    nursery.start_soon(self._read, udp)
                nursery.start_soon(
                    partial(trio.serve_listeners, self._take, self._tcp, handler_nursery=nursery)
                )
                task_status.started(scope)
                while True:
                    wake_at = self._sessions.expire()
                    self._stirred = trio.Event()
                    with trio.move_on_at(wake_at):
                        await self._stirred.wait()

    # Datagrams.

    async def _read(self, udp: UdpSocket) -> None:
        while True:
            await wait_readable(udp.raw)
            for _ in range(_DATAGRAMS_IN_A_ROW):
                try:
                    received = udp.receive()
                except OSError as error:
                    # Of the network, which may come back; a name server does not end for it.
                    log.warning("cannot receive", port=udp.port, why=in_words(error))
                    break
                if received is None:
                    break
                self._datagrams(udp, *received)
            await trio.lowlevel.checkpoint()

    def _datagrams(
        self,
        udp: UdpSocket,
        data: bytes,
        source: tuple[Any, ...],
        stride: int,
        _: int,
        local: str | None,
    ) -> None:
        """Take what the kernel has put together, which is of one sender, a datagram at a time."""

        def send(reply: bytes) -> None:
            # From where the query came in, or no resolver would take it. What cannot be sent, or
            # not now, is lost, and asked for again.
            with suppress(OSError):
                udp.send((reply, source, 0, 0, local))

        size = stride or len(data)
        for start in range(0, len(data), size or 1):
            self._message(data[start : start + size], source[0], source[1], send, is_udp=True)

    def _message(
        self, wire: bytes, host: str, port: int, send: Callable[[bytes], None], *, is_udp: bool
    ) -> None:
        if not self._sessions.may_ask(host):
            return
        try:
            asked = self._authority.examine(wire)
            if not isinstance(asked, Asked):
                if asked is not None:
                    send(asked)
                return

            def reply(packet: Down) -> None:
                send(answer(asked, packet, is_udp=is_udp))

            self._sessions.take(asked.packet, f"{bracket(host)}:{port}", host, reply)
        except Exception as error:  # a name server outlives every query
            log.error("query failed", remote=host, cause=traced(error))

    # Connections (RFC 7766): many queries on one, answered in any order.

    async def _take(self, stream: trio.SocketStream) -> None:
        async with guarded(name_of(stream)), stream:
            if self._connections >= _MOST_CONNECTIONS:
                return
            self._connections += 1
            try:
                async with trio.open_nursery() as nursery:
                    to_send, unsent = trio.open_memory_channel[bytes](_UNSENT_ANSWERS)
                    nursery.start_soon(_send_all, stream, unsent)
                    await self._read_all(stream, to_send)
                    nursery.cancel_scope.cancel(reason="the client has hung up")
            finally:
                self._connections -= 1

    async def _read_all(
        self, stream: trio.SocketStream, to_send: trio.MemorySendChannel[bytes]
    ) -> None:
        def send(reply: bytes) -> None:
            # Not read, or hung up: what is lost is asked for again.
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                to_send.send_nowait(reply)

        host, port = stream.socket.getpeername()[:2]
        messages = Messages()
        while True:
            data = b""
            with trio.move_on_after(_IDLE_SECONDS):
                data = await stream.receive_some(_READ_BYTES)
            if not data:
                return
            for wire in messages.feed(data):
                self._message(wire, host, port, send, is_udp=False)
                await trio.lowlevel.checkpoint()

    # Sessions.

    def _begin(self, session: Session) -> None:
        assert self._links is not None
        name = f"the session of {session.stream.address}"
        self._links.start_soon(self._attend, session, name=name)

    async def _attend(self, session: Session) -> None:
        name = session.stream.address
        try:
            async with guarded(name), _explained(session), counted(name):
                link = DnsLink(session.stream, self._gate.server([PROTOCOL]).accept())
                try:
                    with trio.fail_after(self._limits.handshake_seconds):
                        await link.do_handshake()
                    session.entered()
                    await self._serve(link)
                finally:
                    with trio.CancelScope(shield=True):
                        await link.aclose()
        finally:
            await self._sessions.forget(session)


@asynccontextmanager
async def _explained(session: Session) -> AsyncIterator[None]:
    """Have the far end of *session* told why the block has failed, if it has not heard it there."""
    try:
        yield
    except AlknetError as error:
        session.stream.end(str(error))
        raise


async def _send_all(stream: trio.SocketStream, unsent: trio.MemoryReceiveChannel[bytes]) -> None:
    async for wire in unsent:
        await stream.send_all(framed(wire))


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Be the name server at *url* until cancelled, running `serve(link)` in a task for each link.

    These tasks run in *links*, where they outlive the listener, as its sockets do then, or else end
    with it. `started` gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound, or the zone is none; the message says why.
    """
    address = Address.parse(url)
    Zone(address.zone)
    udp, tcp = await _bind(address)
    address = address.at(udp[0].port)
    port = Port(address, udp, tcp, serve=serve, gate=gate, limits=limits)
    async with trio.open_nursery() as nursery:
        try:
            await (links or nursery).start(port.run)
            log.info(
                "listening by DNS, which is slow: at best some 100 kB/s come and 800 kB/s go",
                url=str(address),
            )
            task_status.started(str(address))
            await trio.sleep_forever()
        finally:
            port.close()


async def _bind(address: Address) -> tuple[list[UdpSocket], list[trio.SocketListener]]:
    """Return sockets that hear datagrams, and listeners, all at the same port."""
    for left in reversed(range(_TRIES)):
        udp: list[UdpSocket] = []
        try:
            udp = await bound(address)
            return udp, await trio.open_tcp_listeners(udp[0].port, host=address.host)
        except OSError as error:
            for each in udp:
                each.close()
            if address.port != 0 or not left:
                raise SettingsError(f"cannot listen at {address}: {in_words(error)}") from None
    raise AssertionError("the last try returns or raises")
