"""Acceptor: who is let in to a node, and the session of each link while it lasts."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack

import structlog
import trio

from alknet.call.client import Client
from alknet.call.dispatch import Dispatcher
from alknet.call.session import Session
from alknet.errors import AlknetError, Refused
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.protocol.auth import (
    Denied,
    Granted,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.quota.quota import Quota
from alknet.runtime.guest import Guest
from alknet.runtime.host import Host
from alknet.settings import Settings
from alknet.transport.address import host_of
from alknet.transport.admission import admit
from alknet.transport.gate import Shown, Verify
from alknet.wire.credential import Certified
from alknet.wire.link import Link

log = structlog.get_logger("alknet.node")


class Acceptor:
    """Serves links: finds out who is at the far end, and answers there for as long as they may.

    *client* asks the node's own auth service. *key* is what proves which
    node this is, None while its vault is locked. `sessions` are the links that are open, and
    the *host* is told by what each was let in.
    """

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        client: Client,
        *,
        key: Callable[[], Ed25519Key | None],
        quota: Quota,
        host: Host,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._client = client
        self._key = key
        self._quota = quota
        self._host = host

    @property
    def sessions(self) -> set[Session]:
        """The links that are open: those of which the host knows by what they were let in."""
        return {each for each in self._host.granted if isinstance(each, Session)}

    async def serve(self, link: Link) -> None:
        """Find out who has connected, then answer until the link, or its right to be, ends."""
        with ExitStack() as counted:
            verdict: Granted | None = None

            async def verify(shown: Shown) -> Identity | str:
                nonlocal verdict
                if isinstance(shown, Granted):
                    found: Granted | Denied = shown
                else:
                    found = await self.judge(shown, link.peer_address)
                if isinstance(found, Denied):
                    return found.reason
                verdict = found
                who = found.identity
                counted.enter_context(self._quota.identified(who.id, link.peer_address))
                return who

            identity = await self._admit(link, verify)
            assert verdict is not None
            await self._answer(link, identity, verdict)

    async def _admit(self, link: Link, verify: Verify) -> Identity:
        """Return who is at the other end of *link*, and note how that was decided.

        Raises:
            AlknetError: nobody who is let in.
        """
        remote = link.peer_address
        try:
            identity = await admit(
                link,
                node=self._settings.node.name,
                key=self._key(),
                verify=verify,
                limits=self._settings.limits,
                wants_certificate=self._settings.tls.client_certificates,
            )
        except AlknetError as error:
            log.warning("auth attempt", remote=remote, result="reject", why=str(error))
            if isinstance(error, Refused):
                self._count(remote)
            await self._host.audit.record("auth.refused", remote, why=str(error))
            raise
        log.info("auth attempt", remote=remote, result="accept", peer=identity.id)
        self._quota.passed(remote)
        await self._host.audit.record("auth.accepted", identity.id, remote=remote)
        return identity

    async def _answer(self, link: Link, identity: Identity, granted: Granted) -> None:
        session = Session(
            link, identity=identity, dispatcher=self._dispatcher, limits=self._settings.limits
        )
        self._host.granted[session] = granted
        self._dispatcher.peers.add(session)
        try:
            # What is taken back from now on ends the session; what was since it was asked about,
            # while the handshake went on, nobody has looked for among the links that are open.
            if not self._host.still_grants(granted):
                log.warning("link ended", peer=identity.id, why="its credential was taken back")
                return
            with self._until(granted.expires) as time_left:
                await session.run()
            if time_left.cancelled_caught:
                log.warning("link ended", peer=identity.id, why="its credential has expired")
        finally:
            self._dispatcher.peers.remove(session)
            self._host.granted.pop(session, None)
            log.info("connection closed", remote=link.peer_address, peer=identity.id)

    def connected(self, remote: str) -> AbstractContextManager[None]:
        """Count a connection from *remote* while the block runs, as a `Doorkeeper` does.

        Raises:
            RateLimited: it is one too many.
        """
        return self._quota.connected(remote)

    def turned_away(self, remote: str, why: str) -> None:
        """Note that whoever is at *remote* has shown a credential that is good for nothing."""
        self._count(remote)
        self._host.audit.note("auth.refused", remote, why=why)

    def _count(self, remote: str) -> None:
        """Count a failure to prove who one is, which may be one too many."""
        seconds = self._quota.failed(remote)
        if seconds:
            self._host.audit.note("auth.locked-out", remote, seconds=seconds)

    @staticmethod
    def _until(expires: float | None) -> trio.CancelScope:
        """Return a scope that is cancelled at *expires*, in Unix seconds, if that is not None."""
        if expires is None:
            return trio.CancelScope()
        return trio.CancelScope(deadline=trio.current_time() + max(0.0, expires - time.time()))

    async def hold(self, granted: Granted, remote: str, run: Callable[[], Awaitable[None]]) -> None:
        """Await `run()`, which serves who came from *remote* beside links, while *granted* is so.

        A link that it serves has its own right to be, and is counted and recorded by itself.
        """
        peer = granted.identity.id
        log.info("auth attempt", remote=remote, result="accept", peer=peer)
        self._quota.passed(remote)
        await self._host.audit.record("auth.accepted", peer, remote=remote)
        guest = Guest(peer, remote)
        self._host.granted[guest] = granted
        try:
            if not self._host.still_grants(granted):
                log.warning("connection ended", peer=peer, why="its credential was taken back")
                return
            with self._until(granted.expires) as time_left, guest.scope:
                await run()
            if time_left.cancelled_caught:
                log.warning("connection ended", peer=peer, why="its credential has expired")
        finally:
            self._host.granted.pop(guest, None)

    async def judge(self, credential: bytes | Certified | str, remote: str) -> Granted | Denied:
        """Return whose *credential* it is, as it came from *remote*."""
        source = host_of(remote)
        request: VerifyPubkey | VerifyCertificate | VerifyToken
        if isinstance(credential, bytes):
            request = VerifyPubkey(credential, source)
        elif isinstance(credential, str):
            request = VerifyToken(credential, source)
        else:
            request = VerifyCertificate(credential.certificate, credential.public_key, source)
        return await self._client.call(request)
