"""Egress: connections that a node opens to where others want to be connected.

A name and its connection are two steps, so that the addresses in between can be judged, and the
connection goes to the very address that was: to ask the name again would let its owner answer with
another.
"""

import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Final

import trio

from alknet.errors import AlknetError, InvalidInput, Unavailable
from alknet.protocol.forward import Reason
from alknet.transport.address import bracket, in_words
from alknet.transport.race import race

# Answers the addresses of a host, in the order in which they are to be tried, within some seconds.
Resolve = Callable[[str, float], Awaitable[Sequence[str]]]

# The longest name that DNS knows (RFC 1035, section 2.3.4), in text.
_LONGEST_NAME: Final = 253
# No name needs more; each costs an attempt, a line of the log and an entry of the audit log.
_MOST_ADDRESSES: Final = 16
# A thread that waits for a name cannot be stopped. Of those that everybody else in the process
# shares, names that nobody answers for would soon have all.
_RESOLVERS: Final = 16
_REASONS: Final[dict[int, Reason]] = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
}


def check_host(host: str) -> None:
    """Refuse what can be no host before it is judged, logged or asked for.

    Raises:
        InvalidInput: it is too long, or has more than printable ASCII.
    """
    if len(host) > _LONGEST_NAME or not host.isascii() or not host.isprintable():
        raise InvalidInput(
            f"a host is an address or a name of at most {_LONGEST_NAME} ASCII characters; "
            f"others are written in punycode (xn--...)",
            details={"field": "host"},
        )


class Resolver:
    """Asks the system's resolver, with a bounded number of threads that wait for it."""

    def __init__(self) -> None:
        self._threads = trio.CapacityLimiter(_RESOLVERS)

    async def __call__(self, host: str, seconds: float) -> Sequence[str]:
        """Return the addresses of *host*, as RFC 6724 orders them; an address is its own.

        Raises:
            Unavailable: there is no such name, or no answer within *seconds*.
        """

        def ask() -> list[str]:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            return [str(address[0]) for *_, address in found]

        try:
            with trio.fail_after(seconds):
                addresses = await trio.to_thread.run_sync(
                    ask, abandon_on_cancel=True, limiter=self._threads
                )
        except trio.TooSlowError:
            raise no_connection(
                f"nobody has said within {seconds:g} s what the address of {host} is", "timeout"
            ) from None
        except (OSError, UnicodeError) as error:
            raise no_connection(
                f"{host} cannot be resolved here: {in_words(error)}", "name-unknown"
            ) from None
        return list(dict.fromkeys(addresses))[:_MOST_ADDRESSES]


async def connect_to(
    addresses: Iterable[str], port: int, *, seconds: float
) -> tuple[trio.SocketStream, str]:
    """Return a connection to one of *addresses* at *port*, and that address.

    They are tried in their order, families in turn, each with a head start (RFC 8305): one that
    does not answer costs a quarter of a second.

    Raises:
        Unavailable: none takes connections within *seconds*; `details["reason"]` is one of
            `Reason`.
    """
    ways = _in_turn(addresses)
    failures: dict[str, AlknetError] = {}
    reasons: list[Reason] = []

    async def open_stream(address: str) -> trio.SocketStream:
        try:
            return await _connect(address, port)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, "unreachable")
            reasons.append(reason)
            raise no_connection(in_words(error), reason) from None

    opened = None
    with trio.move_on_after(seconds):
        opened = await race(ways, open_stream, failures)
    if opened is not None:
        address, stream = opened
        return stream, address
    late = f"no answer within {seconds:g} s"
    tried = "; ".join(f"{bracket(way)}:{port}: {failures.get(way, late)}" for way in ways)
    # One that refuses is there: that says more than the silence of another address.
    reason: Reason = reasons[0] if reasons else "timeout"
    if "refused" in reasons:
        reason = "refused"
    raise no_connection(f"no connection to {tried}", reason)


async def _connect(address: str, port: int) -> trio.SocketStream:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return trio.SocketStream(connection)


def _in_turn(addresses: Iterable[str]) -> list[str]:
    """Return *addresses* with the families in turn, the one that came first in front."""
    ways = list(dict.fromkeys(addresses))
    first = [way for way in ways if (":" in way) == (":" in ways[0])]
    second = [way for way in ways if (":" in way) != (":" in ways[0])]
    return [way for way in chain(*zip_longest(first, second)) if way is not None]


def no_connection(why: str, reason: Reason) -> Unavailable:
    """Return the error for a target that cannot be connected to, or is no more."""
    return Unavailable(why, details={"reason": reason})
