"""Audit: what passes over a link, held against the rules that both ends must keep."""

from collections import Counter, deque

from alknet._core.envelope import (
    CallAborted,
    CallCompleted,
    CallCredit,
    CallFailed,
    CallFinished,
    CallItem,
    CallRequested,
    CallResponded,
    Decoder,
    LinkPing,
    LinkPong,
)
from alknet.testing.wrapped import WrappedLink

# The messages of the handshake: the node challenges and accepts, the client responds.
_TO_CLIENT = 2
_TO_NODE = 1


class Violations(list):
    """What was seen that must not be; a test asserts that it is empty."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()


class _Asked:
    """One request on the wire: what its asker allows, and what its answerer may still say."""

    def __init__(self, request):
        self.operation = request.operation
        self.is_stream = bool(request.window)
        self.credit = request.window or 0
        self.invited = 0
        self.is_over = False
        self.is_finished = False


class AuditedLink(WrappedLink):
    """The near end of *link*, where everything that passes is read along."""

    def __init__(self, link, violations, format):
        super().__init__(link)
        self._violations = violations
        self._sent = _Reader(self, link.framed, format, _TO_NODE)
        self._received = _Reader(self, link.framed, format, _TO_CLIENT)
        self._asked = {}
        # Those that are over, of which the oldest are forgotten: an audit must not need memory
        # for every call, or nobody could say what a call leaves behind.
        self._over = deque(maxlen=100)
        # For each side that pinged, how many answers the other owes it.
        self._pings = {True: 0, False: 0}

    async def send(self, chunks):
        for chunk in chunks:
            self._read(self._sent, chunk)
        await self._link.send(chunks)

    async def receive(self):
        if self.unread:
            return self.take_unread()
        data = await self._link.receive()
        self._read(self._received, data)
        return data

    def _read(self, reader, data):
        for event in reader.feed(data):
            self._check(event, reader is self._sent)

    def _check(self, event, is_ours):
        kind = type(event)
        self._violations.seen[kind.__name__] += 1
        if kind is CallRequested:
            # Each side numbers its own: the listener's have a mark.
            if event.id in self._asked or event.id.startswith("~") is is_ours:
                self._complain(event, "its id is in use, or the other side's")
            self._asked[event.id] = _Asked(event)
            return
        if kind is LinkPing:
            self._pings[is_ours] += 1
            return
        if kind is LinkPong:
            self._pings[not is_ours] -= 1
            if self._pings[not is_ours] < 0:
                self._complain(event, "nobody has pinged")
            return
        asked = self._asked.get(event.id)
        if asked is None:
            if not self._over:
                self._complain(event, "nobody has asked for it")
            return
        if event.id.startswith("~") is is_ours:
            self._answered(event, kind, asked)
        else:
            self._followed(event, kind, asked)

    def _answered(self, event, kind, asked):
        """Check what the side that answers says."""
        if kind in (CallResponded, CallCompleted, CallFailed) and asked.is_over:
            self._complain(event, f"{asked.operation} has had its outcome")
        if kind is CallResponded:
            if asked.is_stream:
                asked.credit -= 1
                if asked.credit < 0:
                    self._complain(event, f"{asked.operation} sends beyond its credit")
            else:
                self._ends(event.id, asked)
        elif kind in (CallCompleted, CallFailed):
            self._ends(event.id, asked)
        elif kind is CallCredit:
            asked.invited += event.items
        elif kind is CallAborted:
            self._complain(event, "only the asker gives a call up")

    def _ends(self, request_id, asked):
        asked.is_over = True
        if len(self._over) == self._over.maxlen:
            self._asked.pop(self._over[0], None)
        self._over.append(request_id)

    def _followed(self, event, kind, asked):
        """Check what the side that asks says after its request."""
        if kind is CallCredit:
            asked.credit += event.items
        elif kind is CallItem:
            asked.invited -= 1
            if asked.is_finished or asked.invited < 0:
                self._complain(event, f"{asked.operation} is sent more than it asked for")
        elif kind is CallFinished:
            if asked.is_finished:
                self._complain(event, "the items have ended already")
            asked.is_finished = True
        elif kind is CallAborted:
            # What was on its way may still come, and one outcome at most.
            self._ends(event.id, asked)
            asked.is_over = False
        else:
            self._complain(event, "only the side that is asked says that")

    def _complain(self, event, why):
        self._violations.append(f"{event!r}: {why}")


class _Reader:
    """Turns the bytes of one direction into events, beginning behind the handshake."""

    def __init__(self, link, framed, format, skip):
        self._framed = framed
        self._skip = skip
        self._held = b""
        self._decoder = Decoder(format, framed=framed)

    def feed(self, data):
        if not self._framed:
            if self._skip:
                self._skip -= 1
                return []
            return self._decoder.feed(data)
        self._held += data
        while self._skip:
            end = 4 + int.from_bytes(self._held[:4], "big")
            if len(self._held) < max(end, 5):
                return []
            self._held, self._skip = self._held[end:], self._skip - 1
        held, self._held = self._held, b""
        return self._decoder.feed(held)


def audited(dial, violations):
    """Return *dial*, with links that note in *violations* what goes against the rules."""

    async def dial_audited(nursery, url, *, limits, format="json"):
        link = await dial(nursery, url, limits=limits, format=format)
        return AuditedLink(link, violations, format)

    return dial_audited
