"""The server's end of SSH: a port, the engine behind it, and a visitor for each connection."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

import structlog
import trio

from alknet.errors import traced
from alknet.transport.gate import OPEN, Gate
from alknet.transport.listener import Serve, serve_port
from alknet.transport.ssh.engine import Engine, open_engine
from alknet.transport.ssh.visitor import Visitor
from alknet.transport.tcp import taken
from alknet.wire.limits import Limits

log = structlog.get_logger("alknet.transport")

_RESTART_SECONDS: Final = 1.0


class _Running(NamedTuple):
    engine: Engine
    connections: trio.Nursery
    failed: trio.CancelScope


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections at *url* until cancelled, running `serve(link)` for each of their links.

    What serves them runs in *links*, where it outlives the listener, or else ends with it.
    `started` gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    async with trio.open_nursery() as here:
        while True:
            running: _Running = await (links or here).start(_run_engine)

            async def accept(
                stream: trio.SocketStream, name: str, engine: Engine = running.engine
            ) -> Visitor | None:
                return await Visitor.of(engine, taken(stream), name, gate, limits)

            async def receive(visitor: Visitor) -> None:
                await visitor.serve(serve)

            with running.failed:
                async with trio.open_nursery() as listening:
                    bound: str = await listening.start(
                        partial(_serve_port, url, accept, receive, limits, running.connections)
                    )
                    url = bound
                    task_status.started(bound)
                    task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(_RESTART_SECONDS)


async def _serve_port(
    url: str,
    accept: Callable[[trio.SocketStream, str], Awaitable[Visitor | None]],
    receive: Callable[[Visitor], Awaitable[None]],
    limits: Limits,
    connections: trio.Nursery,
    *,
    task_status: trio.TaskStatus[str],
) -> None:
    await serve_port(
        url, accept, receive, limits=limits, links=connections, task_status=task_status
    )


async def _run_engine(*, task_status: trio.TaskStatus[_Running]) -> None:
    """Run connections until cancelled; if the loop fails, that ends them and nothing else."""
    failed = trio.CancelScope()
    try:
        async with open_engine() as engine, trio.open_nursery() as connections:
            task_status.started(_Running(engine, connections, failed))
            await trio.sleep_forever()
    except Exception as error:  # whatever it is, the node goes on
        log.error("ssh: its connections have failed, and it begins anew", cause=traced(error))
        failed.cancel(reason="what it accepts for is gone")
