"""Forward: one connection that a node has opened for somebody, while it lasts."""

import trio

from alknet.errors import CallError
from alknet.transport.address import bracket, in_words
from alknet.transport.connection import Connection
from alknet.transport.egress import no_connection


class Forward(Connection):
    """A connection to `host` at `port`, opened for `principal`, who asked by `transport`.

    `address` is the one of the host's addresses that was judged and is connected to. What
    `receive`, `send` and `send_eof` raise is a CallError: Unavailable if the target has cut the
    connection, or why the forward was `ended`.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        *,
        host: str,
        port: int,
        address: str,
        principal: str | None,
        transport: str,
    ) -> None:
        super().__init__(stream)
        self.host = host
        self.port = port
        self.address = address
        self.principal = principal
        self.transport = transport
        self.ended: CallError | None = None

    @property
    def target(self) -> str:
        """Where it was asked to lead, as `host:port`."""
        return f"{bracket(self.host)}:{self.port}"

    async def receive(self) -> bytes:
        try:
            return await super().receive()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def send(self, data: bytes) -> None:
        try:
            await super().send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone(error) from None

    async def send_eof(self) -> None:
        try:
            await super().send_eof()
        except trio.ClosedResourceError as error:
            raise self._gone(error) from None

    def end(self, why: CallError) -> None:
        """Cut the connection; whoever uses it, now or later, is told *why*."""
        if self.ended is None:
            self.ended = why
        self.cut()

    def _gone(self, error: BaseException) -> CallError:
        if self.ended is not None:
            return self.ended
        return no_connection(f"{self.target} has cut the connection: {in_words(error)}", "cut")
