"""Asking: the client's half of a session, sans I/O: when to ask, with what, and what was lost."""

import math
from typing import Final

import msgspec

from alknet.transport.dns.pace import Pace
from alknet.transport.dns.packet import MOST_AWAITED, CarryDown, CarryUp
from alknet.transport.dns.window import Incoming, Outgoing

# An answer to a query that was asked so much later says that this one was lost: resolvers and
# networks put them into another order, but not by more, or not often.
_REORDERED: Final = 6
LAST_NUMBER: Final = 2**32 - 1


class _Asked(msgspec.Struct):
    at: float
    until: float


class Asker:
    """Asks for as long as there is something to say or to hear. Times are in seconds, of one clock.

    `heard_at` is when the far end was last heard of.
    """

    def __init__(
        self, id: bytes, outgoing: Outgoing, incoming: Incoming, *, size: int, now: float
    ) -> None:
        self._id = id
        self._outgoing = outgoing
        self._incoming = incoming
        self._size = size
        self._pace = Pace(now)
        self._number = 0
        self._awaited: dict[int, _Asked] = {}
        self._backlog = 0
        self._ask_at = now
        self._quiet_until = now
        self.heard_at = now

    @property
    def number(self) -> int:
        """The number of the next query."""
        return self._number

    def next(self, now: float) -> CarryUp | None:
        """Return what to ask now; None if nothing."""
        self._expire(now)
        if now < self._quiet_until:
            return None
        awaited = next(iter(self._awaited), self._number)
        is_ahead = self._number - awaited >= MOST_AWAITED or self._number > LAST_NUMBER
        if is_ahead or len(self._awaited) >= self._pace.at_once:
            return None
        segment = self._outgoing.take(self._size, self._number)
        if segment is not None:
            self._pace.moved(now)
        elif not self._wants_to_hear(now):
            return None
        number, self._number = self._number, self._number + 1
        self._awaited[number] = _Asked(now, now + self._pace.timeout)
        self._ask_at = math.inf
        return CarryUp(self._id, number, number - awaited, self._incoming.ack(), segment)

    def _wants_to_hear(self, now: float) -> bool:
        if self._incoming.has_news:
            return True
        # One query waits at the far end; each segment that it has beside needs another.
        if self._awaited:
            return len(self._awaited) <= self._backlog
        return now >= self._ask_at

    def answered(self, number: int, answer: CarryDown, now: float) -> None:
        """Take the answer to the query of that number, which may come twice or too late."""
        self.heard_at = now
        has_moved = self._outgoing.acknowledge(answer.ack)
        if answer.segment is not None:
            has_moved |= self._incoming.put(answer.segment)
        asked = self._awaited.pop(number, None)
        if asked is not None:
            # What went with it has arrived, or there was no room for it.
            self._outgoing.lose(number)
            self._pace.answered(now - asked.at, was_held=answer.was_held)
        self._backlog = answer.backlog
        if has_moved:
            self._pace.moved(now)
        else:
            self._pace.idled(now)
        for each in [each for each in self._awaited if each < number - _REORDERED]:
            self._lose(each, now)
        self._ask_at = now + self._pace.pause

    def failed(self, number: int, now: float) -> None:
        """Note that somebody on the way has said that there will be no answer."""
        if number in self._awaited:
            self._lose(number, now)
            self._ask_at = self._quiet_until = now + self._pace.timeout

    def wake_at(self) -> float:
        """Return when `next` will have something to do if nothing happens before."""
        if self._awaited:
            return min(each.until for each in self._awaited.values())
        return max(self._ask_at, self._quiet_until)

    def _expire(self, now: float) -> None:
        for number in [n for n, each in self._awaited.items() if each.until <= now]:
            self._lose(number, now)
            self._ask_at = now

    def _lose(self, number: int, now: float) -> None:
        self._pace.lost(self._awaited.pop(number).at, now)
        self._outgoing.lose(number)
