"""Driver: the one task of a UDP socket, and all the QUIC connections behind it.

What arrives is fed to the endpoint many datagrams at a time, and those who wait for it are woken.
Whoever says something has it sent at once, in their own task, and with it the acknowledgements of
what has arrived; if nobody says anything, these are sent a moment later. Nothing here waits for
anything but the socket and the next timer.
"""

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio
from trio.lowlevel import wait_readable, wait_writable

from alknet._core.quic import Endpoint
from alknet._core.tls import Server
from alknet.errors import Disconnected
from alknet.transport.address import bracket, in_words
from alknet.transport.quic.connection import Connection
from alknet.transport.trust import Trust
from alknet.transport.udp import Packet, SocketAddress, UdpSocket
from alknet.wire.limits import Limits

log = structlog.get_logger("alknet.transport")

PROTOCOL: Final = b"alknet/call"
# So much is taken from a busy socket before what is to be sent is sent, and others get their turn.
_BATCH: Final = 32
# After so little the acknowledgements wait for an answer to travel with, for so long.
_FEW_BYTES: Final = 4096
_ANSWER_SECONDS: Final = 0.001
# When the far end's kernel has said so often in a row that nobody is there any more, nobody is.
_REFUSALS: Final = 3
# Nothing is read for so long when the machine fails to.
_PAUSE_SECONDS: Final = 0.1
# How long connections may take to end when the driver is cancelled.
_ENDING_SECONDS: Final = 2.0

# Takes the number and the address of somebody who wants to be let in.
Knocked = Callable[[int, SocketAddress], None]


class Driver:
    """Moves datagrams between *socket*, which it owns, and the endpoint behind it.

    *knocked* is told of those who want to be let in; without it nobody is.
    """

    def __init__(self, socket: UdpSocket, limits: Limits, knocked: Knocked | None = None) -> None:
        self.endpoint = Endpoint(
            trio.current_time(),
            protocols=[PROTOCOL],
            silence=limits.silence_seconds,
            listens=knocked is not None,
        )
        self.connections: dict[int, Connection] = {}
        self._socket = socket
        self._knocked = knocked
        self._unsent: deque[Packet] = deque()
        self._next = math.inf
        self._timer = trio.CancelScope()

    def dial(self, address: SocketAddress, name: str, trust: Trust) -> Connection:
        """Begin a connection to the host called *name*, at *address*.

        Raises:
            SettingsError: it cannot be dialled.
        """
        number = self.endpoint.connect(
            trio.current_time(), address, name, trust.own, trust.expect, trust.roots
        )
        return self._joined(number, address)

    def accept(self, number: int, address: SocketAddress, server: Server) -> Connection:
        """Go on with who knocks as *number*, showing what *server* shows.

        Raises:
            Disconnected: what came from there is none of QUIC's.
        """
        try:
            self.endpoint.accept(trio.current_time(), number, server)
        finally:
            self.flush()
        return self._joined(number, address)

    def refuse(self, number: int) -> None:
        """Send who knocks as *number* away, if he still does."""
        self.endpoint.refuse(number)
        self.flush()

    def _joined(self, number: int, address: SocketAddress) -> Connection:
        connection = Connection(
            self.endpoint,
            number,
            name_of(address),
            flush=self.flush,
            close=partial(self._close, number),
        )
        self.connections[number] = connection
        self.flush()
        return connection

    def _close(self, number: int, code: int, reason: str) -> None:
        del self.connections[number]
        self.endpoint.close(trio.current_time(), number, code, reason)
        self.flush()
        self.endpoint.release(number)
        if not self._is_wanted:
            self._stir()

    def close_door(self) -> None:
        """Let nobody in any more; `run` returns when the last connection has ended."""
        self._knocked = None
        self._stir()

    @property
    def _is_wanted(self) -> bool:
        return self._knocked is not None or bool(self.connections)

    def _stir(self) -> None:
        """Have the task look again."""
        self._timer.deadline = -math.inf

    # The task.

    async def run(self) -> None:
        """Drive the socket while somebody may come or a connection is open, then close it.

        When it is cancelled, those who are connected get a little time to end in good order.
        """
        try:
            await self._drive()
        finally:
            self._knocked = None
            deadline = trio.current_time() + _ENDING_SECONDS
            with trio.CancelScope(shield=True, deadline=deadline):
                await self._drive()
            for connection in list(self.connections.values()):
                connection.abort(0, "the node is stopping")
            self._socket.close()

    async def _drive(self) -> None:
        while self._is_wanted:
            with trio.CancelScope(deadline=self._next) as self._timer:
                try:
                    while self._is_wanted:
                        await self._turn()
                except OSError as error:
                    # Of the machine, which may get over it; the connections see to what was lost.
                    log.error("datagrams not received", why=in_words(error))
                    await trio.sleep(_PAUSE_SECONDS)
            if self._timer.cancelled_caught:
                self._hear()
                self.flush()

    async def _turn(self) -> None:
        if self._unsent:
            await wait_writable(self._socket.raw)
        else:
            await wait_readable(self._socket.raw)
            endpoint, socket, now = self.endpoint, self._socket, trio.current_time()
            taken = 0
            for _ in range(_BATCH):
                received = socket.receive()
                if received is None:
                    break
                endpoint.feed(now, *received)
                taken += len(received[0])
            self._hear()
            if taken <= _FEW_BYTES:
                self._wake_by(now + _ANSWER_SECONDS)
                return
        self.flush()

    def _hear(self) -> None:
        """Hand on what has happened."""
        if self._socket.refusals >= (_REFUSALS if self._socket.has_heard else 1):
            self._lose_all("connection refused")
        for what, number, detail in self.endpoint.poll(trio.current_time()):
            connection = self.connections.get(number)
            if connection is not None:
                connection.happened(what, detail)
            elif what == "knocked":
                if self._knocked is None:
                    self.endpoint.refuse(number)
                else:
                    self._knocked(number, detail)

    def _lose_all(self, why: str) -> None:
        for connection in self.connections.values():
            connection.lose(Disconnected(why))

    def flush(self) -> None:
        """Send what must be sent, as far as the socket takes it."""
        socket, unsent = self._socket, self._unsent
        while unsent:
            if not socket.send(unsent[0]):
                return
            unsent.popleft()
        packets, due = self.endpoint.flush(trio.current_time(), socket.segments)
        for index, packet in enumerate(packets):
            if not socket.send(packet):
                unsent.extend(packets[index:])
                self._stir()
                break
        self._next = math.inf if due is None else due
        self._wake_by(self._next)

    def _wake_by(self, when: float) -> None:
        # It is not put off: that costs more each time than to wake once too early.
        if when < self._timer.deadline:
            self._timer.deadline = when


def name_of(address: SocketAddress) -> str:
    """Return *address* as `host:port`."""
    return f"{bracket(address[0])}:{address[1]}"
