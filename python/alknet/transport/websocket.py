"""WebSocket (RFC 6455): one envelope a message, so that anything that speaks JSON can call.

The path is `/alknet/call`. The subprotocol says how envelopes are written: `alknet.json`, which is
also what a client gets that asks for none, or `alknet.msgpack`. A client that sends text gets text,
one that sends binary gets binary. Compression is off: it costs more than it saves on small
envelopes, and what is sealed does not compress.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    connect_websocket_url,
    wrap_server_stream,
)

from alknet.errors import Disconnected, Refused, SettingsError, Unreachable
from alknet.transport.address import Address, bracket, in_words, is_loopback, name_of
from alknet.transport.guard import guarded
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

PATH: Final = "/alknet/call"
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


Serve = Callable[[WebSocketLink], Awaitable[None]]


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
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
    if address.scheme == "wss":
        raise SettingsError(
            f"cannot listen at {url}: this version listens at ws:// and tcp:// only"
        )
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        raise SettingsError(f"cannot listen at {url}: {in_words(error)}") from None

    async def accept(stream: trio.SocketStream) -> None:
        name = name_of(stream)
        async with guarded(name), trio.open_nursery() as nursery:
            await _accept(nursery, stream, name, serve, limits)
            nursery.cancel_scope.cancel()

    task_status.started(str(address.at(listeners[0].socket.getsockname()[1])))
    await trio.serve_listeners(accept, listeners, handler_nursery=links)


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
    address = Address.parse(url)
    full = str(msgspec.structs.replace(address, path=address.path or PATH))
    context = ssl.create_default_context() if address.scheme == "wss" else None
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
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    name = f"{bracket(address.host)}:{address.port}"
    return WebSocketLink(socket, name, is_encrypted=context is not None)
