"""The client's end of SSH: a connection that carries one link to another node."""

from functools import partial
from typing import Final

import asyncssh
import trio

from alknet.errors import AlknetError, Locked, Refused, Unreachable, first_of
from alknet.keys import ssh_fingerprint
from alknet.transport.address import Address, bracket, in_words
from alknet.transport.opening import open_stream
from alknet.transport.ssh.algorithms import HOST_KEYS
from alknet.transport.ssh.channels import NODE, Opened
from alknet.transport.ssh.engine import Engine, open_engine
from alknet.transport.ssh.keys import own_pair, shown
from alknet.transport.ssh.link import SshLink
from alknet.transport.ssh.paced import PACKET_BYTES, WINDOW_BYTES, Paced, options_of
from alknet.transport.ssh.refusal import SERVICE_NOT_AVAILABLE
from alknet.transport.tcp import taken, watch
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

_CLOSING_SECONDS: Final = 2.0
# The node does not ask for it: who we are, our key says.
_USER: Final = "alknet"


class ClientConnection(Paced, asyncssh.SSHClientConnection):
    """The client's end of a connection."""


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> Link:
    """Open an SSH connection to *url* with one link, served in *nursery*. *timeout* is in seconds.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks alknet over SSH.
        Refused: the node does not hold the key that *trust* expects, or does not let us in, or we
            have no key, or expect none.
        Locked: the node has no host key now, since its vault is locked.
    """
    if trust.identity is None:
        raise Refused(f"{url} wants a key: over SSH nobody comes with a token")
    if trust.expect is None:
        raise Refused(
            f"nobody vouches for who answers at {url}: name the key that the node must hold "
            f"(`expect`, or --expect)"
        )
    visit = _Visit(url, trust, limits)
    try:
        with trio.fail_after(timeout):
            link: SshLink = await nursery.start(visit.run)
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except BaseExceptionGroup as group:
        raise first_of(group) from None
    link.format = format
    return link


async def recognise(url: str, trust: Trust, *, limits: Limits) -> None:
    """Return when the node at *url* has proven to hold the key that *trust* expects.

    Nothing is proven to it, so whether it would let us in is not known after that.

    Raises:
        Unreachable, Refused, Locked: as `dial`.
    """
    try:
        await _Visit(url, trust, limits).look()
    except BaseExceptionGroup as group:
        raise first_of(group) from None


class _Visit(asyncssh.SSHClient):
    """One connection to another node: asyncssh tells it what it learns of that."""

    def __init__(self, url: str, trust: Trust, limits: Limits) -> None:
        self._url = url
        self._address = Address.parse(url)
        self._trust = trust
        self._limits = limits
        self._settled = trio.Event()
        self._has_passed = False
        self._lost: Exception | None = None
        self._node_key: bytes | None = None
        self._shown = ""
        self._banner = ""
        self._left = trio.Event()

    async def run(
        self, *, task_status: trio.TaskStatus[SshLink] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Open the connection, and keep it until its link has been closed.

        Raises:
            Unreachable, Refused, Locked: as `dial`.
        """
        name = f"{bracket(self._address.host)}:{self._address.port}"
        async with open_engine() as engine:
            connection = self._connection(engine)
            try:
                await self._open(engine, connection)
                stream = await self._open_channel(engine, connection)
                assert self._node_key is not None
                task_status.started(SshLink(stream, name, self._node_key, self._leave))
                await self._left.wait()
            finally:
                with trio.CancelScope(shield=True):
                    await self._end(engine, connection)

    async def look(self) -> None:
        """Open the connection as far as the node proves who it is, and end it."""
        async with open_engine() as engine:
            connection = self._connection(engine)
            try:
                await self._connected(engine, connection)
            finally:
                with trio.CancelScope(shield=True):
                    await self._end(engine, connection)
        if self._node_key is None:
            raise self._why()

    async def _leave(self) -> None:
        self._left.set()

    def _connection(self, engine: Engine) -> ClientConnection:
        identity = self._trust.identity
        options = asyncssh.SSHClientConnectionOptions(
            client_factory=lambda: self,
            client_version="alknet",
            host=self._address.host,
            port=self._address.port,
            username=_USER,
            client_keys=None if identity is None else [own_pair(identity)],
            # None of these is known by itself: `validate_host_...` below is asked.
            known_hosts=([], [], []),
            server_host_key_algs=HOST_KEYS,
            agent_path=None,
            preferred_auth=["publickey"],
            **options_of(self._limits),
        )
        return ClientConnection(engine.loop, options)

    async def _open(self, engine: Engine, connection: ClientConnection) -> None:
        await self._connected(engine, connection)
        if not self._has_passed:
            raise self._why()

    async def _connected(self, engine: Engine, connection: ClientConnection) -> None:
        """Connect, and return when we were let in, or not."""
        try:
            stream = await open_stream(self._address.host, self._address.port)
        except OSError as error:
            raise Unreachable(f"cannot reach {self._url}: {in_words(error)}") from None
        sock = taken(stream)
        watch(sock, self._limits.silence_seconds)
        engine.connect(sock, connection)
        await self._settled.wait()

    async def _open_channel(self, engine: Engine, connection: ClientConnection) -> Opened:
        open_session = partial(
            connection.create_session,
            lambda: Opened(engine),
            subsystem=NODE,
            encoding=None,
            window=WINDOW_BYTES,
            max_pktsize=PACKET_BYTES,
        )
        try:
            _, stream = await engine.run(open_session())
        except (asyncssh.Error, OSError) as error:
            raise Unreachable(f"{self._url} speaks SSH, and not alknet: {error}") from None
        assert isinstance(stream, Opened)
        return stream

    async def _end(self, engine: Engine, connection: ClientConnection) -> None:
        engine.soon(connection.close)
        with trio.move_on_after(_CLOSING_SECONDS):
            await engine.run(connection.wait_closed())

    def _why(self) -> AlknetError:
        """Return what to raise for a connection that was lost before it was one."""
        lost = self._lost
        if self._shown and isinstance(lost, asyncssh.HostKeyNotVerifiable):
            return Refused(
                f"the node at {self._url} should hold the key {self._trust.expect} and shows "
                f"{self._shown}: it is another node, or has another seed"
            )
        if isinstance(lost, asyncssh.PermissionDenied):
            return Refused(self._banner or f"{self._url} does not let us in: {lost}")
        if isinstance(lost, asyncssh.DisconnectError) and lost.code == SERVICE_NOT_AVAILABLE:
            return Locked(f"{self._url} takes nobody now: {lost.reason}")
        why = "it hung up" if lost is None else in_words(lost)
        return Unreachable(f"{self._url} does not speak SSH as alknet does: {why}")

    # What asyncssh tells, in its own loop.

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc
        self._settled.set()

    def auth_completed(self) -> None:
        self._has_passed = True
        self._settled.set()

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self._banner = msg.strip()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Whether *key*, the node's own, is what is expected."""
        return self._is_expected(key)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether *key*, which has certified the node's, is what is expected: its identity."""
        return self._is_expected(key)

    def _is_expected(self, key: asyncssh.SSHKey) -> bool:
        found = shown(key.public_data)
        if not isinstance(found, bytes):
            return False
        self._shown = ssh_fingerprint(found)
        if self._shown != self._trust.expect:
            return False
        self._node_key = found
        return True
