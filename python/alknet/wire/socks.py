"""SOCKS version 5 (RFC 1928), the server's side: bytes in, what was asked and what to say out.

A value machine: it never waits. What a client sends before its request is complete is at most a
greeting and a request, some 520 bytes; whatever comes behind them is for the target.
"""

import ipaddress
from enum import IntEnum
from typing import Final, NamedTuple

from alknet.errors import RemoteProtocolError

_VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0
_NONE_ACCEPTABLE: Final = 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4


class Command(IntEnum):
    """What a client may ask for (RFC 1928, section 4)."""

    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(IntEnum):
    """What came of it (RFC 1928, section 6)."""

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


class Wanted(NamedTuple):
    """Where a client wants to be connected: a name, or an address in text, and a port."""

    host: str
    port: int


class Denied(RemoteProtocolError):
    """The client asks for what there is not; `answer` is what to tell it before hanging up."""

    def __init__(self, why: str, answer: bytes = b"") -> None:
        super().__init__(why)
        self.answer = answer


class Conversation:
    """What one client says until it is connected.

    `wanted` is None until its request is complete; `rest` is what it has sent behind it.
    """

    def __init__(self) -> None:
        self.wanted: Wanted | None = None
        self._unread = bytearray()
        self._is_greeted = False

    @property
    def rest(self) -> bytes:
        """What the client has sent behind its request, for the target."""
        return bytes(self._unread)

    def receive(self, data: bytes) -> bytes:
        """Take what the client has sent, and return what to answer now.

        Raises:
            Denied: it does not speak SOCKS 5, offers no method that we have, or asks for something
                else than a connection.
        """
        self._unread += data
        answer = b""
        if not self._is_greeted and self._has_greeting():
            self._is_greeted = True
            answer = bytes((_VERSION, _NO_AUTHENTICATION))
        if self._is_greeted and self.wanted is None:
            try:
                self.wanted = self._request()
            except Denied as denied:
                # Who sends all at once hears both answers at once.
                raise Denied(str(denied), answer + denied.answer) from None
        return answer

    def _has_greeting(self) -> bool:
        """Take the greeting off what is unread, if it is whole: the methods the client has."""
        unread = self._unread
        if unread and unread[0] != _VERSION:
            raise Denied(_other_version(unread[0]))
        if len(unread) < 2 or len(unread) < 2 + unread[1]:
            return False
        methods = unread[2 : 2 + unread[1]]
        if _NO_AUTHENTICATION not in methods:
            raise Denied(
                "the client insists on a password, and there is none here",
                bytes((_VERSION, _NONE_ACCEPTABLE)),
            )
        del unread[: 2 + len(methods)]
        return True

    def _request(self) -> Wanted | None:
        """Take the request off what is unread, if it is whole."""
        unread = self._unread
        if unread and unread[0] != _VERSION:
            raise Denied(_other_version(unread[0]), reply(Reply.FAILED))
        # What is asked for is told by the second byte, and how, by the fourth.
        if len(unread) >= 2 and unread[1] != Command.CONNECT:
            raise Denied(
                f"only CONNECT is served here, not {_named(unread[1])}",
                reply(Reply.COMMAND_NOT_SUPPORTED),
            )
        if len(unread) < 5:
            return None
        kind = unread[3]
        if kind not in (_IPV4, _NAME, _IPV6):
            raise Denied(
                f"{kind} is no type of address: 1, 3 and 4 are",
                reply(Reply.ADDRESS_TYPE_NOT_SUPPORTED),
            )
        start = 5 if kind == _NAME else 4
        end = start + {_IPV4: 4, _NAME: unread[4], _IPV6: 16}[kind]
        if len(unread) < end + 2:
            return None
        raw = bytes(unread[start:end])
        port = int.from_bytes(unread[end : end + 2], "big")
        del unread[: end + 2]
        return Wanted(_host(kind, raw), port)


def reply(code: Reply, address: str = "0.0.0.0", port: int = 0) -> bytes:  # noqa: S104
    """Return the reply to a request; *address* and *port* are where the connection leads."""
    packed = ipaddress.ip_address(address.partition("%")[0]).packed
    kind = _IPV4 if len(packed) == 4 else _IPV6
    return bytes((_VERSION, code, 0, kind)) + packed + port.to_bytes(2, "big")


def _host(kind: int, raw: bytes) -> str:
    """Return what the client calls its target, in text."""
    if kind != _NAME:
        return str(ipaddress.ip_address(raw))
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if not name or not name.isprintable():
        raise Denied("the name of the target is empty, or is not ASCII", reply(Reply.FAILED))
    return name


def _named(command: int) -> str:
    return Command(command).name if command in set(Command) else f"command {command}"


def _other_version(first: int) -> str:
    if first == 4:
        return "the client speaks SOCKS 4, and only SOCKS 5 is served here (socks5h://)"
    if chr(first).isalpha():
        return "the client speaks HTTP, it seems, and only SOCKS 5 is served here (socks5h://)"
    return f"the client speaks no SOCKS 5: it begins with {first}, and not with 5"
