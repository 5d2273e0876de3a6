"""Probe: whether an address could be listened at now."""

import trio

from alknet.transport.address import Address, in_words
from alknet.transport.udp import bound


async def why_not_listen(address: Address) -> str | None:
    """Return why nobody can listen at *address* now, None if one can; nobody hears of it."""
    try:
        if address.scheme == "quic":
            for each in await bound(address):
                each.close()
            return None
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        return in_words(error)
    for listener in listeners:
        await listener.aclose()
    return None
