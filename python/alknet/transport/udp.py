"""UDP sockets that send and receive many datagrams with one call, where the kernel can (Linux).

What the kernel does for us, each of which is done without where it cannot: cut a buffer into
datagrams (UDP_SEGMENT) and put those of one sender together (UDP_GRO), tell and set the bits of
congestion (RFC 3168), tell at which address of ours a datagram came in, so that the answer leaves
from there, and tell that nobody is at the far end (IP_RECVERR). Datagrams are never fragmented.
"""

import errno
import ipaddress
import socket
import struct
from contextlib import suppress
from typing import Any, Final

import trio

from alknet.transport.address import Address

# As `socket` names an address: (host, port), and for IPv6 (host, port, flow, scope).
SocketAddress = tuple[Any, ...]
# Data, the far end, bytes of each datagram in it (0 if it is one), the bits of RFC 3168, and the
# address of ours.
Packet = tuple[bytes, SocketAddress, int, int, str | None]
Received = tuple[bytes, SocketAddress, int, int, str | None]

# <linux/udp.h>, <linux/in.h>, <linux/in6.h>: Python names few of them.
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_IP_TOS: Final = 1
_IP_PKTINFO: Final = 8
_IP_MTU_DISCOVER: Final = 10
_IP_RECVERR: Final = 11
_IP_RECVTOS: Final = 13
_IPV6_MTU_DISCOVER: Final = 23
_IPV6_RECVERR: Final = 25
_IPV6_RECVPKTINFO: Final = 49
_IPV6_PKTINFO: Final = 50
_IPV6_RECVTCLASS: Final = 66
_IPV6_TCLASS: Final = 67
_PMTUDISC_PROBE: Final = 3
_MSG_ERRQUEUE: Final = 0x2000

_ECT0: Final = 2
_ECN: Final = 3
_READ_BYTES: Final = 65535
_ANCILLARY_BYTES: Final = 256
# A burst of a few links waits here while the reader is elsewhere; the kernel may give less.
_BUFFER_BYTES: Final = 4 * 1024 * 1024
# What the kernel cuts up in one call.
_SEGMENTS: Final = 40
# What is said of a datagram that was sent, and says nothing about what is received.
_LOST: Final = {
    errno.EMSGSIZE,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EPERM,
    errno.ENOBUFS,
    errno.ECONNREFUSED,
}


