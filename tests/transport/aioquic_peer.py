"""aioquic on Trio: an implementation of QUIC that is none of ours, at either end."""

import math
import ssl
from collections import defaultdict
from contextlib import asynccontextmanager

import trio
from aioquic.buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alknet._core.tls import Certificate

PROTOCOL = "alknet/call"


def certified(key):
    """Return what aioquic shows to be *key*: the certificate, and the key as it wants it."""
    certificate = x509.load_der_x509_certificate(Certificate.of_key(key).der)
    return {
        "certificate": certificate,
        "private_key": Ed25519PrivateKey.from_private_bytes(key.reveal_private_key()),
    }


class AskingConnection(QuicConnection):
    """The server's end, which asks the client for a certificate; aioquic has no public switch."""

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        self.tls._request_client_certificate = True


class AioquicStream:
    """A stream of a connection, behind the face of Trio's."""

    def __init__(self, end, number):
        self.end = end
        self.number = number
        self._arrived, self._arriving = trio.open_memory_channel(math.inf)

    async def send_all(self, data):
        self.end.quic.send_stream_data(self.number, data)
        self.end.move()
        await trio.lowlevel.checkpoint()

    async def send_eof(self):
        self.end.quic.send_stream_data(self.number, b"", end_stream=True)
        self.end.move()
        await trio.lowlevel.checkpoint()

    async def receive_some(self):
        """Return what has arrived, `b""` at the end."""
        try:
            return await self._arriving.receive()
        except trio.EndOfChannel:
            return b""

    def hear(self, event):
        if event.data:
            self._arrived.send_nowait(event.data)
        if event.end_stream:
            self._arrived.close()


class AioquicEnd:
    """One end of one connection, over a UDP socket of its own."""

    def __init__(self, quic, socket):
        self.quic = quic
        self.socket = socket
        self.streams = {}
        self.connected = trio.Event()
        self.closed = trio.Event()
        self.termination = None
        self.heard = defaultdict(int)
        self._opened, self._opening = trio.open_memory_channel(math.inf)

    @property
    def peer_certificate(self):
        return self.quic.tls._peer_certificate

    def open(self):
        number = self.quic.get_next_available_stream_id()
        self.streams[number] = stream = AioquicStream(self, number)
        return stream

    async def opened(self):
        return await self._opening.receive()

    def move(self):
        for data, address in self.quic.datagrams_to_send(trio.current_time()):
            self.socket._sock.sendto(data, address)

    async def run(self):
        while True:
            self.move()
            with trio.move_on_at(self.quic.get_timer() or math.inf):
                data, address = await self.socket.recvfrom(65535)
                self.quic.receive_datagram(data, address, trio.current_time())
            if (self.quic.get_timer() or math.inf) <= trio.current_time():
                self.quic.handle_timer(trio.current_time())
            while (event := self.quic.next_event()) is not None:
                self.heard[type(event)] += 1
                self._hear(event)

    def _hear(self, event):
        if isinstance(event, events.HandshakeCompleted):
            self.connected.set()
        elif isinstance(event, events.ConnectionTerminated):
            self.termination = event
            self.connected.set()
            self.closed.set()
            for stream in self.streams.values():
                stream._arrived.close()
        elif isinstance(event, events.StreamDataReceived):
            if event.stream_id not in self.streams:
                self.streams[event.stream_id] = AioquicStream(self, event.stream_id)
                self._opened.send_nowait(self.streams[event.stream_id])
            self.streams[event.stream_id].hear(event)


@asynccontextmanager
async def aioquic_client(port, *, key=None, protocol=PROTOCOL, versions=None):
    """Yield the end that dials *port* of this machine, showing the certificate of *key*."""
    shown = {} if key is None else certified(key)
    configuration = QuicConfiguration(alpn_protocols=[protocol], verify_mode=ssl.CERT_NONE, **shown)
    if versions is not None:
        configuration.supported_versions = versions
        configuration.original_version = versions[0]
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as socket:
        await socket.bind(("127.0.0.1", 0))
        quic = QuicConnection(configuration=configuration)
        quic.connect(("127.0.0.1", port), now=trio.current_time())
        end = AioquicEnd(quic, socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.run)
            with trio.fail_after(5):
                await end.connected.wait()
            yield end
            quic.close()
            end.move()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def aioquic_server(key, *, protocol=PROTOCOL):
    """Yield the port of a server that shows the certificate of *key*, and a list of its end.

    It serves one client, of which it asks a certificate; its end is there when it has come.
    """
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=[protocol], verify_mode=ssl.CERT_NONE, **certified(key)
    )
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as socket:
        await socket.bind(("127.0.0.1", 0))
        ends = []

        async def serve():
            data, address = await socket.recvfrom(65535)
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
            quic = AskingConnection(
                configuration=configuration,
                original_destination_connection_id=header.destination_cid,
            )
            ends.append(AioquicEnd(quic, socket))
            quic.receive_datagram(data, address, trio.current_time())
            await ends[0].run()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield socket.getsockname()[1], ends
            nursery.cancel_scope.cancel()
