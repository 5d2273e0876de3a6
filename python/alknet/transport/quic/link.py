"""QuicLink: a link over one QUIC connection.

The client opens a stream and says in one byte which kind it is; then either end may speak. On it
all envelopes travel, each with its length in front, as over TCP. If the client has said that it
takes them, either end may open further streams, one way: lanes, on which are the answers to one
subscription. What is lost on a lane, or large, holds up no other. Within a lane the order is kept;
a lane ends with the subscription.
"""

from typing import Final

from alknet.errors import Disconnected, LocalProtocolError, RemoteProtocolError
from alknet.transport.quic.connection import FAULT, Connection, Stream
from alknet.transport.quic.frames import Frames
from alknet.wire.limits import Limits
from alknet.wire.link import Link

# The first byte of a stream, by which whoever takes it knows what it is for: all calls, or all but
# what is on lanes, or a lane.
CALLS: Final = b"\0"
CALLS_AND_LANES: Final = b"\1"
LANE: Final = b"\2"
# What of frames whose end has not come one peer may have us keep.
_HELD_FRAMES: Final = 2


class _Sending(Link):
    """What sends on one stream of a connection."""

    transport = "quic"
    framed = True
    is_confidential = True

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self._connection = connection
        self._stream = stream
        self.peer_address = connection.peer

    async def send(self, chunks: list[bytes]) -> None:
        try:
            await self._stream.send(chunks)
        except Disconnected as error:
            raise self._gone(error) from None

    def send_nowait(self, chunks: list[bytes]) -> list[bytes]:
        try:
            return self._stream.send_nowait(chunks)
        except Disconnected as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            self._stream.finish()
        except Disconnected as error:
            raise self._gone(error) from None

    def _gone(self, error: Disconnected) -> Disconnected:
        return Disconnected(f"the link to {self.peer_address} is gone: {error}")


class Lane(_Sending):
    """A way to the peer beside the calls."""

    async def receive(self) -> bytes:
        raise LocalProtocolError("a lane goes one way")

    async def aclose(self, reason: str = "") -> None:
        """Say that nothing will follow, unless that was said."""
        if not self._connection.is_closed and self._connection.error is None:
            self._stream.finish()


class QuicLink(_Sending):
    """A link over one connection, and the stream of it on which the calls are."""

    def __init__(
        self, connection: Connection, calls: Stream, limits: Limits, *, has_lanes: bool
    ) -> None:
        super().__init__(connection, calls)
        self.credential = connection.peer_key
        self._has_lanes = has_lanes
        self._limit = limits.frame_bytes
        self._frames = Frames(self._limit, cuts=False)
        self._lanes: dict[Stream, Frames] = {}
        self._is_turn_of_calls = True

    def open_lane(self) -> Lane | None:
        stream = self._connection.open_one_way() if self._has_lanes else None
        if stream is None:
            return None
        stream.send_nowait([LANE])
        lane = Lane(self._connection, stream)
        lane.format = self.format
        return lane

    async def receive(self) -> bytes:
        if self.unread:
            return self.take_unread()
        try:
            return await self._receive()
        except Disconnected as error:
            raise self._gone(error) from None

    async def _receive(self) -> bytes:
        ready = self._connection.ready
        await self._connection.turn()
        while True:
            if ready and self._has_lanes:
                self._frames.cuts = True
                if self._frames.is_between and not self._is_turn_of_calls:
                    self._is_turn_of_calls = True
                    if whole := self._of_a_lane():
                        return whole
                    continue
            self._is_turn_of_calls = not ready
            data = self._stream.read()
            if data:
                if whole := self._frames.take(data):
                    return whole
                self._check_held()
            elif ready and self._has_lanes and self._frames.is_between:
                continue
            elif data is None:
                self._connection.check()
                await self._connection.readable.park()
            elif self._lanes and self._frames.is_between and self._connection.error is None:
                # What was said on lanes before the end is heard before the end.
                await self._connection.readable.park()
            else:
                return b""

    def _of_a_lane(self) -> bytes:
        """Return whole frames of a lane on which something has arrived, if there are any."""
        ready = self._connection.ready
        stream = next(iter(ready))
        del ready[stream]
        data = stream.read()
        if data is None:
            return b""
        frames = self._lanes.get(stream)
        if frames is None:
            if data[:1] != LANE:
                raise self._wrong(f"a stream of it begins with {data[:1]!r}, and {LANE!r} is due")
            frames = self._lanes[stream] = Frames(self._limit, cuts=True)
            data = data[1:]
        elif not data:
            del self._lanes[stream]
            self._connection.forget(stream)
            return b""
        # Whether there is more is not known before it was asked for.
        ready[stream] = None
        whole = frames.take(data)
        self._check_held()
        return whole

    def _check_held(self) -> None:
        held = self._frames.held_bytes + sum(each.held_bytes for each in self._lanes.values())
        if held > _HELD_FRAMES * self._limit:
            raise self._wrong(f"{held} bytes of unfinished frames on all its streams")

    def _wrong(self, what: str) -> Disconnected:
        self._connection.abort(FAULT, f"this is not how alknet is spoken over QUIC: {what}")
        return Disconnected(f"the peer does not speak alknet over QUIC: {what}")

    async def aclose(self, reason: str = "") -> None:
        await self._connection.aclose(self._stream, reason)


def begun(connection: Connection, limits: Limits) -> QuicLink:
    """Return the link of who has dialled *connection*, on which it may speak at once.

    Raises:
        Disconnected: the connection is gone.
    """
    calls = connection.open()
    calls.send_nowait([CALLS_AND_LANES])
    return QuicLink(connection, calls, limits, has_lanes=True)


async def taken(connection: Connection, limits: Limits) -> QuicLink:
    """Return the link of who was dialled, once the other end has begun it.

    Raises:
        RemoteProtocolError: it has begun something else.
        Disconnected: the connection is gone.
    """
    calls = await connection.opened()
    first = await calls.receive()
    kind = first[:1]
    if kind not in (CALLS, CALLS_AND_LANES):
        raise RemoteProtocolError(
            f"{connection.peer} does not speak alknet over QUIC: its first stream begins with "
            f"{kind!r}, and {CALLS!r} or {CALLS_AND_LANES!r} is due"
        )
    link = QuicLink(connection, calls, limits, has_lanes=kind == CALLS_AND_LANES)
    link.unread = link._frames.take(first[1:])
    return link
