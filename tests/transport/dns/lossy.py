"""A road between an asker and an answerer, in no time: it loses, doubles, delays and reorders."""

import heapq
from random import Random

from alknet.transport.dns.answering import Answerer
from alknet.transport.dns.asking import Asker
from alknet.transport.dns.packet import (
    CarryDown,
    CarryUp,
    decode_down,
    decode_up,
    encode_down,
    encode_up,
)
from alknet.transport.dns.window import Incoming, Outgoing


class End:
    """One end: what it has yet to say, and what it has heard. It reads only while `reads`."""

    def __init__(self, words):
        self.outgoing, self.incoming = Outgoing(), Incoming()
        self.unsaid = words
        self.heard = b""
        self.reads = True

    def act(self):
        """Say what there is space for, and hear what has come."""
        while self.unsaid and self.outgoing.has_space:
            piece, self.unsaid = self.unsaid[:1000], self.unsaid[1000:]
            self.outgoing.write(piece)
        if self.reads:
            self.heard += self.incoming.take()

    @property
    def held_bytes(self):
        """What this end keeps in memory."""
        parts = [self.outgoing._waiting, *self.outgoing._sent.values()]
        parts += [*self.incoming._early.values(), *self.incoming._ready]
        return sum(map(len, parts))


class Road:
    """Simulated time, and what is under way. `loss` and `doubles` are shares of one."""

    def __init__(self, up, down, *, seed, loss=0.0, doubles=0.0, delay=0.01, jitter=0.0):
        self.near, self.far = End(up), End(down)
        self.now = 0.0
        self.loss, self.doubles, self.delay, self.jitter = loss, doubles, delay, jitter
        self.is_cut = False
        self.queries = 0
        self._random = Random(seed)
        self._under_way = []
        self._order = 0
        near, far = self.near, self.far
        self.asker = Asker(bytes(8), near.outgoing, near.incoming, size=116, now=0.0)
        self.answerer = Answerer(far.outgoing, far.incoming, size=900, now=0.0)

    def _send(self, deliver):
        times = 1 + (self._random.random() < self.doubles)
        for _ in range(times):
            if not self.is_cut and self._random.random() >= self.loss:
                self._order += 1
                due = self.now + self.delay + self._random.random() * self.jitter
                heapq.heappush(self._under_way, (due, self._order, deliver))

    def _ask(self):
        while (query := self.asker.next(self.now)) is not None:
            self.queries += 1
            data = encode_up(query)
            self._send(lambda data=data: self._answer(decode_up(data)))

    def _answer(self, query: CarryUp):
        def reply(answer: CarryDown):
            data = encode_down(answer)
            self._send(lambda: self.asker.answered(query.number, decode_down(data), self.now))

        self.answerer.asked(query, reply, self.now)

    def run(self, until):
        """Let time pass until *until*, or until both have heard all."""
        while self.now < until and not self.is_done:
            self.step(until)

    def idle(self, until):
        """Let time pass until *until*."""
        while self.now < until:
            self.step(until)

    def step(self, until):
        """Do what is due now, and let time pass until the next is, or *until*."""
        for end in (self.near, self.far):
            end.act()
        self.answerer.stir()
        self._ask()
        due = self._under_way[0][0] if self._under_way else until
        wake = min(due, self.asker.wake_at(), self.answerer.wake_at(), until)
        self.now = max(self.now + 1e-6, wake)
        self.answerer.expire(self.now)
        while self._under_way and self._under_way[0][0] <= self.now:
            heapq.heappop(self._under_way)[2]()

    @property
    def is_done(self):
        ends = (self.near, self.far)
        return all(not end.unsaid and end.outgoing.is_empty for end in ends) and not any(
            end.incoming.has_data for end in ends
        )