class UdpSocket:
    """A socket bound to *address* of *family*.

    One that *listens* tells where datagrams came in; any other tells in `refusals` how often, since
    something came from there, the far end's kernel has said that nobody is there. `has_heard` says
    whether anything ever came, and `failures` counts what could not be sent.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(
        self, family: socket.AddressFamily, address: SocketAddress, *, listens: bool
    ) -> None:
        self.failures = 0
        self.refusals = 0
        self.has_heard = False
        self.raw = socket.socket(family, socket.SOCK_DGRAM)
        self._is_v6 = family == socket.AF_INET6
        self._tells_local = listens and ipaddress.ip_address(_host(address)).is_unspecified
        try:
            self.raw.setblocking(False)
            self._prepare(listens)
            self.raw.bind(address)
        except BaseException:
            self.raw.close()
            raise

    @property
    def port(self) -> int:
        """The port that was bound."""
        port: int = self.raw.getsockname()[1]
        return port

    def _prepare(self, listens: bool) -> None:
        def set_where_known(level: int, option: int, value: int) -> bool:
            try:
                self.raw.setsockopt(level, option, value)
            except OSError:
                return False
            return True

        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            set_where_known(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        can_segment = set_where_known(socket.SOL_UDP, _UDP_SEGMENT, 0)
        self.segments = _SEGMENTS if can_segment else 1
        set_where_known(socket.SOL_UDP, _UDP_GRO, 1)
        if self._is_v6:
            level = socket.IPPROTO_IPV6
            self.raw.setsockopt(level, socket.IPV6_V6ONLY, 1)
            discover, receive_tos, tos = _IPV6_MTU_DISCOVER, _IPV6_RECVTCLASS, _IPV6_TCLASS
            errors, local = _IPV6_RECVERR, _IPV6_RECVPKTINFO
        else:
            level = socket.IPPROTO_IP
            discover, receive_tos, tos = _IP_MTU_DISCOVER, _IP_RECVTOS, _IP_TOS
            errors, local = _IP_RECVERR, _IP_PKTINFO
        set_where_known(level, discover, _PMTUDISC_PROBE)
        set_where_known(level, receive_tos, 1)
        self._tos = (level, tos)
        self._default_ecn = _ECT0 if set_where_known(level, tos, _ECT0) else 0
        if self._tells_local:
            self._tells_local = set_where_known(level, local, 1)
        if not listens:
            set_where_known(level, errors, 1)

    def receive(self) -> Received | None:
        """Return the next datagram, or several of one sender; None if there is none now.

        Raises:
            OSError: something is wrong with the socket, or with the machine.
        """
        while True:
            try:
                data, ancillary, _, address = self.raw.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
                break
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in _LOST:
                    raise
                self._note(error)
        self.refusals, self.has_heard = 0, True
        stride, ecn, local = 0, 0, None
        for level, kind, value in ancillary:
            if level == socket.SOL_UDP and kind == _UDP_GRO:
                (stride,) = struct.unpack_from("i", value)
            elif (level, kind) == self._tos:
                ecn = value[0] & _ECN
            elif self._tells_local:
                local = _local(level, kind, value)
        return data, address, stride, ecn, local

    def send(self, packet: Packet) -> bool:
        """Send *packet*; return False if that would have to wait.

        That it was lost on the way, or never left, nobody is told.
        """
        data, address, stride, ecn, local = packet
        try:
            if stride or local or ecn != self._default_ecn:
                self.raw.sendmsg([data], self._ancillary(stride, ecn, local), 0, address)
            else:
                self.raw.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as error:
            self._note(error)
            if stride and error.errno in (errno.EIO, errno.EINVAL):
                self._send_in_pieces(packet)
        return True

    def _send_in_pieces(self, packet: Packet) -> None:
        data, address, stride, ecn, local = packet
        # An address to which nothing can be sent, as one with port 0 that a stranger made up, says
        # nothing about the interface.
        refused = self.failures
        for start in range(0, len(data), stride):
            self.send((data[start : start + stride], address, 0, ecn, local))
        if self.failures == refused:
            # The kernel knows how to cut, and the interface does not: from now on we do.
            self.segments = 1

    def _ancillary(self, stride: int, ecn: int, local: str | None) -> list[tuple[int, int, bytes]]:
        found = []
        if stride:
            found.append((socket.SOL_UDP, _UDP_SEGMENT, struct.pack("H", stride)))
        if ecn != self._default_ecn:
            found.append((*self._tos, struct.pack("i", ecn)))
        if local is not None and self._is_v6:
            value = socket.inet_pton(socket.AF_INET6, local) + struct.pack("i", 0)
            found.append((socket.IPPROTO_IPV6, _IPV6_PKTINFO, value))
        elif local is not None:
            value = struct.pack("i", 0) + socket.inet_aton(local) + bytes(4)
            found.append((socket.IPPROTO_IP, _IP_PKTINFO, value))
        return found

    def _note(self, error: OSError) -> None:
        """Take what the kernel tells of a datagram that was sent before, or is not sent."""
        self.failures += 1
        if error.errno == errno.ECONNREFUSED:
            self.refusals += 1
            # It is told here too, and until it is read the socket counts as readable.
            with suppress(OSError):
                while True:
                    self.raw.recvmsg(1, _ANCILLARY_BYTES, _MSG_ERRQUEUE)

    def close(self) -> None:
        """Close it; safe to call twice."""
        self.raw.close()


async def bound(address: Address) -> list[UdpSocket]:
    """Return a socket that listens for each address of the host, all at one port.

    Raises:
        OSError: one cannot be bound.
    """
    sockets: list[UdpSocket] = []
    try:
        found = await trio.socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, where in found:
            port = sockets[0].port if sockets else address.port
            sockets.append(UdpSocket(family, (where[0], port, *where[2:]), listens=True))
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _host(address: SocketAddress) -> str:
    host: str = address[0]
    return host.partition("%")[0]


def _local(level: int, kind: int, value: bytes) -> str | None:
    if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
        return socket.inet_ntoa(value[8:12])
    if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
        return socket.inet_ntop(socket.AF_INET6, value[:16])
    return None
