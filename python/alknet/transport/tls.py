"""TLS 1.3 over TCP (RFC 8446): a stream of frames that nobody can listen to.

The sessions are Rust's (`rust/core/src/tls`): bytes in, bytes out; here are the sockets. What they
know that Python's own `ssl` does not: to ask a client for a certificate that no authority signed,
and to sign the handshake in the vault, so that no private key is ever in a file or in OpenSSL's
memory. What is shown and what is believed is in `gate.py` and `trust.py`.

The handshake of `wire.handshake` goes on inside, and says in words why a peer is refused. It is
bound to this one by the keys: the certificate that a client expects is of the key that must sign
inside, and a client that shows one here must sign with the same key there. So a node in the middle,
which has neither key, can pass nothing on. (Binding by RFC 9266 would cover clients that show no
certificate too, but browsers cannot compute it.)
"""

import socket
from contextlib import suppress
from typing import Final

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

from alknet._core.tls import Session
from alknet.errors import AlknetError, Disconnected, RemoteProtocolError, Unreachable
from alknet.transport.address import Address, bracket, in_words
from alknet.transport.gate import OPEN, Gate
from alknet.transport.listener import Serve, serve_port
from alknet.transport.opening import open_stream
from alknet.transport.tcp import taken, watch
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

PROTOCOL: Final = b"alknet/call"
_READ_BYTES: Final = 256 * 1024
# So much is encrypted at a time. Pieces above 128 KiB would come from the system each time, page by
# page, rather than from what the process has: that was 2.6 times as slow.
_WRITE_BYTES: Final = 64 * 1024
_READS_IN_A_ROW: Final = 8


