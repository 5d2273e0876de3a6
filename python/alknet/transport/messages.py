"""MessageLink: the messages of RFC 6455 over a link that carries bytes.

The frames are those of `rust/core/src/websocket`, a value machine (bytes in, messages out); here it
is joined to a TCP or TLS link. Nothing runs in the background: who receives also answers pings and
farewells, as a session that always reads does.
"""

from collections.abc import Iterator
from itertools import count
from typing import Final

import trio

from alknet._core.websocket import Connection, Pong
from alknet.errors import Disconnected
from alknet.turnstile import turnstile
from alknet.wire.link import Format, Link

_NORMAL_CLOSURE: Final = 1000
_NORMAL_CLOSURES: Final = (_NORMAL_CLOSURE, 1001)
_UNSUPPORTED_DATA: Final = 1003
_CLOSING_SECONDS: Final = 2.0
# A run of frames is cut into messages of this size, far below any limit on a message.
_RUN_BYTES: Final = 64 * 1024
# What is larger is sent, and received, so much at a time, and others go on in between.
_LARGE_BYTES: Final = 256 * 1024
# So many frames that are no messages, pings or fragments, are worked off before others get a turn.
_IDLE_FRAMES: Final = 16


class MessageLink(Link):
    """A WebSocket over *below*, which it owns; *connection* is this end's side of it.

    Where *framed*, the messages carry a stream of bytes; else each is one envelope, and is sent as
    text if the last one that came was.
    """

    def __init__(
        self, below: Link, connection: Connection, *, framed: bool, format: Format
    ) -> None:
        self.framed = framed
        self.format = format
        self.peer_address = below.peer_address
        self.transport = "wss" if below.transport == "tls" else "ws"
        self.is_confidential = below.is_confidential
        self.credential = below.credential
        self._below = below
        self._connection = connection
        self._sends_text = False
        self._unsent: list[bytes] = []
        self._sending = trio.Lock()
        self._pings = count()
        self._pongs: dict[bytes, trio.Event] = {}
        self._is_receiving = False
        self._is_broken = False
        self._is_closed = False
        self._over = trio.Event()

    # Sending.

    async def send(self, chunks: list[bytes]) -> None:
        for run in self._runs(chunks):
            self._put(run)
            await self._flush()

    def _runs(self, chunks: list[bytes]) -> Iterator[list[bytes]]:
        """Yield *chunks* in pieces that are not too large, if they are a stream of bytes."""
        if not self.framed:
            yield chunks
            return
        for chunk in chunks:
            for start in range(0, len(chunk), _LARGE_BYTES):
                yield [chunk[start : start + _LARGE_BYTES]]

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        if self._sending.locked():
            return chunks
        self._put(chunks)
        # What is left lies here, encoded; an empty chunk, which is never sent, stands for it.
        return [] if self._push() else [b""]

    def _put(self, chunks: list[bytes]) -> None:
        connection = self._connection
        if not connection.is_open:
            raise self._gone()
        self._gather()
        if self.framed:
            self._unsent += connection.write(chunks, most_bytes=_RUN_BYTES)
        else:
            self._unsent += connection.write(chunks, is_text=self._sends_text)

    def _push(self) -> bool:
        """Send what can be sent without waiting; return whether that was all."""
        if self._is_broken:
            raise self._gone()
        self._gather()
        if self._unsent:
            self._unsent = self._below.send_nowait(self._unsent)
        return not self._unsent

    def _gather(self) -> None:
        """Put what the connection has to say by itself behind what is unsent."""
        answers = self._connection.take()
        if answers:
            self._unsent.append(answers)

    async def _flush(self) -> None:
        """Send all that there is to say."""
        if not self._sending.locked() and self._push():
            return
        async with self._sending:
            while not self._push():
                unsent, self._unsent = self._unsent, []
                # Should this be cancelled, a frame may be cut: nothing can follow it.
                self._is_broken = True
                await self._below.send(unsent)
                self._is_broken = False

    # Receiving.

    @property
    def is_behind(self) -> bool:
        return self._connection.is_behind

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        self._is_receiving = True
        try:
            return await self._next()
        except Disconnected:
            self._finish()
            raise
        finally:
            self._is_receiving = False

    async def _next(self) -> bytes:
        connection, idle = self._connection, 0
        while True:
            step = connection.step()
            if isinstance(step, bytes):
                if step:
                    self._sends_text = connection.is_text
                    return step
                connection.close(_UNSUPPORTED_DATA, "an empty message is no envelope")
            elif step:
                if isinstance(step, Pong) and (pong := self._pongs.get(step.payload)) is not None:
                    pong.set()
                idle += 1
                if idle % _IDLE_FRAMES == 0:
                    await self._answer()
                    await turnstile().step()
                continue
            await self._answer()
            if not connection.is_open:
                return self._end()
            data = await self._below.receive()
            if not data:
                raise self._gone()
            if connection.buffered > _LARGE_BYTES:
                await turnstile().step()
            connection.feed(data)

    async def _answer(self) -> None:
        """Send what is answered without being asked, unless somebody who sends will do so."""
        if not self._sending.locked():
            await self._flush()

    def _end(self) -> bytes:
        close = self._connection.received_close
        self._finish()
        if close is not None and close[0] in _NORMAL_CLOSURES:
            return b""
        raise self._gone()

    def _finish(self) -> None:
        self._over.set()
        for pong in self._pongs.values():
            pong.set()

    # Ends.

    async def ping(self) -> None:
        payload = next(self._pings).to_bytes(8, "big")
        if not self._connection.is_open:
            raise self._gone()
        pong = self._pongs[payload] = trio.Event()
        try:
            self._connection.ping(payload)
            await self._flush()
            await pong.wait()
        finally:
            del self._pongs[payload]
        if self._over.is_set():
            raise self._gone()

    async def aclose(self, reason: str = "") -> None:
        if not self._is_closed:
            self._is_closed = True
            with trio.move_on_after(_CLOSING_SECONDS):
                try:
                    self._connection.close(_NORMAL_CLOSURE, reason)
                    await self._flush()
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
        connection = self._connection
        if connection.received_close is not None:
            return
        if self._failure is not None:
            # Who has broken the protocol need not keep to the rest of it.
            await self._below.send_eof()
        if self._is_receiving:
            await self._over.wait()
            return
        while connection.received_close is None:
            if connection.step() is False:
                data = await self._below.receive()
                if not data:
                    return
                await turnstile().step()
                connection.feed(data)

    @property
    def _failure(self) -> tuple[int | None, str] | None:
        """What this end has found wrong, if that was what ended the connection."""
        sent = self._connection.sent_close
        failed = sent is not None and sent[0] is not None and sent[0] not in _NORMAL_CLOSURES
        return sent if failed and self._connection.received_close is None else None

    def _gone(self) -> Disconnected:
        close = self._failure or self._connection.received_close
        if close is not None:
            code, reason = close
            why = f"{code or 1005} {reason}".rstrip()
        else:
            why = "it was closed" if self._is_closed else "it was cut"
        return Disconnected(f"the link to {self.peer_address} is gone: {why}")
