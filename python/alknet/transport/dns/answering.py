"""Answering: the node's half of a session, sans I/O: which query is answered when, and with what.

The last query is held until there is something to say, so that what the node has to say need not
wait to be asked. Resolvers ask again what they believe lost: then the same answer goes again.
"""

import math
from collections.abc import Callable
from typing import Final

import msgspec

from alknet.transport.dns.pace import HOLD
from alknet.transport.dns.packet import MOST_AWAITED, CarryDown, CarryUp, Segment
from alknet.transport.dns.window import Incoming, Outgoing

# So many times the same query is answered when it is answered; a resolver listens to the last.
_MOST_REPLIES: Final = 4

Reply = Callable[[CarryDown], None]


class _Held(msgspec.Struct):
    number: int
    until: float
    replies: list[Reply]


class Answerer:
    """Answers queries as they come, in any order and number. Times are in seconds, of one clock.

    `size` is how many bytes of the stream an answer carries at most, and `heard_at` is when the far
    end was last heard of.
    """

    def __init__(self, outgoing: Outgoing, incoming: Incoming, *, size: int, now: float) -> None:
        self.size = size
        self._outgoing = outgoing
        self._incoming = incoming
        self._seen: set[int] = set()
        self._newest = -1
        self._held: _Held | None = None
        self.heard_at = now

    def asked(self, query: CarryUp, reply: Reply, now: float) -> None:
        """Take *query*, and answer it by *reply* now or later."""
        self.heard_at = now
        number = query.number
        if number in self._seen:
            if self._held is not None and self._held.number == number:
                self._held.replies = [*self._held.replies, reply][-_MOST_REPLIES:]
            else:
                reply(self._answer(self._outgoing.again(number)))
            return
        if number < self._newest - MOST_AWAITED:
            reply(self._answer(None))
            return
        self._outgoing.acknowledge(query.ack)
        self._outgoing.lose_before(number - query.awaited)
        if query.segment is not None:
            self._incoming.put(query.segment)
        is_newest = number > self._newest
        self._note(number)
        if not is_newest:
            reply(self._answer(self._outgoing.take(self.size, number)))
            return
        self._release(was_held=True)
        self._held = _Held(number, now + HOLD, [reply])
        self._release_if_due(was_held=False)

    def stir(self) -> None:
        """Answer the query that is held, if there is something to say now."""
        self._release_if_due(was_held=True)

    def _release_if_due(self, *, was_held: bool) -> None:
        if self._outgoing.ready(self.size) or self._incoming.has_news:
            self._release(was_held=was_held)

    def expire(self, now: float) -> None:
        """Answer the query that has been held for long enough."""
        if self._held is not None and self._held.until <= now:
            self._release(was_held=True)

    def wake_at(self) -> float:
        """Return when `expire` will have something to do."""
        return math.inf if self._held is None else self._held.until

    def _release(self, *, was_held: bool) -> None:
        held, self._held = self._held, None
        if held is not None:
            answer = self._answer(self._outgoing.take(self.size, held.number), was_held=was_held)
            for reply in held.replies:
                reply(answer)

    def _answer(self, segment: Segment | None, *, was_held: bool = False) -> CarryDown:
        backlog = self._outgoing.ready(self.size)
        return CarryDown(self._incoming.ack(), backlog, segment, was_held)

    def _note(self, number: int) -> None:
        self._seen.add(number)
        if number > self._newest:
            self._newest = number
            oldest = number - MOST_AWAITED
            if len(self._seen) > 2 * MOST_AWAITED:
                self._seen = {each for each in self._seen if each >= oldest}
