"""Forwarder: opens connections for others, each as far as the policy in force lets them.

Every way in asks here: the operation `forward/open`, and transports with forwards of their own, as
SSH has. What is connected to is the very address that was judged, and a policy that takes its place
is asked again about what runs: a forward that it denies ends within `_LOOK_SECONDS`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
import trio

from alknet.call.client import Client
from alknet.errors import CallError, DeadlineExceeded, Forbidden, NotFound
from alknet.forwarding.forward import Forward
from alknet.identity import Identity
from alknet.protocol.config import GetForwardingPolicy
from alknet.protocol.forward import ForwardLimits
from alknet.protocol.forwarding import Decision, ForwardingPolicy, ForwardingRule, decide
from alknet.protocol.storage.record import RecordAudit
from alknet.quota.quota import Quota
from alknet.transport.address import bracket
from alknet.transport.egress import Resolve, Resolver, check_host, connect_to

log = structlog.get_logger("alknet.forward")

_LOOK_SECONDS: Final = 1.0
_AUDIT_SECONDS: Final = 5.0
# Who is held to certain operations may have this one among them.
_OPERATION: Final = "forward/open"


class Forwarder:
    """Opens connections, counts them by *quota*, and ends those that are not meant any more.

    *client* asks the node's own services: the policy, and the audit log where there is one.
    *resolve* finds the addresses of a name.
    """

    def __init__(self, client: Client, quota: Quota, *, resolve: Resolve | None = None) -> None:
        self.limits = ForwardLimits()
        self._client = client
        self._quota = quota
        self._resolve = resolve or Resolver()
        self._running: set[Forward] = set()
        self._begun = trio.Event()

    @asynccontextmanager
    async def open(
        self, host: str, port: int, *, identity: Identity | None, transport: str, remote: str
    ) -> AsyncIterator[Forward]:
        """Connect *identity* to *host* at *port*; the connection is closed with the block.

        A block that is left by an error, or is cancelled, resets it.

        *transport* is the road by which it was asked for, as the policy names it, and *remote* the
        far end of that, `host:port`. A name is resolved here, and each address judged: those that
        are denied are not tried. Every decision is a line of the log and an entry of the audit log.

        Raises:
            Forbidden: the policy says so; which rule.
            Unavailable: nothing answers there; `details["reason"]` is one of `Reason`.
            RateLimited: *identity* has as many connections forwarded as it may.
            InvalidInput: *host* or *port* is none.
        """
        principal = None if identity is None else identity.id
        asker = _Asker(self, identity, transport, remote)
        with self._quota.forwarding(principal or "", remote):
            addresses = await asker.allowed(host, port)
            stream, address = await connect_to(addresses, port, seconds=self.limits.connect_seconds)
            forward = Forward(
                stream,
                host=host,
                port=port,
                address=address,
                principal=principal,
                transport=transport,
            )
            began = trio.current_time()
            self._running.add(forward)
            self._begun.set()
            try:
                yield forward
            except BaseException:
                forward.cut()
                raise
            finally:
                forward.close()
                self._running.discard(forward)
                log.info(
                    "forward closed",
                    remote=remote,
                    peer=principal,
                    target=forward.target,
                    address=address,
                    sent=forward.sent,
                    received=forward.received,
                    seconds=round(trio.current_time() - began, 3),
                )

    async def run(self) -> None:
        """Watch over what is forwarded until cancelled."""
        judged: ForwardingPolicy | None = None
        while True:
            if not self._running:
                self._begun = trio.Event()
                await self._begun.wait()
            await trio.sleep(_LOOK_SECONDS)
            now = trio.current_time()
            for forward in list(self._running):
                if now - forward.active > self.limits.idle_seconds:
                    forward.end(
                        DeadlineExceeded(
                            f"nothing has moved to or from {forward.target} for "
                            f"{self.limits.idle_seconds:g} s"
                        )
                    )
            if not self._running:
                continue
            try:
                policy = await self.policy()
            except CallError as error:
                log.warning("forwarding policy not read", why=str(error))
                continue
            if policy != judged:
                judged = policy
                self._judge(policy)

    def _judge(self, policy: ForwardingPolicy) -> None:
        """End what *policy* does not allow."""
        for forward in list(self._running):
            decision = decide(
                policy,
                forward.host,
                forward.port,
                address=forward.address,
                principal=forward.principal,
                transport=forward.transport,
            )
            if not decision.allowed:
                log.warning(
                    "forward ended",
                    peer=forward.principal,
                    target=forward.target,
                    address=forward.address,
                    why=decision.why,
                )
                forward.end(Forbidden(f"the forwarding policy has changed: {decision.why}"))

    async def policy(self) -> ForwardingPolicy:
        """Return the policy in force; a node that has none forwards nothing.

        Raises:
            CallError: the service that keeps it cannot say.
        """
        try:
            return await self._client.call(GetForwardingPolicy())
        except NotFound:
            return ForwardingPolicy()

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of *host*, which may be one.

        Raises:
            Unavailable: there is no such name, or nobody says so in time.
        """
        bare = host.removeprefix("[").removesuffix("]")
        return list(await self._resolve(bare, self.limits.resolve_seconds))

    async def record(self, action: str, subject: str, details: dict[str, Any]) -> None:
        """Write to the audit log, if there is one; that it fails changes nothing for anybody."""
        try:
            await self._client.call(RecordAudit(action, subject, details), timeout=_AUDIT_SECONDS)
        except NotFound:
            return
        except CallError as error:
            log.error("audit log not written", action=action, subject=subject, why=str(error))


