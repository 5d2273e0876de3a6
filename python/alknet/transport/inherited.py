"""Socket activation: listening sockets that systemd has opened for us (sd_listen_fds(3)).

A node that stops and starts again leaves no moment at which nobody listens: who connects meanwhile
waits. It needs no right to bind a low port either. A socket is for the URL of `listen` with its
port; one that is named like a scheme (`FileDescriptorName=wss`) is for a URL of that scheme alone,
also if that leaves the port open with 0.
"""

import ipaddress
import os
import socket
from collections.abc import MutableMapping
from typing import Final

import trio

from alknet.errors import SettingsError
from alknet.transport.address import DEFAULT_PORTS, Address, bracket

# sd_listen_fds(3): where they begin, after the three that everybody has.
_FIRST: Final = 3


class Inherited:
    """The sockets that *environment* says were handed over; the variables are taken out of it."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._environment = environment
        self._sockets: list[tuple[str, socket.socket]] | None = None

    def take(self, address: Address) -> list[trio.SocketListener]:
        """Return the listener for *address*, which is the caller's now; none if there is no such.

        Raises:
            SettingsError: there is one with its port, which is bound elsewhere than the URL says.
        """
        found = self._read()
        for index, (name, each) in enumerate(found):
            if _fits(address, name, each):
                _check(address, each)
                del found[index]
                return [trio.SocketListener(trio.socket.from_stdlib_socket(each))]
        return []

    def unused(self) -> list[str]:
        """Return what nobody has taken, each in words."""
        return [f"{name} ({_bound(each)})" for name, each in self._read()]

    def _read(self) -> list[tuple[str, socket.socket]]:
        """Return the sockets with their names; looked for once."""
        if self._sockets is None:
            said = [self._environment.pop(f"LISTEN_{name}", "") for name in _VARIABLES]
            self._sockets = _opened(*said)
        return self._sockets


_VARIABLES: Final = ("PID", "FDS", "FDNAMES")


def _opened(pid: str, count: str, names: str) -> list[tuple[str, socket.socket]]:
    # Whose parent was given sockets, and did not clean up, sees the variables too.
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    numbers = range(_FIRST, _FIRST + int(count))
    named = names.split(":") if names else []
    named += ["unknown"] * (len(numbers) - len(named))
    found = []
    for number, name in zip(numbers, named, strict=False):
        # What we start ourselves shall not hold them open.
        os.set_inheritable(number, False)
        found.append((name, socket.socket(fileno=number)))
    return found


def _fits(address: Address, name: str, each: socket.socket) -> bool:
    is_tcp = each.family in (socket.AF_INET, socket.AF_INET6) and each.type == socket.SOCK_STREAM
    if not is_tcp or not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    is_named = name in DEFAULT_PORTS
    if is_named and name != address.scheme:
        return False
    return each.getsockname()[1] == address.port or (is_named and address.port == 0)


def _check(address: Address, each: socket.socket) -> None:
    """Refuse a socket that lets in more, or others, than the URL says."""
    bound = ipaddress.ip_address(each.getsockname()[0])
    try:
        wanted = ipaddress.ip_address("127.0.0.1" if address.host == "localhost" else address.host)
    except ValueError:
        return  # A name may be any address of this machine.
    is_same = wanted == bound or (address.host == "localhost" and bound.is_loopback)
    if not (is_same or wanted.is_unspecified):
        raise SettingsError(
            f"cannot listen at {address}: systemd hands over a socket at {_bound(each)} for its "
            f"port; have ListenStream= in the socket unit and `listen` say the same"
        )


def _bound(each: socket.socket) -> str:
    name = each.getsockname()
    return f"{bracket(name[0])}:{name[1]}" if isinstance(name, tuple) else str(name)


HANDED: Final = Inherited(os.environ)
"""Those of this process."""
