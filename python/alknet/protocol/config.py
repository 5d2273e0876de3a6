"""What one may ask of the keeper of policies."""

import ipaddress
import re
from typing import Annotated, Final, Literal

import msgspec

from alknet.errors import InvalidInput
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

    def __post_init__(self) -> None:
        problem = _problem(self.target)
        if problem is not None:
            raise InvalidInput(f"the target {self.target!r} {problem}")


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


_LAST_PORT: Final = 65535
_TARGET: Final = re.compile(r"^(?P<host>\[[^\]]+\](?:/\d+)?|[^:\[\]]+):(?P<port>\*|\d+(?:-\d+)?)$")
_HOST: Final = re.compile(r"^[A-Za-z0-9._-]*\*?[A-Za-z0-9._-]*$")


def _problem(target: str) -> str | None:
    found = _TARGET.match(target)
    if found is None:
        return "should read host:port, as in 'db.internal:5432', '10.0.0.0/8:*' or '*:8000-8999'"
    host = found["host"].strip("[]")
    if "/" in host or found["host"].startswith("["):
        try:
            ipaddress.ip_network(host.replace("]", ""))
        except ValueError as error:
            return f"has a bad block of addresses: {error}"
    elif not _HOST.match(host):
        return "has a bad host name; one '*' may stand for any part of it"
    if found["port"] != "*":
        first, _, last = found["port"].partition("-")
        if not 1 <= int(first) <= int(last or first) <= _LAST_PORT:
            return f"has ports out of order or above {_LAST_PORT}"
    return None
