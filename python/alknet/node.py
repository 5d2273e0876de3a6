"""A node: its services under a supervisor, its listeners, its links, in one nursery."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from alknet import stack
from alknet.acceptor import Acceptor
from alknet.call.client import Client
from alknet.call.dispatch import Dispatcher
from alknet.call.home import NONE
from alknet.call.registry import Registry
from alknet.call.session import Session
from alknet.elsewhere import Elsewhere
from alknet.errors import (
    AlknetError,
    SettingsError,
    Unreachable,
    first_of,
)
from alknet.forwarding.forwarder import Forwarder
from alknet.keys import Keyring
from alknet.peering import Peering
from alknet.protocol.stats import ServiceStats
from alknet.quota.quota import Quota
from alknet.runtime.actor import Actor
from alknet.runtime.audit_trail import AuditTrail
from alknet.runtime.background import open_background
from alknet.runtime.derived import Derived
from alknet.runtime.host import Host
from alknet.runtime.operation import Operation
from alknet.runtime.operations import Operations
from alknet.runtime.service import Service
from alknet.runtime.supervisor import Supervisor
from alknet.runtime.vault import Vault
from alknet.services import available
from alknet.settings import RemoteSecretsSettings, RemoteSettings, Settings
from alknet.stack import Stack
from alknet.transport import road
from alknet.transport.certificates import CertificateFiles
from alknet.transport.gate import Gate
from alknet.transport.guard import doorkeeper, guarded
from alknet.wire.link import Link
from alknet.worker import Pulse

log = structlog.get_logger("alknet.node")

_CLOSING_SECONDS = 2.0


class Node:
    """A running node, as `open_node` gives it.

    `client` calls its services and its peers; `url` is the first it listens at, "" if none.
    """

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        services: Iterable[Service],
        capabilities: Mapping[str, Any] = NONE,
    ) -> None:
        self.settings = settings
        self.vault = vault
        self.dispatcher = Dispatcher(Registry(), settings.node.name, capabilities=capabilities)
        self.urls: list[str] = []
        self._stack = Stack(settings)
        self._reloading = trio.Lock()
        self._links: trio.Nursery | None = None
        self._working = trio.CancelScope()
        self._listening = trio.CancelScope()
        self._draining = trio.CancelScope()
        folder = settings.path.parent if settings.path is not None else Path()
        tls = settings.tls
        files = CertificateFiles(
            (folder / each.chain, folder / each.key) for each in tls.certificates
        )
        self.client: Client = self.dispatcher.client(self.dispatcher.itself)
        self._quota = Quota(trio.current_time)
        self._audit = AuditTrail(self.dispatcher.registry, self.client)
        section = self._stack.section
        self._forwarder = Forwarder(self.client, self._quota)
        self._peering = Peering(folder, vault.identity, settings.limits)
        self._host = Host(
            self.dispatcher,
            vault,
            section,
            folder,
            services=self._fare,
            quota=self._quota,
            forwarder=self._forwarder,
            link=self._peering.link,
            audit=self._audit,
            heads=lambda: self._heads,
        )
        self._acceptor = Acceptor(
            settings,
            self.dispatcher,
            self.client,
            key=vault.identity,
            quota=self._quota,
            host=self._host,
        )
        self._heads = [
            self._peering.link(
                "a head",
                each.urls,
                expect=each.expect,
                key=each.key,
                ca=each.ca,
                node=self.dispatcher,
                grant=each.grant,
            )
            for each in settings.node.joins
        ]
        self._gate = Gate(
            key=vault.identity,
            certificates=files.current,
            origins=settings.node.origins,
            host_key=vault.host_key,
            judge=self._acceptor.judge,
            hold=self._acceptor.hold,
            forward=self._forwarder.open,
        )
        # Runs what is registered later; nobody needs to hear of it before something is.
        self._has_registered = False
        self._registered = Actor(Operations("operations"), is_strict=settings.node.strict)
        with self._stack.started():
            actors = self._actors(services)
        self._supervisor = Supervisor(actors, slow=settings.node.slow)
        for actor in self._supervisor.actors:
            try:
                self.dispatcher.registry.add(actor.entries())
            except ValueError as error:
                raise SettingsError(f"the service {actor.name!r} cannot be run: {error}") from None

    @property
    def name(self) -> str:
        """What this node is called in paths, beside `head`."""
        return self.settings.node.name

    @property
    def url(self) -> str:
        """The first URL the node listens at."""
        return self.urls[0] if self.urls else ""

    @property
    def services(self) -> list[str]:
        """The namespaces of the services that run, each after those it requires."""
        return [each.name for each in self._fare()]

    def _actors(self, services: Iterable[Service]) -> list[Actor]:
        known = available()
        built: list[Service] = []
        for name in ("services", *self.settings.services):
            if name not in known:
                raise SettingsError(
                    f"there is no service {name!r}; there are {', '.join(map(repr, sorted(known)))}"
                )
            table = self.settings.services.get(name)
            if isinstance(table, RemoteSettings):
                built.append(self._elsewhere(known[name], table))
            else:
                self._check_needs(known[name])
                built.append(known[name].create(self._host))
        built += services
        if self._heads and not any(each.namespace == Pulse.namespace for each in built):
            # They would like to hear how we fare.
            built.append(Pulse())
        strict = self.settings.node.strict
        actors = [Actor(service, is_strict=strict) for service in built]
        return [self._registered, *actors]

    def _elsewhere(self, service: type[Service], table: RemoteSettings) -> Elsewhere:
        node = self._peering.link(
            service.namespace, table.remote, expect=table.expect, key=table.key, ca=table.ca
        )
        at_home = service.create_at_home(self._host, table)
        derived = None
        if isinstance(table, RemoteSecretsSettings) and table.cache_entries:
            derived = Derived(table.cache_seconds, table.cache_entries, table.cache_away)
        itself = self.dispatcher.itself
        return Elsewhere(service, node, itself=itself, at_home=at_home, derived=derived)

    def _check_needs(self, service: type[Service]) -> None:
        """Refuse to run what works with things that a service lends within one process."""
        for name in service.requires:
            if isinstance(self.settings.services.get(name), RemoteSettings):
                raise SettingsError(
                    f"the service {service.namespace!r} cannot run here while {name!r}, of which "
                    f"it uses more than calls, is `remote`: run both in one node"
                )

    @property
    def sessions(self) -> set[Session]:
        """The links that are open now, to the heads that this node has joined too."""
        heads = {each.session for each in self._heads if each.session is not None}
        return self._acceptor.sessions | heads

    async def reload(self) -> None:
        """Put in force what stack.toml says now, as far as that can be done while the node runs.

        The file is read once, and refused as a whole if anything in it, or in a file that it names,
        has a fault. What takes a restart is named in the log.

        Raises:
            SettingsError: it has a fault, and all is as it was; the message says where.
            CallError: a service cannot take its part now.
        """
        reloading = [actor for actor in self._supervisor.actors if actor.service.reloads]
        # A signal and a change of the file may come together: each reload is of one moment.
        async with self._reloading:
            with self._stack.reread() as fresh:
                for actor in reloading:
                    actor.service.check_reload()
                for actor in reloading:
                    for request in actor.service.reloads:
                        await self.client.call(request)
        taken = {actor.name for actor in reloading}
        log.info("settings reloaded", needs_restart=self._stack.needs_restart(fresh, taken))

    async def try_reload(self) -> None:
        """As `reload`, for whoever can do nothing about it: what is wrong goes to the log."""
        try:
            await self.reload()
        except AlknetError as error:
            log.error("settings not reloaded: those in force stay", why=str(error))

    def _fare(self) -> tuple[ServiceStats, ...]:
        """Return how the services fare; they are given this before there is a supervisor."""
        fare = self._supervisor.stats()
        if self._has_registered:
            return fare
        return tuple(each for each in fare if each.name != self._registered.name)

    def register(self, *operations: Operation) -> None:
        """Answer *operations* from now on: all of them, or none.

        Those that are not concurrent exclude each other. A worker's operations are rather given to
        `connect`, as a service of `Operations`, so that they are offered to its node.

        Raises:
            ValueError: a name is taken.
        """
        self.dispatcher.registry.add(map(self._registered.made, operations))
        self._has_registered = True

    def unregister(self, *names: str) -> None:
        """Answer the operations called *names* no more; those that are in flight are finished.

        A name that is not registered is ignored.
        """
        self.dispatcher.withdraw(names)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the services, then listen; when cancelled, stop in good order."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._work)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await self._stop()
                self._working.cancel()

    def hurry(self) -> None:
        """Let a node that stops, now or later, wait for nothing: what is not done is cancelled."""
        self._supervisor.hurry()
        self._draining.cancel(reason="the node stops at once")

    async def _work(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._working:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.dispatcher.continuations.run)
                await nursery.start(self._supervisor.run)
                nursery.start_soon(self._audit.run)
                nursery.start_soon(self._forwarder.run)
                self._links = nursery
                await nursery.start(self._listen, nursery)
                for head in self._heads:
                    nursery.start_soon(head.keep)
                # A start can be cancelled. What has started is ended by `_stop` alone: the calls
                # in flight, and whoever asked them, must outlive the cancellation of `run`.
                self._working.shield = True
                task_status.started()

    async def _listen(self, links: trio.Nursery, *, task_status: trio.TaskStatus[None]) -> None:
        """Listen at every URL, serving what connects in *links*, until told to take no more."""
        listen = partial(road.listen, limits=self.settings.limits, links=links, gate=self._gate)
        doorkeeper.set(self._acceptor)
        with self._listening:
            async with trio.open_nursery() as listeners:
                listeners.start_soon(self._stack.watch, self.try_reload)
                for url in self.settings.node.listen:
                    self.urls.append(await listeners.start(listen, url, self._acceptor.serve))
                task_status.started()

    def accept(self, link: Link) -> None:
        """Serve *link*, which came by a road of your own, as one that a listener took.

        Whoever is at its far end proves who they are first. The link ends with the node.

        Raises:
            Unreachable: the node takes no links: it does not run yet, or is stopping.
        """
        if self._links is None or self._listening.cancel_called:
            raise Unreachable(f"the node {self.name!r} is not running, or is stopping")
        self._links.start_soon(self._accepted, link, name=f"the link to {link.peer_address}")

    async def _accepted(self, link: Link) -> None:
        async with guarded(link.peer_address):
            try:
                await self._acceptor.serve(link)
            finally:
                with trio.CancelScope(shield=True):
                    await link.aclose()

    async def _stop(self) -> None:
        """Take no more links, let calls in flight finish, tell the peers, leave nothing behind."""
        drain = self.settings.node.drain
        log.info("stopping", drain=drain)
        self._listening.cancel()
        for head in self._heads:
            head.leave()
        self.dispatcher.is_stopping = True
        self._draining.deadline = trio.current_time() + drain
        with trio.move_on_after(_CLOSING_SECONDS):
            await self._audit.settled()
        await self._supervisor.stop(drain)
        with self._draining:
            for session in list(self.sessions):
                await session.answered()
            await self.dispatcher.continuations.drain()
        with trio.move_on_after(_CLOSING_SECONDS):
            for session in list(self.sessions):
                await session.flushed()
        # First those who only ask: what they are still owed ends with their own link, and not with
        # that of the worker they ask.
        workers = self.dispatcher.peers.workers()
        for sessions in (self.sessions - workers, self.sessions & workers):
            for session in sessions:
                session.cancel("the node is stopping")
            for session in sessions:
                await session.closed()


@asynccontextmanager
async def open_node(
    settings: Settings | Path | str | None = None,
    *,
    keyring: Keyring | None = None,
    services: Iterable[Service] = (),
    capabilities: Mapping[str, Any] = NONE,
) -> AsyncIterator[Node]:
    """Start a node and yield it; stop it when the block is left.

    *settings* is a stack.toml or its path; without it every service runs with its defaults and
    nothing is listened at. With *keyring* the vault is unlocked from the start, and is locked when
    the node stops. *services* are run beside those that *settings* turn on. *capabilities* are what
    handlers may be lent to act with, by the names that they declare with `needs=`: credentials of
    other systems, and clients of them.

    Leaving the block, or cancelling it, first lets calls in flight finish for `drain` seconds.

    Raises:
        SettingsError: the node cannot start as asked: bad settings, a port that is taken.
        BadMnemonic: *keyring* is not that of the identity which *settings* name.
    """
    if settings is None:
        settings = Settings(services=stack.defaults())
    elif not isinstance(settings, Settings):
        settings = stack.load(Path(settings))
    if settings.node.listen and "auth" not in settings.services:
        raise SettingsError("a node that listens needs the table [auth], to know whom to let in")
    vault = Vault(keyring, expect=settings.node.identity)
    try:
        node = Node(settings, vault, services, capabilities)
        async with open_background() as nursery:
            try:
                await nursery.start(node.run)
            except BaseExceptionGroup as group:
                raise first_of(group) from None
            yield node
    finally:
        vault.close()
