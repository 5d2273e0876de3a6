"""ConfigService: the policies in force, and their replacement, all or nothing."""

from collections.abc import AsyncIterator
from typing import Any, Generic, Self, TypeVar

import msgspec
import structlog
import trio

from alknet.protocol.config import (
    CheckForwarding,
    GetForwardingPolicy,
    GetRateLimits,
    RateLimits,
    ReloadForwarding,
    ReloadRateLimits,
    WatchForwarding,
    WatchRateLimits,
)
from alknet.protocol.forwarding import Decision, ForwardingPolicy, decide
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler

log = structlog.get_logger("alknet.config")

T = TypeVar("T")


class ConfigSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [config] of stack.toml.

    `forwarding` says where connections may be forwarded to. `rate_limits` says how much one caller
    may ask.
    """

    forwarding: ForwardingPolicy = ForwardingPolicy()
    rate_limits: RateLimits = RateLimits()


class _InForce(Generic[T]):
    """A value; `replaced` is set when another takes its place, and is then a new event."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.replaced = trio.Event()

    def replace(self, value: T) -> None:
        if value != self.value:
            self.value = value
            self.replaced.set()
            self.replaced = trio.Event()


class ConfigService(Service, namespace="config"):
    """Holds the forwarding policy and the rate limits."""

    settings_type = ConfigSettings
    reloads = (ReloadForwarding(), ReloadRateLimits())

    def __init__(self, settings: ConfigSettings, host: Host) -> None:
        self._forwarding = _InForce(settings.forwarding)
        self._rate_limits = _InForce(settings.rate_limits)
        self._host = host
        host.limit(settings.rate_limits)

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @handler(concurrent=True)
    def forwarding(self, _: GetForwardingPolicy) -> ForwardingPolicy:
        return self._forwarding.value

    @handler(concurrent=True)
    def rate_limits(self, _: GetRateLimits) -> RateLimits:
        return self._rate_limits.value

    @handler(concurrent=True)
    async def watch_forwarding(self, _: WatchForwarding) -> AsyncIterator[ForwardingPolicy]:
        while True:
            replaced = self._forwarding.replaced
            yield self._forwarding.value
            await replaced.wait()

    @handler(concurrent=True)
    async def watch_rate_limits(self, _: WatchRateLimits) -> AsyncIterator[RateLimits]:
        while True:
            replaced = self._rate_limits.replaced
            yield self._rate_limits.value
            await replaced.wait()

    @handler(concurrent=True)
    def check_forwarding(self, request: CheckForwarding) -> Decision:
        return decide(
            self._forwarding.value,
            request.host,
            request.port,
            address=request.address,
            principal=request.principal,
            transport=request.transport,
        )

    @handler
    async def reload_forwarding(self, request: ReloadForwarding) -> ForwardingPolicy:
        policy = request.policy
        if policy is None:
            policy = self._reread().forwarding
        self._forwarding.replace(policy)
        log.info("forwarding policy in force", rules=len(policy.rules), default=policy.default)
        return policy

    @handler
    async def reload_rate_limits(self, request: ReloadRateLimits) -> RateLimits:
        limits = self._reread().rate_limits if request.limits is None else request.limits
        self._rate_limits.replace(limits)
        self._host.limit(limits)
        log.info("rate limits in force", **msgspec.structs.asdict(limits))
        return limits

    def _reread(self) -> ConfigSettings:
        settings: Any = self._host.reread(self.namespace)
        assert isinstance(settings, ConfigSettings)
        return settings
