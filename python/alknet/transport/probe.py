"""Probe: whether an address could be listened at now, and whether a node answers at a URL."""

import trio

from alknet.errors import Disconnected, Refused, Unreachable, first_of
from alknet.transport import road
from alknet.transport.address import Address, in_words
from alknet.transport.admission import offered_by
from alknet.transport.trust import Trust
from alknet.transport.udp import bound
from alknet.wire.handshake import check_key
from alknet.wire.limits import DEFAULT_LIMITS
from alknet.wire.link import Link


async def why_not_listen(address: Address) -> str | None:
    """Return why nobody can listen at *address* now, None if one can; nobody hears of it."""
    try:
        if address.scheme in ("quic", "dns"):
            for each in await bound(address):
                each.close()
        if address.scheme == "quic":
            return None
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        return in_words(error)
    for listener in listeners:
        await listener.aclose()
    return None


async def who_answers(url: str, trust: Trust, *, timeout: float) -> str | None:
    """Return what the node at *url* calls itself, before anybody has proven who they are.

    None is one that says nothing to who shows no certificate, as we do not; its own was as *trust*
    would have it. *timeout* is in seconds.

    Raises:
        Unreachable: no node answers there in time.
        Refused, Locked: it is not the one that *trust* believes, or shows no key.
    """
    try:
        with trio.fail_after(timeout):
            if Address.parse(url).scheme == "ssh":
                # Before anybody has proven who they are, SSH says which node it is, not its name.
                from alknet.transport.ssh.client import recognise

                await recognise(url, trust, limits=DEFAULT_LIMITS)
                return None
            async with trio.open_nursery() as nursery:
                link = await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=trust)
                try:
                    offered = await _offered(link, trust)
                finally:
                    with trio.CancelScope(shield=True):
                        await link.aclose()
                nursery.cancel_scope.cancel()
    except trio.TooSlowError:
        raise Unreachable(f"{url} did not answer within {timeout:g} s") from None
    except BaseExceptionGroup as group:
        error = first_of(group)
        if isinstance(error, Disconnected):
            raise Unreachable(f"{url} hung up: {error}") from None
        raise error from None
    return offered


async def _offered(link: Link, trust: Trust) -> str | None:
    try:
        offered = await offered_by(link)
    except Refused:
        if link.is_confidential:
            return None
        raise
    if trust.expect is not None:
        check_key(offered, trust.expect)
    return offered.node
