"""Opening a TCP connection to a machine that may come back at any moment.

What is sent to a machine that is off is lost, and the kernel repeats its first packet after one
second, three, seven: it would find a machine that is back seconds late. So another connection is
begun every second beside those that wait, the first that opens is taken, and the rest are dropped
before a byte was sent. A machine that answers slowly gets some more of these packets, and no more
handshakes than it would.
"""

from typing import Final

import trio

from alknet.errors import first_of

_PATIENCE: Final = 1.0


async def open_stream(host: str, port: int) -> trio.SocketStream:
    """Return a connection to *host*, a name or an address, at *port*; waits until cancelled.

    Raises:
        OSError: it was refused, or there is no way there.
    """
    won: list[trio.SocketStream] = []

    async def attempt() -> None:
        stream = await trio.open_tcp_stream(host, port)
        if won:
            await trio.aclose_forcefully(stream)
        else:
            won.append(stream)
            attempts.cancel_scope.cancel(reason="there is a connection")

    try:
        async with trio.open_nursery() as attempts:
            while not won:
                attempts.start_soon(attempt)
                await trio.sleep(_PATIENCE)
    except BaseException as error:
        # Cancelled from outside, or refused, in the moment in which one had been opened.
        for stream in won:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
        if isinstance(error, BaseExceptionGroup):
            cause = first_of(error)
            if isinstance(cause, OSError):
                raise cause from cause.__cause__
        raise
    return won[0]
