"""MessageLink: the messages of RFC 6455 over a link that carries bytes.

The protocol itself is that of `websockets`, used as a value machine (bytes in, frames out); here it
is joined to a TCP or TLS link. Nothing runs in the background: who receives also answers pings and
farewells, as a session that always reads does.
"""

from collections import deque
from itertools import count
from typing import Final, cast

import trio
from websockets.exceptions import InvalidState
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Protocol

from alknet.errors import Disconnected
from alknet.wire.link import Format, Link

_NORMAL_CLOSURES: Final = (1000, 1001)
_CLOSING_SECONDS: Final = 2.0
# A run of frames is cut into messages of this size, far below any limit on a message.
_RUN_BYTES: Final = 1024 * 1024
# So much is parsed at a time, and what it holds is taken before the rest: what is read at once may
# hold thousands of small messages, for which others would have to wait. Where messages hold many
# frames there are fewer of them.
_PARSED_BYTES: Final = 1024
_PARSED_BYTES_FRAMED: Final = 32 * 1024


class MessageLink(Link):
    """A WebSocket over *below*, which it owns; *protocol* is this end's side of it.

    Where *framed*, the messages carry a stream of bytes; else each is one envelope, and is sent as
    text if the last one that came was.
    """

    def __init__(self, below: Link, protocol: Protocol, *, framed: bool, format: Format) -> None:
        self.framed = framed
        self.format = format
        self.peer_address = below.peer_address
        self.transport = "wss" if below.transport == "tls" else "ws"
        self.is_confidential = below.is_confidential
        self.credential = below.credential
        self._below = below
        self._protocol = protocol
        self._unparsed = memoryview(b"")
        self._frames: deque[Frame | Request | Response] = deque()
        self._parts: list[bytes] = []
        self._is_text = False
        self._sends_text = False
        self._unsent: list[bytes] = []
        self._sending = trio.Lock()
        self._pings = count()
        self._pongs: dict[bytes, trio.Event] = {}
        self._is_receiving = False
        self._is_broken = False
        self._is_closed = False
        self._over = trio.Event()

    async def first(self) -> Request | Response | None:
        """Return the peer's half of the opening handshake; None if it does not shake hands."""
        while not self._frames:
            if self._protocol.handshake_exc is not None:
                return None
            await self._read()
        opening = self._frames.popleft()
        assert not isinstance(opening, Frame)
        return opening

    # Sending.

    async def send(self, chunks: list[bytes]) -> None:
        self._put(chunks)
        await self.flush()

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        if self._sending.locked():
            return chunks
        self._put(chunks)
        # What is left lies here, encoded; an empty chunk, which is never sent, stands for it.
        return [] if self._push() else [b""]

    def _put(self, chunks: list[bytes]) -> None:
        protocol = self._protocol
        try:
            for chunk in chunks:
                if self.framed:
                    for start in range(0, len(chunk), _RUN_BYTES):
                        protocol.send_binary(chunk[start : start + _RUN_BYTES])
                elif chunk and self._sends_text:
                    protocol.send_text(chunk)
                elif chunk:
                    protocol.send_binary(chunk)
        except InvalidState:
            raise self._gone() from None

    def _push(self) -> bool:
        """Send what can be sent without waiting; return whether that was all."""
        if self._is_broken:
            raise self._gone()
        self._unsent += self._protocol.data_to_send()
        if not self._unsent:
            return True
        if self._unsent[-1]:
            self._unsent = self._below.send_nowait(self._unsent)
        return not self._unsent

    async def flush(self) -> None:
        """Send all that the protocol has to say."""
        async with self._sending:
            while not self._push():
                # `b""` at the end is the end of the stream; within, it waits in the link below.
                unsent, self._unsent = self._unsent, []
                is_end = self._protocol.eof_sent and not unsent[-1]
                # Should this be cancelled, a frame may be cut: nothing can follow it.
                self._is_broken = True
                await self._below.send(unsent[:-1] if is_end else unsent)
                self._is_broken = False
                if is_end:
                    await self._below.send_eof()

    # Receiving.

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        self._is_receiving = True
        try:
            while True:
                while self._frames:
                    message = self._take(self._frames.popleft())
                    if message is not None:
                        self._sends_text = self._is_text
                        return message
                if self._has_ended:
                    return self._end()
                await self._read()
        except Disconnected:
            self._finish()
            raise
        finally:
            self._is_receiving = False

    async def _read(self) -> None:
        data = self._unparsed or memoryview(await self._below.receive())
        if data:
            most = _PARSED_BYTES_FRAMED if self.framed else _PARSED_BYTES
            self._unparsed = data[most:]
            self._protocol.receive_data(cast("bytes", data[:most]))
        else:
            self._protocol.receive_eof()
        self._frames.extend(self._protocol.events_received())
        await self._answer()

    async def _answer(self) -> None:
        """Send what the protocol answers by itself, unless somebody who sends will do so."""
        if not self._sending.locked() and not self._push():
            await self.flush()

    def _take(self, frame: Frame | Request | Response) -> bytes | None:
        """Return the message that *frame* completes, if it does."""
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.PONG:
            pong = self._pongs.get(bytes(frame.data))
            if pong is not None:
                pong.set()
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        if self._is_text:
            try:
                message.decode()
            except UnicodeDecodeError as error:
                self._fail(CloseCode.INVALID_DATA, f"no UTF-8: {error.reason}")
                return None
        if not message:
            self._fail(CloseCode.UNSUPPORTED_DATA, "an empty message is no envelope")
            return None
        return message

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._frames.clear()
        self._protocol.fail(code, reason)

    @property
    def _has_ended(self) -> bool:
        protocol = self._protocol
        return protocol.close_rcvd is not None or protocol.state is not OPEN

    def _end(self) -> bytes:
        close = self._protocol.close_rcvd
        self._finish()
        if close is not None and close.code in _NORMAL_CLOSURES and self._failure is None:
            return b""
        raise self._gone()

    def _finish(self) -> None:
        self._over.set()
        for pong in self._pongs.values():
            pong.set()

    # Ends.

    async def ping(self) -> None:
        payload = next(self._pings).to_bytes(8, "big")
        pong = self._pongs[payload] = trio.Event()
        try:
            self._protocol.send_ping(payload)
            await self.flush()
            await pong.wait()
        except InvalidState:
            raise self._gone() from None
        finally:
            del self._pongs[payload]
        if self._over.is_set():
            raise self._gone()

    async def aclose(self, reason: str = "") -> None:
        if not self._is_closed:
            self._is_closed = True
            with trio.move_on_after(_CLOSING_SECONDS):
                try:
                    if self._protocol.state is OPEN:
                        # RFC 6455, section 5.5: 123 bytes of reason at most.
                        short = reason.encode()[:123].decode(errors="ignore")
                        self._protocol.send_close(CloseCode.NORMAL_CLOSURE, short)
                    await self.flush()
                    await self._part()
                except Disconnected:
                    pass
        self._finish()
        await self._below.aclose()

    async def _part(self) -> None:
        """Wait until the peer has answered our farewell, or hung up.

        To close while bytes of the peer's lie unread would reset the connection, and our farewell,
        which says why, might be lost with it.
        """
        if self._is_receiving:
            await self._over.wait()
            return
        while self._protocol.close_rcvd is None:
            data = await self._below.receive()
            if not data:
                return
            self._protocol.receive_data(data)
            self._protocol.events_received()

    @property
    def _failure(self) -> Close | None:
        """What this end has found wrong, if that was what ended the connection."""
        sent = self._protocol.close_sent
        failed = sent is not None and sent.code not in _NORMAL_CLOSURES
        return sent if failed and self._protocol.close_rcvd is not sent else None

    def _gone(self) -> Disconnected:
        close = self._failure or self._protocol.close_rcvd
        if close is not None:
            why = f"{close.code} {close.reason}".rstrip()
        else:
            why = "it was closed" if self._is_closed else "it was cut"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")
