"""WebSocket (RFC 6455): one envelope a message, so that anything that speaks JSON can call.

The path is `/alknet/call`. The subprotocol says how envelopes are written: `alknet.json`, which is
also what a client gets that asks for none, or `alknet.msgpack`. A client that sends text gets text,
one that sends binary gets binary. With `.frames` behind either name, the messages carry the frames
of a byte stream, each with its length in front, so that a busy link puts many envelopes into one
message; nodes of ours ask for that first. Compression is off: it costs more than it saves on small
envelopes, and what is sealed does not compress.

A client may bring a token in its first request (`Authorization: Bearer ...`, RFC 6750), over `wss`
or on this machine: then the node answers with `auth.accepted` at once, or with HTTP 401 and the
reason. A browser, which cannot, answers the challenge of `wire.handshake`. Pages may call from the
origins that the node lists, and from no other (RFC 6455, section 10.2): 403.
"""

from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import urlsplit

import h11
import structlog
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.utilities import ProtocolError as WsprotoError

from alknet.errors import (
    AlknetError,
    Disconnected,
    Refused,
    RemoteProtocolError,
    SettingsError,
    Unreachable,
)
from alknet.transport.address import Address, bracket, in_words, is_loopback, name_of
from alknet.transport.gate import OPEN, Gate
from alknet.transport.guard import counted, guarded, turned_away
from alknet.transport.tls import TlsStream, answer, ask
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.transport")

PATH: Final = "/alknet/call"
# What TLS names the protocol above it (RFC 7301): browsers offer nothing else for a WebSocket.
_PROTOCOL: Final = b"http/1.1"
_BEARER: Final = "bearer "
_FRAMES: Final = ".frames"
_SUBPROTOCOLS: Final[dict[str, Format]] = {
    "alknet.json.frames": "json",
    "alknet.msgpack.frames": "msgpack",
    "alknet.json": "json",
    "alknet.msgpack": "msgpack",
}
# A run of frames is cut into messages of this size, far below any limit on a message.
_RUN_BYTES: Final = 1024 * 1024
_NORMAL_CLOSURES: Final = (1000, 1001)
_CLOSING_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024
_QUEUED_MESSAGES: Final = 16
_UNAUTHORIZED: Final = 401


