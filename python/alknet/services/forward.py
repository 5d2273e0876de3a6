"""ForwardService: connects callers to where the node's forwarding policy lets them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import trio

from alknet.call.context import Context
from alknet.errors import CallError
from alknet.forwarding.forward import Forward
from alknet.forwarding.forwarder import Forwarder
from alknet.protocol.forward import Chunk, ForwardLimits, Opened, OpenForward
from alknet.runtime.beside import beside
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler


class ForwardService(Service, namespace="forward"):
    """Carries what callers and their targets say to each other."""

    settings_type = ForwardLimits

    def __init__(self, limits: ForwardLimits, forwarder: Forwarder) -> None:
        forwarder.limits = limits
        self._forwarder = forwarder
        self._nursery: trio.Nursery | None = None

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host.forwarder)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as self._nursery:
            yield
            self._nursery.cancel_scope.cancel()

    @handler(concurrent=True, endless=True)
    async def open(
        self, request: OpenForward, chunks: AsyncIterator[Chunk], context: Context
    ) -> AsyncIterator[Opened | bytes]:
        session = context.session
        async with self._forwarder.open(
            request.host,
            request.port,
            identity=context.identity,
            transport="memory" if session is None else session.link.transport,
            remote="this process" if session is None else session.link.peer_address,
        ) as forward:
            yield Opened(forward.address, forward.port)
            assert self._nursery is not None
            has_sent = trio.Event()
            with beside(self._nursery, _send, chunks, forward, has_sent):
                while data := await forward.receive():
                    yield data
                yield b""
                await has_sent.wait()
            if forward.ended is not None:
                raise forward.ended


async def _send(chunks: AsyncIterator[Chunk], forward: Forward, has_sent: trio.Event) -> None:
    """Send *chunks* to the target, then their end; what goes wrong ends *forward*."""
    try:
        async for chunk in chunks:
            await forward.send(chunk)
        await forward.send_eof()
    except CallError as error:
        forward.end(error)
    finally:
        has_sent.set()
