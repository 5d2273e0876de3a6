"""Link: what a transport hands over, whatever road it came by."""

from abc import ABC, abstractmethod
from typing import Literal

from alknet.errors import LocalProtocolError
from alknet.protocol.auth import Granted
from alknet.wire.credential import Certified

Format = Literal["json", "msgpack"]


class Link(ABC):
    """A connection that carries envelopes both ways, in order.

    `framed` links carry a byte stream, in which each envelope has a length in front; the others
    keep message boundaries themselves and carry one envelope a message. `format` is how envelopes
    are written, as was agreed when the link was opened. `is_confidential` says that
    nobody can listen: the link is encrypted or never leaves the machine. `answers_pings` says that
    the peer has agreed to answer `link.ping`. `credential` is what the peer has brought before the
    first envelope: the public key that the link proves it to hold, alone or with an SSH
    certificate, or what its token, or that key, was found to grant.
    `transport` is the road as the forwarding policy names it: what a link leaves unsaid matches no
    rule that names some.
    One task may send and one receive at the same time.
    """

    transport: str = ""
    framed: bool = False
    format: Format = "json"
    is_confidential: bool
    answers_pings: bool = False
    peer_address: str
    credential: bytes | Certified | Granted | None = None
    unread: bytes = b""

    @property
    def is_behind(self) -> bool:
        """Whether more has been received than was taken, so that `receive` need not wait."""
        return False

    def take_unread(self) -> bytes:
        """Return, once, what was received beyond the handshake."""
        data, self.unread = self.unread, b""
        return data

    @abstractmethod
    async def send(self, chunks: list[bytes]) -> None:
        """Send *chunks* in order, waiting while the peer does not read.

        Cancelling may leave a part sent: close the link after that.

        Raises:
            Disconnected: the link is gone.
        """

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        """Send what can be sent without waiting; return the rest, which must be sent next.

        Not to be called while a `send` is under way.

        Raises:
            Disconnected: the link is gone.
        """
        return chunks

    def open_lane(self) -> "Link | None":
        """Return a further way to the peer, on which to send; None if the link has but the one.

        What is sent on it keeps its own order and no other, and what is lost or large there holds
        up nothing else; the peer receives it with the rest. `send_eof` ends it.

        Raises:
            Disconnected: the link is gone.
        """
        return None

    @abstractmethod
    async def receive(self) -> bytes:
        """Return the next bytes or message; `b""` when the peer has closed in good order.

        Cancelling loses nothing.

        Raises:
            Disconnected: the link was cut; also by this end, if the peer has sent a message above
                the limit.
        """

    async def ping(self) -> None:
        """Return when the far end has shown, by the transport's own means, that it is there.

        A transport without such means returns at once; its `receive` says when the far end is gone.

        Raises:
            Disconnected: the link is gone.
        """
        return

    async def send_eof(self) -> None:
        """Say that nothing will follow; the peer sees the end, and may still be received from.

        Raises:
            LocalProtocolError: the transport has no half-close, as a WebSocket has none.
            Disconnected: the link is gone.
        """
        raise LocalProtocolError(f"a link by {type(self).__name__} closes both ways or not at all")

    @abstractmethod
    async def aclose(self, reason: str = "") -> None:
        """Close; safe to call twice and while others send or receive, who see Disconnected."""
