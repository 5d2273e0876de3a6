"""Links that go wrong on purpose, the same way each time.

A fault keeps the promises that a real link keeps. What arrives is whole and in order; what is lost
is lost from some point on, in silence or with the link. A reset in the middle of a frame is a cut
after so many bytes of a framed link.
"""

import random
from typing import Final, Literal

import msgspec
import trio

from alknet.testing.wrapped import WrappedLink
from alknet.wire.link import Link

_LENGTH_BYTES: Final = 4
_LARGEST_PIECE: Final = 8192


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one direction of a link; the default is nothing.

    When `after_bytes` or `after_messages` (frames, on a framed link) have passed, the link is
    `then` cut, and both ends see Disconnected, or silent: nothing passes any more, either way, and
    nobody is told. The handshake counts. A message that would pass the mark is not begun.

    A slow reader, or writer, rests `pause` seconds after each piece. With `in_pieces`, the bytes of
    a framed link are cut and glued anew at places that nobody chose.
    """

    after_bytes: int | None = None
    after_messages: int | None = None
    then: Literal["cut", "silent"] = "cut"
    pause: float = 0.0
    in_pieces: bool = False


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with a link: with what its near end sends, and with what it receives.

    Everything takes `delay` seconds, and up to `jitter` more, to arrive.
    """

    sending: Fault = Fault()
    receiving: Fault = Fault()
    delay: float = 0.0
    jitter: float = 0.0


class FaultyLink(WrappedLink):
    """The near end of *link*, with faults; what chance decides follows from *seed*.

    `cut` and `silence` do at any moment what a fault does at its own.
    """

    def __init__(
        self,
        link: Link,
        *,
        sending: Fault = Fault(),  # noqa: B008 - it is frozen
        receiving: Fault = Fault(),  # noqa: B008
        seed: int | str = 0,
    ) -> None:
        super().__init__(link)
        self._out = _Way(sending, f"{seed} out", framed=link.framed)
        self._in = _Way(receiving, f"{seed} in", framed=link.framed)
        self._is_silent = False

    def silence(self) -> None:
        """Let nothing pass any more, either way, and tell nobody."""
        self._is_silent = True

    async def send(self, chunks: list[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self.check()
        self._out.take(chunks)
        while not self._is_silent and (piece := self._out.next()):
            await self.unless_over(self._link.send, [piece])
            self._judge(self._out)
            await trio.sleep(self._out.fault.pause)
        self._judge(self._out)

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        while True:
            self.check()
            if self._is_silent:
                await self.unless_over(trio.sleep_forever)
            if piece := self._in.next():
                self._judge(self._in)
                return piece
            self._judge(self._in)
            await self.unless_over(trio.sleep, self._in.fault.pause)
            data = await self.unless_over(self._link.receive)
            if not data:
                return data
            self._in.take([data])

    def _judge(self, way: "_Way") -> None:
        """Do what the fault says if *way* has passed all that it shall."""
        if way.is_spent and not (self.is_over or self._is_silent):
            if way.fault.then == "cut":
                self.cut()
            else:
                self.silence()


class _Way:
    """One direction: what waits to pass, and how much has."""

    def __init__(self, fault: Fault, seed: str, *, framed: bool) -> None:
        self.fault = fault
        self.is_spent = False
        self._random = random.Random(seed)  # noqa: S311 - to vary faults, not to keep a secret
        self._frames = _Frames() if framed else None
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._messages = 0

    def take(self, chunks: list[bytes]) -> None:
        self._waiting += chunks
        if self._frames is not None and self.fault.in_pieces:
            self._waiting = [b"".join(self._waiting)]

    def next(self) -> bytes:
        """Return the next piece that passes; `b""` if nothing waits, or no more shall pass."""
        if self.is_spent or not self._waiting:
            return b""
        chunk = self._waiting.pop(0)
        if self._frames is None:
            piece = self._whole(chunk)
        else:
            # As many pieces of one byte as of thousands: both are where faults hide.
            size = (
                int(_LARGEST_PIECE ** self._random.random()) if self.fault.in_pieces else len(chunk)
            )
            piece, rest = chunk[:size], chunk[size:]
            if rest:
                self._waiting.insert(0, rest)
            piece = self._part(piece, self._frames)
        self._bytes += len(piece)
        self.is_spent = self.is_spent or self._is_at_mark()
        return piece

    def _whole(self, message: bytes) -> bytes:
        """Return *message* if all of it passes, else nothing."""
        most = self.fault.after_bytes
        if self._is_at_mark() or (most is not None and self._bytes + len(message) > most):
            self.is_spent = True
            return b""
        self._messages += 1
        return message

    def _part(self, data: bytes, frames: "_Frames") -> bytes:
        """Return as much of *data* as passes."""
        if self.fault.after_bytes is not None:
            data = data[: self.fault.after_bytes - self._bytes]
        data = data[: frames.feed(data, self.fault.after_messages)]
        self._messages = frames.count
        return data

    def _is_at_mark(self) -> bool:
        return self._bytes == self.fault.after_bytes or self._messages == self.fault.after_messages


class _Frames:
    """Counts the frames of a byte stream: each has its length in front, as 4 bytes, big-endian."""

    def __init__(self) -> None:
        self.count = 0
        self._header = b""
        self._left = 0

    def feed(self, data: bytes, most: int | None) -> int:
        """Take *data*, up to the end of frame number *most*; return how many bytes that are."""
        at = 0
        while at < len(data) and self.count != most:
            if self._left:
                step = min(self._left, len(data) - at)
                at += step
                self._left -= step
                self.count += not self._left
            else:
                more = data[at : at + _LENGTH_BYTES - len(self._header)]
                self._header += more
                at += len(more)
                if len(self._header) == _LENGTH_BYTES:
                    self._left, self._header = int.from_bytes(self._header, "big"), b""
        return at