class TlsStream(trio.abc.HalfCloseableStream):
    """A TLS session over a connected socket, which it owns.

    Trio's own errors are raised for what happens to the connection, and those of alknet for what
    the peer does wrong in TLS. An end without a farewell is a cut: BrokenResourceError.
    """

    def __init__(self, connection: socket.socket, session: Session) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._session = session
        self._unsent = b""
        self._unread = b""
        self._reads = 0
        self._is_closed = False

    @property
    def peer_key(self) -> bytes | None:
        """The Ed25519 key that the peer has proven to hold, if its certificate is of one."""
        return self._session.peer_key

    async def do_handshake(self) -> None:
        """Agree on keys with the peer.

        Raises:
            Refused, Locked, RemoteProtocolError: as `Session.feed`.
        """
        self._unsent = self._session.take()
        while True:
            await self._flush()
            if not self._session.is_handshaking:
                return
            self._unread += await self._read_once()
            self._unsent = self._session.take()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the peer says next; `b""` when it has said farewell."""
        self._reads += 1
        if self._reads >= _READS_IN_A_ROW:
            self._reads = 0
            await checkpoint()
        while not self._unread:
            if self._session.has_ended:
                return b""
            self._unread = await self._read_once()
        end = len(self._unread) if max_bytes is None else max_bytes
        data, self._unread = self._unread[:end], self._unread[end:]
        return data

    async def _read_once(self) -> bytes:
        """Read from the socket once; what the peer said in it may be nothing yet."""
        while True:
            self._check()
            try:
                data = self._socket.recv(_READ_BYTES)
                break
            except BlockingIOError:
                self._reads = 0
                await wait_readable(self._socket)
            except OSError as error:
                raise trio.BrokenResourceError(in_words(error)) from None
        if not data:
            raise trio.BrokenResourceError("it was cut: it ended without a farewell")
        try:
            return self._session.feed(data)
        except AlknetError:
            # The peer should learn why, if it still listens; waiting for that is not worth a wait.
            self._unsent += self._session.take()
            with suppress(trio.BrokenResourceError):
                self._push()
            raise

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, waiting while the peer does not read."""
        for chunk in self.send_nowait([bytes(data)]):
            await self._send(chunk)

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        """Send what can be sent without waiting; return the rest, which must be sent next.

        An empty chunk in it stands for what is encrypted already and waits here.
        """
        self._check()
        if self._unsent and not self._push():
            return [b"", *chunks]
        for index, chunk in enumerate(chunks):
            for start in range(0, len(chunk) or 1, _WRITE_BYTES):
                end = start + _WRITE_BYTES
                self._unsent = self._session.write(chunk[start:end])
                if not self._push():
                    return [chunk[end:], *chunks[index + 1 :]]
        return []

    async def _send(self, chunk: bytes) -> None:
        await self._flush()
        for start in range(0, len(chunk), _WRITE_BYTES):
            self._unsent = self._session.write(chunk[start : start + _WRITE_BYTES])
            await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket takes something."""
        self._check()
        await wait_writable(self._socket)

    async def send_eof(self) -> None:
        """Say farewell; the peer may still speak (RFC 8446, section 6.1)."""
        await self._flush()
        self._unsent = self._session.finish()
        await self._flush()

    async def aclose(self) -> None:
        """Say farewell, if that needs no waiting, and close; safe to call twice."""
        if not self._is_closed:
            with suppress(trio.BrokenResourceError):
                self._unsent += self._session.finish()
                self._push()
            self._is_closed = True
            notify_closing(self._socket)
            self._socket.close()
        await checkpoint()

    def _push(self) -> bool:
        """Send what is encrypted, as far as the socket takes it; return whether that was all."""
        if self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                return False
            except OSError as error:
                raise trio.BrokenResourceError(in_words(error)) from None
        return not self._unsent

    async def _flush(self) -> None:
        self._check()
        while not self._push():
            await wait_writable(self._socket)
            self._check()

    def _check(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("it was closed")


class TlsLink(Link):
    """A link over one TLS connection."""

    transport = "tls"
    framed = True
    is_confidential = True

    def __init__(self, stream: TlsStream, address: str) -> None:
        self._stream = stream
        self.peer_address = address
        self.credential = stream.peer_key

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                await self._stream.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        try:
            return self._stream.send_nowait(chunks)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            return await self._stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError) as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def aclose(self, reason: str = "") -> None:
        await self._stream.aclose()

    def _gone(self, error: Exception) -> Disconnected:
        return Disconnected(f"the link to {self.peer_address} is gone: {in_words(error)}")


async def accept(
    stream: trio.SocketStream, name: str, gate: Gate, protocol: bytes, limits: Limits
) -> TlsLink:
    """Return the link that *stream*, from *name*, becomes, once both ends know each other."""
    return TlsLink(await _shaken(stream, gate.server([protocol]).accept(), limits), name)


async def secure(
    stream: trio.SocketStream, url: str, name: str, trust: Trust, protocol: bytes, limits: Limits
) -> TlsLink:
    """Return the link to *url*, or *name*, that *stream* becomes, once the server is believed.

    Raises:
        Unreachable: nobody speaks TLS 1.3 there, or not *protocol* above it.
        Refused, Locked: as `dial`.
    """
    host = Address.parse(url).host
    session = Session.connect(host, trust.own, trust.expect, trust.roots, [protocol])
    try:
        return TlsLink(await _shaken(stream, session, limits), name)
    except RemoteProtocolError as error:
        raise Unreachable(f"{url} does not speak TLS as alknet does: {error}") from None
    except trio.BrokenResourceError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None


async def _shaken(plain: trio.SocketStream, session: Session, limits: Limits) -> TlsStream:
    connection = taken(plain)
    watch(connection, limits.silence_seconds)
    stream = TlsStream(connection, session)
    try:
        await stream.do_handshake()
    except BaseException:
        with trio.CancelScope(shield=True):
            await stream.aclose()
        raise
    return stream


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections at *url* until cancelled, running `serve(link)` for each in its own task.

    These tasks run in *links*, where they outlive the listener, or else end with it. `started`
    gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """

    async def take(stream: trio.SocketStream, name: str) -> Link:
        return await accept(stream, name, gate, PROTOCOL, limits)

    await serve_port(url, take, serve, limits=limits, links=links, task_status=task_status)


async def dial(
    nursery: trio.Nursery,  # noqa: ARG001 - every transport's `dial` takes the same
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> TlsLink:
    """Open a TLS connection to *url*. *timeout* is in seconds.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks TLS 1.3.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
    """
    address = Address.parse(url)
    try:
        with trio.fail_after(timeout):
            stream = await open_stream(address.host, address.port)
            name = f"{bracket(address.host)}:{address.port}"
            link = await secure(stream, url, name, trust, PROTOCOL, limits)
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    link.format = format
    return link
