"""ConfigService: the policies in force, and their replacement, all or nothing."""

from typing import Any, Self

import msgspec

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


class ConfigSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [config] of stack.toml."""

    forwarding: ForwardingPolicy = ForwardingPolicy()
    rate_limits: RateLimits = RateLimits()


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
        self._forwarding = policy
        return policy

    @handler
    async def reload_rate_limits(self, request: ReloadRateLimits) -> RateLimits:
        limits = request.limits
        self._rate_limits = self._reread().rate_limits if limits is None else limits
        return self._rate_limits

    def _reread(self) -> ConfigSettings:
        settings: Any = self._host.reread(self.namespace)
        assert isinstance(settings, ConfigSettings)
        return settings
