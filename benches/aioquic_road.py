"""aioquic, beside which QUIC is measured: its connections on Trio, one task a UDP socket.

Sockets are drained before anything is sent, as ours are, so that it is at its best. Messages go on
one stream. Nobody proves who he is but the server, and the client does not look.
"""

import datetime
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

_DATAGRAMS: Final = 64
_PROTOCOL: Final = "alknet/call"


class Connection:
    """One connection, whose messages `send` sends and `receive` returns."""

    def __init__(self, quic: Any, moved: Callable[[], None]) -> None:
        self.quic = quic
        self.stream = 0
        self.is_connected = trio.Event()
        self._moved = moved
        self._arrived, self._arriving = trio.open_memory_channel[bytes](math.inf)

    async def send(self, data: bytes) -> None:
        self.quic.send_stream_data(self.stream, data)
        self._moved()
        # It knows no backpressure of its own: this is what an application would have to do.
        while len(self.quic._streams[self.stream].sender._buffer) > 4_000_000:  # noqa: ASYNC110
            await trio.sleep(0.001)
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        return await self._arriving.receive()

    def hear(self) -> None:
        from aioquic.quic import events

        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.StreamDataReceived):
                self._arrived.send_nowait(event.data)
            elif isinstance(event, events.HandshakeCompleted):
                self.is_connected.set()
            elif isinstance(event, events.ConnectionTerminated):
                self._arrived.send_nowait(b"")


class Socket:
    """A UDP socket and the connections behind it, told apart by the peer's address."""

    def __init__(self, socket: trio.socket.SocketType) -> None:
        self.socket = socket
        self.connections: dict[Any, Connection] = {}
        self.knocked: Callable[[bytes, Any], None] | None = None
        self._timer = trio.CancelScope()

    def move(self) -> None:
        """Send what must be sent."""
        now, due = trio.current_time(), math.inf
        for connection in self.connections.values():
            for data, address in connection.quic.datagrams_to_send(now):
                self._send(data, address)
            due = min(due, connection.quic.get_timer() or math.inf)
        self._timer.deadline = min(self._timer.deadline, due)

    def _send(self, data: bytes, address: Any) -> None:
        try:
            self.socket._sock.sendto(data, address)  # type: ignore[attr-defined]
        except BlockingIOError:
            return  # lost, as on the way

    async def run(self) -> None:
        raw = self.socket._sock  # type: ignore[attr-defined]
        while True:
            with trio.CancelScope() as self._timer:
                self.move()
                await trio.lowlevel.wait_readable(raw)
                for _ in range(_DATAGRAMS):
                    try:
                        data, address = raw.recvfrom(65535)
                    except BlockingIOError:
                        break
                    if address not in self.connections and self.knocked is not None:
                        self.knocked(data, address)
                    self.connections[address].quic.receive_datagram(
                        data, address, trio.current_time()
                    )
            now = trio.current_time()
            for connection in self.connections.values():
                if (connection.quic.get_timer() or math.inf) <= now:
                    connection.quic.handle_timer(now)
                connection.hear()
            await trio.lowlevel.checkpoint()


def _certificate() -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1)
    )
    return built.sign(key, None), key


def _socket() -> trio.socket.SocketType:
    opened = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    for option in (trio.socket.SO_RCVBUF, trio.socket.SO_SNDBUF):
        opened.setsockopt(trio.socket.SOL_SOCKET, option, 4 * 1024 * 1024)
    return opened


async def listen(answer: Any, task_status: trio.TaskStatus[int]) -> None:
    """Run `answer(send, receive)` for each connection."""
    from aioquic.buffer import Buffer
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.packet import pull_quic_header

    certificate, key = _certificate()
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=[_PROTOCOL], certificate=certificate, private_key=key
    )
    with _socket() as socket:
        await socket.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            driver = Socket(socket)

            def knocked(data: bytes, address: Any) -> None:
                header = pull_quic_header(Buffer(data=data), host_cid_length=8)
                quic = QuicConnection(
                    configuration=configuration,
                    original_destination_connection_id=header.destination_cid,
                )
                driver.connections[address] = each = Connection(quic, driver.move)
                nursery.start_soon(answer, each.send, each.receive)

            driver.knocked = knocked
            task_status.started(socket.getsockname()[1])
            await driver.run()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[Any, Any]]:
    """Yield what sends and what receives on a connection to the server at *port*."""
    import ssl

    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection

    configuration = QuicConfiguration(alpn_protocols=[_PROTOCOL], verify_mode=ssl.CERT_NONE)
    with _socket() as socket:
        await socket.bind(("127.0.0.1", 0))
        driver = Socket(socket)
        quic = QuicConnection(configuration=configuration)
        address = ("127.0.0.1", port)
        driver.connections[address] = connection = Connection(quic, driver.move)
        quic.connect(address, now=trio.current_time())
        connection.stream = quic.get_next_available_stream_id()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            await connection.is_connected.wait()
            yield connection.send, connection.receive
            nursery.cancel_scope.cancel()
