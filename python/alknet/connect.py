"""connect(): a client's end of a link, and, for a worker, the services it offers over it."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from alknet.call.client import Client
from alknet.call.continuations import Continuations
from alknet.call.dispatch import Dispatcher
from alknet.call.home import NONE
from alknet.call.registry import Registry
from alknet.call.remote import DEFAULT_TIMEOUT, RemoteClient
from alknet.dialer import Dialer
from alknet.errors import SettingsError, first_of
from alknet.keys import CertifiedKey, Ed25519Key
from alknet.runtime.actor import Actor
from alknet.runtime.background import open_background
from alknet.runtime.service import Service
from alknet.runtime.supervisor import Supervisor
from alknet.transport import road
from alknet.transport.trust import Trust
from alknet.wire.limits import DEFAULT_LIMITS, Limits
from alknet.wire.link import Format

_DRAIN_SECONDS = 5.0
_SLOW_SECONDS = 5.0


@asynccontextmanager
async def connect(
    url: str | Sequence[str],
    *,
    identity: Ed25519Key | CertifiedKey | str,
    expect: bytes | str | None = None,
    services: Iterable[Service] = (),
    node: Dispatcher | None = None,
    grant: Iterable[str] = ("*",),
    timeout: float = DEFAULT_TIMEOUT,
    format: Format = "json",
    limits: Limits = DEFAULT_LIMITS,
    reconnect: bool = False,
    ca: Path | str | None = None,
    capabilities: Mapping[str, Any] = NONE,
    strict: bool = False,
    dial: road.Dial | None = None,
) -> AsyncIterator[Client]:
    """Open a link to the node at *url* and yield a client for it; close it when the block is left.

    Several URLs are ways to the same node, in order of preference: each is tried for a quarter of a
    second before the next one is tried beside it, the first that opens is taken, and the next is
    tried where the node does not let us in. So they are each time the link is opened again.

    *identity* is the key (alone, or with its certificate) or the token that proves who we are.
    *expect* is the public key that the node must hold, as 32 bytes or as its fingerprint
    (`SHA256:...`); without it, whoever answers at *url* is believed. *services* are offered to the
    node: they run here, and can be called through it under our name, by callers with the scopes
    that both they and *grant* name. With *node*, a `Node.dispatcher`, that node's own services and
    all that its peers answer are offered in place of *services*: `/us/secrets/derive`,
    `/us/worker-1/echo/say`. *timeout*, in seconds, bounds every call that brings none.
    *capabilities* are what our services may be lent, as with `open_node`. *strict* fails a call to
    our services whose answer is not what the operation promises, as `strict` under [node] does.
    *dial* opens the link, in place of the transport that *url* names: a road of your own.

    Over `tls://`, `quic://` and `wss://` the node's certificate must be of the key *expect*, or be
    vouched for by an authority in the PEM file *ca*; without that file, by one that the operating
    system trusts. A key is shown to the node as a certificate too.

    If the link is lost, calls in flight raise Disconnected, and so do later ones, unless
    *reconnect*: then the link is opened again, with pauses that grow, and later calls wait for it
    as long as their own timeout lets them. What was in flight is never sent twice; `retryable` says
    whether that would be safe, as the operation's declaration has it. A subscription that declares
    `resume=` goes on behind the last item that was read, also when the service it comes from is
    being restarted; others end with Disconnected.

    Raises:
        Unreachable: no node answers there.
        Refused: the node does not let us in, or is not the one we expect.
        Locked: we expect a certain node, and it shows no key: its vault is locked.
        SettingsError: *ca* holds no certificate that can be read, or there is no URL.
    """
    actors = (Actor(service, is_strict=strict) for service in services)
    supervisor = Supervisor(actors, slow=_SLOW_SECONDS)
    registry = Registry()
    for actor in supervisor.actors:
        registry.add(actor.entries())
    continuations = Continuations()
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise SettingsError("connect() was given no URL")
    dialer = Dialer(
        urls,
        identity,
        dial=dial or partial(road.dial, trust=Trust.of(identity, expect, ca)),
        expect=expect,
        registry=registry,
        node=node,
        grant=grant,
        capabilities=capabilities,
        continuations=continuations,
        format=format,
        limits=limits,
    )
    async with open_background() as nursery:
        try:
            await nursery.start(continuations.run)
            await nursery.start(supervisor.run)
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        client = RemoteClient(await dialer.open(nursery), timeout=timeout, reconnects=reconnect)
        if reconnect:
            nursery.start_soon(dialer.keep, nursery, client)
        try:
            yield client
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.stop(_DRAIN_SECONDS)
                session = client.session
                with trio.move_on_after(_DRAIN_SECONDS):
                    await continuations.drain()
                    await session.flushed()
                session.cancel("the client is done")
                await session.closed()
