"""Window: a stream of bytes that arrives whole and in order, whatever becomes of its segments.

The plan, which both directions share:

- What is sent is cut into numbered segments, and at most `WINDOW` are under way. What has come is
  acknowledged as all before a number, and a bit for each that came early (as TCP does with SACK,
  RFC 2018), so that only what was lost goes again.
- A segment travels with a query or with the answer to one: its *carrier*, a number. Who asks knows
  of each query whether it was answered, and says so in the next; so who answers needs no clock to
  know what was lost.
- Who does not read makes no room, and nobody sends more than there is room for. Both ends hold
  `WINDOW` segments and a few records at most.
- Numbers do not wrap. No segment goes without a query, and queries end at 2**32: two months of the
  most that this road carries. Then the link is opened anew.
"""

from collections import deque
from typing import Final

from alknet.transport.dns.packet import Ack, Segment

# As many as `Ack.early` has bits, so that each that came early is known to have come.
WINDOW: Final = 32
# So much may wait to be cut into segments before the sender has to.
_BUFFER_BYTES: Final = 32 * 1024


class Outgoing:
    """The sender's half: bytes in, segments out, until each is acknowledged."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._sent: dict[int, bytes] = {}
        # By which carrier each segment under way went last, and the other way round.
        self._carrier: dict[int, int] = {}
        self._carried: dict[int, int] = {}
        self._lost: set[int] = set()
        self._next = 0
        self._end = WINDOW

    @property
    def has_space(self) -> bool:
        """Whether more may be written; a record is written whole."""
        return len(self._waiting) < _BUFFER_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether all that was written is acknowledged."""
        return not self._waiting and not self._sent

    def write(self, data: bytes) -> None:
        """Add *data* to the stream."""
        self._waiting += data

    def ready(self, size: int) -> int:
        """Return how many segments of *size* bytes could be sent now."""
        cut = -(-len(self._waiting) // size)
        return len(self._lost) + max(0, min(cut, self._allowed()))

    def _allowed(self) -> int:
        return min(self._end - self._next, WINDOW - len(self._sent))

    def take(self, size: int, carrier: int) -> Segment | None:
        """Return what goes with *carrier*: the first that was lost, or the next *size* bytes."""
        if self._lost:
            seq = min(self._lost)
            self._lost.discard(seq)
        elif self._waiting and self._allowed() > 0:
            seq, self._next = self._next, self._next + 1
            self._sent[seq] = bytes(self._waiting[:size])
            del self._waiting[:size]
        else:
            return None
        self._carrier[seq] = carrier
        self._carried[carrier] = seq
        return Segment(seq, self._sent[seq])

    def again(self, carrier: int) -> Segment | None:
        """Return what went with *carrier*, if it may not have arrived and did not go anew."""
        seq = self._carried.get(carrier)
        return None if seq is None else Segment(seq, self._sent[seq])

    def acknowledge(self, ack: Ack) -> bool:
        """Forget what has come at the far end; return whether any of it is news."""
        came = [seq for seq in self._sent if seq < ack.next or _is_early(ack, seq)]
        for seq in came:
            del self._sent[seq]
            self._lost.discard(seq)
            self._part(seq)
        end = min(ack.next, self._next) + min(ack.room, WINDOW)
        is_wider = end > self._end
        self._end = max(self._end, end)
        return bool(came) or is_wider

    def lose(self, carrier: int) -> None:
        """Send again what went with *carrier*, which never arrived."""
        seq = self._carried.get(carrier)
        if seq is not None:
            self._part(seq)
            self._lost.add(seq)

    def lose_before(self, carrier: int) -> None:
        """Send again what went with the carriers before this one."""
        for each in [each for each in self._carried if each < carrier]:
            self.lose(each)

    def _part(self, seq: int) -> None:
        carrier = self._carrier.pop(seq, None)
        if carrier is not None:
            del self._carried[carrier]


def _is_early(ack: Ack, seq: int) -> bool:
    behind = seq - ack.next - 1
    return behind >= 0 and bool(ack.early >> behind & 1)


class Incoming:
    """The receiver's half: segments in, in any order and number, and the stream out."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, bytes] = {}
        self._ready: deque[bytes] = deque()
        self._told_room = WINDOW

    @property
    def has_data(self) -> bool:
        """Whether there is something to take."""
        return bool(self._ready)

    @property
    def has_news(self) -> bool:
        """Whether the far end may believe that there is no room, and there is."""
        return self._told_room == 0 and self._room > 0

    @property
    def _room(self) -> int:
        return WINDOW - len(self._ready)

    def ack(self) -> Ack:
        """Return what the far end should know now."""
        early = 0
        for seq in self._early:
            early |= 1 << (seq - self._next - 1)
        self._told_room = self._room
        return Ack(self._next, early, self._room)

    def put(self, segment: Segment) -> bool:
        """Take *segment*; return whether it was news, and there was room for it."""
        seq = segment.seq
        if not self._next <= seq < self._next + self._room or seq in self._early:
            return False
        self._early[seq] = segment.data
        while self._next in self._early:
            self._ready.append(self._early.pop(self._next))
            self._next += 1
        return True

    def take(self) -> bytes:
        """Return what has come in order since it was last asked."""
        data = b"".join(self._ready)
        self._ready.clear()
        return data
