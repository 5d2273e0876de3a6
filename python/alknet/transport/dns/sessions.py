"""Sessions: who has one at a node, who may open one, and what becomes of each packet that comes.

Nothing is kept of a stranger until the answer to an `Ask` has come back in an `Open`: the id that
is offered is a keyed hash of what was asked and of the minute. So who writes another's address on a
query has no session opened, and nothing sent there but one small answer.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from typing import Final

import trio

from alknet.quota.bucket import Buckets
from alknet.transport.dns.answering import Answerer
from alknet.transport.dns.pace import MOST_A_SECOND
from alknet.transport.dns.packet import (
    DOWN_BYTES,
    ID_BYTES,
    Ask,
    Bye,
    CarryDown,
    CarryUp,
    Down,
    Gone,
    Offer,
    Open,
    Opened,
    Up,
)
from alknet.transport.dns.stream import Stream

MOST_SESSIONS: Final = 256
# Of these, so many that have not said who they are.
MOST_HALF_OPEN: Final = 64
# Of one address, which may be a resolver that many use: a second, and for so many seconds at once.
_SOURCE_A_SECOND: Final = 2000.0
_OPENED_A_SECOND: Final = 20.0
_BURST_SECONDS: Final = 1.0
_OPENED_BURST_SECONDS: Final = 3.0
_MINUTE: Final = 60.0
# A session that is over is remembered for so long, to say why.
_EPITAPH_SECONDS: Final = 5.0
# Before the handshake an answer is hardly longer than the query; after it, it fills a datagram that
# also repeats the longest name: 12 of header, 255 + 4 of question, 12 of record, 11 of EDNS.
_HALF_OPEN_BYTES: Final = 96
_STRINGS: Final = 4
_OPEN_BYTES: Final = 1232 - (12 + 255 + 4 + 12 + 11) - _STRINGS - DOWN_BYTES

Answer = Callable[[Down], None]


class Session:
    """One session at the node's end, and the stream in it."""

    def __init__(self, id: bytes, source: str, now: float, stir: Callable[[], None]) -> None:
        self.id = id
        self.stream = Stream(source)
        self.answerer = Answerer(
            self.stream.outgoing, self.stream.incoming, size=_HALF_OPEN_BYTES, now=now
        )
        self.is_half_open = True
        self.stream.stir = self._stirred
        self._stir = stir

    def entered(self) -> None:
        """Note that the far end has said who it is: it may be answered at length."""
        self.is_half_open = False
        self.answerer.size = _OPEN_BYTES

    def _stirred(self) -> None:
        self.answerer.stir()
        self._stir()


class Sessions:
    """The sessions of a node. *begin* is told of each that is opened.

    *stir* is called when there may be more to do. `is_open` says whether new ones are taken.
    """

    def __init__(
        self, begin: Callable[[Session], None], stir: Callable[[], None], *, silence: float
    ) -> None:
        self.is_open = True
        self._begin = begin
        self._stir = stir
        self._silence = silence
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[bytes, Session] = {}
        self._sources = Buckets(_SOURCE_A_SECOND, _BURST_SECONDS)
        self._openers = Buckets(_OPENED_A_SECOND, _OPENED_BURST_SECONDS)
        self._askers = Buckets(MOST_A_SECOND, _BURST_SECONDS, remembered=2 * MOST_SESSIONS)

    def __len__(self) -> int:
        return len(self._sessions)

    def may_ask(self, host: str) -> bool:
        """Whether the address *host* has not asked too often; who has is not even answered."""
        return self._sources.take(host, trio.current_time()) == 0

    def take(self, packet: Up, source: str, host: str, answer: Answer) -> None:
        """Take *packet* from *source*, at *host*, and answer it, now or later, or never."""
        now = trio.current_time()
        match packet:
            case Ask(nonce):
                answer(Offer(self._offer(nonce, now)))
            case Open():
                answer(self._open(packet, source, host, now))
            case CarryUp(id):
                session = self._sessions.get(id)
                if session is None:
                    answer(Gone("the node knows of no such session: it was restarted, or idle"))
                elif session.stream.ended is not None:
                    answer(Gone(session.stream.ended))
                elif self._askers.take(id.hex(), now) == 0:
                    self._carry(session, packet, answer, now)
            case Bye(id):
                session = self._sessions.get(id)
                if session is not None:
                    session.stream.end("the peer has closed it")
                answer(Gone("as you say"))

    def _carry(self, session: Session, packet: CarryUp, answer: Answer, now: float) -> None:
        def reply(down: CarryDown) -> None:
            answer(down)

        session.answerer.asked(packet, reply, now)
        session.stream.moved()
        self._stir()

    def _offer(self, nonce: bytes, now: float) -> bytes:
        minute = int(now // _MINUTE)
        digest = hmac.digest(self._secret, nonce + minute.to_bytes(8, "big"), hashlib.sha256)
        return digest[:ID_BYTES]

    def _open(self, packet: Open, source: str, host: str, now: float) -> Down:
        if packet.id in self._sessions:
            return Opened()
        offers = [self._offer(packet.nonce, now - age) for age in (0, _MINUTE) if now >= age]
        if not any(hmac.compare_digest(packet.id, each) for each in offers):
            return Gone("that id was never offered, or too long ago")
        if not self.is_open:
            return Gone("the node takes no more links: it is stopping")
        half_open = sum(each.is_half_open for each in self._sessions.values())
        if len(self._sessions) >= MOST_SESSIONS or half_open >= MOST_HALF_OPEN:
            return Gone("the node has as many sessions by DNS as it takes: try again later")
        if self._openers.take(host, now) > 0:
            return Gone("too many sessions were opened from this address: try again later")
        session = Session(packet.id, source, now, self._stir)
        self._sessions[packet.id] = session
        self._begin(session)
        return Opened()

    def expire(self) -> float:
        """Do what is due, and return when to be called next."""
        now, wake_at = trio.current_time(), math.inf
        for session in list(self._sessions.values()):
            if session.stream.ended is not None:
                continue
            session.answerer.expire(now)
            given_up_at = session.answerer.heard_at + self._silence
            wake_at = min(wake_at, session.answerer.wake_at(), given_up_at)
            if now >= given_up_at:
                session.stream.end(f"nothing was heard of the peer for {self._silence:g} s")
        return wake_at

    async def forget(self, session: Session) -> None:
        """Forget *session*, which is over, after whoever still asks has been told so."""
        session.stream.end("it was closed")
        await trio.sleep(_EPITAPH_SECONDS)
        self._sessions.pop(session.id, None)
        self._stir()
