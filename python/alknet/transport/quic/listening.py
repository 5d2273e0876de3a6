"""Listening for QUIC at a URL."""

from functools import partial

import trio

from alknet.errors import AlknetError, SettingsError, first_of
from alknet.transport.address import Address, in_words
from alknet.transport.gate import OPEN, Gate
from alknet.transport.guard import counted, guarded
from alknet.transport.listener import Serve
from alknet.transport.quic.connection import FAULT
from alknet.transport.quic.driver import PROTOCOL, Driver, name_of
from alknet.transport.quic.link import taken
from alknet.transport.udp import SocketAddress, UdpSocket, bound
from alknet.wire.limits import Limits


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections at *url* until cancelled, running `serve(link)` for each in its own task.

    These tasks run in *links*, where they outlive the listener, or else end with it. `started`
    gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    address = Address.parse(url)
    try:
        sockets = await bound(address)
    except OSError as error:
        raise SettingsError(f"cannot listen at {url}: {in_words(error)}") from None
    async with trio.open_nursery() as nursery:
        home = nursery if links is None else links
        drivers = [_driver(each, serve, limits, home, gate) for each in sockets]
        for driver in drivers:
            home.start_soon(driver.run, name=f"the socket of {url}")
        task_status.started(str(address.at(sockets[0].port)))
        try:
            await trio.sleep_forever()
        finally:
            for driver in drivers:
                driver.close_door()


def _driver(
    socket: UdpSocket, serve: Serve, limits: Limits, home: trio.Nursery, gate: Gate
) -> Driver:
    def knocked(number: int, where: SocketAddress) -> None:
        home.start_soon(partial(_take, driver, number, where, serve, limits=limits, gate=gate))

    driver = Driver(socket, limits, knocked)
    return driver


async def _take(
    driver: Driver,
    number: int,
    where: SocketAddress,
    serve: Serve,
    *,
    limits: Limits,
    gate: Gate,
) -> None:
    """Serve who knocks, if there is room for another from there, until the link ends."""
    name = name_of(where)
    async with guarded(name):
        try:
            async with counted(name):
                connection = driver.accept(number, where, gate.server([PROTOCOL]))
                try:
                    with trio.fail_after(limits.handshake_seconds):
                        await connection.connected()
                        link = await taken(connection, limits)
                except BaseException as error:
                    connection.abort(FAULT, _told(error, limits))
                    raise
                try:
                    await serve(link)
                finally:
                    with trio.CancelScope(shield=True):
                        await link.aclose()
        finally:
            driver.refuse(number)


def _told(error: BaseException, limits: Limits) -> str:
    """Return what to tell a peer whose handshake ended with *error*."""
    if isinstance(error, trio.TooSlowError):
        return f"no link was begun within {limits.handshake_seconds:g} s"
    cause = first_of(error)
    return str(cause) if isinstance(cause, AlknetError) else ""
