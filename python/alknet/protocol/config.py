"""What one may ask of the keeper of policies."""

from typing import Annotated, Literal

import msgspec

from alknet.protocol.request import Request, operation

Action = Literal["allow", "deny"]
Count = Annotated[int, msgspec.Meta(ge=0)]


class ForwardingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the policy.

    `target` is `host:port`, where the host may be a name, a name with one `*`, an address or a CIDR
    block, and the port a number, a range `8000-8999` or `*`. Empty `principals` or `transports`
    mean everybody and every road.
    """

    target: str
    action: Action
    principals: tuple[str, ...] = ()
    transports: tuple[str, ...] = ()


class ForwardingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where connections may be forwarded to: the first rule that matches decides."""

    default: Action = "deny"
    rules: tuple[ForwardingRule, ...] = ()


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one caller may ask of the node; 0 means no limit."""

    max_connections_per_ip: Count = 0
    max_auth_attempts: Count = 10
    calls_per_second: Count = 0


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
