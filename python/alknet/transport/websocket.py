"""WebSocket (RFC 6455): one envelope a message, so that anything that speaks JSON can call.

The path is `/alknet/call`. The subprotocol says how envelopes are written: `alknet.json`, which is
also what a client gets that asks for none, or `alknet.msgpack`. A client that sends text gets text,
one that sends binary gets binary. Compression is off: it costs more than it saves on small
envelopes, and what is sealed does not compress.
"""

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import urlsplit

import structlog
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    connect_websocket_url,
    wrap_server_stream,
)

from alknet.errors import AlknetError, Disconnected, Refused, SettingsError, Unreachable
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.transport")

PATH: Final = "/alknet/call"
DEFAULT_PORTS: Final = {"ws": 8480, "wss": 8443}
_SUBPROTOCOLS: Final[dict[str, Format]] = {"alknet.json": "json", "alknet.msgpack": "msgpack"}
_NORMAL_CLOSURES: Final = (1000, 1001)
_CLOSING_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024
_QUEUED_MESSAGES: Final = 16


class WebSocketLink(Link):
    """A link over one WebSocket."""

    def __init__(self, socket: WebSocketConnection, address: str, *, is_encrypted: bool) -> None:
        self._socket = socket
        self._sends_text = False
        self.peer_address = address
        self.is_confidential = is_encrypted or is_loopback(address)
        self.format: Format = _SUBPROTOCOLS.get(socket.subprotocol or "", "json")

    async def send(self, chunks: list[bytes]) -> None:
        try:
            for chunk in chunks:
                await self._socket.send_message(chunk.decode() if self._sends_text else chunk)
        except ConnectionClosed as error:
            raise self._gone(error) from None

    async def receive(self) -> bytes:
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as error:
            if error.reason is not None and error.reason.code in _NORMAL_CLOSURES:
                return b""
            raise self._gone(error) from None
        self._sends_text = isinstance(message, str)
        return message.encode() if isinstance(message, str) else message

    async def aclose(self, reason: str = "") -> None:
        # RFC 6455, section 5.5: the reason of a close frame has 123 bytes at most.
        short = reason.encode()[:123].decode(errors="ignore")
        with trio.move_on_after(_CLOSING_SECONDS):
            await self._socket.aclose(1000, short)

    def _gone(self, error: ConnectionClosed) -> Disconnected:
        reason = error.reason
        why = "it was cut" if reason is None else f"{reason.code} {reason.reason or reason.name}"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")


# What a peer may do to its own connection without there being anything wrong with the node.
_EXPECTED: Final = (
    AlknetError,
    ConnectionClosed,
    HandshakeError,
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
)

Serve = Callable[[WebSocketLink], Awaitable[None]]


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept WebSockets at *url* until cancelled, running `serve(link)` for each in its own task.

    `started` gives the URL with the port that was bound. What goes wrong on one connection ends
    that connection and is logged; the listener goes on.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    host, port = _address(url)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise SettingsError(f"cannot listen at {url}: {_plainly(error)}") from None
    bound = listeners[0].socket.getsockname()[1]

    async def accept(stream: trio.SocketStream) -> None:
        address = _name(stream)
        try:
            async with trio.open_nursery() as nursery:
                await _accept(nursery, stream, address, serve, limits)
                nursery.cancel_scope.cancel()
        except* _EXPECTED as group:
            error = _first(group)
            log.info("connection ended", peer=address, reason=str(error) or type(error).__name__)
        except* Exception as group:
            log.error("connection failed", peer=address, exc_info=group)

    task_status.started(_with_port(url, bound))
    await trio.serve_listeners(accept, listeners)


async def _accept(
    nursery: trio.Nursery, stream: trio.SocketStream, address: str, serve: Serve, limits: Limits
) -> None:
    with trio.fail_after(limits.handshake_seconds):
        request = await wrap_server_stream(
            nursery,
            stream,
            message_queue_size=_QUEUED_MESSAGES,
            max_message_size=limits.frame_bytes,
            receive_buffer_size=_READ_BYTES,
        )
    if urlsplit(request.path).path != PATH:
        await request.reject(404, body=f"alknet answers at {PATH}\n".encode())
        return
    chosen = next((name for name in request.proposed_subprotocols if name in _SUBPROTOCOLS), None)
    socket = await request.accept(subprotocol=chosen)
    link = WebSocketLink(socket, address, is_encrypted=False)
    try:
        await serve(link)
    finally:
        with trio.CancelScope(shield=True):
            await link.aclose()


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    timeout: float = 10.0,
) -> WebSocketLink:
    """Open a WebSocket to *url*; its reader runs in *nursery* until the link is closed.

    `ws://host:port` is enough; a path is used if given. *timeout*, in seconds, is for opening.

    Raises:
        Unreachable: nobody answers there.
        Refused: whoever answers does not speak alknet.
    """
    parts = urlsplit(url)
    host, port = _address(url)
    full = f"{parts.scheme}://{_bracket(host)}:{port}{parts.path or PATH}"
    context = ssl.create_default_context() if parts.scheme == "wss" else None
    subprotocol = next(name for name, body in _SUBPROTOCOLS.items() if body == format)
    try:
        with trio.fail_after(timeout):
            socket = await connect_websocket_url(
                nursery,
                full,
                context,
                subprotocols=[subprotocol],
                message_queue_size=_QUEUED_MESSAGES,
                max_message_size=limits.frame_bytes,
                receive_buffer_size=_READ_BYTES,
            )
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except ConnectionRejected as error:
        raise Refused(f"{url} answers with HTTP {error.status_code}, not alknet") from None
    except (HandshakeError, ConnectionClosed):
        raise Refused(f"{url} does not answer as a WebSocket does") from None
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {_plainly(error)}") from None
    return WebSocketLink(socket, f"{host}:{port}", is_encrypted=context is not None)


def is_loopback(address: str) -> bool:
    """Whether *address* (`host:port`) never leaves this machine."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> None:
    """Refuse a URL that this transport cannot use.

    Raises:
        SettingsError: and says what it should look like.
    """
    _address(url)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(f"{url!r} should read ws://host:port or wss://host:port")
    return parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{_bracket(parts.hostname or '')}:{port}"


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _name(stream: trio.SocketStream) -> str:
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return "unknown:0"
    return f"{_bracket(host)}:{port}"


def _plainly(error: BaseException) -> str:
    """Return what the operating system said, without its number and our stack of groups."""
    if isinstance(error, BaseExceptionGroup):
        return _plainly(error.exceptions[0])
    if error.__cause__ is not None:
        return _plainly(error.__cause__)
    return (getattr(error, "strerror", None) or str(error)).lower()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return (
        _first(cast("BaseExceptionGroup[BaseException]", inner))
        if isinstance(inner, BaseExceptionGroup)
        else inner
    )
