"""A node: its services under a supervisor, its listeners, its links, in one nursery."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from alknet import settings as stack
from alknet.call.client import Client
from alknet.call.dispatch import Dispatcher
from alknet.call.home import NONE
from alknet.call.registry import Registry
from alknet.call.session import Session
from alknet.errors import (
    AlknetError,
    CallError,
    Refused,
    SettingsError,
    Unreachable,
    first_of,
)
from alknet.identity import Identity
from alknet.keys import Keyring
from alknet.protocol.auth import (
    Denied,
    Granted,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.protocol.stats import ServiceStats
from alknet.protocol.storage.record import RecordAudit
from alknet.quota.quota import Quota
from alknet.runtime.actor import Actor
from alknet.runtime.background import open_background
from alknet.runtime.host import Host
from alknet.runtime.operation import Operation
from alknet.runtime.operations import Operations
from alknet.runtime.service import Service
from alknet.runtime.supervisor import Supervisor
from alknet.runtime.vault import Vault
from alknet.services import available
from alknet.settings import Settings
from alknet.transport import road
from alknet.transport.address import host_of
from alknet.transport.admission import admit
from alknet.transport.certificates import CertificateFiles
from alknet.transport.gate import Gate, Verify
from alknet.transport.guard import doorkeeper, guarded
from alknet.wire.handshake import Certified
from alknet.wire.link import Link

log = structlog.get_logger("alknet.node")

_CLOSING_SECONDS = 2.0
_AUDIT_SECONDS = 5.0


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
        # What a table is read from while all of them are to be of one moment.
        self._at_hand: Settings | None = settings
        self._reloading = trio.Lock()
        self._sessions: set[Session] = set()
        self._links: trio.Nursery | None = None
        self._working = trio.CancelScope()
        self._listening = trio.CancelScope()
        self._draining = trio.CancelScope()
        folder = settings.path.parent if settings.path is not None else Path()
        tls = settings.tls
        files = CertificateFiles(
            (folder / each.chain, folder / each.key) for each in tls.certificates
        )
        self._gate = Gate(
            key=vault.identity,
            certificates=files.current,
            origins=settings.node.origins,
            verify=self._verify_token,
        )
        self._quota = Quota(trio.current_time)
        self._host = Host(self.dispatcher, vault, self._section, folder, self._fare, self._quota)
        self.client: Client = self.dispatcher.client(self.dispatcher.itself)
        # Runs what is registered later; nobody needs to hear of it before something is.
        self._has_registered = False
        self._registered = Actor(Operations("operations"), is_strict=settings.node.strict)
        self._supervisor = Supervisor(self._actors(services), slow=settings.node.slow)
        for actor in self._supervisor.actors:
            try:
                self.dispatcher.registry.add(actor.entries())
            except ValueError as error:
                raise SettingsError(f"the service {actor.name!r} cannot be run: {error}") from None
        self._at_hand = None

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
        known, built = available(), []
        for name in ("services", *self.settings.services):
            if name not in known:
                raise SettingsError(
                    f"there is no service {name!r}; there are {', '.join(map(repr, sorted(known)))}"
                )
            built.append(known[name].create(self._host))
        strict = self.settings.node.strict
        actors = [Actor(service, is_strict=strict) for service in (*built, *services)]
        return [self._registered, *actors]

    def _section(self, namespace: str) -> Any:
        """Return the checked table of *namespace*; from the file, if there is one, as it is now."""
        settings = self._at_hand or self._reread()
        found = settings.services.get(namespace)
        shape = available()[namespace].settings_type
        return shape() if found is None and shape is not None else found

    def _reread(self) -> Settings:
        return self.settings if self.settings.path is None else load(self.settings.path)

    async def reload(self) -> None:
        """Put in force what stack.toml says now, as far as that can be done while the node runs.

        The file is read once, and refused as a whole if anything in it has a fault. What takes a
        restart is named in the log.

        Raises:
            SettingsError: it has a fault, and all is as it was; the message says where.
            CallError: a service cannot take its part now.
        """
        # A signal and a change of the file may come together: each reload is of one moment.
        async with self._reloading:
            fresh = self._at_hand = self._reread()
            try:
                for actor in self._supervisor.actors:
                    for request in actor.service.reloads:
                        await self.client.call(request)
            finally:
                self._at_hand = None
        waiting = self._not_reloaded(fresh)
        log.info("settings reloaded", needs_restart=waiting)

    def _not_reloaded(self, fresh: Settings) -> list[str]:
        """Return the tables that differ from those that the node runs with, and cannot be taken."""
        now = self.settings
        changed = [
            name for name in ("node", "limits") if getattr(now, name) != getattr(fresh, name)
        ]
        taken = {actor.name for actor in self._supervisor.actors if actor.service.reloads}
        for name in {**now.services, **fresh.services}:
            is_turned = (name in now.services) != (name in fresh.services)
            differs = now.services.get(name) != fresh.services.get(name)
            if is_turned or (differs and name not in taken):
                changed.append(name)
        return changed

    async def _watch_settings(self) -> None:
        """Reload when stack.toml has changed; a file with a fault is named in the log, and left."""
        path, pause = self.settings.path, self.settings.node.watch
        if path is None or not pause:
            return
        seen = _state_of(path)
        while True:
            await trio.sleep(pause)
            state = _state_of(path)
            if state != seen:
                seen = state
                await self.try_reload()

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
                self._links = nursery
                await nursery.start(self._listen, nursery)
                # A start can be cancelled. What has started is ended by `_stop` alone: the calls
                # in flight, and whoever asked them, must outlive the cancellation of `run`.
                self._working.shield = True
                task_status.started()

    async def _listen(self, links: trio.Nursery, *, task_status: trio.TaskStatus[None]) -> None:
        """Listen at every URL, serving what connects in *links*, until told to take no more."""
        listen = partial(road.listen, limits=self.settings.limits, links=links, gate=self._gate)
        doorkeeper.set(self._quota)
        with self._listening:
            async with trio.open_nursery() as listeners:
                listeners.start_soon(self._watch_settings)
                for url in self.settings.node.listen:
                    self.urls.append(await listeners.start(listen, url, self._serve))
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
                await self._serve(link)
            finally:
                with trio.CancelScope(shield=True):
                    await link.aclose()

    async def _serve(self, link: Link) -> None:
        """Find out who has connected, then answer until the link, or its right to be, ends."""
        with ExitStack() as counted:
            verdict: Granted | None = None

            async def verify(credential: bytes | Certified | str) -> Identity | str:
                nonlocal verdict
                found = await self._ask(credential, link.peer_address)
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
                node=self.name,
                key=self.vault.identity(),
                verify=verify,
                limits=self.settings.limits,
                wants_certificate=self.settings.tls.client_certificates,
            )
        except AlknetError as error:
            log.warning("auth attempt", remote=remote, result="reject", why=str(error))
            if isinstance(error, Refused):
                self._quota.failed(remote)
            await self._record("auth.refused", remote, why=str(error))
            raise
        log.info("auth attempt", remote=remote, result="accept", peer=identity.id)
        self._quota.passed(remote)
        await self._record("auth.accepted", identity.id, remote=remote)
        return identity

    async def _answer(self, link: Link, identity: Identity, granted: Granted) -> None:
        session = Session(
            link, identity=identity, dispatcher=self.dispatcher, limits=self.settings.limits
        )
        self._sessions.add(session)
        self._host.granted[session] = granted
        self.dispatcher.peers.add(session)
        try:
            with self._until(granted.expires) as time_left:
                await session.run()
            if time_left.cancelled_caught:
                log.warning("link ended", peer=identity.id, why="its credential has expired")
        finally:
            self.dispatcher.peers.remove(session)
            self._host.granted.pop(session, None)
            self._sessions.discard(session)
            log.info("connection closed", remote=link.peer_address, peer=identity.id)

    @staticmethod
    def _until(expires: float | None) -> trio.CancelScope:
        """Return a scope that is cancelled at *expires*, in Unix seconds, if that is not None."""
        if expires is None:
            return trio.CancelScope()
        return trio.CancelScope(deadline=trio.current_time() + max(0.0, expires - time.time()))

    async def _verify_token(self, credential: bytes | Certified | str) -> Identity | str:
        """Return whose *credential* it is; what is asked before there is a link to count."""
        found = await self._ask(credential, "")
        return found.identity if isinstance(found, Granted) else found.reason

    async def _ask(self, credential: bytes | Certified | str, remote: str) -> Granted | Denied:
        """Return whose *credential* it is, as it came from *remote*."""
        source = host_of(remote)
        request: VerifyPubkey | VerifyCertificate | VerifyToken
        if isinstance(credential, bytes):
            request = VerifyPubkey(credential, source)
        elif isinstance(credential, str):
            request = VerifyToken(credential, source)
        else:
            request = VerifyCertificate(credential.certificate, credential.public_key, source)
        return await self.client.call(request)

    async def _record(self, action: str, subject: str, **details: Any) -> None:
        """Write to the audit log, if there is one; that it fails changes nothing for anybody."""
        if self.dispatcher.registry.get(RecordAudit.__operation__.name) is None:
            return
        try:
            await self.client.call(RecordAudit(action, subject, details), timeout=_AUDIT_SECONDS)
        except CallError as error:
            log.error("audit log not written", action=action, subject=subject, why=str(error))

    async def _stop(self) -> None:
        """Take no more links, let calls in flight finish, tell the peers, leave nothing behind."""
        drain = self.settings.node.drain
        log.info("stopping", drain=drain)
        self._listening.cancel()
        self.dispatcher.is_stopping = True
        self._draining.deadline = trio.current_time() + drain
        await self._supervisor.stop(drain)
        with self._draining:
            for session in list(self._sessions):
                await session.answered()
            await self.dispatcher.continuations.drain()
        with trio.move_on_after(_CLOSING_SECONDS):
            for session in list(self._sessions):
                await session.flushed()
        # First those who only ask: what they are still owed ends with their own link, and not with
        # that of the worker they ask.
        workers = self.dispatcher.peers.workers()
        for sessions in (self._sessions - workers, self._sessions & workers):
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
        settings = Settings(services=_defaults())
    elif not isinstance(settings, Settings):
        settings = load(Path(settings))
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


def load(path: Path) -> Settings:
    """Return the settings in *path*, with the tables of all services that there are.

    Raises:
        SettingsError: the file cannot be read or has a fault; the message says where.
    """
    return stack.load(path, _shapes())


def _state_of(path: Path) -> tuple[int, ...]:
    """Return what tells one state of a file from the next; nothing if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of a stack.toml, with the tables of all services that there are."""
    return stack.schema(_shapes())


def _shapes() -> Mapping[str, type[Any] | None]:
    shapes = {name: service.settings_type for name, service in available().items()}
    # The directory always runs; a table for it would have nothing to say.
    shapes.pop("services", None)
    return shapes


def _defaults() -> dict[str, Any]:
    return {name: None if shape is None else shape() for name, shape in _shapes().items()}
