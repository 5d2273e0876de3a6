"""Channels that a node is asked for: one to a subsystem of its own, one to somewhere else."""

from collections.abc import Callable
from typing import Final

import asyncssh

from alknet.transport.ssh.engine import Engine
from alknet.transport.ssh.plain import Plain
from alknet.transport.ssh.stream import ChannelStream

# Calls as JSON, with nothing to agree on first, and calls after the handshake of nodes.
PLAIN: Final = "alknet"
NODE: Final = "alknet-node"

Begin = Callable[["Subsystem", str], str | None]


class Subsystem(ChannelStream, asyncssh.SSHServerSession[bytes]):
    """A channel for a subsystem; *begin* is given its name, and answers why there is none of it.

    *ended* is called when the channel is no more.
    """

    def __init__(self, engine: Engine, begin: Begin, ended: Callable[[], None]) -> None:
        super().__init__(engine)
        self._begin = begin
        self._ended = ended
        self._name = ""

    def subsystem_requested(self, subsystem: str) -> bool:
        self._name = f"subsystem {subsystem!r}" if subsystem not in (PLAIN, NODE) else subsystem
        return True

    def exec_requested(self, command: str) -> bool:
        self._name = "commands"
        return True

    def shell_requested(self) -> bool:
        self._name = "shell"
        return True

    def session_started(self) -> None:
        """Begin, or say on stderr why not: the protocol has no words for that."""
        refusal = self._begin(self, self._name)
        if refusal is not None:
            self._channel.write_stderr(f"alknet: {refusal}\r\n".encode())
            self._channel.exit(1)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._ended()

    def _farewell(self) -> None:
        # Without a status OpenSSH takes the channel for broken, and returns 255.
        self._channel.write_eof()
        self._channel.exit(0)


class Forwarded(ChannelStream, asyncssh.SSHTCPSession[bytes]):
    """A channel that is joined to a connection of the node's; *ended* as above."""

    def __init__(self, engine: Engine, ended: Callable[[], None]) -> None:
        super().__init__(engine)
        self._ended = ended
        self.plain = Plain(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._ended()


class Opened(ChannelStream, asyncssh.SSHClientSession[bytes]):
    """A channel that this end has asked for."""
