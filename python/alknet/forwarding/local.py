"""Ports of this machine that lead to where a node connects us."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
import trio

from alknet.call.client import HERE, Client
from alknet.errors import AlknetError
from alknet.forwarding.tunnel import Tunnel, open_tunnel
from alknet.transport.address import bracket, name_of
from alknet.transport.connection import Connection
from alknet.transport.local_port import open_port
from alknet.transport.splice import splice

log = structlog.get_logger("alknet.forward")

LOOPBACK: Final = "127.0.0.1"
Serve = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def open_forward(
    client: Client,
    host: str,
    port: int,
    *,
    bind: str = LOOPBACK,
    bind_port: int = 0,
    node: str = HERE,
) -> AsyncIterator[str]:
    """Lead connections to *bind_port* of this machine to *host* at *port*, as seen from *node*.

    Yields where it listens, as `host:port`; with *bind_port* 0 the system chooses. What fails ends
    the one connection, which is reset, and is logged.

    Raises:
        SettingsError: the port cannot be had.
    """

    async def serve(local: Connection) -> None:
        async with open_tunnel(client, host, port, node=node) as tunnel:
            await joined(local, tunnel)

    async with open_local(serve, bind, bind_port, target=f"{bracket(host)}:{port}") as where:
        yield where


class TurnedAway(AlknetError):
    """The program was told so, in its own protocol: its connection is closed in good order."""


async def joined(local: Connection, tunnel: Tunnel) -> None:
    """Copy both ways until both ends have sent everything."""
    await splice(local, tunnel)
    await tunnel.finished()


@asynccontextmanager
async def open_local(serve: Serve, bind: str, port: int, *, target: str) -> AsyncIterator[str]:
    """Run *serve* for each connection to *port*, and yield where that is.

    Raises:
        SettingsError: the port cannot be had.
    """
    listeners, where = await open_port(bind, port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, partial(_take, serve, target), listeners)
        yield where
        nursery.cancel_scope.cancel(reason="the forward is closed")


async def _take(serve: Serve, target: str, stream: trio.SocketStream) -> None:
    """Serve one connection; whatever it fails of ends it, and nothing else."""
    local, name = Connection(stream), name_of(stream)
    try:
        await serve(local)
    except TurnedAway as error:
        log.warning("connection not forwarded", remote=name, target=target, why=str(error))
    except (AlknetError, OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        log.warning("connection not forwarded", remote=name, target=target, why=str(error))
        local.cut()
    except BaseException:
        local.cut()
        raise
    finally:
        local.close()
