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

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import structlog
import trio
from trio.lowlevel import checkpoint
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.protocol import Protocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from alknet._core.websocket import Connection
from alknet.errors import CallError, Disconnected, Refused, Unreachable
from alknet.transport import tcp, tls
from alknet.transport.address import Address, bracket, in_words
from alknet.transport.gate import OPEN, Gate
from alknet.transport.guard import turned_away
from alknet.transport.listener import Serve, serve_port
from alknet.transport.messages import MessageLink
from alknet.transport.opening import open_stream
from alknet.transport.trust import Trust
from alknet.turnstile import turnstile
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.transport")

PATH: Final = "/alknet/call"
# What TLS names the protocol above it (RFC 7301): browsers offer nothing else for a WebSocket.
_PROTOCOL: Final = b"http/1.1"
_VERSION: Final = "13"
_PARTING_SECONDS: Final = 2.0
_HEAD_ENDS: Final = b"\r\n\r\n"
_FRAMES: Final = ".frames"
_SUBPROTOCOLS: Final[dict[str, Format]] = {
    "alknet.json.frames": "json",
    "alknet.msgpack.frames": "msgpack",
    "alknet.json": "json",
    "alknet.msgpack": "msgpack",
}


def offers(format: Format) -> list[str]:
    """Return the subprotocols that a node of ours asks for, in order of preference."""
    return [name for name, body in _SUBPROTOCOLS.items() if body == format]


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
    is_encrypted = Address.parse(url).scheme == "wss"

    async def take(stream: trio.SocketStream, name: str) -> Link | None:
        if is_encrypted:
            below: Link = await tls.accept(stream, name, gate, _PROTOCOL, limits)
        else:
            below = tcp.TcpLink(tcp.taken(stream), name, limits)
        return await _accept(below, gate, limits)

    await serve_port(url, take, serve, limits=limits, links=links, task_status=task_status)


async def _accept(below: Link, gate: Gate, limits: Limits) -> MessageLink | None:
    """Return the link that *below* becomes; None if what is asked there is refused."""
    step = turnstile().step
    protocol = ServerProtocol(select_subprotocol=_select, subprotocols=[])
    connection = Connection(is_client=False, message_bytes=limits.frame_bytes)
    link = MessageLink(below, connection, framed=False, format="json")
    is_open = False
    try:
        request, rest = await _opening(below, protocol, step)
        if not isinstance(request, Request):
            return None
        refusal = await _refusal(request, link, gate, protocol)
        await step()
        response = refusal or protocol.accept(request)
        protocol.send_response(response)
        await below.send(_said(protocol))
        await step()
        is_open = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        if not is_open:
            reason = response.body.decode().partition("\n")[0]
            name, status = link.peer_address, response.status_code
            log.info("upgrade refused", remote=name, status=status, reason=reason)
            if status == HTTPStatus.UNAUTHORIZED:
                turned_away(name, reason)
            await _part(below)
            return None
        _agree(link, protocol, connection, rest)
        return link
    finally:
        if not is_open:
            with trio.CancelScope(shield=True):
                await below.aclose()


def _select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((name for name in offered if name in _SUBPROTOCOLS), None)


