"""connect(): a client's end of a link, and, for a worker, the services it offers over it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from alknet.call.client import Client
from alknet.call.dispatch import Dispatcher
from alknet.call.registry import Registry
from alknet.call.remote import DEFAULT_TIMEOUT, RemoteClient
from alknet.call.session import Session
from alknet.errors import Disconnected, Unreachable
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.protocol.directory import OperationSummary, Register
from alknet.runtime.actor import Actor
from alknet.runtime.background import open_background
from alknet.runtime.service import Service
from alknet.runtime.supervisor import Supervisor
from alknet.transport import road
from alknet.transport.admission import enter
from alknet.wire.limits import DEFAULT_LIMITS, Limits
from alknet.wire.link import Format

_DRAIN_SECONDS = 5.0


@asynccontextmanager
async def connect(
    url: str,
    *,
    identity: Ed25519Key | str,
    expect: bytes | str | None = None,
    services: Iterable[Service] = (),
    grant: Iterable[str] = ("*",),
    timeout: float = DEFAULT_TIMEOUT,
    format: Format = "json",
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[Client]:
    """Open a link to the node at *url* and yield a client for it; close it when the block is left.

    *identity* is the key, or the token, that proves who we are. *expect* is the public key that the
    node must hold, as 32 bytes or as its fingerprint (`SHA256:...`); without it, whoever answers at
    *url* is believed. *services* are offered to the node: they run here, and can be called through
    it under our name, by callers with the scopes that both they and *grant* name. *timeout*, in
    seconds, bounds every call that brings none.

    If the link is lost, calls in flight and later ones raise Disconnected; the block goes on.

    Raises:
        Unreachable: no node answers there.
        Refused: the node does not let us in, or is not the one we expect.
        Locked: we expect a certain node, and it shows no key: its vault is locked.
    """
    async with open_background() as nursery:
        link = await road.dial(nursery, url, limits=limits, format=format)
        try:
            offered, accepted = await enter(link, key=identity, expect=expect, limits=limits)
        except BaseException as error:
            with trio.CancelScope(shield=True):
                await link.aclose()
            if isinstance(error, Disconnected):
                raise Unreachable(f"{url} hung up during the handshake: {error}") from None
            raise
        supervisor = Supervisor(Actor(service) for service in services)
        dispatcher = Dispatcher(Registry(), accepted.peer_id)
        for actor in supervisor.actors:
            dispatcher.registry.add(actor.entries())
        session = Session(
            link,
            identity=Identity(offered.node, frozenset({*grant, "identity:forward"})),
            dispatcher=dispatcher if supervisor.actors else None,
            limits=limits,
            is_dialled=True,
        )
        await nursery.start(supervisor.run)
        await nursery.start(session.run)
        client = RemoteClient(session, timeout=timeout)
        try:
            if supervisor.actors:
                await client.call(Register(_summaries(dispatcher.registry)))
            yield client
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.stop(_DRAIN_SECONDS)
                with trio.move_on_after(_DRAIN_SECONDS):
                    await session.flushed()
                session.cancel("the client is done")
                await session.closed()


def _summaries(registry: Registry) -> tuple[OperationSummary, ...]:
    return tuple(
        OperationSummary(
            name=entry.spec.name,
            namespace=entry.spec.namespace,
            kind=entry.spec.kind,
            description=entry.spec.description.partition("\n")[0],
        )
        for entry in registry
        if entry.spec.visibility == "external"
    )
