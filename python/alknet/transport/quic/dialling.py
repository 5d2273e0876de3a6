"""Dialling a node over QUIC."""

import socket

import trio

from alknet.errors import (
    AlknetError,
    Disconnected,
    RemoteProtocolError,
    Unreachable,
)
from alknet.transport.address import Address, in_words
from alknet.transport.quic.connection import FAULT
from alknet.transport.quic.driver import Driver, name_of
from alknet.transport.quic.link import QuicLink, begun
from alknet.transport.race import race
from alknet.transport.trust import Trust
from alknet.transport.udp import SocketAddress, UdpSocket
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

_ANYWHERE = {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0)}  # noqa: S104


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> Link:
    """Open a connection to *url*, whose socket is driven in *nursery*. *timeout* is in seconds.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks alknet over QUIC.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
    """
    address = Address.parse(url)
    failures: dict[str, AlknetError] = {}
    try:
        with trio.fail_after(timeout):
            found = await trio.socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_DGRAM
            )
            ways = {name_of(where): (family, where) for family, _, _, _, where in found}

            async def open_link(name: str) -> Link:
                return await _dial(nursery, url, address.host, *ways[name], limits, trust)

            opened = await race(list(ways), open_link, failures)
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    if opened is None:
        answered = (each for each in failures.values() if not isinstance(each, Unreachable))
        raise next(answered, next(iter(failures.values())))
    _, link = opened
    link.format = format
    return link


async def _dial(
    nursery: trio.Nursery,
    url: str,
    host: str,
    family: socket.AddressFamily,
    where: SocketAddress,
    limits: Limits,
    trust: Trust,
) -> QuicLink:
    try:
        driver = Driver(UdpSocket(family, _ANYWHERE[family], listens=False), limits)
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    connection = driver.dial(where, host, trust)
    nursery.start_soon(driver.run, name=f"the socket to {url}")
    try:
        await connection.connected()
        return begun(connection, limits)
    except BaseException as error:
        connection.abort(FAULT, "")
        if isinstance(error, RemoteProtocolError):
            raise Unreachable(f"{url} does not speak QUIC as alknet does: {error}") from None
        if isinstance(error, Disconnected):
            raise Unreachable(f"cannot reach {url}: {error}") from None
        raise