class WebSocketLink(Link):
    """A link over one WebSocket."""

    def __init__(
        self,
        socket: WebSocketConnection,
        address: str,
        *,
        stream: "_Stream",
        credential: bytes | str | None = None,
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._sends_text = False
        self.peer_address = address
        self.is_confidential = isinstance(stream, TlsStream) or is_loopback(address)
        self.credential = credential
        agreed = socket.subprotocol or ""
        self.format: Format = _SUBPROTOCOLS.get(agreed, "json")
        self.framed = agreed.endswith(_FRAMES)

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                if self.framed:
                    for start in range(0, len(chunk), _RUN_BYTES):
                        await self._socket.send_message(chunk[start : start + _RUN_BYTES])
                else:
                    await self._socket.send_message(chunk.decode() if self._sends_text else chunk)
        except ConnectionClosed as error:
            raise self._gone(error) from None

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as error:
            if error.reason is not None and error.reason.code in _NORMAL_CLOSURES:
                return b""
            raise self._gone(error) from None
        self._sends_text = isinstance(message, str)
        return message.encode() if isinstance(message, str) else message

    async def ping(self) -> None:
        try:
            await self._socket.ping()  # until the pong is there
        except ConnectionClosed as error:
            raise self._gone(error) from None

    async def aclose(self, reason: str = "") -> None:
        # RFC 6455, section 5.5: the reason of a close frame has 123 bytes at most.
        short = reason.encode()[:123].decode(errors="ignore")
        try:
            with trio.move_on_after(_CLOSING_SECONDS):
                await self._socket.aclose(1000, short)
        finally:
            # A WebSocket that was cut takes itself for closed, and leaves its stream open.
            await trio.aclose_forcefully(self._stream)

    def _gone(self, error: ConnectionClosed) -> Disconnected:
        reason = error.reason
        why = "it was cut" if reason is None else f"{reason.code} {reason.reason or reason.name}"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")


Serve = Callable[[WebSocketLink], Awaitable[None]]


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept WebSockets at *url* until cancelled, running `serve(link)` for each in its own task.

    These tasks run in *links*, where they outlive the listener, or else end with it. `started`
    gives the URL with the port that was bound. What goes wrong on one connection ends
    that connection and is logged; the listener goes on.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    address = Address.parse(url)
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        raise SettingsError(f"cannot listen at {url}: {in_words(error)}") from None

    async def accept(stream: trio.SocketStream) -> None:
        name = name_of(stream)
        async with guarded(name), counted(name), trio.open_nursery() as nursery:
            with trio.fail_after(limits.handshake_seconds):
                link = await _accept(nursery, stream, address, name, gate, limits)
            if link is not None:
                try:
                    await serve(link)
                finally:
                    with trio.CancelScope(shield=True):
                        await link.aclose()
            nursery.cancel_scope.cancel()

    task_status.started(str(address.at(listeners[0].socket.getsockname()[1])))
    await trio.serve_listeners(accept, listeners, handler_nursery=links)


async def _accept(
    nursery: trio.Nursery,
    accepted: trio.SocketStream,
    address: Address,
    name: str,
    gate: Gate,
    limits: Limits,
) -> WebSocketLink | None:
    """Return the link that *accepted* becomes; None if what is asked there is refused."""
    stream: _Stream = accepted
    if address.scheme == "wss":
        stream = await answer(accepted, gate, _PROTOCOL, limits)
    request = await wrap_server_stream(
        nursery,
        cast("trio.SocketStream", stream),
        message_queue_size=_QUEUED_MESSAGES,
        max_message_size=limits.frame_bytes,
        receive_buffer_size=_READ_BYTES,
    )
    headers = {name.lower(): value.decode("latin-1") for name, value in request.headers}
    token = _token_in(headers.get(b"authorization", ""))
    refusal = await _refusal(request.path, headers.get(b"origin"), token, gate)
    if refusal is not None:
        status, reason, fields = refusal
        log.info("upgrade refused", remote=name, status=status, reason=reason)
        if status == _UNAUTHORIZED:
            turned_away(name, reason)
        await request.reject(status, extra_headers=fields, body=f"{reason}\n".encode())
        return None
    chosen = next((name for name in request.proposed_subprotocols if name in _SUBPROTOCOLS), None)
    socket = await request.accept(subprotocol=chosen)
    credential = stream.peer_key if isinstance(stream, TlsStream) else None
    return WebSocketLink(socket, name, stream=stream, credential=token or credential)


def _token_in(authorization: str) -> str | None:
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    return authorization[len(_BEARER) :].strip() if is_bearer else None


_Fields = list[tuple[bytes, bytes]]


async def _refusal(
    path: str, origin: str | None, token: str | None, gate: Gate
) -> tuple[int, str, _Fields] | None:
    """Return why the first request is refused: the status of HTTP, a sentence, and fields."""
    if urlsplit(path).path != PATH:
        return 404, f"alknet answers at {PATH}", []
    try:
        gate.check_origin(origin)
    except Refused as error:
        return 403, str(error), []
    try:
        if token is not None:
            await gate.check_token(token)
    except AlknetError as error:
        return _UNAUTHORIZED, str(error), [(b"WWW-Authenticate", b"Bearer")]
    return None


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> WebSocketLink:
    """Open a WebSocket to *url*; its reader runs in *nursery* until the link is closed.

    `ws://host:port` is enough; a path is used if given. *timeout*, in seconds, is for opening.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks alknet.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
    """
    address = Address.parse(url)
    host = f"{bracket(address.host)}:{address.port}"
    subprotocols = [name for name, body in _SUBPROTOCOLS.items() if body == format]
    stream: _Stream | None = None
    socket: WebSocketConnection | None = None
    try:
        with trio.fail_after(timeout):
            stream = await _open_stream(address, trust, limits)
            reader = _Reader(nursery)
            with reader.opening:
                socket = await wrap_client_stream(
                    cast("trio.Nursery", reader),
                    cast("trio.SocketStream", stream),
                    host,
                    address.path or PATH,
                    subprotocols=subprotocols,
                    message_queue_size=_QUEUED_MESSAGES,
                    max_message_size=limits.frame_bytes,
                    receive_buffer_size=_READ_BYTES,
                )
        if socket is None:
            raise reader.error
    except BaseException as error:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        why = _why_not(error, url, timeout)
        if why is None:
            raise
        raise Unreachable(why) from None
    assert stream is not None
    return WebSocketLink(socket, host, stream=stream)


class _Reader:
    """Stands in for the nursery that a WebSocket starts its reader in, and keeps how that ends.

    A reader that ends before the WebSocket is open cancels `opening`; trio-websocket would let its
    error end the nursery, or wait for good.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.opening = trio.CancelScope()
        self.error: Exception = HandshakeError()

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except Exception as error:
            self.error = error
        finally:
            self.opening.cancel()


_Stream = trio.SocketStream | TlsStream


async def _open_stream(address: Address, trust: Trust, limits: Limits) -> _Stream:
    stream = await trio.open_tcp_stream(address.host, address.port)
    if address.scheme == "wss":
        return await ask(stream, address.host, trust, _PROTOCOL, limits)
    return stream


def _why_not(error: BaseException, url: str, timeout: float) -> str | None:
    """Return why there is no WebSocket at *url*; None for an error that says nothing of that."""
    match error:
        case trio.TooSlowError():
            return f"{url} did not answer within {timeout:g} s"
        case ConnectionRejected():
            return f"{url} answers with HTTP {error.status_code}, not alknet"
        case HandshakeError() | ConnectionClosed() | h11.ProtocolError() | WsprotoError():
            return f"{url} does not answer as a WebSocket does"
        case RemoteProtocolError():
            return f"{url} does not speak TLS as alknet does: {error}"
        case OSError() | trio.BrokenResourceError():
            return f"cannot reach {url}: {in_words(error)}"
        case _:
            return None