class _Asker:
    """Who asks for a connection, and what is said to them."""

    def __init__(
        self, forwarder: Forwarder, identity: Identity | None, transport: str, remote: str
    ) -> None:
        self._forwarder = forwarder
        self._identity = identity
        self._principal = None if identity is None else identity.id
        self._transport = transport
        self._remote = remote

    async def allowed(self, host: str, port: int) -> list[str]:
        """Return the addresses of *host* that may be connected to: at least one.

        Raises:
            Forbidden: there is none.
            CallError: *host* is no host, or its addresses are not known.
        """
        check_host(host)
        policy = await self._forwarder.policy()
        # A name that is denied whatever its address is not even asked for: its owner would see it.
        decision = self._decide(policy, host, port, None)
        if not decision.allowed and not decision.unresolved:
            await self._say(host, port, None, decision)
            raise Forbidden(decision.why)
        allowed = []
        for address in await self._forwarder.addresses(host):
            decision = self._decide(policy, host, port, address)
            await self._say(host, port, address, decision)
            if decision.allowed:
                allowed.append(address)
        if not allowed:
            raise Forbidden(decision.why)
        return allowed

    def _decide(
        self, policy: ForwardingPolicy, host: str, port: int, address: str | None
    ) -> Decision:
        decision = decide(
            policy,
            host,
            port,
            address=address,
            principal=self._principal,
            transport=self._transport,
        )
        if decision.allowed and self._identity is not None:
            return _bounded(decision, self._identity, host, port, address)
        return decision

    async def _say(self, host: str, port: int, address: str | None, decision: Decision) -> None:
        """Log, and audit, that *decision*."""
        target = f"{bracket(host)}:{port}"
        facts = {
            "peer": self._principal,
            "transport": self._transport,
            "target": target,
            "address": address,
        }
        # The address and the result come first, and what a peer has chosen behind them, where a
        # filter that reads these lines finds them; the order is that of "auth attempt".
        line = log.info if decision.allowed else log.warning
        line(
            "forward attempt",
            remote=self._remote,
            result="accept" if decision.allowed else "reject",
            why=decision.why,
            **facts,
        )
        action = "forward.accepted" if decision.allowed else "forward.refused"
        details = {**facts, "remote": self._remote, "why": decision.why}
        await self._forwarder.record(action, target, details)


def _bounded(
    decision: Decision, identity: Identity, host: str, port: int, address: str | None
) -> Decision:
    """Return *decision*, which allows, or what the credential of *identity* takes from it."""
    if identity.only is not None and _OPERATION not in identity.only:
        held = ", ".join(sorted(identity.only))
        return Decision(allowed=False, why=f"its credential is held to {held}")
    if identity.forwards is None:
        return decision
    rules = tuple(ForwardingRule(target, "allow") for target in sorted(identity.forwards))
    own = decide(ForwardingPolicy("deny", rules), host, port, address=address)
    if own.allowed:
        return decision
    where = ", ".join(sorted(identity.forwards)) or "nowhere"
    why = f"its credential lets it be connected to {where} alone, and not to {host}:{port}"
    return Decision(allowed=False, why=why, unresolved=own.unresolved)
