"""Addresses: URLs and peers' names, and what the operating system says of them in words."""

import ipaddress
import re
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
import trio

from alknet.errors import SettingsError

_CONNECTING: Final = re.compile(r"^Error connecting to \([^)]*\): ")
DEFAULT_PORTS: Final = {
    "ws": 8480,
    "tcp": 8481,
    "wss": 8443,
    "tls": 8444,
    "quic": 8444,
    "ssh": 2222,
    "dns": 53,
}


class Address(msgspec.Struct, frozen=True):
    """A URL that a transport can use; printed, it is that URL again.

    That of DNS (RFC 4501) names whom to ask, or nobody, and the zone: dns://9.9.9.9/t.example.org.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address that *url* is.

        Raises:
            SettingsError: and says what it should look like.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"{url!r} is no URL: {error}") from None
        is_dns = parts.scheme == "dns"
        if is_dns and not parts.path.strip("/"):
            raise SettingsError(
                f"{url!r} should read dns://resolver/zone, or dns:///zone to ask whom this machine "
                f"asks"
            )
        if parts.scheme not in DEFAULT_PORTS or not (parts.hostname or is_dns):
            raise SettingsError(
                f"{url!r} should read ws://host:port, wss://, tcp://, tls://, ssh:// or quic://, "
                f"or dns://host:port/zone"
            )
        chosen = port if port is not None and parts.hostname else DEFAULT_PORTS[parts.scheme]
        return cls(parts.scheme, parts.hostname or "", chosen, parts.path)

    def at(self, port: int) -> "Address":
        """Return the same address at another port."""
        return msgspec.structs.replace(self, port=port)

    @property
    def zone(self) -> str:
        """The zone that the URL of DNS names."""
        return self.path.strip("/")

    def __str__(self) -> str:
        where = f"{bracket(self.host)}:{self.port}" if self.host else ""
        return f"{self.scheme}://{where}{self.path}"


def bracket(host: str) -> str:
    """Return *host* as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(address: str) -> bool:
    """Whether *address* (`host:port`) never leaves this machine."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str | None:
    """Return the IP address in *address* (`host:port`), None if there is none in it."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return host


def name_of(stream: trio.SocketStream) -> str:
    """Return the far end of *stream* as `host:port`."""
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return "unknown:0"
    return f"{bracket(host)}:{port}"


def in_words(error: BaseException) -> str:
    """Return what the operating system said, without its number and the wrapping."""
    if isinstance(error, BaseExceptionGroup):
        return in_words(error.exceptions[0])
    if error.__cause__ is not None:
        return in_words(error.__cause__)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # Trio puts the address in front, which our own sentences name already.
    return _CONNECTING.sub("", text).lower()
