"""Where a credential may be used from: address lists as OpenSSH writes them."""

import ipaddress
import re
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from alknet.errors import BadKey

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# sshd would look other patterns up in DNS, which whoever has an address can answer as they like.
_WILDCARD: Final = re.compile(r"^[0-9a-fA-F.:*?]+$")


class Sources(msgspec.Struct, frozen=True):
    """A pattern list (ssh_config(5)): an address must match one, and none that begins with `!`."""

    patterns: tuple[str, ...]
    excluded: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, are_blocks: bool = False) -> "Sources":
        """Return the list that *text* is; with *are_blocks*, of addresses and CIDR blocks only.

        Raises:
            BadKey: something in it could never match, or is empty.
        """
        patterns, excluded = [], []
        for item in text.split(","):
            pattern = item.strip()
            if pattern.startswith("!") and not are_blocks:
                excluded.append(pattern[1:])
            else:
                patterns.append(pattern)
        for pattern in (*patterns, *excluded):
            if _network(pattern) is None and (are_blocks or not _WILDCARD.match(pattern)):
                raise BadKey(
                    f"{pattern!r} is no address, CIDR block or pattern of addresses; names are not "
                    f"looked up"
                )
        return cls(tuple(patterns), tuple(excluded))

    def include(self, address: str | None) -> bool:
        """Whether *address*, an IP address without a port, is one of these; None never is."""
        try:
            at = ipaddress.ip_address((address or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped is not None:
            at = at.ipv4_mapped
        if any(_matches(pattern, at) for pattern in self.excluded):
            return False
        return any(_matches(pattern, at) for pattern in self.patterns)


def _matches(pattern: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    network = _network(pattern)
    if network is not None:
        return address in network
    return fnmatchcase(str(address), pattern.lower())


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
