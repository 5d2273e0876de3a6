"""Visitor: one connection as the node has it, from the first byte to the last channel."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import asyncssh
import structlog
import trio
from asyncssh.constants import (
    DISC_BY_APPLICATION,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_CONNECT_FAILED,
    OPEN_RESOURCE_SHORTAGE,
)

from alknet.errors import (
    AlknetError,
    Forbidden,
    Locked,
    RateLimited,
    Refused,
    RemoteProtocolError,
    traced,
)
from alknet.keys import Ed25519Key
from alknet.protocol.auth import Denied, Granted
from alknet.transport.gate import Gate
from alknet.transport.guard import guarded, turned_away
from alknet.transport.listener import Serve
from alknet.transport.splice import splice
from alknet.transport.ssh.channels import NODE, PLAIN, Forwarded, Subsystem
from alknet.transport.ssh.engine import Engine
from alknet.transport.ssh.keys import host_pairs
from alknet.transport.ssh.link import SshLink
from alknet.transport.ssh.paced import PACKET_BYTES, WINDOW_BYTES, options_of
from alknet.transport.ssh.proof import ServerConnection
from alknet.transport.ssh.refusal import turn_away
from alknet.transport.ssh.stream import ChannelStream
from alknet.transport.tcp import watch
from alknet.wire.credential import Certified
from alknet.wire.limits import Limits

log = structlog.get_logger("alknet.transport")

# Each may hold its window, so this bounds what one connection costs. OpenSSH's own limit is 10
# sessions; forwards of a browser come by the dozen.
MOST_CHANNELS: Final = 64
_CLOSING_SECONDS: Final = 2.0
# Whoever serves a channel sees that it is gone; a handler that looks at it never, does not.
_LEAVING_SECONDS: Final = 10.0


class Visitor(asyncssh.SSHServer):
    """Whoever is at the other end of one connection: asyncssh asks it what they may do.

    `name` is where they come from; `credential` is what they have proven, and `granted` what that
    grants them, None where nobody has been asked.
    """

    def __init__(self, engine: Engine, name: str, gate: Gate, limits: Limits) -> None:
        self.name = name
        self.credential: bytes | Certified | None = None
        self.granted: Granted | None = None
        self._engine = engine
        self._gate = gate
        self._limits = limits
        self._connection: ServerConnection | None = None
        self._settled = trio.Event()
        self._has_passed = False
        self._refused: list[str] = []
        self._lost: Exception | None = None
        self._gone = trio.Event()
        self._open_channels = 0
        self._tasks, self._arrived = trio.open_memory_channel[Callable[[], Awaitable[None]]](
            MOST_CHANNELS
        )

    @classmethod
    async def of(
        cls,
        engine: Engine,
        connection: socket.socket,
        name: str,
        gate: Gate,
        limits: Limits,
    ) -> "Visitor":
        """Return who has come by *connection*, once they have proven a key that is let in.

        Raises:
            Refused: they have proven none.
            Locked: the node has no host key.
            RemoteProtocolError: they do not speak SSH, or not as we do.
        """
        watch(connection, limits.silence_seconds)
        keys = gate.host_keys()
        if keys is None:
            await turn_away(connection, "the vault of this node is locked")
            raise Locked("nobody can come over SSH: the vault is locked, so there is no host key")
        self = cls(engine, name, gate, limits)
        with ExitStack() as failing:
            failing.callback(connection.close)
            made = self._connection = ServerConnection(
                engine.loop, self._options(*keys), self.is_let_in
            )
            failing.pop_all()
            engine.connect(connection, made)
        try:
            await self._settled.wait()
            if not self._has_passed:
                raise self._why()
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.aclose()
            raise
        return self

    def _options(
        self, host_key: Ed25519Key, identity: Ed25519Key
    ) -> asyncssh.SSHServerConnectionOptions:
        return asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: self,
            server_host_keys=host_pairs(host_key, identity),
            server_version="alknet",
            encoding=None,
            line_editor=False,
            allow_pty=False,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            window=WINDOW_BYTES,
            max_pktsize=PACKET_BYTES,
            **options_of(self._limits),
        )

    def _why(self) -> AlknetError:
        if self._refused:
            # Once for a connection: who has several keys may try them all.
            why = "; ".join(self._refused)
            turned_away(self.name, why)
            return Refused(why)
        lost = "they left" if self._lost is None else str(self._lost)
        return RemoteProtocolError(f"{self.name} has proven no key to SSH: {lost}")

    async def serve(self, serve: Serve) -> None:
        """Run what they ask for, until they leave or their right to be here ends."""

        async def run() -> None:
            async with trio.open_nursery() as nursery, self._arrived:
                async for task in self._arrived:
                    nursery.start_soon(self._guarded, task)
                nursery.cancel_scope.deadline = trio.current_time() + _LEAVING_SECONDS

        self._serve = serve
        await self._gate.hold(self.granted, self.name, run)

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        async with guarded(self.name):
            await task()

    async def aclose(self) -> None:
        """End the connection; safe to call twice."""
        connection = self._connection
        self._tasks.close()
        if connection is not None and not self._gone.is_set():
            self._engine.now(connection.disconnect, DISC_BY_APPLICATION, "the node ends this")
            with trio.move_on_after(_CLOSING_SECONDS):
                await self._engine.run(connection.wait_closed())

    async def is_let_in(self, credential: bytes | Certified) -> bool:
        """Whether who has proven *credential* is let in; if not, they are told why.

        Runs in the loop of asyncio.
        """
        try:
            verdict = await self._engine.trio(self._gate.judge, credential, self.name)
        except AlknetError as error:
            verdict = Denied(str(error))
        except Exception as error:  # asyncssh would end the connection without a word
            log.error("connection failed", remote=self.name, cause=traced(error))
            verdict = Denied("this node cannot tell now who you are; its log says why")
        if isinstance(verdict, Denied):
            self._refused.append(verdict.reason)
            if self._connection is not None:
                self._connection.send_auth_banner(f"alknet: {verdict.reason}\r\n")
            return False
        self.credential, self.granted = credential, verdict
        return True

    # What asyncssh asks, in its own loop.

    def begin_auth(self, username: str) -> bool:
        return True  # no name is let in without a key

    def public_key_auth_supported(self) -> bool:
        return True

    def auth_completed(self) -> None:
        self._has_passed = True
        self._settled.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc
        self._settled.set()
        self._gone.set()
        self._tasks.close()

    def session_requested(self) -> Subsystem:
        self._count()
        return Subsystem(self._engine, self._begin, self.channel_ended)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        self._count()
        opened: asyncio.Future[ChannelStream] = self._engine.loop.create_future()
        self._tasks.send_nowait(partial(self._forward, dest_host, dest_port, opened))
        return _result(opened)

    def unix_connection_requested(self, dest_path: str) -> bool:
        raise _prohibited("this node forwards to hosts and ports, and to no sockets in files")

    def tun_requested(self, unit: int | None) -> bool:
        raise _prohibited("this node makes no tunnels of packets")

    def tap_requested(self, unit: int | None) -> bool:
        raise _prohibited("this node makes no tunnels of packets")

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return self._say_no(
            f"this node listens for nobody (-R {listen_host}:{listen_port}): dial it from there, "
            f"and let it forward (-L)"
        )

    def unix_server_requested(self, listen_path: str) -> bool:
        return self._say_no("this node listens for nobody (-R)")

    def _say_no(self, sentence: str) -> bool:
        """Refuse what has no answer with words in it, in words."""
        log.warning("ssh request refused", remote=self.name, peer=self._peer, why=sentence)
        if self._connection is not None:
            self._connection.send_debug(sentence, always_display=True)
        return False

    def _count(self) -> None:
        if self._open_channels >= MOST_CHANNELS:
            raise asyncssh.ChannelOpenError(
                OPEN_RESOURCE_SHORTAGE,
                f"this connection has {MOST_CHANNELS} channels open, the most that it may",
            )
        self._open_channels += 1

    def channel_ended(self) -> None:
        self._open_channels -= 1

    @property
    def _peer(self) -> str | None:
        return None if self.granted is None else self.granted.identity.id

    def _begin(self, stream: Subsystem, name: str) -> str | None:
        """Have the subsystem *name* served over *stream*, or say why it is not."""
        if name not in (PLAIN, NODE):
            sentence = (
                f"this node runs no {name}: it answers calls, as `ssh -s HOST {PLAIN}`, and "
                f"forwards connections"
            )
            log.warning("ssh request refused", remote=self.name, peer=self._peer, why=sentence)
            return sentence
        brought = self.granted if name == PLAIN else self.credential
        if brought is None:
            return f"this node does not know you yet: ask for {NODE}, and shake hands"
        link = SshLink(stream, self.name, brought)
        self._tasks.send_nowait(partial(self._answer, link))
        return None

    async def _answer(self, link: SshLink) -> None:
        try:
            await self._serve(link)
        finally:
            with trio.CancelScope(shield=True):
                await link.aclose()

    async def _forward(self, host: str, port: int, opened: "asyncio.Future[ChannelStream]") -> None:
        """Connect to *host* at *port*, say so or why not to *opened*, and copy both ways."""
        identity = None if self.granted is None else self.granted.identity
        stream = Forwarded(self._engine, self.channel_ended)
        try:
            async with self._gate.forward(
                host, port, identity=identity, transport="ssh", remote=self.name
            ) as target:
                opened.set_result(stream)
                await _either(stream.attached, self._gone)
                try:
                    if stream.attached.is_set():
                        await splice(stream.plain, target)
                finally:
                    with trio.CancelScope(shield=True):
                        await stream.aclose()
        except AlknetError as error:
            if opened.done():
                raise
            opened.set_exception(_no_way(error))
            self.channel_ended()
        except BaseException:
            if not opened.done():
                opened.set_exception(_prohibited("this node is ending the connection"))
                self.channel_ended()
            raise


async def _either(*events: trio.Event) -> None:
    """Return when one of *events* is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for each in events:
            nursery.start_soon(wait, each)


async def _result(opened: "asyncio.Future[ChannelStream]") -> ChannelStream:
    return await opened


def _prohibited(sentence: str) -> asyncssh.ChannelOpenError:
    return asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, sentence)


def _no_way(error: AlknetError) -> asyncssh.ChannelOpenError:
    if isinstance(error, Forbidden | RateLimited):
        return _prohibited(str(error))
    return asyncssh.ChannelOpenError(OPEN_CONNECT_FAILED, str(error))
