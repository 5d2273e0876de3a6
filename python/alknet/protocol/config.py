"""What one may ask of the keeper of policies."""

import ipaddress
from typing import Annotated

import msgspec

from alknet.errors import InvalidInput
from alknet.protocol.forwarding import Decision, ForwardingPolicy, Transport
from alknet.protocol.request import Request, Subscription, operation

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Burst = Annotated[float, msgspec.Meta(gt=0)]


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one caller may ask of the node; 0 means no limit.

    An address is an IPv4 address, or the /64 of an IPv6 address, which is what one customer gets.
    `max_connections_per_ip` links may be open from one address at a time.
    `max_auth_attempts` failed proofs of who one is lock the address out.
    `calls_per_second` is what one identity may call, over all its links.
    `max_connections_per_identity` links of one identity may be open at a time.
    `connections_per_second_per_ip` is how many links one address may open.
    `calls_per_second_per_ip` is what one address may call, whoever it is.
    `burst_seconds`: so many seconds' worth of a rate may come at once.
    `lockout_seconds` is how long the first lockout lasts; each further one lasts twice as long.
    `max_lockout_seconds` is as long as a lockout gets, and after as much time without a failure an
    address begins anew.
    `exempt` lists addresses and CIDR blocks to which nothing of this applies.
    `max_forwards_per_identity` connections may be forwarded for one identity at a time.
    """

    max_connections_per_ip: Count = 0
    max_auth_attempts: Count = 10
    calls_per_second: Count = 0
    max_connections_per_identity: Count = 0
    connections_per_second_per_ip: Count = 0
    calls_per_second_per_ip: Count = 0
    burst_seconds: Burst = 1.0
    lockout_seconds: Seconds = 60.0
    max_lockout_seconds: Seconds = 3600.0
    exempt: tuple[str, ...] = ()
    max_forwards_per_identity: Count = 256

    def __post_init__(self) -> None:
        for text in self.exempt:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise InvalidInput(
                    f"`exempt` lists addresses and CIDR blocks, and {text!r} is none: {error}"
                ) from None


@operation("config/forwarding", scopes=("config:read",))
class GetForwardingPolicy(Request[ForwardingPolicy], frozen=True):
    """Return the forwarding policy in force."""


@operation("config/rate-limits", scopes=("config:read",))
class GetRateLimits(Request[RateLimits], frozen=True):
    """Return the rate limits in force."""


@operation("config/reload-forwarding", kind="mutation", scopes=("config:write",), idempotent=True)
class ReloadForwarding(Request[ForwardingPolicy], frozen=True):
    """Put `policy` in force, or what stack.toml says now if none is given; return it.

    All or nothing: a policy with a fault leaves the one in force untouched.
    """

    policy: ForwardingPolicy | None = None


@operation("config/reload-rate-limits", kind="mutation", scopes=("config:write",), idempotent=True)
class ReloadRateLimits(Request[RateLimits], frozen=True):
    """Put `limits` in force, or what stack.toml says now if none are given; return them."""

    limits: RateLimits | None = None


@operation("config/watch-forwarding", scopes=("config:read",))
class WatchForwarding(Subscription[ForwardingPolicy], frozen=True):
    """Send the forwarding policy in force, and each that takes its place.

    Who reads slowly misses those between, never the last.
    """


@operation("config/watch-rate-limits", scopes=("config:read",))
class WatchRateLimits(Subscription[RateLimits], frozen=True):
    """Send the rate limits in force, and each that take their place, as `WatchForwarding` does."""


@operation("config/check-forwarding", scopes=("config:read",))
class CheckForwarding(Request[Decision], frozen=True):
    """Say whether the policy in force lets `principal` be connected to `host` at `port`, and why.

    `address` is the one of the host's addresses that would be connected to; a host that resolves to
    several is asked about once for each. `transport` is the road that the request came by.
    """

    host: str
    port: int
    address: str | None = None
    principal: str | None = None
    transport: Transport | None = None
