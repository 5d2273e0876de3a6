"""Ports of this machine, for programs here that know nothing of alknet."""

import trio

from alknet.errors import SettingsError
from alknet.transport.address import bracket, in_words


async def open_port(host: str, port: int) -> tuple[list[trio.SocketListener], str]:
    """Listen at *port* of *host*, 0 for any that is free; return where, as `host:port`, too.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise SettingsError(f"cannot listen at {bracket(host)}:{port}: {in_words(error)}") from None
    bound = listeners[0].socket.getsockname()
    return listeners, f"{bracket(bound[0])}:{bound[1]}"
