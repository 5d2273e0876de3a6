"""ConfigService: the policies in force, and their replacement, all or nothing."""

import ipaddress
import re
from typing import Any, Self

import msgspec

from alknet.errors import InvalidInput
from alknet.protocol.config import (
    ForwardingPolicy,
    GetForwardingPolicy,
    GetRateLimits,
    RateLimits,
    ReloadForwarding,
    ReloadRateLimits,
)
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler

_LAST_PORT = 65535


class ConfigSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [config] of stack.toml."""

    forwarding: ForwardingPolicy = ForwardingPolicy()
    rate_limits: RateLimits = RateLimits()

    def __post_init__(self) -> None:
        check_policy(self.forwarding)


class ConfigService(Service, namespace="config"):
    """Holds the forwarding policy and the rate limits."""

    settings_type = ConfigSettings

    def __init__(self, settings: ConfigSettings, host: Host) -> None:
        self._forwarding = settings.forwarding
        self._rate_limits = settings.rate_limits
        self._host = host

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @handler(concurrent=True)
    def forwarding(self, _: GetForwardingPolicy) -> ForwardingPolicy:
        return self._forwarding

    @handler(concurrent=True)
    def rate_limits(self, _: GetRateLimits) -> RateLimits:
        return self._rate_limits

    @handler
    async def reload_forwarding(self, request: ReloadForwarding) -> ForwardingPolicy:
        policy = request.policy
        if policy is None:
            policy = self._reread().forwarding
        check_policy(policy)
        self._forwarding = policy
        return policy

    @handler
    async def reload_rate_limits(self, request: ReloadRateLimits) -> RateLimits:
        limits = request.limits
        self._rate_limits = self._reread().rate_limits if limits is None else limits
        return self._rate_limits

    def _reread(self) -> ConfigSettings:
        settings: Any = self._host.section(self.namespace)
        assert isinstance(settings, ConfigSettings)
        return settings


_TARGET = re.compile(r"^(?P<host>\[[^\]]+\](?:/\d+)?|[^:\[\]]+):(?P<port>\*|\d+(?:-\d+)?)$")
_HOST = re.compile(r"^[A-Za-z0-9._-]*\*?[A-Za-z0-9._-]*$")


def check_policy(policy: ForwardingPolicy) -> None:
    """Refuse a policy with a target that could not be matched against.

    Raises:
        InvalidInput: the number of the rule, counted from 1, and what is wrong with its target.
    """
    for number, rule in enumerate(policy.rules, start=1):
        problem = _problem(rule.target)
        if problem is not None:
            raise InvalidInput(
                f"forwarding rule {number}: the target {rule.target!r} {problem}",
                details={"field": f"rules[{number - 1}].target"},
            )


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
