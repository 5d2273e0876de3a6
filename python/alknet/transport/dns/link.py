"""The link: TLS 1.3 over the stream of a session, so that no resolver on the way can read it."""

from typing import Final

import trio

from alknet._core.tls import Session
from alknet.errors import AlknetError, Disconnected, RemoteProtocolError
from alknet.transport.dns.stream import Stream
from alknet.wire.link import Link

# A record is of use when all of it has come, which takes a while: small ones.
_RECORD_BYTES: Final = 4096
# So long an end that closes waits for the other to take what was said last.
_LINGER_SECONDS: Final = 1.5


class DnsLink(Link):
    """A link whose frames travel in queries and answers."""

    transport = "dns"
    framed = True
    is_confidential = True

    def __init__(self, stream: Stream, session: Session) -> None:
        self._stream = stream
        self._session = session
        self._unread = b""
        self._is_closed = False
        self.peer_address = stream.address

    async def do_handshake(self) -> None:
        """Agree on keys with the peer.

        Raises:
            Refused, Locked, RemoteProtocolError: as `Session.feed`.
            Disconnected: the session is over.
        """
        while True:
            self._stream.write(self._session.take())
            if not self._session.is_handshaking:
                self.credential = self._session.peer_key
                return
            self._unread += self._feed(await self._stream.receive())

    def _feed(self, data: bytes) -> bytes:
        try:
            return self._session.feed(data)
        except AlknetError:
            # The peer should learn why.
            self._stream.write(self._session.take())
            raise

    async def send(self, chunks: list[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        while chunks := self.send_nowait(chunks):
            await self._stream.has_space()

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        self._check()
        for index, chunk in enumerate(chunks):
            for start in range(0, len(chunk), _RECORD_BYTES):
                if not self._stream.outgoing.has_space:
                    return [chunk[start:], *chunks[index + 1 :]]
                self._stream.write(self._session.write(chunk[start : start + _RECORD_BYTES]))
        return []

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            while not self._unread:
                if self._is_closed:
                    self._check()
                if self._session.has_ended:
                    await trio.lowlevel.checkpoint()
                    return b""
                self._unread = self._feed(await self._stream.receive())
        except RemoteProtocolError as error:
            raise Disconnected(f"the link to {self.peer_address} is gone: {error}") from None
        data, self._unread = self._unread, b""
        return data

    async def send_eof(self) -> None:
        await self._stream.has_space()
        self._stream.write(self._session.finish())

    async def aclose(self, reason: str = "") -> None:
        if self._is_closed:
            await trio.lowlevel.checkpoint()
            return
        self._is_closed = True
        self._stream.moved()
        if self._stream.ended is None:
            self._stream.write(self._session.finish())
        with trio.CancelScope(shield=True), trio.move_on_after(_LINGER_SECONDS):
            await self._stream.flushed()
        self._stream.end(reason or "it was closed")

    def _check(self) -> None:
        if self._is_closed:
            raise Disconnected(f"the link to {self.peer_address} is gone: it was closed")
        self._stream.check()
