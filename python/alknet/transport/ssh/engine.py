"""Engine: the asyncio loop that asyncssh lives in, run by Trio.

Nothing outside this folder learns that there is such a loop.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar, cast

import structlog
import trio
import trio_asyncio  # type: ignore[import-untyped]  # it has no types; `Engine` says what is used

from alknet.errors import traced
from alknet.transport.ssh.pump import Pump

log = structlog.get_logger("alknet.transport")

T = TypeVar("T")
_current_loop: ContextVar[Any] = trio_asyncio.current_loop


class Engine:
    """A running loop, as Trio's tasks use it.

    asyncssh makes tasks of asyncio here and there, as when a message happens to begin a key
    exchange, and what waits for its sockets are tasks of Trio. Both find the loop by the context
    that they are begun in. So whatever is called here is called in one that names the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pumps: trio.Nursery) -> None:
        self.loop = loop
        self._pumps = pumps
        self._context = copy_context()

    def connect(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        """Have *protocol* speak over *connection*, which is its own from now on."""
        # A task copies the context that it is begun in.
        self._context.run(self._pumps.start_soon, self._pump, Pump(connection, protocol))

    async def _pump(self, pump: Pump) -> None:
        try:
            await pump.run()
        except Exception as error:  # one connection's fault; the others go on
            log.error("ssh: a connection failed", cause=traced(error))

    def now(self, call: Callable[..., object], *args: Any) -> None:
        """Call `call(*args)`, which is asyncssh's, from a task of Trio's.

        Handing it to the loop instead would cost two switches of tasks for each message.
        """
        token = _current_loop.set(self.loop)
        try:
            call(*args)
        finally:
            _current_loop.reset(token)

    def soon(self, call: Callable[..., object], *args: Any) -> None:
        """Have `call(*args)` called in the loop; if that has ended, there is nothing to call."""
        with suppress(RuntimeError):
            self.loop.call_soon(call, *args, context=self._context)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine*, of asyncio's, and return what it does; cancelling cancels it."""
        task = self.loop.create_task(coroutine, context=self._context)
        return cast("T", await trio_asyncio.run_aio_future(task))

    def trio(self, call: Callable[..., Awaitable[T]], *args: Any) -> "asyncio.Future[T]":
        """Return, to a coroutine of asyncio's, what `await call(*args)` does in Trio."""
        future: asyncio.Future[T] = self.loop.trio_as_future(call, *args)  # type: ignore[attr-defined]
        return future


@asynccontextmanager
async def open_engine() -> AsyncIterator[Engine]:
    """Yield an engine for connections, which must have ended before the block is left."""
    async with trio_asyncio.open_loop() as loop:
        # Else whatever a callback raises ends the whole program.
        loop.set_exception_handler(_note)
        async with trio.open_nursery() as pumps:
            yield Engine(loop, pumps)
            pumps.cancel_scope.cancel()


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    log.error(
        "ssh: a callback failed",
        what=context.get("message"),
        cause=traced(error) if isinstance(error, BaseException) else None,
    )