def _token_in(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _refusal(
    request: Request, link: MessageLink, gate: Gate, protocol: ServerProtocol
) -> Response | None:
    """Return the answer to a first request that is refused before it is looked at as an upgrade.

    What a token in it grants becomes the credential of *link*.
    """
    if "Host" not in request.headers:
        return protocol.reject(HTTPStatus.BAD_REQUEST, "the header Host is missing\n")
    if urlsplit(request.path).path != PATH:
        return protocol.reject(HTTPStatus.NOT_FOUND, f"alknet answers at {PATH}\n")
    try:
        gate.check_origin(request.headers.get("Origin"))
    except Refused as error:
        return protocol.reject(HTTPStatus.FORBIDDEN, f"{error}\n")
    try:
        token = _token_in(request.headers.get("Authorization", ""))
        if token is not None:
            link.credential = await gate.check_token(token, link.peer_address)
    except CallError as error:
        # Nobody can tell now whose it is, which is no fault of the token's.
        return protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
    except Refused as error:
        response = protocol.reject(HTTPStatus.UNAUTHORIZED, f"{error}\n")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if request.headers.get("Sec-WebSocket-Version", _VERSION) != _VERSION:
        # RFC 6455, section 4.4: the client may know this version too.
        response = protocol.reject(
            HTTPStatus.UPGRADE_REQUIRED, f"this node speaks version {_VERSION} of WebSocket\n"
        )
        response.headers["Sec-WebSocket-Version"] = _VERSION
        return response
    return None


async def dial(
    nursery: trio.Nursery,  # noqa: ARG001 - every transport's `dial` takes the same
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> MessageLink:
    """Open a WebSocket to *url*.

    `ws://host:port` is enough; a path is used if given. *timeout*, in seconds, is for opening.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks alknet.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
    """
    try:
        with trio.fail_after(timeout):
            below = await _below(url, limits, trust)
            try:
                return await upgrade(below, url, offers(format), limits)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await below.aclose()
                raise
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None


async def _below(url: str, limits: Limits, trust: Trust) -> Link:
    address = Address.parse(url)
    try:
        stream = await open_stream(address.host, address.port)
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    name = f"{bracket(address.host)}:{address.port}"
    if address.scheme == "wss":
        return await tls.secure(stream, url, name, trust, _PROTOCOL, limits)
    return tcp.TcpLink(tcp.taken(stream), name, limits)


async def upgrade(below: Link, url: str, subprotocols: list[str], limits: Limits) -> MessageLink:
    """Return the WebSocket to *url* that *below*, a link that has just been opened, becomes.

    Raises:
        Unreachable: nobody who speaks alknet answers.
    """
    address = Address.parse(url)
    uri = f"{address.scheme}://{bracket(address.host)}:{address.port}{address.path or PATH}"
    names = [Subprotocol(name) for name in subprotocols]
    protocol = ClientProtocol(parse_uri(uri), subprotocols=names)
    protocol.send_request(protocol.connect())
    try:
        await below.send(_said(protocol))
        _, rest = await _opening(below, protocol, checkpoint)
    except Disconnected as error:
        raise Unreachable(f"{url} does not answer as a WebSocket does: {error}") from None
    match protocol.handshake_exc:
        case None:
            connection = Connection(is_client=True, message_bytes=limits.frame_bytes)
            link = MessageLink(below, connection, framed=False, format="json")
            _agree(link, protocol, connection, rest)
            return link
        case InvalidStatus() as answer:
            raise Unreachable(f"{url} answers with HTTP {answer.response.status_code}, not alknet")
        case _:
            raise Unreachable(f"{url} does not answer as a WebSocket does")


async def _opening(
    below: Link, protocol: Protocol, step: Callable[[], Awaitable[None]]
) -> tuple[Request | Response | None, bytes]:
    """Return the peer's half of the opening handshake, and what it has sent after that.

    It is None if the peer does not shake hands; *protocol* knows why. *step* is awaited before what
    has come is looked at.
    """
    head = bytearray()
    while protocol.handshake_exc is None:
        data = await below.receive()
        await step()
        rest = b""
        if not data:
            protocol.receive_eof()
        else:
            sought = max(0, len(head) - len(_HEAD_ENDS) + 1)
            head += data
            end = head.find(_HEAD_ENDS, sought)
            if end >= 0:
                rest = bytes(head[end + len(_HEAD_ENDS) :])
            protocol.receive_data(data[: len(data) - len(rest)])
        events = protocol.events_received()
        if rest and not events:
            # A refusal that has more to say than its head.
            protocol.receive_data(rest)
            rest = b""
            events = protocol.events_received()
        for event in events:
            assert isinstance(event, Request | Response)
            return event, rest
    return None, b""


def _said(protocol: Protocol) -> list[bytes]:
    """Return what *protocol* says now; its end of the stream is the end of the link below."""
    return [chunk for chunk in protocol.data_to_send() if chunk]


async def _part(below: Link) -> None:
    """Wait until the peer has read our refusal and hung up: to close before could take it back."""
    with trio.move_on_after(_PARTING_SECONDS), suppress(Disconnected):
        await below.send_eof()
        while await below.receive():
            await turnstile().step()


def _agree(link: MessageLink, protocol: Protocol, connection: Connection, rest: bytes) -> None:
    """Have *link* be what was agreed on, and read *rest* first."""
    agreed = protocol.subprotocol or ""
    link.format, link.framed = _SUBPROTOCOLS.get(agreed, "json"), agreed.endswith(_FRAMES)
    if rest:
        connection.feed(rest)
