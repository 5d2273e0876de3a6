"""Dialling: a session with the node that is the name server of a zone, by whatever way answers.

The way is the server that the URL names, which may be the node itself, or one of the resolvers that
this machine uses. Each is tried over UDP and then over TCP, until one brings an answer.
"""

import secrets
import socket
from typing import Final

import dns.resolver
import structlog
import trio

from alknet._core.tls import Session
from alknet.errors import (
    Disconnected,
    RemoteProtocolError,
    SettingsError,
    Unreachable,
)
from alknet.transport.address import Address, bracket, in_words
from alknet.transport.dns.asking import LAST_NUMBER, Asker
from alknet.transport.dns.carrier import Carrier
from alknet.transport.dns.link import DnsLink
from alknet.transport.dns.messages import NoAnswer, Truncated, query, read_answer
from alknet.transport.dns.names import Zone
from alknet.transport.dns.pace import QUERIES_A_SECOND
from alknet.transport.dns.packet import (
    NONCE_BYTES,
    UP_BYTES,
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
from alknet.transport.tls import PROTOCOL
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format

log = structlog.get_logger("alknet.transport")

# So long each way is tried before the next one is, beside it.
_TRY_SECONDS: Final = 0.7
_BURST_SECONDS: Final = 0.1


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> DnsLink:
    """Open a session with the node for the zone in *url*. *timeout* is in seconds.

    Raises:
        Unreachable: no answer from the zone comes by any way, or not from a node.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
        SettingsError: this machine has no resolver, and the URL names none.
    """
    address = Address.parse(url)
    zone = Zone(address.zone)
    session = Session.connect(str(zone), trust.own, trust.expect, trust.roots, [PROTOCOL])
    caller = Caller(url, zone, limits)
    try:
        with trio.fail_after(timeout):
            caller.servers = await servers(address, url)
            stream: Stream = await nursery.start(caller.run)
            link = DnsLink(stream, session)
            try:
                await link.do_handshake()
            except BaseException as error:
                with trio.CancelScope(shield=True):
                    await link.aclose()
                if isinstance(error, RemoteProtocolError):
                    raise Unreachable(f"{url} does not speak TLS as alknet does: {error}") from None
                if isinstance(error, Disconnected):
                    raise Unreachable(f"{url} hung up during the handshake: {error}") from None
                raise
    except trio.TooSlowError:
        why = f"; {caller.heard}" if caller.heard else ""
        raise Unreachable(f"{url} did not answer within {timeout:g} s{why}") from None
    log.info("connected by DNS, which is slow: at best some 100 kB/s go and 800 kB/s come", url=url)
    link.format = format
    return link


async def servers(address: Address, url: str) -> list[tuple[int, tuple[str, int]]]:
    """Return where to ask, with the family of each address."""
    if address.host:
        hosts = [(address.host, address.port)]
    else:
        try:
            resolver = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            raise SettingsError(
                f"this machine names no resolver to ask for {url} ({error}): name one, as "
                f"dns://9.9.9.9{address.path}"
            ) from None
        hosts = [(str(each), resolver.port) for each in resolver.nameservers]
    try:
        found = [
            await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            for host, port in hosts
        ]
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {in_words(error)}") from None
    return [(each[0][0], (str(each[0][4][0]), int(each[0][4][1]))) for each in found]


class Caller:
    """A client's end of one session: it asks, and hears, until the stream has ended."""

    def __init__(self, url: str, zone: Zone, limits: Limits) -> None:
        self.servers: list[tuple[int, tuple[str, int]]] = []
        # What was heard on the way that is no answer of a node's, for people.
        self.heard = ""
        self._url = url
        self._zone = zone
        self._limits = limits
        self._stirred = trio.Event()
        # The way by which an id was offered, the id, and the nonce to which it was.
        self._offered: tuple[Carrier, bytes, bytes] | None = None
        self._nonces: set[bytes] = set()
        self._opened: Opened | Gone | None = None
        self._asker: Asker | None = None
        self._stream: Stream | None = None
        # The next query may go then: well within what the node takes of one session.
        self._free_at = 0.0

    async def run(self, *, task_status: trio.TaskStatus[Stream]) -> None:
        """Open a session and keep it going; `started` gives its stream.

        Raises:
            Unreachable: the node takes no session.
        """
        async with trio.open_nursery() as nursery:
            refused = None
            try:
                carrier, id, nonce = await self._ask(nursery)
                refused = await self._open(carrier, id, nonce)
                if refused is None:
                    server, port = carrier.server
                    stream = self._stream = Stream(f"{bracket(server)}:{port}")
                    stream.stir = lambda: self._stirred.set()
                    task_status.started(stream)
                    await self._keep(carrier, id, stream)
            finally:
                if self._stream is not None:
                    self._stream.end("it was closed")
            nursery.cancel_scope.cancel(reason="the session is over")
        if refused is not None:
            raise Unreachable(f"{self._url} takes no session: {refused}")

    async def _ask(self, nursery: trio.Nursery) -> tuple[Carrier, bytes, bytes]:
        """Return the first way by which an answer comes, the id in it, and what it answers."""
        carriers: list[Carrier] = []
        for family, server in self.servers:
            carriers.append(Carrier(family, server, self._hear))
            await nursery.start(carriers[-1].run)
        turn = 0
        while self._offered is None:
            carrier = carriers[turn % len(carriers)]
            # A name that a resolver has failed to find may be kept as such for a while.
            nonce = secrets.token_bytes(NONCE_BYTES)
            self._nonces.add(nonce)
            message = query(self._zone, Ask(nonce))
            if turn // len(carriers) % 2:
                carrier.send_by_tcp(message)
            else:
                carrier.send(message)
            turn += 1
            await self._stir(_TRY_SECONDS)
        return self._offered

    async def _open(self, carrier: Carrier, id: bytes, nonce: bytes) -> str | None:
        """Make a session of *id*; return why there is none, if there is none."""
        attempt = 0
        while self._opened is None:
            carrier.send(query(self._zone, Open(id, nonce, attempt)))
            attempt += 1
            await self._stir(_TRY_SECONDS)
        return self._opened.reason if isinstance(self._opened, Gone) else None

    async def _stir(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._stirred.wait()
        self._stirred = trio.Event()

    async def _keep(self, carrier: Carrier, id: bytes, stream: Stream) -> None:
        size = self._zone.room - UP_BYTES
        now, silence = trio.current_time(), self._limits.silence_seconds
        asker = Asker(id, stream.outgoing, stream.incoming, size=size, now=now)
        self._asker = asker
        while stream.ended is None:
            now = trio.current_time()
            wake_at = self._ask_all(carrier, asker, now)
            if now - asker.heard_at >= silence:
                stream.end(f"nothing was heard of the node for {silence:g} s")
            elif asker.number > LAST_NUMBER:
                stream.end("it has carried all that one session can")
            with trio.move_on_at(min(wake_at, asker.heard_at + silence)):
                await self._stirred.wait()
            self._stirred = trio.Event()
        carrier.send(query(self._zone, Bye(id, asker.number & LAST_NUMBER)))

    def _ask_all(self, carrier: Carrier, asker: Asker, now: float) -> float:
        """Ask what there is to ask now; return when there will be more."""
        while self._free_at <= now:
            packet = asker.next(now)
            if packet is None:
                return asker.wake_at()
            carrier.send(query(self._zone, packet))
            self._free_at = max(self._free_at, now - _BURST_SECONDS) + 1 / QUERIES_A_SECOND
        return self._free_at

    def _hear(self, carrier: Carrier, message: bytes) -> None:
        """Take a message that has come."""
        found = read_answer(self._zone, message)
        if found is not None:
            asked, answer = found
            if isinstance(answer, Truncated):
                carrier.was_truncated(query(self._zone, asked))
            elif isinstance(answer, NoAnswer):
                self._no_answer(carrier, asked, str(answer))
            elif not isinstance(answer, Exception):
                self._take(carrier, asked, answer)

    def _no_answer(self, carrier: Carrier, asked: Up, why: str) -> None:
        self.heard = f"{bracket(carrier.server[0])} says {why} of {self._zone}"
        if self._asker is not None and isinstance(asked, CarryUp):
            self._asker.failed(asked.number, trio.current_time())

    def _take(self, carrier: Carrier, asked: Up, answer: Down) -> None:
        match asked, answer:
            case Ask(nonce), Offer(id) if self._offered is None and nonce in self._nonces:
                self._offered = carrier, id, nonce
            case Open(), Opened() | Gone():
                self._opened = answer
            case CarryUp(number=number), CarryDown() if self._asker and self._stream:
                self._asker.answered(number, answer, trio.current_time())
                self._stream.moved()
            case CarryUp(), Gone(reason) if self._stream:
                self._stream.end(reason)
            case _:
                return
        self._stirred.set()
