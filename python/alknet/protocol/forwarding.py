"""The forwarding policy: where connections may be forwarded to, and the one function that decides.

`decide` is asked for one address at a time, since a name may lead to several and they may not all
be meant: whoever forwards resolves the name, asks for each address, and connects to none but those
that were allowed. Asking with the name alone would leave blocks of addresses untested.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

from alknet.errors import InvalidInput

Action = Literal["allow", "deny"]
Transport = Literal["memory", "tcp", "tls", "ws", "wss", "quic", "ssh", "dns"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LAST_PORT: Final = 65535
_TARGET: Final = re.compile(r"^(?P<host>\[[^\]]+\](?:/\d+)?|[^:\[\]]+):(?P<port>\*|\d+(?:-\d+)?)$")
_HOST: Final = re.compile(r"^[A-Za-z0-9._-]*\*?[A-Za-z0-9._-]*$")
_NUMBERS: Final = re.compile(r"^[0-9.*]+$")
# RFC 6052: what a NAT64 gateway turns into the IPv4 address in the last 32 bits.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class ForwardingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the policy; all that it names must match.

    `target` is `host:port`, where the host may be a name, a name with one `*`, an address or a CIDR
    block, and the port a number, a range `8000-8999` or `*`. A name is compared without regard to
    case; `*` alone is every host, within a name it stands for any part of one, and never for
    addresses. An address or a block is compared with the address that is connected to, whatever
    name it was found by. `action` is "allow" or "deny". `principals` are the identities it is
    for, and none means everybody. `transports` are the roads that the request may have come by,
    and none means every road.
    """

    target: str
    action: Action
    principals: tuple[str, ...] = ()
    transports: tuple[Transport, ...] = ()

    def __post_init__(self) -> None:
        _parse(self.target)


class ForwardingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where connections may be forwarded to: the first rule that matches decides.

    `default` is the action where no rule does. `rules` are looked at in their order.
    """

    default: Action = "deny"
    rules: tuple[ForwardingRule, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """Whether a connection may be forwarded, and `why`.

    `rule` counts from 1, and is None where none has decided. With `unresolved` the answer is no
    because the host is a name and a rule asks for its address: resolve it and ask again.
    """

    allowed: bool
    why: str
    rule: int | None = None
    unresolved: bool = False


def decide(
    policy: ForwardingPolicy,
    host: str,
    port: int,
    *,
    address: str | None = None,
    principal: str | None = None,
    transport: str | None = None,
) -> Decision:
    """Return whether *principal* may be connected to *host* at *port*.

    *host* is what was asked for, a name or an address; *address* is the one of its addresses that
    would be connected to. *transport* is the road that the request came by. Neither a principal
    nor a transport that is not known matches a rule that names some. An address that no one host
    can have (0.0.0.0, ::, multicast) is denied, whatever the policy says.

    Raises:
        InvalidInput: *port* is none, *host* is empty, or *address* is no address.
    """
    name, literal = _read_host(host, port)
    where = literal if address is None else _address(address)
    if where is None and address is not None:
        raise InvalidInput(f"{address!r} is no IP address", details={"field": "address"})
    if literal is not None and where != literal:
        raise InvalidInput(
            f"{host!r} is an address and does not resolve to {address!r}",
            details={"field": "address"},
        )
    asked = f"{host}:{port}" if where in (None, literal) else f"{host}:{port} at {where}"
    if where is not None and (where.is_unspecified or where.is_multicast):
        # Connecting to 0.0.0.0 or :: leads to this machine itself, past every rule about loopback.
        return Decision(allowed=False, why=f"{asked}: {where} is nobody's own address")
    for number, rule in enumerate(policy.rules, start=1):
        if rule.principals and principal not in rule.principals:
            continue
        if rule.transports and transport not in rule.transports:
            continue
        target = _parse(rule.target)
        if not target.first_port <= port <= target.last_port:
            continue
        if target.network is not None and where is None:
            why = f"rule {number} ({rule.target}) asks for the address of {host!r}: resolve it"
            return Decision(allowed=False, why=why, unresolved=True)
        if target.matches(name, where):
            why = f"rule {number} ({rule.target}) says {rule.action} to {asked}"
            return Decision(rule.action == "allow", why, number)
    return Decision(
        policy.default == "allow", f"no rule matches {asked}, and the default is {policy.default}"
    )


class _Target(msgspec.Struct, frozen=True):
    """A target, taken apart: a network, or else the parts of a name before and after its star."""

    first_port: int
    last_port: int
    network: _Network | None = None
    before: str = ""
    after: str | None = None

    def matches(self, name: str | None, address: _Address | None) -> bool:
        if self.network is not None:
            return address is not None and address in self.network
        if self.after is None:
            return name == self.before
        if name is None:
            return not (self.before or self.after)
        return (
            len(name) >= len(self.before) + len(self.after)
            and name.startswith(self.before)
            and name.endswith(self.after)
        )


# Policies are small, and the same rules are asked over and over.
@lru_cache(maxsize=4096)
def _parse(target: str) -> _Target:
    """Return what *target* means.

    Raises:
        InvalidInput: nothing; the message says what it should look like.
    """
    found = _TARGET.match(target)
    if found is None:
        raise _bad(
            target,
            "should read host:port, as in 'db.internal:5432', '10.0.0.0/8:*' or '*:8000-8999'",
        )
    if found["port"] == "*":
        ports = (1, LAST_PORT)
    else:
        first, _, last = found["port"].partition("-")
        ports = (int(first), int(last or first))
        if not 1 <= ports[0] <= ports[1] <= LAST_PORT:
            raise _bad(target, f"has ports out of order or above {LAST_PORT}")
    host = found["host"].replace("[", "").replace("]", "")
    if "/" in host or found["host"].startswith("[") or _address(host) is not None:
        try:
            return _Target(*ports, network=ipaddress.ip_network(host))
        except ValueError as error:
            raise _bad(target, f"has a bad block of addresses: {error}") from None
    if not _HOST.match(host):
        raise _bad(target, "has a bad host name; one '*' may stand for any part of it")
    if host != "*" and _NUMBERS.match(host):
        raise _bad(
            target, "has neither a name nor an address; a block is written as in '10.0.0.0/8:22'"
        )
    before, star, after = _plain(host).partition("*")
    return _Target(*ports, before=before, after=after if star else None)


def _bad(target: str, problem: str) -> InvalidInput:
    return InvalidInput(f"the target {target!r} {problem}")


def _read_host(host: str, port: int) -> tuple[str | None, _Address | None]:
    """Return *host* as a name to compare, or as the address that it is."""
    if not 1 <= port <= LAST_PORT:
        raise InvalidInput(f"{port} is no port: 1 to {LAST_PORT} are", details={"field": "port"})
    literal = _address(host.removeprefix("[").removesuffix("]"))
    if literal is not None:
        return None, literal
    name = _plain(host)
    if not name:
        raise InvalidInput("a host is missing", details={"field": "host"})
    return name, None


def _plain(name: str) -> str:
    """Return *name* as names are compared: DNS knows no case, and a last dot changes nothing."""
    return name.lower().removesuffix(".")


def _address(text: str) -> _Address | None:
    """Return the address that *text* is, or None: an IPv4 address in IPv6's clothes is itself."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
