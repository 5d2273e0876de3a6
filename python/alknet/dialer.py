"""Dialer: opens the link of `connect`, and opens it again when it is lost."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
import trio

from alknet.call.continuations import Continuations
from alknet.call.dispatch import Dispatcher
from alknet.call.offer import own, passed_on
from alknet.call.redial import redial
from alknet.call.registry import Registry
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import AlknetError, CallError, Disconnected, Unreachable, first_of
from alknet.identity import Identity
from alknet.keys import CertifiedKey, Ed25519Key
from alknet.protocol.directory import Offer, Register
from alknet.transport.admission import enter
from alknet.transport.race import race
from alknet.transport.road import Dial
from alknet.wire import handshake
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

log = structlog.get_logger("alknet.link")


class Dialer:
    """Knows how to get to one node, how to prove who we are, and what we offer it."""

    def __init__(
        self,
        urls: Sequence[str],
        identity: Ed25519Key | CertifiedKey | str,
        *,
        dial: Dial,
        expect: bytes | str | None,
        registry: Registry,
        node: Dispatcher | None = None,
        grant: Iterable[str],
        capabilities: Mapping[str, Any],
        continuations: Continuations,
        format: Format,
        limits: Limits,
    ) -> None:
        self.urls = tuple(urls)
        self._identity = identity
        self._dial = dial
        self._expect = expect
        self._registry = registry
        self._node = node
        self._grant = frozenset({*grant, "identity:forward"})
        self._capabilities = capabilities
        self._continuations = continuations
        self._format: Format = format
        self._limits = limits
        # What the node has granted us, on the link that was opened last.
        self.granted: frozenset[str] = frozenset()

    async def open(self, nursery: trio.Nursery) -> Session:
        """Open a link and return its session, which is served in *nursery* until it ends.

        Raises:
            Unreachable: no node answers.
            Refused: the node does not let us in, or is not the one we expect.
            Locked: we expect a certain node, and it shows no key: its vault is locked.
        """
        try:
            session: Session = await nursery.start(self._serve)
        except BaseExceptionGroup as group:
            # The link has a nursery of its own; its start fails for one reason.
            raise first_of(group) from None
        return session

    async def keep(self, nursery: trio.Nursery, client: RemoteClient) -> None:
        """Give *client* a new session each time it loses one, until cancelled.

        A node that refuses us is asked again too: it may have been restarted with a new key set.
        """

        def away(why: str) -> None:
            log.info("no link", urls=self.urls, why=why)

        def opened(session: Session) -> None:
            log.info("link is back", urls=self.urls)
            client.attach(session)

        await redial(partial(self.open, nursery), opened=opened, away=away, session=client.session)

    async def _serve(
        self, *, task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with trio.open_nursery() as nursery:
            link, offered, accepted = await self._enter(nursery)
            self.granted = frozenset(accepted.scopes)
            session = Session(
                link,
                identity=Identity(offered.node, self._grant),
                dispatcher=self._dispatcher(accepted.peer_id),
                limits=self._limits,
                is_dialled=True,
            )
            await nursery.start(session.run)
            await self._offer(session, accepted.peer_id, nursery)
            task_status.started(session)
            await session.closed()
            nursery.cancel_scope.cancel()

    async def _enter(
        self, nursery: trio.Nursery
    ) -> tuple[Link, handshake.Challenge, handshake.Accepted]:
        """Return a link over the first of the URLs by which the node lets us in.

        One by which it does not is not tried again, and what is wrong there may be right at the
        next: another node, or a certificate that is not believed.
        """

        async def open_link(url: str) -> Link:
            return await self._dial(nursery, url, limits=self._limits, format=self._format)

        failures: dict[str, AlknetError] = {}
        while True:
            left = [url for url in self.urls if url not in failures]
            opened = await race(left, open_link, failures) if left else None
            if opened is None:
                raise _why(self.urls, failures)
            url, link = opened
            try:
                return link, *await enter(
                    link, key=self._identity, expect=self._expect, limits=self._limits
                )
            except BaseException as error:
                with trio.CancelScope(shield=True):
                    await link.aclose()
                if isinstance(error, Disconnected):
                    failures[url] = Unreachable(f"{url} hung up during the handshake: {error}")
                elif isinstance(error, AlknetError):
                    failures[url] = error
                else:
                    raise

    def _dispatcher(self, name: str) -> Dispatcher | None:
        if self._node is not None:
            return self._node
        if not len(self._registry):
            return None
        return Dispatcher(
            self._registry,
            name,
            capabilities=self._capabilities,
            continuations=self._continuations,
        )

    async def _offer(self, session: Session, name: str, nursery: trio.Nursery) -> None:
        """Register what we answer; a node that has peers does so again whenever they change."""
        client, node = RemoteClient(session), self._node
        if node is not None:
            never = frozenset({node.name, session.peer, name})
            changed, offered = node.peers.changed, _of_node(node, never)
            await client.call(Register(offered))
            nursery.start_soon(self._follow, client, node, never, changed, offered)
        elif len(self._registry):
            await client.call(Register(tuple(own(self._registry))))

    async def _follow(
        self,
        client: RemoteClient,
        node: Dispatcher,
        never: frozenset[str],
        changed: trio.Event,
        offered: tuple[Offer, ...],
    ) -> None:
        while True:
            await changed.wait()
            changed, now = node.peers.changed, _of_node(node, never)
            if now != offered:
                offered = now
                try:
                    await client.call(Register(now))
                except CallError as error:
                    log.warning("what is offered is out of date", urls=self.urls, why=str(error))


def _of_node(node: Dispatcher, never: frozenset[str]) -> tuple[Offer, ...]:
    return (*own(node.registry), *passed_on(node.peers, never=never))


def _why(urls: Sequence[str], failures: Mapping[str, AlknetError]) -> AlknetError:
    """Return what to raise when no URL leads to the node: the refusal of one that does answer."""
    first = failures[urls[0]]
    if len(urls) == 1:
        return first
    answered = next((e for e in failures.values() if not isinstance(e, Unreachable)), None)
    if answered is not None:
        return answered
    return Unreachable("none of these leads to the node: " + "; ".join(map(str, failures.values())))
