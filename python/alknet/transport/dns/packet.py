"""Packets: what stands in the name of a query, and in the text of its answer.

Integers are big-endian. Up, in the name:

    ask    0  nonce(8)                               may I? Kept by nobody: answered with an id
    open   1  id(8) nonce(8) attempt(1)              the id is good: make it a session
    carry  2  id(8) number(4) awaited(1) ack(9) [segment]
    bye    3  id(8) number(4)                        the session is over

Down, in a TXT record:

    offer  0  id(8)
    opened 1
    carry  2  ack(9) backlog(1) [segment]            at once
    held   3  the same                               after the query had waited for something to say
    gone   4  reason                                 there is no such session, or no more

An `ack` is next(4), early(4), room(1): every segment before `next` has come, and of those behind it
the ones whose bit is set in `early`, the first in the lowest bit; `room` more than `next` may be
sent. A segment is seq(4) and its bytes, at least one. `number` counts queries, so that no name is
asked for twice, and the oldest that the asker still awaits is `awaited` less: whatever went with an
answer before that, and is not acknowledged here, was lost. `backlog` is how many segments wait for
a query that would bring them.
"""

import struct
from typing import Final

import msgspec

NONCE_BYTES: Final = 8
ID_BYTES: Final = 8
# A query may be so far ahead of the oldest one that is still awaited.
MOST_AWAITED: Final = 255

_ASK, _OPEN, _CARRY, _BYE = range(4)
_OFFER, _OPENED, _CARRIED, _HELD, _GONE = range(5)
_UP: Final = struct.Struct(">B8sIBIIB")
_DOWN: Final = struct.Struct(">BIIBB")
_SEQ: Final = struct.Struct(">I")
_NUMBERED: Final = struct.Struct(">B8sI")
UP_BYTES: Final = _UP.size + _SEQ.size
DOWN_BYTES: Final = _DOWN.size + _SEQ.size


class Ack(msgspec.Struct, frozen=True):
    """What has come at one end, and how much may."""

    next: int
    early: int
    room: int


class Segment(msgspec.Struct, frozen=True):
    """A piece of the stream, and its place in it."""

    seq: int
    data: bytes


class Ask(msgspec.Struct, frozen=True):
    """A stranger's first word."""

    nonce: bytes


class Open(msgspec.Struct, frozen=True):
    """Proof that the answer to an `Ask` has come where it was asked."""

    id: bytes
    nonce: bytes
    attempt: int


class CarryUp(msgspec.Struct, frozen=True):
    """A query of a session."""

    id: bytes
    number: int
    awaited: int
    ack: Ack
    segment: Segment | None


class Bye(msgspec.Struct, frozen=True):
    """A farewell."""

    id: bytes
    number: int


class Offer(msgspec.Struct, frozen=True):
    """The id under which a session may be opened."""

    id: bytes


class Opened(msgspec.Struct, frozen=True):
    """The session is there."""


class CarryDown(msgspec.Struct, frozen=True):
    """An answer of a session."""

    ack: Ack
    backlog: int
    segment: Segment | None
    was_held: bool


class Gone(msgspec.Struct, frozen=True):
    """There is no session, and why."""

    reason: str


Up = Ask | Open | CarryUp | Bye
Down = Offer | Opened | CarryDown | Gone


def encode_up(packet: Up) -> bytes:
    """Return the bytes that go into the name of a query."""
    match packet:
        case Ask(nonce):
            return bytes([_ASK]) + nonce
        case Open(id, nonce, attempt):
            return bytes([_OPEN]) + id + nonce + bytes([attempt & 255])
        case CarryUp(id, number, awaited, ack, segment):
            head = _UP.pack(_CARRY, id, number, awaited, ack.next, ack.early, ack.room)
            return head + _tail(segment)
        case Bye(id, number):
            return _NUMBERED.pack(_BYE, id, number)


def decode_up(data: bytes) -> Up | None:
    """Return what the name of a query says; None if it says nothing that there is."""
    kind, size = data[:1], len(data)
    if kind == bytes([_CARRY]) and size >= _UP.size:
        _, id, number, awaited, *ack = _UP.unpack_from(data)
        segment = _segment(data[_UP.size :])
        return CarryUp(id, number, awaited, Ack(*ack), segment)
    if kind == bytes([_ASK]) and size == 1 + NONCE_BYTES:
        return Ask(data[1:])
    if kind == bytes([_OPEN]) and size == 2 + ID_BYTES + NONCE_BYTES:
        return Open(data[1 : 1 + ID_BYTES], data[1 + ID_BYTES : -1], data[-1])
    if kind == bytes([_BYE]) and size == _NUMBERED.size:
        _, id, number = _NUMBERED.unpack(data)
        return Bye(id, number)
    return None


def encode_down(packet: Down) -> bytes:
    """Return the bytes that go into the text of an answer."""
    match packet:
        case Offer(id):
            return bytes([_OFFER]) + id
        case Opened():
            return bytes([_OPENED])
        case CarryDown(ack, backlog, segment, was_held):
            kind = _HELD if was_held else _CARRIED
            head = _DOWN.pack(kind, ack.next, ack.early, ack.room, min(backlog, 255))
            return head + _tail(segment)
        case Gone(reason):
            return bytes([_GONE]) + reason.encode()[:200]


def decode_down(data: bytes) -> Down | None:
    """Return what an answer says; None if it says nothing that there is."""
    kind, size = data[:1], len(data)
    if kind in (bytes([_CARRIED]), bytes([_HELD])) and size >= _DOWN.size:
        number, *ack, backlog = _DOWN.unpack_from(data)
        return CarryDown(Ack(*ack), backlog, _segment(data[_DOWN.size :]), number == _HELD)
    if kind == bytes([_OFFER]) and size == 1 + ID_BYTES:
        return Offer(data[1:])
    if kind == bytes([_OPENED]) and size == 1:
        return Opened()
    if kind == bytes([_GONE]):
        return Gone(data[1:].decode(errors="replace"))
    return None


def _tail(segment: Segment | None) -> bytes:
    return b"" if segment is None else _SEQ.pack(segment.seq) + segment.data


def _segment(data: bytes) -> Segment | None:
    if len(data) <= _SEQ.size:
        return None
    return Segment(_SEQ.unpack_from(data)[0], data[_SEQ.size :])
