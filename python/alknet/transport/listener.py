"""Listener: a TCP port, and the life of each connection to it, whatever becomes of its bytes."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from alknet.errors import SettingsError
from alknet.transport.address import Address, in_words, name_of
from alknet.transport.guard import counted, guarded
from alknet.transport.inherited import HANDED
from alknet.turnstile import turnstile
from alknet.wire.limits import Limits
from alknet.wire.link import Link


class Closable(Protocol):
    """A link, or a connection that carries several."""

    async def aclose(self) -> None:
        """Close; safe to call twice."""
        ...


L = TypeVar("L", bound=Closable)
Serve = Callable[[Link], Awaitable[None]]
# Makes a link of a connection from the peer of that name; None if what is asked there is refused.
Accept = Callable[[trio.SocketStream, str], Awaitable[L | None]]


class _Paced(trio.abc.Listener[trio.SocketStream]):
    """Takes one connection at a time, and when its turn has come: the others wait in the kernel."""

    def __init__(self, below: trio.SocketListener) -> None:
        self._below = below

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.wait_readable(self._below.socket)
        await turnstile().step()
        return await self._below.accept()

    async def aclose(self) -> None:
        await self._below.aclose()


async def serve_port(
    url: str,
    accept: Accept[L],
    serve: Callable[[L], Awaitable[None]],
    *,
    limits: Limits,
    links: trio.Nursery | None,
    task_status: trio.TaskStatus[str],
) -> None:
    """Take connections at *url* until cancelled, running `serve(link)` for each in its own task.

    These tasks run in *links*, where they outlive the listener, or else end with it. `accept` has
    `handshake_seconds` to make the link, which is closed when it has been served. What goes wrong
    on one connection ends that connection and is logged; the listener goes on. `started` gives the
    URL with the port that was bound. A socket that systemd has opened for it is taken.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    address = Address.parse(url)
    try:
        listeners = HANDED.take(address) or await trio.open_tcp_listeners(
            address.port, host=address.host
        )
    except OSError as error:
        raise SettingsError(f"cannot listen at {url}: {in_words(error)}") from None

    async def take(stream: trio.SocketStream) -> None:
        name = name_of(stream)
        async with guarded(name), counted(name):
            with trio.fail_after(limits.handshake_seconds):
                await turnstile().step()
                link = await accept(stream, name)
            if link is not None:
                try:
                    await serve(link)
                finally:
                    with trio.CancelScope(shield=True):
                        await link.aclose()

    task_status.started(str(address.at(listeners[0].socket.getsockname()[1])))
    paced = [_Paced(listener) for listener in listeners]
    await trio.serve_listeners(take, paced, handler_nursery=links)
