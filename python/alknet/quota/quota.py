"""Quota: counts what addresses and identities use of a node, and says when it is too much.

Every check counts at once what it lets through, and nothing waits in between, so that a thousand
links at the same moment pass no more than one after the other would.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Final

import structlog

from alknet.errors import RateLimited
from alknet.protocol.config import RateLimits
from alknet.quota.bucket import Buckets
from alknet.quota.lockout import Lockouts

log = structlog.get_logger("alknet.quota")

UNLIMITED: Final = RateLimits(max_auth_attempts=0)
_CACHED_ADDRESSES: Final = 4096
# One customer of a provider gets at least this much of IPv6, and could use each address once.
_IPV6_PREFIX: Final = 64


class Quota:
    """What one address, and one identity, has open and has asked lately; *clock* tells seconds."""

    def __init__(self, clock: Callable[[], float], limits: RateLimits = UNLIMITED) -> None:
        self._clock = clock
        self._open_from: Counter[str] = Counter()
        self._open_by: Counter[str] = Counter()
        self._forwards_by: Counter[str] = Counter()
        self._lockouts = Lockouts(*_lockout(limits))
        self.put(limits)

    def put(self, limits: RateLimits) -> None:
        """Enforce *limits* from now on; links that are open stay, and lockouts that run, too."""
        self.limits = limits
        self._lockouts.adjust(*_lockout(limits))
        burst = limits.burst_seconds
        self._links = _buckets(limits.connections_per_second_per_ip, burst)
        self._calls_by = _buckets(limits.calls_per_second, burst)
        self._calls_from = _buckets(limits.calls_per_second_per_ip, burst)
        exempt = tuple(map(ipaddress.ip_network, limits.exempt))
        self._key_of = lru_cache(_CACHED_ADDRESSES)(lambda remote: _key(remote, exempt))

    @property
    def counts_calls(self) -> bool:
        """Whether `call` has anything to say."""
        return self._calls_by is not None or self._calls_from is not None

    @contextmanager
    def connected(self, remote: str) -> Iterator[None]:
        """Count a link from *remote* (`host:port`) while the block runs.

        Raises:
            RateLimited: its address is locked out, has as many links as it may, or opens them too
                fast.
        """
        key = self._key_of(remote)
        if key is None:
            yield
            return
        now = self._clock()
        most = self.limits.max_connections_per_ip
        if wait := self._lockouts.remaining(key, now):
            raise _too_much(f"{key} is locked out after too many failed proofs", wait)
        if most and self._open_from[key] >= most:
            raise _too_much(f"{key} has {most} links open, the most that one address may", None)
        if self._links is not None and (wait := self._links.take(key, now)):
            raise _too_much(f"{key} opens links too fast", wait)
        with _counted(self._open_from, key):
            yield

    def identified(self, identity: str, remote: str) -> AbstractContextManager[None]:
        """Count a link of *identity* while the block runs.

        Raises:
            RateLimited: it has as many as it may.
        """
        most = self.limits.max_connections_per_identity
        return self._one_more(self._open_by, identity, remote, most, "links open")

    def forwarding(self, identity: str, remote: str) -> AbstractContextManager[None]:
        """Count a connection that is forwarded for *identity* while the block runs.

        Raises:
            RateLimited: it has as many as it may.
        """
        most = self.limits.max_forwards_per_identity
        return self._one_more(self._forwards_by, identity, remote, most, "connections forwarded")

    @contextmanager
    def _one_more(
        self, count: Counter[str], identity: str, remote: str, most: int, what: str
    ) -> Iterator[None]:
        is_exempt = self._key_of(remote) is None
        if most and not is_exempt and count[identity] >= most:
            raise _too_much(f"{identity!r} has {most} {what}, the most that one identity may", None)
        with _counted(count, identity):
            yield

    def call(self, identity: str, remote: str) -> None:
        """Count a call.

        Raises:
            RateLimited: *identity*, or its address, calls too often.
        """
        key = self._key_of(remote)
        if key is None:
            return
        now = self._clock()
        if self._calls_by is not None and (wait := self._calls_by.take(identity, now)):
            rate = self.limits.calls_per_second
            raise _too_much(f"{identity!r} may make {rate} calls a second here", wait)
        if self._calls_from is not None and (wait := self._calls_from.take(key, now)):
            rate = self.limits.calls_per_second_per_ip
            raise _too_much(f"{key} may make {rate} calls a second here", wait)

    def failed(self, remote: str) -> float:
        """Note that whoever is at *remote* has not proven who they are.

        Return for how many seconds that locks the address out, 0 if it does not; log it.
        """
        key = self._key_of(remote)
        if key is None:
            return 0.0
        seconds = self._lockouts.failed(key, self._clock())
        if seconds:
            log.warning("address locked out", remote=remote, address=key, seconds=seconds)
        return seconds

    def passed(self, remote: str) -> None:
        """Note that whoever is at *remote* has proven who they are."""
        key = self._key_of(remote)
        if key is not None:
            self._lockouts.passed(key)


def _buckets(rate: int, burst: float) -> Buckets | None:
    return Buckets(rate, burst) if rate else None


def _lockout(limits: RateLimits) -> tuple[int, float, float]:
    return limits.max_auth_attempts, limits.lockout_seconds, limits.max_lockout_seconds


@contextmanager
def _counted(counts: Counter[str], key: str) -> Iterator[None]:
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]


def _too_much(what: str, wait: float | None) -> RateLimited:
    if wait is None:
        return RateLimited(f"{what}: close one of them", details={"retry_after": 1.0})
    seconds = round(wait + 0.0005, 3)
    return RateLimited(f"{what}: wait {seconds:g} s", details={"retry_after": seconds})


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _key(remote: str, exempt: tuple[Network, ...]) -> str | None:
    """Return what the address of *remote* is counted as; None if it is not to be counted."""
    host = remote.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None  # a link of another kind, such as one within this process
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in exempt):
        return None
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
