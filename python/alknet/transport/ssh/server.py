"""The server's end of SSH: a port, the engine behind it, and a visitor for each connection."""

from typing import Final, NamedTuple, cast

import structlog
import trio

from alknet.errors import SettingsError, first_of, traced
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
    if links is not None:
        await _listen(url, serve, limits, links, gate, task_status)
        return
    failed: SettingsError | None = None
    try:
        async with trio.open_nursery() as here:
            await _listen(url, serve, limits, here, gate, task_status)
    except* SettingsError as group:
        failed = cast("SettingsError", first_of(group))
    if failed is not None:
        raise failed


async def _listen(
    url: str,
    serve: Serve,
    limits: Limits,
    links: trio.Nursery,
    gate: Gate,
    task_status: trio.TaskStatus[str],
) -> None:
    bound = _Bound(url, task_status)
    while True:
        running: _Running = await links.start(_run_engine)

        async def accept(
            stream: trio.SocketStream, name: str, engine: Engine = running.engine
        ) -> Visitor | None:
            return await Visitor.of(engine, taken(stream), name, gate, limits)

        async def receive(visitor: Visitor) -> None:
            await visitor.serve(serve)

        with running.failed:
            await serve_port(
                bound.url,
                accept,
                receive,
                limits=limits,
                links=running.connections,
                task_status=bound,
            )
        await trio.sleep(_RESTART_SECONDS)


class _Bound(trio.TaskStatus[str]):
    """Hands on, once, the URL that was bound, and keeps it for the next time."""

    def __init__(self, url: str, task_status: trio.TaskStatus[str]) -> None:
        self.url = url
        self._task_status: trio.TaskStatus[str] | None = task_status

    def started(self, value: str | None = None) -> None:
        assert value is not None
        self.url = value
        if self._task_status is not None:
            self._task_status.started(value)
            self._task_status = None


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
